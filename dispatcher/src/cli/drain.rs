//! `hookwire drain`: ends the sessions of one gateway, or of all, and shows how that goes.

use std::time::Duration;

use clap::{ValueEnum, builder::NonEmptyStringValueParser};
use hookwire_protocol::v1::{
    DrainProgress, DrainReport, DrainRequest, DrainResponse, StopReason, SubscriberReport,
    drain_response::Message, gateway_service_client::GatewayServiceClient,
};
use hookwire_sdk::MAX_MESSAGE_BYTES;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tonic::Streaming;

use super::{Exit, Failure, Target, client, term};
use crate::report;

/// Beyond the budget, how long a dispatcher may say nothing before it counts as gone.
const SILENCE: Duration = Duration::from_secs(30);

/// How many of those that are waited for the progress line names.
const NAMED: usize = 4;

/// End the sessions of a gateway, or of all, and wait for the acknowledgements
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,

    /// The gateway [default: all of them; never the dispatcher itself]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    gateway: Option<String>,

    /// Whether it is expected back
    #[arg(long)]
    reason: Reason,

    /// How long to wait for acknowledgements [default: the dispatcher's]
    #[arg(long, value_name = "DUR", value_parser = milliseconds)]
    budget: Option<u32>,

    /// When it is expected back, from now
    #[arg(long, value_name = "DUR", value_parser = milliseconds)]
    expect_back: Option<u32>,

    /// Print the report as one JSON line on a terminal, too
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reason {
    /// It goes away
    Shutdown,
    /// It comes back
    Restart,
}

/// Reads a duration that fits the wire's 32 bits of milliseconds.
fn milliseconds(text: &str) -> Result<u32, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    u32::try_from(duration.as_millis()).map_err(|_| "longer than 49 days".to_owned())
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let report = client::block_on(drain(&args))?;
    if args.json || !term::is_terminal() {
        term::print(&report::to_json(&report))
    } else {
        term::print(&for_eyes(&report))
    }
}

async fn drain(args: &Args) -> Result<DrainReport, Failure> {
    let mut gateway = GatewayServiceClient::new(client::connect(&args.target).await?)
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let patience = SILENCE + Duration::from_millis(args.budget.unwrap_or(0).into());
    let answers = client::answer(patience, gateway.drain(request(args))).await?.into_inner();
    watch(answers, patience).await
}

fn request(args: &Args) -> DrainRequest {
    let reason = match args.reason {
        Reason::Shutdown => StopReason::Shutdown,
        Reason::Restart => StopReason::Restart,
    };
    DrainRequest {
        gateway_id: args.gateway.clone().unwrap_or_default(),
        boot_id: String::new(),
        reason: reason.into(),
        budget_ms: args.budget,
        restart_expected_ms: args.expect_back.unwrap_or(0),
    }
}

/// Shows the progress on stderr, where that is a terminal, until the report comes.
async fn watch(answers: Streaming<DrainResponse>, patience: Duration) -> Result<DrainReport, Failure> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template("{msg}").expect("a constant template"));
    let report = until_report(answers, patience, |line| bar.set_message(line)).await;
    bar.finish_and_clear();
    report
}

async fn until_report(
    mut answers: Streaming<DrainResponse>,
    patience: Duration,
    show: impl Fn(String),
) -> Result<DrainReport, Failure> {
    while let Some(answer) = client::answer(patience, answers.message()).await? {
        match answer.message {
            Some(Message::Progress(progress)) => show(progress_line(&progress)),
            Some(Message::Report(report)) => return Ok(report),
            None => {} // of a newer version
        }
    }
    Err(Exit::Unavailable.because("the drain's stream ended without a report"))
}

