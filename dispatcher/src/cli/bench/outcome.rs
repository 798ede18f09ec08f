//! What a bench found, for machines and for eyes. Pure.

use serde::Serialize;

use super::{
    heard::Heard,
    latency::Quantiles,
    plan::{Mode, Plan},
};
use crate::cli::{Exit, Failure, term};

/// CPU time of the three parties, in nanoseconds. What is not known is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Nanoseconds<T = u64> {
    pub(super) gateway: Option<T>,
    pub(super) dispatcher: Option<T>,
    /// Of all of them together.
    pub(super) plugins: Option<T>,
}

impl Nanoseconds {
    /// What was spent since then.
    pub(super) fn since(&self, before: &Self) -> Self {
        let spent = |now: Option<u64>, before| Some(now?.saturating_sub(before?));
        Self {
            gateway: spent(self.gateway, before.gateway),
            dispatcher: spent(self.dispatcher, before.dispatcher),
            plugins: spent(self.plugins, before.plugins),
        }
    }

    fn per(&self, deliveries: u64) -> Nanoseconds<f64> {
        let per = |spent: Option<u64>| spent.map(|spent| tenths(spent as f64 / deliveries.max(1) as f64));
        Nanoseconds {
            gateway: per(self.gateway),
            dispatcher: per(self.dispatcher),
            plugins: per(self.plugins),
        }
    }
}

/// Memory, in bytes. What is not known is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Bytes {
    /// The most that ever was resident.
    pub(super) dispatcher_peak: Option<u64>,
    /// With its subscribers, before any session.
    pub(super) dispatcher_idle: Option<u64>,
    /// With all sessions started and acknowledged.
    pub(super) dispatcher_loaded: Option<u64>,
    /// Behind the drain of all of them.
    pub(super) dispatcher_after: Option<u64>,
    /// The most that ever was resident of any plugin process.
    pub(super) plugin_peak: Option<u64>,
}

/// How the drain went that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Drain {
    /// Ends that were acknowledged.
    ends: u64,
    /// From its start to its end, as it is reported.
    report_elapsed_ms: u32,
    /// From its start to the last answer, as it is reported.
    last_ack_ms: Option<u32>,
    /// From the gateway's call to the report.
    wall_ms: f64,
    /// From the gateway's call until every plugin had acknowledged every end: its dispatcher may take them in later.
    plugins_ms: f64,
}

/// What a bench found. Its names are those of `--json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Outcome {
    mode: Mode,
    subscribers: u32,
    sessions: u32,
    events: u64,
    payload_bytes: u32,
    event_bytes: Option<u64>,
    rate: Option<u32>,
    deliveries: u64,
    lost: u64,
    elapsed_s: f64,
    deliveries_per_s: f64,
    cpu_ns_per_delivery: Nanoseconds<f64>,
    latency_us: Option<Quantiles>,
    memory_bytes: Bytes,
    drain: Option<Drain>,
    version: &'static str,
    #[serde(skip)]
    must_not_lose: bool,
}

impl Outcome {
    /// Puts together what was heard and what it cost.
    pub(super) fn new(plan: &Plan, heard: &Heard, cpu: Nanoseconds, memory_bytes: Bytes) -> Self {
        let fired = heard.gateway.fired;
        let ended = heard.plugins.iter().filter_map(|plugin| plugin.measured_at).max().unwrap_or_default();
        let seconds_since = |at_unix_nano: u64| ended.saturating_sub(at_unix_nano) as f64 / 1e9;
        let drained = heard.gateway.drained.as_ref().filter(|_| plan.mode == Mode::Drain);
        let drain = drained.map(|it| Drain {
            ends: it.ends,
            report_elapsed_ms: it.elapsed_ms,
            last_ack_ms: it.last_ack_ms,
            wall_ms: it.wall_ms,
            plugins_ms: tenths(seconds_since(it.at_unix_nano) * 1e3),
        });
        let elapsed_s = match &drain {
            // A drain knows when the last acknowledgement was taken in, not only when it was sent.
            Some(drain) => drain.wall_ms.max(drain.plugins_ms) / 1e3,
            None => fired.map_or(0.0, |(at, _)| seconds_since(at)),
        };
        let deliveries = plan.deliveries().saturating_sub(heard.lost());
        Self {
            mode: plan.mode,
            subscribers: plan.subscribers,
            sessions: plan.sessions,
            events: plan.events,
            payload_bytes: plan.payload,
            event_bytes: fired.map(|(_, bytes)| bytes),
            rate: plan.rate,
            deliveries,
            lost: heard.lost(),
            elapsed_s,
            deliveries_per_s: tenths(deliveries as f64 / elapsed_s.max(1e-9)),
            cpu_ns_per_delivery: cpu.per(deliveries),
            latency_us: heard.latency.quantiles(),
            memory_bytes,
            drain,
            version: env!("CARGO_PKG_VERSION"),
            must_not_lose: plan.must_not_lose,
        }
    }

