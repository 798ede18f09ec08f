//! Plugins in stock grpcio and grpc-js, in the form that Hookwire speaks and in one with a message for each event. What
//! they need is installed into the build's folder, where the language and its registry are within reach.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    case::{Bench, Case, Failure, Sample},
    cases::Label,
    contenders::Contender,
    load::{Load, SESSIONS},
    plugin::{Command, Task, absent, broken, finish},
    results::{Row, Runtime, Scenario},
};

/// What the form that Hookwire speaks is called.
pub const BATCHES: &str = "batches";

/// What the other form is called.
const PER_EVENT: &str = "per event";

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
    /// The program that runs the plugin, and what follows the plugin's name.
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
            ("plugin.py", include_str!("../clients/stock/plugin.py")),
            ("requirements.txt", include_str!("../clients/stock/requirements.txt")),
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
            ("plugin.mjs", include_str!("../clients/stock/plugin.mjs")),
            ("package.json", include_str!("../clients/stock/package.json")),
        ],
        install: install_grpc_js,
        run: |_| ("node".into(), vec![protos(), peers()]),
        events: [500_000, 50_000],
    },
];

/// One language in one form.
#[derive(Debug)]
struct Stock {
    language: &'static Language,
    contender: String,
    task: Task,
}

/// Both forms of every language.
pub fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    let both = |language| [Stock::batches(bench, language), Stock::per_event(bench, language)];
    LANGUAGES.iter().flat_map(both).map(|case| Box::new(case) as Box<dyn Case>).collect()
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

    /// Installs the plugin below this folder, unless it is there.
    fn prepare(&self, below: &Path) -> Result<Command, Failure> {
        let folder = below.join(self.folder);
        let installed = folder.join("installed");
        let wanted = self.files.map(|(_, content)| content).concat();
        if fs::read_to_string(&installed).is_ok_and(|is| is == wanted) {
            return Ok(self.command(&folder));
        }
        let write = |(name, content): (&str, &str)| fs::write(folder.join(name), content);
        fs::create_dir_all(&folder)
            .and_then(|()| self.files.into_iter().try_for_each(write))
            .map_err(broken)?;
        (self.install)(&folder).map_err(absent(self.name))?;
        fs::write(installed, wanted).map_err(broken)?;
        Ok(self.command(&folder))
    }

    fn command(&self, folder: &Path) -> Command {
        let (program, more) = (self.run)(folder);
        let plugin = folder.join(self.files[0].0);
        Command { program, args: [plugin].into_iter().chain(more).map(PathBuf::into_os_string).collect() }
    }
}

/// A virtual environment, and the code that is generated from the protos.
fn install_grpcio(folder: &Path) -> Result<(), Failure> {
    let (venv, python) = (folder.join("venv"), folder.join("venv/bin/python"));
    let requirements = folder.join("requirements.txt");
    finish("python3", ["-m".as_ref(), "venv".as_ref(), "--clear".as_ref(), venv.as_path()])?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    finish(&python, pip.iter().map(Path::new).chain([requirements.as_path()]).collect::<Vec<_>>())?;
    let [hookwire, peers] = [protos(), peers()].map(|path| format!("-I{}", path.display()));
    let out = ["python_out", "grpc_python_out"].map(|out| format!("--{out}={}", folder.display()));
    let files = ["hookwire/v1/event.proto", "hookwire/v1/hook_service.proto", "peers.proto"];
    let args = ["-m", "grpc_tools.protoc", &hookwire, &peers, &out[0], &out[1]];
    finish(&python, args.into_iter().chain(files).map(Path::new).collect::<Vec<_>>())
}

fn install_grpc_js(folder: &Path) -> Result<(), Failure> {
    let args = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
    finish("npm", args.iter().map(Path::new).chain([folder]).collect::<Vec<_>>())
}

fn protos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto")
}

impl Stock {
    fn batches(bench: &Bench, language: &'static Language) -> Self {
        let note = "Hookwire's own stream, an ack for each message";
        let events = bench.scaled(language.events[0]);
        Self::new(language, language.batches(), task(Contender::Embedded, "batches", note, events))
    }

    fn per_event(bench: &Bench, language: &'static Language) -> Self {
        let note = "a message and an ack for each event";
        let events = bench.scaled(language.events[1]);
        Self::new(language, language.per_event(), task(Contender::PerEvent, "events", note, events))
    }

    fn new(language: &'static Language, contender: String, task: Task) -> Self {
        Self { language, contender, task }
    }
}

fn task(producer: Contender, form: &'static str, note: &'static str, events: u64) -> Task {
    let load = Load { events, subscribers: 1, sessions: SESSIONS, rate: None, ends: false };
    Task { producer, form, label: Label { scenario: Scenario::Clients, contender: "", note }, load }
}

impl Case for Stock {
    fn row(&self) -> Row {
        let Load { sessions, events, .. } = self.task.load;
        let row = self.task.label.row(Runtime::MultiThread, 1, sessions, events);
        Row { contender: self.contender.clone(), ..row }
    }

    fn measure(&self, bench: &Bench) -> Result<Sample, Failure> {
        let plugin = self.language.prepare(&bench.build_folder().join("bench-clients"))?;
        self.task.measure(&plugin)
    }
}
