//! `hookwire status`: gateways, subscribers and live sessions, now.

use std::{collections::BTreeMap, time::Duration};

use hookwire_protocol::v1::{
    GatewayStatus, GetStatusRequest, GetStatusResponse, SubscriberStatus,
    admin_service_client::AdminServiceClient,
};
use hookwire_sdk::MAX_MESSAGE_BYTES;
use serde_json::{Value, json};

use super::{Failure, Question, Target, client, names, term};

/// How long the dispatcher may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Show gateways, subscribers and live sessions
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    question: Question,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let Question { target, json } = args.question;
    let status = client::block_on(ask(&target))?;
    if json { term::print(&to_json(&status).to_string()) } else { term::print(&for_eyes(&status)) }
}

/// Asks the dispatcher how it is.
pub(super) async fn ask(target: &Target) -> Result<GetStatusResponse, Failure> {
    let mut admin =
        AdminServiceClient::new(client::connect(target).await?).max_decoding_message_size(MAX_MESSAGE_BYTES);
    Ok(client::answer(PATIENCE, admin.get_status(GetStatusRequest {})).await?.into_inner())
}

fn to_json(status: &GetStatusResponse) -> Value {
    json!({
        "server_version": status.server_version,
        "ledger_id": status.ledger_id,
        "durable": status.durable,
        "uptime_ms": status.uptime_ms,
        "live_sessions": status.live_sessions,
        "journal_failure": status.journal_failure,
        "gateways": status.gateways.iter().map(gateway_json).collect::<Vec<_>>(),
        "subscribers": status.subscribers.iter().map(subscriber_json).collect::<Vec<_>>(),
        // Sorted: the wire's map has no order.
        "counters": status.counters.iter().collect::<BTreeMap<_, _>>(),
    })
}

fn gateway_json(gateway: &GatewayStatus) -> Value {
    json!({
        "id": gateway.id,
        "boot_id": gateway.boot_id,
        "state": names::boot_state(gateway.state),
        "streams": gateway.streams,
        "live_sessions": gateway.live_sessions,
    })
}

pub(super) fn subscriber_json(subscriber: &SubscriberStatus) -> Value {
    json!({
        "id": subscriber.id,
        "connected": subscriber.connected,
        "instance_id": subscriber.instance_id,
        "lag": lag(subscriber),
        "in_flight": subscriber.in_flight,
        "queued": subscriber.queued,
        "queued_bytes": subscriber.queued_bytes,
        "open": subscriber.open,
        "owed": subscriber.owed,
        "last_ack_ms": subscriber.last_ack_ms,
        "acked": subscriber.acked,
        "lost": subscriber.lost,
        "timed_out": subscriber.timed_out,
        "retrying": subscriber.retrying,
        "expired": subscriber.expired,
        "away_ms": subscriber.away_ms,
    })
}

/// How far a subscriber is behind: what waits for it, and what it has not answered.
fn lag(subscriber: &SubscriberStatus) -> u64 {
    subscriber.queued.saturating_add(subscriber.in_flight)
}

fn for_eyes(status: &GetStatusResponse) -> String {
    let gateways = term::table(
        &["gateway", "boot", "state", "streams", "live sessions"],
        3,
        status.gateways.iter().map(gateway_row),
    );
    let subscribers = term::table(
        &[
            "subscriber",
            "connected",
            "last ack",
            "lag",
            "owed",
            "open",
            "acked",
            "lost",
            "timed out",
            "retrying",
            "expired",
        ],
        3,
        status.subscribers.iter().map(subscriber_row),
    );
    let failure = match &*status.journal_failure {
        "" => String::new(),
        failure => format!("\n{}", term::clean(failure)),
    };
    format!(
        "hookwire {}, up {}, ledger {} {}{failure}\nlive sessions: {}\n\n{gateways}\n\n{subscribers}",
        term::clean(&status.server_version),
        term::span(status.uptime_ms),
        term::clean(&status.ledger_id),
        if status.durable { "in a journal" } else { "in memory" },
        status.live_sessions,
    )
}

fn gateway_row(gateway: &GatewayStatus) -> Vec<String> {
    vec![
        gateway.id.clone(),
        gateway.boot_id.clone(),
        names::boot_state(gateway.state),
        gateway.streams.to_string(),
        gateway.live_sessions.to_string(),
    ]
}

