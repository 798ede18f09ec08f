//! A plugin in fifteen lines: prints what happens to sessions.

use hookwire_sdk::{BoxError, Event, Plugin};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    Plugin::builder("hello").on("session_*", hello).run().await?;
    Ok(())
}

async fn hello(event: Event) -> Result<(), BoxError> {
    let session = event.session().ok_or("no session")?;
    println!("{} {} #{}", event.hook(), session.id, session.incarnation);
    Ok(())
}