/// `draining 42/50 acked, waiting for: audit (1.2 s left)`
fn progress_line(progress: &DrainProgress) -> String {
    let mut line = format!("draining {}/{} acked", progress.settled, progress.owed);
    let waiting = &progress.waiting_for;
    if !waiting.is_empty() {
        let names: Vec<_> = waiting.iter().take(NAMED).map(|name| term::clean(name)).collect();
        line = format!("{line}, waiting for: {}", names.join(", "));
        if waiting.len() > NAMED {
            line = format!("{line} and {} more", waiting.len() - NAMED);
        }
    }
    format!("{line} ({}.{} s left)", progress.left_ms / 1_000, progress.left_ms % 1_000 / 100)
}

fn for_eyes(report: &DrainReport) -> String {
    let carried: u64 = report.subscribers.iter().map(|subscriber| subscriber.carried_over).sum();
    let last_ack =
        report.last_ack_ms.map_or("no answer came".to_owned(), |ms| format!("last answer after {ms} ms"));
    let fate = match (carried, report.durable) {
        (0, _) => term::paint(term::GOOD, "nothing is carried over"),
        (_, true) => term::paint(term::BAD, format!("{carried} carried over")),
        (_, false) => term::paint(term::BAD, format!("{carried} carried over, in memory only")),
    };
    let summary = format!(
        "drained {} ({}): {} sessions ended in {} of {} ms, {last_ack}, {fate}",
        term::clean(&report.scope),
        report::reason(report.reason()),
        report.sessions_ended,
        report.elapsed_ms,
        report.budget_ms,
    );
    if report.subscribers.is_empty() {
        return summary;
    }
    let header = [
        "subscriber",
        "owed",
        "acked",
        "accepted",
        "rejected",
        "timed out",
        "unreachable",
        "retried",
        "carried over",
        "slowest ms",
    ];
    format!("{summary}\n\n{}", term::table(&header, 1, report.subscribers.iter().map(row)))
}