    /// Whether it counts.
    ///
    /// # Errors
    /// When something was lost that should not be.
    pub(super) fn judge(&self) -> Result<(), Failure> {
        if self.lost == 0 || !self.must_not_lose {
            return Ok(());
        }
        Err(Exit::Fault.because(format_args!("{} deliveries were lost, and none should be", self.lost)))
    }

    /// One JSON object, without a line feed.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings always serialize")
    }

    /// A line for each figure: its name, and what it is.
    pub(super) fn lines(&self) -> String {
        let lines = self.rows().into_iter().map(|[name, value]| format!("{name}: {value}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The same, aligned for a person.
    pub(super) fn table(&self) -> String {
        term::table(&[&self.title(), ""], 1, self.rows().into_iter().map(Vec::from))
    }

    fn title(&self) -> String {
        let subscribers = self.subscribers;
        match self.mode {
            Mode::Drain => format!("drain, sessions × subscribers: {} × {subscribers}", self.sessions),
            Mode::Throughput => format!("throughput, events × subscribers: {} × {subscribers}", self.events),
            Mode::Latency => format!("latency, events × subscribers: {} × {subscribers}", self.events),
        }
    }

    fn rows(&self) -> Vec<[String; 2]> {
        let row = |name: &str, value: String| [name.to_owned(), value];
        let what = if self.mode == Mode::Drain { "ends" } else { "deliveries" };
        let mut rows = vec![
            row(&format!("{what}, acknowledged"), self.deliveries.to_string()),
            row("lost", self.lost.to_string()),
            row("time", format!("{:.3} s", self.elapsed_s)),
            row(&format!("{what} a second"), format!("{:.0}", self.deliveries_per_s)),
        ];
        if self.mode == Mode::Latency {
            // What was asked for comes first.
            rows.splice(0..0, self.latency_rows());
        } else {
            rows.extend(self.latency_rows());
        }
        rows.extend(self.drain_rows());
        let cpu = &self.cpu_ns_per_delivery;
        for (who, spent) in
            [("gateway", cpu.gateway), ("dispatcher", cpu.dispatcher), ("plugins", cpu.plugins)]
        {
            rows.push(row(&format!("CPU a delivery, {who}"), known(spent.map(|ns| format!("{ns:.0} ns")))));
        }
        let memory = &self.memory_bytes;
        for (whose, bytes) in [
            ("dispatcher, idle", memory.dispatcher_idle),
            ("dispatcher, sessions open", memory.dispatcher_loaded),
            ("dispatcher, after", memory.dispatcher_after),
            ("dispatcher, peak", memory.dispatcher_peak),
            ("largest plugin, peak", memory.plugin_peak),
        ] {
            let mib = bytes.map(|bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)));
            rows.push(row(&format!("memory, {whose}"), known(mib)));
        }
        rows
    }

    fn latency_rows(&self) -> Vec<[String; 2]> {
        let Some(latency) = self.latency_us else { return Vec::new() };
        [("p50", latency.p50), ("p99", latency.p99), ("p99.9", latency.p999), ("max", latency.max)]
            .map(|(name, us)| [format!("latency, {name}"), format!("{us:.1} µs")])
            .into()
    }

    fn drain_rows(&self) -> Vec<[String; 2]> {
        let Some(drain) = self.drain else { return Vec::new() };
        let last_ack = drain.last_ack_ms.map(|ms| format!("{ms} ms"));
        vec![
            ["reported, elapsed".to_owned(), format!("{} ms", drain.report_elapsed_ms)],
            ["reported, last answer".to_owned(), known(last_ack)],
            ["seen by the gateway".to_owned(), format!("{:.1} ms", drain.wall_ms)],
            ["every plugin has every end".to_owned(), format!("{:.1} ms", drain.plugins_ms)],
        ]
    }
}

