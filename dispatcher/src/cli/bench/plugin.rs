//! The hidden role `bench-plugin`: the leanest honest plugin. What it says is in [`super::lines`].
//!
//! The generated client, no SDK: every event is decoded, and acknowledged cumulatively when the input has run dry.

mod stream;
mod tally;

use std::{cell::RefCell, rc::Rc};

use hookwire_sdk::Address;
use tokio::task::{JoinSet, LocalSet};

use self::{stream::Subscriber, tally::Tally};
use super::{
    lines::{FromPlugin, say},
    orders::Orders,
};
use crate::cli::{Exit, Failure, client};

/// Plugins of the bench, in one process
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Where the dispatcher listens
    #[arg(long, value_name = "ADDR")]
    to: Address,
    /// What the subscribers' durable names begin with: NAME-0, NAME-1 and so on
    #[arg(long, value_name = "NAME")]
    name: String,
    /// How many there are, each with a connection of its own
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    subscribers: u32,
    /// The gateway whose events count
    #[arg(long, value_name = "ID")]
    gateway: String,
    /// How many of its deliveries come before what is measured
    #[arg(long, value_name = "S")]
    starts: u64,
    /// How many deliveries are measured
    #[arg(long, value_name = "M")]
    measured: u64,
    /// After how many acknowledgements it tells how far it has come
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    step: u64,
    /// How long it takes for each event, like one that has work to do
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    delay_us: u64,
    /// Rather be hung up on than miss events when it falls behind
    #[arg(long)]
    disconnect: bool,
}

pub(in crate::cli) fn run(args: Args) -> Result<(), Failure> {
    client::block_on(LocalSet::new().run_until(subscribe(args)))
}

/// Runs all subscribers until the process is told to leave.
async fn subscribe(args: Args) -> Result<(), Failure> {
    let orders = Orders::listen();
    let tally = Rc::new(RefCell::new(Tally::new(&args)));
    let args = Rc::new(args);
    let mut subscribers = JoinSet::new();
    for index in 0..args.subscribers {
        let subscriber = Subscriber::join(args.clone(), tally.clone(), index).await?;
        let orders = orders.clone();
        subscribers.spawn_local(subscriber.run(orders));
    }
    say(&FromPlugin::Ready)?;
    while let Some(ended) = subscribers.join_next().await {
        ended.map_err(|error| Exit::Fault.because(format_args!("a fault of our own: {error}")))??;
    }
    Ok(())
}
