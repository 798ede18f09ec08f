//! Plugins in stock grpcio and grpc-js, in the form that Hookwire speaks and in one with a message for each event. What
//! they need is installed into the build's folder, where the language and its registry are within reach.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    case::{Bench, Case, Failure, Sample},
    cases::{FromPlugin, Label, play},
    clock::unix_ns,
    contenders::Contender,
    load::Load,
    process::{Ear, Process},
    results::{Metric, Row, Runtime, Scenario},
    role::{Line, Role, Side},
};

/// What the form that Hookwire speaks is called.
pub const BATCHES: &str = "batches";

/// What the other form is called.
const PER_EVENT: &str = "per event";

/// How long an installation may take.
const INSTALLING: Duration = Duration::from_secs(300);

/// How long one measurement may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The producer's number, and the plugin's.
const PRODUCER: usize = 0;
const PLUGIN: usize = 1;

/// Sessions that the events belong to.
const SESSIONS: u64 = 16;

/// A stock client library.
#[derive(Debug)]
pub struct Language {
    /// Its name.
    pub name: &'static str,
    /// How many times faster its batches have to be.
    pub floor: f64,
    /// Where its plugin is installed, below the build's folder.
    folder: &'static str,
    /// What is copied there: names and contents. The first is the plugin.
    files: [(&'static str, &'static str); 2],
    /// Installs what the files name.
    install: fn(&Path) -> Result<(), Failure>,
    /// The program that runs the plugin, and what follows the plugin's own arguments.
    run: fn(&Path) -> (PathBuf, Vec<PathBuf>),
    /// Events that batches and single events take about a second or two for.
    events: [u64; 2],
}

/// Those that are measured.
pub const LANGUAGES: [Language; 2] = [
    Language {
        name: "grpcio",
        floor: 100.0,
        folder: "python",
        files: [
            ("plugin.py", include_str!("../clients/plugin.py")),
            ("requirements.txt", include_str!("../clients/requirements.txt")),
        ],
        install: install_grpcio,
        run: |folder| (folder.join("venv/bin/python"), Vec::new()),
        events: [1_000_000, 10_000],
    },
    Language {
        name: "grpc-js",
        floor: 8.0,
        folder: "node",
        files: [
            ("plugin.mjs", include_str!("../clients/plugin.mjs")),
            ("package.json", include_str!("../clients/package.json")),
        ],
        install: install_grpc_js,
        run: |_| ("node".into(), vec![protos(), peers()]),
        events: [500_000, 50_000],
    },
];

/// The two forms of a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Batches,
    PerEvent,
}

/// One language in one form.
#[derive(Debug)]
struct Stock {
    language: &'static Language,
    form: Form,
    label: Label,
    load: Load,
}

/// Both forms of every language.
pub fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    let both = |language| [Form::Batches, Form::PerEvent].map(|form| (language, form));
    let cases = LANGUAGES.iter().flat_map(both);
    cases.map(|(language, form)| Box::new(Stock::new(bench, language, form)) as Box<dyn Case>).collect()
}

impl Language {
    /// What its row in batches is called.
    pub fn batches(&self) -> String {
        format!("{}, {BATCHES}", self.name)
    }

    /// What its row with a message for each event is called.
    pub fn per_event(&self) -> String {
        format!("{}, {PER_EVENT}", self.name)
    }

    /// Installs the plugin below this folder, unless it is there. Returned is where.
    fn prepare(&self, below: &Path) -> Result<PathBuf, Failure> {
        let folder = below.join(self.folder);
        let installed = folder.join("installed");
        let wanted = self.files.map(|(_, content)| content).concat();
        if fs::read_to_string(&installed).is_ok_and(|is| is == wanted) {
            return Ok(folder);
        }
        let write = |(name, content): (&str, &str)| fs::write(folder.join(name), content);
        fs::create_dir_all(&folder)
            .and_then(|()| self.files.into_iter().try_for_each(write))
            .map_err(broken)?;
        (self.install)(&folder).map_err(|failure| match failure {
            Failure::Wrong(why) => Failure::NotMeasured(format!("{} cannot be installed: {why}", self.name)),
            absent => absent,
        })?;
        fs::write(installed, wanted).map_err(broken)?;
        Ok(folder)
    }
}

/// A virtual environment, and the code that is generated from the protos.
fn install_grpcio(folder: &Path) -> Result<(), Failure> {
    let (venv, python) = (folder.join("venv"), folder.join("venv/bin/python"));
    let requirements = folder.join("requirements.txt");
    finish("python3", &["-m".as_ref(), "venv".as_ref(), "--clear".as_ref(), venv.as_path()])?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    finish(&python, &pip.iter().map(Path::new).chain([requirements.as_path()]).collect::<Vec<_>>())?;
    let [hookwire, peers] = [protos(), peers()].map(|path| format!("-I{}", path.display()));
    let out = ["python_out", "grpc_python_out"].map(|out| format!("--{out}={}", folder.display()));
    let files = ["hookwire/v1/event.proto", "hookwire/v1/hook_service.proto", "peers.proto"];
    let args = ["-m", "grpc_tools.protoc", &hookwire, &peers, &out[0], &out[1]];
    finish(&python, &args.into_iter().chain(files).map(Path::new).collect::<Vec<_>>())
}

