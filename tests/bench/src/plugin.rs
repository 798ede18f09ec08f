//! A plugin that is a program of its own, in any language: it says how far it is in the words of `hookwire bench-plugin`,
//! takes `FORM ADDR DELIVERIES` as its last arguments, and leaves when its stdin ends.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::PathBuf,
    time::Duration,
};

use crate::{
    case::{Failure, Sample},
    cases::{FromPlugin, Label, play},
    clock::unix_ns,
    contenders::Contender,
    load::Load,
    process::{Ear, Process},
    results::{Metric, Runtime},
    role::{Line, Role, Side},
};

/// How long an installation may take.
const INSTALLING: Duration = Duration::from_secs(300);

/// How long one measurement may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The producer's number, and the plugin's.
const PRODUCER: usize = 0;
const PLUGIN: usize = 1;

/// How a plugin is started: what follows is said by whoever measures it.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program.
    pub program: PathBuf,
    /// Its first arguments.
    pub args: Vec<OsString>,
}

/// What a plugin is to take, and from whom.
#[derive(Clone, Debug)]
pub struct Task {
    /// Who makes the events.
    pub producer: Contender,
    /// The plugin's first word: which of its forms it takes.
    pub form: &'static str,
    /// What the row says.
    pub label: Label,
    /// What is carried, to one subscriber.
    pub load: Load,
}

impl Task {
    /// Has a plugin take it once, in fresh processes.
    ///
    /// # Errors
    /// The plugin or the producer failed, or something was lost.
    pub fn measure(&self, plugin: &Command) -> Result<Sample, Failure> {
        let ear = Ear::until(PATIENCE);
        let mut producer = play(&ear, PRODUCER, &self.role())?;
        let mut plugin = self.start(&ear, &mut producer, plugin)?;
        let (produced, consumed) = (producer.cpu_ns()?, plugin.cpu_ns()?);
        let began = unix_ns();
        producer.tell("go")?;
        let ended = self.attend(&ear, &mut producer, &mut plugin)?;
        let deliveries = self.load.deliveries();
        let each = |now: u64, before: u64| (now - before) as f64 / deliveries as f64;
        let mut sample = self.label.sample(deliveries, ended.saturating_sub(began), None);
        sample.insert(Metric::ProducerCpuNs, each(producer.cpu_ns()?, produced));
        sample.insert(Metric::ConsumerCpuNs, each(plugin.cpu_ns()?, consumed));
        Ok(sample)
    }

    fn role(&self) -> Role {
        let (side, address) = (Side::Producer, "127.0.0.1:0".to_owned());
        Role { contender: self.producer, side, runtime: Runtime::MultiThread, load: self.load, address }
    }

    /// Starts it where the producer listens, and waits until it has subscribed.
    fn start(&self, ear: &Ear, producer: &mut Process, plugin: &Command) -> Result<Process, Failure> {
        let line = ear.hear()?.line.ok_or_else(|| producer.gone())?;
        let Ok(Line::Ready(address)) = serde_json::from_str(&line) else { return Err(Failure::Wrong(line)) };
        let deliveries = match self.is_hookwire() {
            true => self.load.sessions + self.load.events, // a start for each session
            false => self.load.events,
        };
        let deliveries = deliveries.to_string();
        let task = [self.form, &address, &deliveries].map(OsStr::new);
        let mut process =
            ear.start(PLUGIN, &plugin.program, plugin.args.iter().map(OsString::as_os_str).chain(task))?;
        let line = ear.hear()?.line.ok_or_else(|| process.gone())?;
        match serde_json::from_str(&line) {
            Ok(FromPlugin::Ready) => Ok(process),
            _ => Err(Failure::Wrong(line)),
        }
    }

    /// Passes what is acknowledged on to the producer until both are through. Returned is when, since the Unix epoch.
    fn attend(&self, ear: &Ear, producer: &mut Process, plugin: &mut Process) -> Result<u64, Failure> {
        let (mut produced, mut consumed) = (None, None);
        loop {
            if let (Some(produced), Some(consumed)) = (produced, consumed) {
                return Ok(u64::max(produced, consumed));
            }
            let said = ear.hear()?;
            if said.who == PRODUCER {
                let line = said.line.ok_or_else(|| producer.gone())?;
                match serde_json::from_str(&line) {
                    Ok(Line::Done(report)) => produced = Some(report.ended_ns),
                    _ => return Err(Failure::Wrong(line)),
                }
                continue;
            }
            let line = said.line.ok_or_else(|| plugin.gone())?;
            match serde_json::from_str(&line) {
                Ok(FromPlugin::Acked { count, lost: 0 }) if self.is_hookwire() => {
                    producer.tell(&count.to_string())?
                }
                Ok(FromPlugin::Acked { lost: 0, .. }) => {} // the producer hears the acks itself
                Ok(FromPlugin::Measured { at_unix_nano, .. }) => consumed = Some(at_unix_nano),
                _ => return Err(Failure::Wrong(line)),
            }
        }
    }

    /// Its acknowledgements are the dispatcher's to hear, so that the plugin has to tell the producer.
    fn is_hookwire(&self) -> bool {
        self.producer == Contender::Embedded
    }
}

/// Runs a program that installs or builds something to its end, which must be a good one.
///
/// # Errors
/// There is no such program, or it fails.
pub fn finish(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<(), Failure> {
    let ear = Ear::until(INSTALLING);
    let mut process = ear.start(0, program, args)?;
    while ear.hear()?.line.is_some() {}
    process.finish(&ear)
}

/// A file or a folder that cannot be used.
pub fn broken(error: io::Error) -> Failure {
    Failure::Wrong(error.to_string())
}

/// Says of a failed installation what it was for: that is no fault of what is measured.
pub fn absent(name: &str) -> impl Fn(Failure) -> Failure {
    move |failure| match failure {
        Failure::Wrong(why) => Failure::NotMeasured(format!("{name} cannot be installed: {why}")),
        absent => absent,
    }
}
