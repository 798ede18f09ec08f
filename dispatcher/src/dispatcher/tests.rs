//! An embedded gateway and its journal.

use hookwire_protocol::v1::{GatewayEvent, SessionRef};

use super::*;
use crate::emit::emitter::NotTaken;

fn event(hook: &str, session: &str) -> GatewayEvent {
    let session = SessionRef { id: Some(session.to_owned()), ..SessionRef::default() };
    GatewayEvent { hook: hook.to_owned(), session: Some(session), ..GatewayEvent::default() }
}

#[tokio::test]
async fn the_next_process_of_a_gateway_ends_what_the_one_before_left_open() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = Config::default();
    let live = async |dispatcher: &Dispatcher| {
        let status = dispatcher.commands.ask(Command::Status).await.expect("it runs");
        (status.live_sessions, status.gateways[0].boot_id.clone())
    };
    let (_hurry, never) = watch::channel(false);
    let dispatcher = Dispatcher::open(&config, directory.path()).expect("a new journal");
    let emitter = dispatcher.emitter("gw", "boot-1").await.expect("it may attach");
    emitter.emit(event("session_start", "s1")).await.expect("it is durable");
    dispatcher.hand_over(Duration::ZERO, never).await.expect("no session ends by that");
    assert_eq!(emitter.emit(event("session_start", "s2")).await, Err(NotTaken::Closed));

    let dispatcher = Dispatcher::open(&config, directory.path()).expect("the same journal");
    assert_eq!(live(&dispatcher).await, (1, "boot-1".to_owned()));
    let emitter = dispatcher.emitter("gw", "boot-2").await.expect("it may attach");
    assert_eq!(live(&dispatcher).await, (0, "boot-2".to_owned()), "ended before it was answered");
    emitter.emit(event("llm_output", "s1")).await.expect("it goes on in this boot, as another life");
    assert_eq!(live(&dispatcher).await, (1, "boot-2".to_owned()));
}
