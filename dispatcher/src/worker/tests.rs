//! The end is not held up.

use std::time::Duration;

use hookwire_protocol::v1::{StopReason, attach_request};
use tokio::sync::oneshot;

use super::{Command, commands::COMMANDS, worker};
use crate::{
    config::Config,
    dispatcher::settings,
    emit::boots::SourceId,
    machine::{Machine, Refused},
};

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_stand_in_line() {
    let (commands, worker) = worker(Machine::new(settings(&Config::default())), None);
    let attach = |number| {
        let name = || format!("gw-{number}");
        let hello = attach_request::Hello {
            gateway_id: name(),
            boot_id: name(),
            emitter_id: name(),
            ..Default::default()
        };
        let (commands, source) = (commands.clone(), SourceId(number));
        let (ended, _) = oneshot::channel();
        tokio::spawn(
            async move { commands.ask(|reply| Command::Attach { source, hello, ended, reply }).await },
        )
    };
    let flood: Vec<_> = (0..2 * COMMANDS as u64).map(attach).collect();
    tokio::task::yield_now().await;
    let (report, reported) = oneshot::channel();
    let (reason, budget) = (StopReason::Shutdown, Duration::ZERO);
    let stop = commands.send(Command::Stop { reason, budget, report });
    tokio::time::timeout(Duration::from_millis(1), stop).await.expect("it has a line of its own");
    tokio::spawn(worker.run());
    assert_eq!(reported.await.expect("a stop is answered").sessions_ended, 0);
    for attached in flood {
        assert!(matches!(attached.await, Ok(Some(Err(Refused::Stopping)))));
    }
}
