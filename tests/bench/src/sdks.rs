//! The SDKs' plugins, each beside one of generated code alone: what an SDK costs. What they need is installed or built below
//! the build's folder, where the language and its registry are within reach.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{
    case::{Bench, Case, Failure, Sample},
    cases::Label,
    contenders::Contender,
    load::{Load, SESSIONS},
    plugin::{Command, Task, absent, broken, finish},
    results::{Row, Runtime, Scenario},
    rust_plugin,
};

/// What the form without an SDK is called.
const GENERATED: &str = "generated";

/// An SDK.
#[derive(Debug)]
pub struct Sdk {
    /// Its language.
    pub name: &'static str,
    /// Events a second that its plugin has to acknowledge.
    pub floor: f64,
    /// The forms of a handler that it has, as its plugin calls them. The first is the one that is held against the floor.
    pub handlers: &'static [&'static str],
    /// Events that it takes about a second for.
    events: u64,
    /// Builds its plugin, in this folder if it needs one.
    prepare: fn(&Path) -> Result<Command, Failure>,
}

/// All of them.
pub const SDKS: [Sdk; 4] = [
    Sdk {
        name: "Rust",
        floor: 1_000_000.0,
        handlers: &["current_thread", "multi_thread"],
        events: 2_000_000,
        prepare: rust,
    },
    Sdk { name: "Go", floor: 300_000.0, handlers: &["sdk"], events: 600_000, prepare: go },
    Sdk {
        name: "TypeScript",
        floor: 50_000.0,
        handlers: &["async", "function"],
        events: 200_000,
        prepare: typescript,
    },
    Sdk { name: "Python", floor: 50_000.0, handlers: &["async", "def"], events: 100_000, prepare: python },
];

/// One SDK's plugin in one form.
#[derive(Debug)]
struct Plugin {
    sdk: &'static Sdk,
    task: Task,
}

/// Every form of every SDK.
pub fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    let forms =
        |sdk: &'static Sdk| sdk.handlers.iter().copied().chain([GENERATED]).map(move |form| (sdk, form));
    let plugin = |(sdk, form)| Box::new(Plugin::new(bench, sdk, form)) as Box<dyn Case>;
    SDKS.iter().flat_map(forms).map(plugin).collect()
}

impl Sdk {
    /// What its row with this form of a handler is called.
    pub fn row(&self, form: &str) -> String {
        format!("{}, {form}", self.name)
    }

    /// What its row without the SDK is called.
    pub fn generated(&self) -> String {
        self.row(GENERATED)
    }
}

impl Plugin {
    fn new(bench: &Bench, sdk: &'static Sdk, form: &'static str) -> Self {
        let note = match form {
            GENERATED => "generated code alone: an ack for each batch",
            _ => "the SDK: in order inside a session, answers remembered, acks behind the handler",
        };
        let events = bench.scaled(sdk.events);
        let load = Load { events, subscribers: 1, sessions: SESSIONS, rate: None, ends: false };
        let label = Label { scenario: Scenario::Sdks, contender: "", note };
        Self { sdk, task: Task { producer: Contender::Embedded, form, label, load } }
    }
}

impl Case for Plugin {
    fn row(&self) -> Row {
        let Load { sessions, events, .. } = self.task.load;
        let row = self.task.label.row(Runtime::MultiThread, 1, sessions, events);
        Row { contender: self.sdk.row(self.task.form), ..row }
    }

    fn measure(&self, bench: &Bench) -> Result<Sample, Failure> {
        let plugin = (self.sdk.prepare)(&bench.build_folder().join("bench-clients"))?;
        self.task.measure(&plugin)
    }
}

/// This program again.
fn rust(_below: &Path) -> Result<Command, Failure> {
    let program = env::current_exe().map_err(broken)?;
    Ok(Command { program, args: vec![rust_plugin::ARGUMENT.into()] })
}

fn go(below: &Path) -> Result<Command, Failure> {
    let program = below.join("go-sdk");
    let args = ["build".into(), "-C".into(), clients().join("go"), "-o".into(), program.clone()];
    finish("go", &args).map_err(absent("Go's plugin"))?;
    Ok(Command { program, args: Vec::new() })
}

fn typescript(_below: &Path) -> Result<Command, Failure> {
    let sdk = repository().join("sdk/typescript");
    finish(sdk.join("install"), NOTHING).map_err(absent("the SDK in TypeScript"))?;
    finish(sdk.join("node_modules/.bin/tsc"), [OsString::from("--project"), sdk.clone().into()])?;
    let args = vec![clients().join("plugin.mjs").into(), sdk.join("build").into()];
    Ok(Command { program: "node".into(), args })
}

fn python(_below: &Path) -> Result<Command, Failure> {
    let environment = repository().join("sdk/python/environment");
    finish(environment, NOTHING).map_err(absent("the SDK in Python"))?;
    let program = repository().join("target/python/sdk/bin/python");
    Ok(Command { program, args: vec![clients().join("plugin.py").into()] })
}

const NOTHING: [&str; 0] = [];

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/sdk")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