fn subscriber_row(subscriber: &SubscriberStatus) -> Vec<String> {
    let last_ack = subscriber.last_ack_ms.map_or("-".to_owned(), |ms| format!("{} ago", term::span(ms)));
    let counts = [
        lag(subscriber),
        subscriber.owed,
        subscriber.open,
        subscriber.acked,
        subscriber.lost,
        subscriber.timed_out,
        subscriber.retrying,
        subscriber.expired,
    ];
    let mut row = vec![subscriber.id.clone(), presence(subscriber), last_ack];
    row.extend(counts.map(|count| count.to_string()));
    row
}

/// Whether a subscriber is connected, and for how long it has been away.
pub(super) fn presence(subscriber: &SubscriberStatus) -> String {
    match (subscriber.connected, subscriber.away_ms) {
        (true, _) => "yes".to_owned(),
        (false, Some(ms)) => format!("no, for {}", term::span(ms)),
        (false, None) => "no".to_owned(), // an older dispatcher does not say
    }
}

#[cfg(test)]
mod tests {
    use hookwire_protocol::v1::{
        BootState, ForgetSubscriberRequest, ForgetSubscriberResponse, HandOverRequest, HandOverResponse,
        admin_service_server::{AdminService, AdminServiceServer},
    };
    use tokio::net::TcpListener;
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic::{Request, Response, Status, async_trait, transport::Server};

    use super::*;
    use crate::cli::Exit;

    struct Scripted;

    #[async_trait]
    impl AdminService for Scripted {
        async fn get_status(
            &self,
            _: Request<GetStatusRequest>,
        ) -> Result<Response<GetStatusResponse>, Status> {
            Ok(Response::new(status()))
        }

        async fn hand_over(&self, _: Request<HandOverRequest>) -> Result<Response<HandOverResponse>, Status> {
            Err(Status::unimplemented("it is only asked how it is"))
        }

        async fn forget_subscriber(
            &self,
            _: Request<ForgetSubscriberRequest>,
        ) -> Result<Response<ForgetSubscriberResponse>, Status> {
            Err(Status::unimplemented("it is only asked how it is"))
        }
    }

    #[tokio::test]
    async fn a_dispatcher_is_asked_and_an_empty_port_is_not_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let to = listener.local_addr().expect("a bound address").to_string();
        let target = Target { to: to.parse().expect("an address") };
        let service = AdminServiceServer::new(Scripted);
        let server = tokio::spawn(
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)),
        );
        assert_eq!(ask(&target).await.map_err(|failure| failure.exit), Ok(status()));
        server.abort();
        let _ = server.await; // the port is free behind this
        assert_eq!(ask(&target).await.map_err(|failure| failure.exit), Err(Exit::Unavailable));
    }

    fn status() -> GetStatusResponse {
        GetStatusResponse {
            server_version: "0.1.0".into(),
            ledger_id: "l".into(),
            durable: false,
            uptime_ms: 61_000,
            live_sessions: 3,
            gateways: vec![GatewayStatus {
                id: "openclaw".into(),
                boot_id: "b1".into(),
                state: BootState::Attached.into(),
                streams: 1,
                live_sessions: 3,
            }],
            subscribers: vec![SubscriberStatus {
                id: "audit".into(),
                connected: true,
                in_flight: 2,
                queued: 5,
                owed: 1,
                last_ack_ms: Some(1_500),
                ..Default::default()
            }],
            journal_failure: String::new(),
            counters: [("starts".to_owned(), 4), ("ends".to_owned(), 1)].into(),
        }
    }

    #[test]
    fn machines_get_everything() {
        let json = to_json(&status());
        assert_eq!(json["gateways"][0]["state"], "attached");
        assert_eq!(json["subscribers"][0]["lag"], 7);
        assert_eq!(json["subscribers"][0]["last_ack_ms"], 1_500);
        assert_eq!(json["counters"].to_string(), r#"{"ends":1,"starts":4}"#);
    }

    #[test]
    fn people_get_two_tables() {
        let text = for_eyes(&status());
        assert!(
            text.starts_with("hookwire 0.1.0, up 1 min, ledger l in memory\nlive sessions: 3\n"),
            "{text}"
        );
        assert!(text.contains("\nopenclaw  b1    attached        1              3\n"), "{text}");
        assert!(text.contains("\naudit       yes        1.5 s ago    7     1"), "{text}");
    }
}
