//! Hookwire in the gateway's own process: events go through the embedded emitter, plugins are the `hookwire` binary's.

use hookwire::{
    config::Config,
    dispatcher::Dispatcher,
    serve::{connection::ConnectionLimits, listen::Listener},
};
use hookwire_protocol::{
    hook,
    v1::{Event, GatewayEvent, SessionRef, SessionStart, event, gateway_event},
};
use tokio::task::yield_now;

use crate::{
    load::{Source, session_id},
    role::{BoxError, Report, Stage, keep},
};

/// The gateway's name: the plugins count only what is from it.
pub const GATEWAY: &str = "bench";

/// Events ahead of the slowest plugin: less than a queue holds, so that nothing is lost.
const IN_FLIGHT: u64 = 6000;

/// Events that are emitted between two looks at the rest of the world.
const TURN: u64 = 256;

pub(super) async fn produce(mut stage: Stage) -> Result<Report, BoxError> {
    let load = stage.role.load;
    let config = Config { listen: vec![stage.role.address.parse()?], ..Config::default() };
    let dispatcher = Dispatcher::start(&config);
    let listener = Listener::bind(&config.listen, config.insecure_listen)?;
    let address = listener.addresses().pop().ok_or("it listens nowhere")?;
    let server = listener.serve(dispatcher.routes(), ConnectionLimits::from(&config));
    let emitter = dispatcher.emitter(GATEWAY, "boot").await?;
    let mut source = Source::new(load);
    stage.ready(&address);
    stage.go().await;
    for index in 0..load.sessions {
        emitter.emit(start(index)).await?;
    }
    let mut emitted = load.sessions;
    loop {
        let due = source.due(TURN).await;
        if due == 0 {
            break;
        }
        emitted += due;
        stage.acknowledged(emitted.saturating_sub(IN_FLIGHT)).await;
        for _ in 0..due {
            drop(emitter.emit(from_gateway(source.event()))); // a plugin that misses one never comes to its end
        }
        yield_now().await;
    }
    stage.acknowledged(emitted).await;
    keep((emitter, server, dispatcher)); // or its plugins would be cut off while the slowest has yet to report
    Ok(Report::sent(source.sent()))
}

fn start(session: u64) -> GatewayEvent {
    GatewayEvent {
        hook: hook::SESSION_START.to_owned(),
        session: Some(SessionRef { id: Some(session_id(session)), ..SessionRef::default() }),
        payload: Some(gateway_event::Payload::SessionStart(SessionStart::default())),
        ..GatewayEvent::default()
    }
}

/// What everybody else carries, as a gateway hands it over.
fn from_gateway(event: Event) -> GatewayEvent {
    let json = |payload| match payload {
        event::Payload::Json(json) => Some(gateway_event::Payload::Json(json)),
        _ => None, // ends are the dispatcher's to make
    };
    GatewayEvent {
        hook: event.hook,
        session: event.session.map(|session| SessionRef { id: Some(session.id), ..SessionRef::default() }),
        time_unix_nano: event.time_unix_nano,
        payload: event.payload.and_then(json),
        ..GatewayEvent::default()
    }
}