fn install_grpc_js(folder: &Path) -> Result<(), Failure> {
    let args = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
    finish("npm", &args.iter().map(Path::new).chain([folder]).collect::<Vec<_>>())
}

/// Runs a program to its end, which must be a good one.
fn finish(program: impl AsRef<Path>, args: &[&Path]) -> Result<(), Failure> {
    let ear = Ear::until(INSTALLING);
    let mut process = ear.start(0, program.as_ref(), args)?;
    while ear.hear()?.line.is_some() {}
    process.finish(&ear)
}

fn protos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto")
}

fn broken(error: io::Error) -> Failure {
    Failure::Wrong(error.to_string())
}

impl Case for Stock {
    fn row(&self) -> Row {
        let contender = match self.form {
            Form::Batches => self.language.batches(),
            Form::PerEvent => self.language.per_event(),
        };
        let row = self.label.row(Runtime::MultiThread, 1, self.load.sessions, self.load.events);
        Row { contender, ..row }
    }

    fn measure(&self, bench: &Bench) -> Result<Sample, Failure> {
        let folder = self.language.prepare(&bench.build_folder().join("bench-clients"))?;
        let ear = Ear::until(PATIENCE);
        let mut producer = play(&ear, PRODUCER, &self.producer())?;
        let mut plugin = self.plugin(&ear, &mut producer, &folder)?;
        let (produced, consumed) = (producer.cpu_ns()?, plugin.cpu_ns()?);
        let began = unix_ns();
        producer.tell("go")?;
        let ended = attend(&ear, &mut producer, &mut plugin, self.form)?;
        let deliveries = self.load.deliveries();
        let each = |now: u64, before: u64| (now - before) as f64 / deliveries as f64;
        let mut sample = self.label.sample(deliveries, ended.saturating_sub(began), None);
        sample.insert(Metric::ProducerCpuNs, each(producer.cpu_ns()?, produced));
        sample.insert(Metric::ConsumerCpuNs, each(plugin.cpu_ns()?, consumed));
        Ok(sample)
    }
}

impl Stock {
    fn new(bench: &Bench, language: &'static Language, form: Form) -> Self {
        let (events, note) = match form {
            Form::Batches => (language.events[0], "Hookwire's own stream, an ack for each message"),
            Form::PerEvent => (language.events[1], "a message and an ack for each event"),
        };
        let load = Load {
            events: bench.scaled(events),
            subscribers: 1,
            sessions: SESSIONS,
            rate: None,
            ends: false,
        };
        Self { language, form, label: Label { scenario: Scenario::Clients, contender: "", note }, load }
    }

    fn producer(&self) -> Role {
        let contender = match self.form {
            Form::Batches => Contender::Embedded,
            Form::PerEvent => Contender::PerEvent,
        };
        let (side, runtime, address) = (Side::Producer, Runtime::MultiThread, "127.0.0.1:0".to_owned());
        Role { contender, side, runtime, load: self.load, address }
    }

    /// Starts it where the producer listens, and waits until it has subscribed.
    fn plugin(&self, ear: &Ear, producer: &mut Process, folder: &Path) -> Result<Process, Failure> {
        let line = ear.hear()?.line.ok_or_else(|| producer.gone())?;
        let Ok(Line::Ready(address)) = serde_json::from_str(&line) else { return Err(Failure::Wrong(line)) };
        let (program, more) = (self.language.run)(folder);
        let (form, deliveries) = match self.form {
            Form::Batches => ("batches", self.load.sessions + self.load.events), // a start for each session
            Form::PerEvent => ("events", self.load.events),
        };
        let deliveries = deliveries.to_string();
        let plugin = folder.join(self.language.files[0].0);
        let args = [plugin.as_path(), form.as_ref(), address.as_ref(), deliveries.as_ref()];
        let mut plugin =
            ear.start(PLUGIN, program, args.into_iter().chain(more.iter().map(PathBuf::as_path)))?;
        let line = ear.hear()?.line.ok_or_else(|| plugin.gone())?;
        match serde_json::from_str(&line) {
            Ok(FromPlugin::Ready) => Ok(plugin),
            _ => Err(Failure::Wrong(line)),
        }
    }
}

/// Passes what is acknowledged on to the producer until both are through. Returned is when, since the Unix epoch.
fn attend(ear: &Ear, producer: &mut Process, plugin: &mut Process, form: Form) -> Result<u64, Failure> {
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
            Ok(FromPlugin::Acked { count, lost: 0 }) if form == Form::Batches => {
                producer.tell(&count.to_string())?
            }
            Ok(FromPlugin::Acked { lost: 0, .. }) => {} // the producer hears the acks itself
            Ok(FromPlugin::Measured { at_unix_nano, .. }) => consumed = Some(at_unix_nano),
            _ => return Err(Failure::Wrong(line)),
        }
    }
}
