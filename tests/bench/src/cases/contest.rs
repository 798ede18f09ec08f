//! Two roles of this crate's, and a broker between some: a producer, and a consumer for each subscriber.

use std::collections::BTreeMap;

use super::{Label, PATIENCE, cpu_ns, play};
use crate::{
    broker::{Broker, Running},
    case::{Bench, Case, Failure, Sample},
    clock::unix_ns,
    contenders::Contender,
    load::Load,
    process::{Ear, Process},
    results::{Metric, Row, Runtime},
    role::{Line, Report, Role, Side},
};

/// Any free port of the loopback.
const ANYWHERE: &str = "127.0.0.1:0";

/// The producer's number; the consumers follow.
const PRODUCER: usize = 0;

/// A contender that this crate plays both sides of.
#[derive(Clone, Debug)]
pub struct Contest {
    /// What the row says.
    pub label: Label,
    /// Who plays.
    pub contender: Contender,
    /// What is between the sides.
    pub broker: Option<Broker>,
    /// Over a Unix socket instead of TCP.
    pub unix: bool,
    /// The runtime of both sides.
    pub runtime: Runtime,
    /// What is carried.
    pub load: Load,
}

/// Everybody who is on, by number.
struct Cast<'a> {
    contest: &'a Contest,
    ear: Ear,
    processes: BTreeMap<usize, Process>,
    broker: Option<Running>,
}

/// CPU time so far, in nanoseconds.
struct Cpu {
    producer: u64,
    broker: Option<u64>,
    consumers: u64,
}

impl Case for Contest {
    fn row(&self) -> Row {
        self.label.row(self.runtime, self.load.subscribers, self.load.sessions, self.load.events)
    }

    fn measure(&self, _bench: &Bench) -> Result<Sample, Failure> {
        let directory = tempfile::tempdir().map_err(|error| Failure::Wrong(error.to_string()))?;
        let socket = format!("unix:{}", directory.path().join("raw.sock").display());
        let mut cast = Cast::set_up(self, if self.unix { &socket } else { ANYWHERE })?;
        let before = cast.cpu()?;
        let began = unix_ns();
        cast.process(PRODUCER)?.tell("go")?;
        let reports = cast.reports()?;
        let after = cast.cpu()?;
        check(self.load, &reports)?;
        let ended = reports.values().map(|report| report.ended_ns).max().unwrap_or(began);
        let latencies = reports.values().find_map(|report| report.latencies);
        let deliveries = self.load.deliveries();
        let mut sample = self.label.sample(deliveries, ended.saturating_sub(began), latencies);
        after.put_since(&before, deliveries, &mut sample);
        Ok(sample)
    }
}

impl<'a> Cast<'a> {
    /// Whoever has to be there first is; then everybody is.
    fn set_up(contest: &'a Contest, place: &str) -> Result<Self, Failure> {
        let ear = Ear::until(PATIENCE);
        let number = PRODUCER + 1 + contest.load.subscribers as usize;
        let broker = contest.broker.map(|broker| broker.start(&ear, number)).transpose()?;
        let at_broker = broker.as_ref().map(|broker| broker.address.clone());
        let mut cast = Self { contest, ear, processes: BTreeMap::new(), broker };
        let (first, second) = match contest.contender.first() {
            Side::Producer => (Side::Producer, Side::Consumer),
            Side::Consumer => (Side::Consumer, Side::Producer),
        };
        let met = cast.join(first, at_broker.as_deref().unwrap_or(place))?;
        cast.join(second, at_broker.as_deref().unwrap_or(&met))?;
        Ok(cast)
    }

    /// Starts all of a side. Returned is where they listen.
    fn join(&mut self, side: Side, address: &str) -> Result<String, Failure> {
        let numbers = match side {
            Side::Producer => PRODUCER..PRODUCER + 1,
            Side::Consumer => PRODUCER + 1..PRODUCER + 1 + self.contest.load.subscribers as usize,
        };
        let (contender, runtime, load) = (self.contest.contender, self.contest.runtime, self.contest.load);
        for who in numbers.clone() {
            let role = Role { contender, side, runtime, load, address: address.to_owned() };
            self.processes.insert(who, play(&self.ear, who, &role)?);
        }
        let mut addresses = BTreeMap::new();
        while addresses.len() < numbers.len() {
            match self.hear()? {
                (who, Line::Ready(address)) => addresses.insert(who, address),
                (_, line) => return Err(Failure::Wrong(format!("{line:?} before everybody was ready"))),
            };
        }
        Ok(addresses.into_values().collect::<Vec<_>>().join(","))
    }