fn row(subscriber: &SubscriberReport) -> Vec<String> {
    let slowest = subscriber.slowest.as_ref().map_or("-".to_owned(), |slowest| slowest.ms.to_string());
    let counts = [
        subscriber.owed,
        subscriber.acked,
        subscriber.accepted,
        subscriber.rejected,
        subscriber.timed_out,
        subscriber.unreachable,
        subscriber.retried,
        subscriber.carried_over,
    ];
    let mut row = vec![subscriber.id.clone()];
    row.extend(counts.map(|count| count.to_string()));
    row.push(slowest);
    row
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use hookwire_protocol::v1::{
        AttachRequest, AttachResponse,
        gateway_service_server::{GatewayService, GatewayServiceServer},
    };
    use tokio::{net::TcpListener, sync::mpsc};
    use tokio_stream::{
        Iter, iter,
        wrappers::{ReceiverStream, TcpListenerStream},
    };
    use tonic::{Request, Response, Status, async_trait, transport::Server};

    use super::*;

    /// Gives the same answers to every Drain, and shows what was asked.
    struct Scripted {
        answers: Result<Vec<Message>, Status>,
        asked: mpsc::Sender<DrainRequest>,
    }

    type Answers<T> = Iter<std::vec::IntoIter<Result<T, Status>>>;

    #[async_trait]
    impl GatewayService for Scripted {
        type AttachStream = ReceiverStream<Result<AttachResponse, Status>>;
        type DrainStream = Answers<DrainResponse>;

        async fn attach(
            &self,
            _: Request<Streaming<AttachRequest>>,
        ) -> Result<Response<Self::AttachStream>, Status> {
            Err(Status::unimplemented("not in this script"))
        }

        async fn drain(&self, asked: Request<DrainRequest>) -> Result<Response<Self::DrainStream>, Status> {
            self.asked.try_send(asked.into_inner()).expect("one Drain a test");
            let answers = self.answers.clone()?.into_iter();
            let answers = answers.map(|message| Ok(DrainResponse { message: Some(message) }));
            Ok(Response::new(iter(answers.collect::<Vec<_>>())))
        }
    }

    #[derive(Debug, clap::Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: Args,
    }

    /// What a drain with these flags asks for, and how it ends with these answers.
    async fn drained(
        flags: &[&str],
        answers: Result<Vec<Message>, Status>,
    ) -> (Option<DrainRequest>, Result<DrainReport, Exit>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let to = listener.local_addr().expect("a bound address").to_string();
        let (asked, mut requests) = mpsc::channel(1);
        let service = GatewayServiceServer::new(Scripted { answers, asked });
        tokio::spawn(
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)),
        );
        let args = CommandLine::parse_from(["drain", "--to", &to].iter().chain(flags)).args;
        let outcome = drain(&args).await.map_err(|failure| failure.exit);
        (requests.try_recv().ok(), outcome)
    }

    #[tokio::test]
    async fn the_report_comes_behind_the_progress() {
        let report = DrainReport { scope: "openclaw".into(), ..Default::default() };
        let answers = vec![Message::Progress(progress(&["audit"])), Message::Report(report.clone())];
        let flags =
            ["--gateway", "openclaw", "--reason", "restart", "--budget", "1s", "--expect-back", "20s"];
        let (asked, outcome) = drained(&flags, Ok(answers)).await;
        let expected = DrainRequest {
            gateway_id: "openclaw".into(),
            boot_id: String::new(),
            reason: StopReason::Restart.into(),
            budget_ms: Some(1_000),
            restart_expected_ms: 20_000,
        };
        assert_eq!((asked, outcome), (Some(expected), Ok(report)));
    }

    #[tokio::test]
    async fn an_unknown_gateway_is_a_refusal() {
        let refusal = Err(Status::not_found("no gateway \"x\""));
        let (_, outcome) = drained(&["--gateway", "x", "--reason", "shutdown"], refusal).await;
        assert_eq!(outcome, Err(Exit::Refused));
    }

    #[tokio::test]
    async fn a_drain_without_a_report_has_no_answer() {
        let answers = Ok(vec![Message::Progress(progress(&[]))]);
        let (asked, outcome) = drained(&["--reason", "shutdown"], answers).await;
        let asked = asked.expect("a request");
        assert_eq!((asked.gateway_id.as_str(), asked.budget_ms), ("", None));
        assert_eq!(outcome, Err(Exit::Unavailable));
    }

    fn progress(waiting_for: &[&str]) -> DrainProgress {
        let waiting_for = waiting_for.iter().map(|&name| name.to_owned()).collect();
        DrainProgress { owed: 50, settled: 42, waiting_for, left_ms: 1_234 }
    }

    #[test]
    fn progress_names_who_is_waited_for() {
        assert_eq!(
            progress_line(&progress(&["audit"])),
            "draining 42/50 acked, waiting for: audit (1.2 s left)"
        );
        assert_eq!(progress_line(&progress(&[])), "draining 42/50 acked (1.2 s left)");
        assert_eq!(
            progress_line(&progress(&["a", "b", "c", "d", "e", "f"])),
            "draining 42/50 acked, waiting for: a, b, c, d and 2 more (1.2 s left)"
        );
    }

    #[test]
    fn durations_fit_the_wire() {
        assert_eq!(milliseconds("2s"), Ok(2_000));
        assert_eq!(milliseconds("0s"), Ok(0));
        assert!(milliseconds("50days").is_err());
        assert!(milliseconds("soon").is_err());
    }

    #[test]
    fn people_get_a_summary_and_a_table() {
        let audit = SubscriberReport {
            id: "audit".into(),
            owed: 3,
            timed_out: 3,
            carried_over: 3,
            ..Default::default()
        };
        let report = DrainReport {
            scope: "all".into(),
            budget_ms: 200,
            subscribers: vec![audit],
            ..Default::default()
        };
        let text = anstream::adapter::strip_str(&for_eyes(&report)).to_string();
        assert!(text.contains("no answer came, 3 carried over, in memory only\n"), "{text}");
        assert!(
            text.lines().last().is_some_and(|row| row.starts_with("audit") && row.ends_with('-')),
            "{text}"
        );
    }
}