fn known(value: Option<String>) -> String {
    value.unwrap_or_else(|| "not known".to_owned())
}

/// More digits are noise.
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::{
        super::heard::{Heard, Role},
        *,
    };

    fn plan(mode: Mode, must_not_lose: bool) -> Plan {
        let events = if mode == Mode::Drain { 0 } else { 10 };
        Plan { mode, subscribers: 2, sessions: 10, events, payload: 180, rate: None, must_not_lose }
    }

    fn outcome(plan: &Plan, lines: &[(Role, &str)]) -> Outcome {
        let mut heard = Heard::new(2);
        lines.iter().for_each(|(role, line)| heard.line(*role, line).unwrap());
        let cpu = Nanoseconds { gateway: Some(205), dispatcher: None, plugins: Some(2_000) };
        Outcome::new(plan, &heard, cpu, Bytes::default())
    }

    const MEASURED: &str = r#"{"type":"measured","at_unix_nano":3000000000,"latency":[[2000,10]]}"#;

    #[test]
    fn throughput_is_from_the_first_event_to_the_last_ack() {
        let found = outcome(
            &plan(Mode::Throughput, true),
            &[
                (Role::Gateway, r#"{"type":"fired","at_unix_nano":1000000000,"event_bytes":246}"#),
                (Role::Plugin(0), &MEASURED.replace('3', "2")),
                (Role::Plugin(1), MEASURED),
            ],
        );
        assert_eq!((found.elapsed_s, found.deliveries_per_s, found.deliveries), (2.0, 10.0, 20));
        assert_eq!(found.cpu_ns_per_delivery.gateway, Some(10.3));
        assert!(found.json().contains(r#""dispatcher":null,"plugins":100.0"#), "{}", found.json());
        assert!(found.lines().contains("CPU a delivery, dispatcher: not known"), "{}", found.lines());
        assert!(found.table().starts_with("throughput, events × subscribers: 10 × 2"), "{}", found.table());
        found.judge().unwrap();
    }

    #[test]
    fn a_drain_is_to_its_report() {
        let drained = concat!(
            r#"{"type":"drained","at_unix_nano":1000000000,"ends":20,"elapsed_ms":3999,"last_ack_ms":3998,"#,
            r#""wall_ms":4000.0}"#,
        );
        let lines = [(Role::Gateway, drained), (Role::Plugin(0), MEASURED), (Role::Plugin(1), MEASURED)];
        let found = outcome(&plan(Mode::Drain, true), &lines);
        assert_eq!((found.elapsed_s, found.deliveries_per_s), (4.0, 5.0));
        assert!(found.lines().contains("every plugin has every end: 2000.0 ms"), "{}", found.lines());
    }

    #[test]
    fn a_loss_is_judged_by_who_chose_the_rate() {
        let lost = [(Role::Plugin(0), r#"{"type":"acked","count":20,"lost":3}"#)];
        let strict = outcome(&plan(Mode::Throughput, true), &lost);
        assert_eq!((strict.deliveries, strict.lost), (17, 3));
        assert_eq!(strict.judge().expect_err("a loss").exit, Exit::Fault);
        outcome(&plan(Mode::Throughput, false), &lost).judge().unwrap();
    }
}
