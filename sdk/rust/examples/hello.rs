//! A plugin in fifteen lines: prints what happens to sessions.

use hookwire_sdk::{BoxError, Delivery, Plugin};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    Plugin::builder("hello").on("session_*", hello).run().await?;
    Ok(())
}

async fn hello(delivery: Delivery) -> Result<(), BoxError> {
    let session = delivery.session().ok_or("no session")?;
    println!("{} {} #{}", delivery.hook(), session.id, session.incarnation);
    Ok(())
}