    /// Waits until everybody is done.
    fn reports(&mut self) -> Result<BTreeMap<usize, Report>, Failure> {
        let mut reports = BTreeMap::new();
        while reports.len() < self.processes.len() {
            match self.hear()? {
                (who, Line::Done(report)) => reports.insert(who, report),
                (_, line) => return Err(Failure::Wrong(format!("{line:?} in the middle of it"))),
            };
        }
        Ok(reports)
    }

    /// The next line of a role: what a broker says is for its operator.
    fn hear(&mut self) -> Result<(usize, Line), Failure> {
        loop {
            let said = self.ear.hear()?;
            let Some(process) = self.processes.get_mut(&said.who) else { continue };
            let line = said.line.ok_or_else(|| process.gone())?;
            match serde_json::from_str(&line) {
                Ok(Line::Failed(why)) => return Err(Failure::Wrong(why)),
                Ok(line) => return Ok((said.who, line)),
                Err(_) => return Err(Failure::Wrong(format!("a role said {line}"))),
            }
        }
    }

    fn process(&mut self, who: usize) -> Result<&mut Process, Failure> {
        self.processes.get_mut(&who).ok_or_else(|| Failure::Wrong(format!("nobody is number {who}")))
    }

    fn cpu(&mut self) -> Result<Cpu, Failure> {
        let producer = self.process(PRODUCER)?.cpu_ns()?;
        let broker = self.broker.as_mut().map(|broker| broker.process.cpu_ns()).transpose()?;
        let all = cpu_ns(self.processes.values_mut())?;
        Ok(Cpu { producer, broker, consumers: all.saturating_sub(producer) })
    }
}

impl Cpu {
    /// Adds what was used since then, for each delivery.
    fn put_since(&self, before: &Self, deliveries: u64, sample: &mut Sample) {
        let each = |now: u64, before: u64| now.saturating_sub(before) as f64 / deliveries as f64;
        sample.insert(Metric::ProducerCpuNs, each(self.producer, before.producer));
        sample.insert(Metric::ConsumerCpuNs, each(self.consumers, before.consumers));
        if let (Some(now), Some(before)) = (self.broker, before.broker) {
            sample.insert(Metric::BrokerCpuNs, each(now, before));
        }
    }
}

/// Every consumer has what the producer has sent, and that is what was asked for.
fn check(load: Load, reports: &BTreeMap<usize, Report>) -> Result<(), Failure> {
    let sent = reports.get(&PRODUCER).map(|report| report.tally).unwrap_or_default();
    if sent.events != load.events {
        return Err(Failure::Wrong(format!("{} of {} events were sent", sent.events, load.events)));
    }
    for (who, report) in reports {
        let received = report.tally;
        if received.events != sent.events {
            let text = format!("subscriber {who} has {} of {} events", received.events, sent.events);
            return Err(Failure::Wrong(text));
        }
        if received != sent {
            return Err(Failure::Wrong(format!("subscriber {who} has other events than were sent")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Tally;

    const LOAD: Load = Load { events: 3, subscribers: 1, sessions: 1, rate: None, ends: false };

    fn report(times: &[u64]) -> Report {
        let mut tally = Tally::default();
        times.iter().for_each(|&time| tally.add(time));
        Report { tally, ..Report::default() }
    }

    fn verdict(sent: &[u64], received: &[u64]) -> Result<(), Failure> {
        check(LOAD, &BTreeMap::from([(PRODUCER, report(sent)), (1, report(received))]))
    }

    #[test]
    fn what_was_sent_and_came_counts() {
        assert_eq!(verdict(&[1, 2, 3], &[3, 1, 2]), Ok(()));
    }

    #[test]
    fn a_wrong_count_is_an_error() {
        assert!(verdict(&[1, 2], &[1, 2]).is_err(), "less was sent than was asked for");
        assert!(verdict(&[1, 2, 3], &[1, 2]).is_err(), "less came than was sent");
        assert!(verdict(&[1, 2, 3], &[1, 2, 3, 3]).is_err(), "more came than was sent");
        assert!(verdict(&[1, 2, 3], &[1, 2, 2]).is_err(), "a twin for a gap");
        assert!(check(LOAD, &BTreeMap::new()).is_err(), "nobody reported");
    }
}
