//! One recording, played: who is started when, what is waited for, and how it ends.
//!
//! Nothing here waits for time to pass. Each step waits for what the processes print, with a deadline.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Display,
    io,
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use nix::sys::signal::Signal;
use serde::Deserialize;
use tokio::time::timeout_at;

use super::{
    plugin::{LATE, Line, PLUGINS, PROMPT, Seen},
    process::{Process, Role, Said, Stage},
    recording::{self, Ending, Recording},
    score::Score,
    timeline::Timeline,
    trace::Trace,
};
use crate::cli::{Exit, Failure};

/// How long each step may take. Most take milliseconds; this is for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(20);

/// How much of what a process complained about is shown when it failed.
const COMPLAINTS: usize = 5;

/// The dispatcher: any port, a short grace so that nobody has to wait for it, and time for slow machines.
const DISPATCHER: [&str; 8] =
    ["serve", "--in-memory", "--listen", "127.0.0.1:0", "--gateway-grace", "1s", "--drain-budget", "5s"];

/// A recording on the stage.
pub(super) struct Play<'a> {
    recording: &'a Recording,
    stage: Stage,
    trace: &'a mut Trace,
    progress: &'a ProgressBar,
    processes: BTreeMap<Role, Process>,
    /// Who may end now.
    leaving: BTreeSet<Role>,
    scene: Scene,
}

impl<'a> Play<'a> {
    /// Before anything is started.
    ///
    /// # Errors
    /// When the program does not know where it is.
    pub(super) fn new(
        recording: &'a Recording,
        trace: &'a mut Trace,
        progress: &'a ProgressBar,
    ) -> Result<Self, Failure> {
        let stage = Stage::new().map_err(|error| Exit::Fault.because(error))?;
        let scene = Scene {
            zero: Instant::now(),
            timeline: Timeline::default(),
            seen: Default::default(),
            last: BTreeMap::new(),
            complaints: BTreeMap::new(),
            gone: BTreeSet::new(),
        };
        Ok(Self {
            recording,
            stage,
            trace,
            progress,
            processes: BTreeMap::new(),
            leaving: BTreeSet::new(),
            scene,
        })
    }

    /// Plays it to its end. What was heard is in [`Play::scene`], however this ends.
    ///
    /// # Errors
    /// When a process fails, or something does not come in time.
    pub(super) async fn run(&mut self) -> Result<Report, Failure> {
        let address = self.open_dispatcher().await?;
        for plugin in (0..PLUGINS.len()).filter(|plugin| *plugin != LATE) {
            self.open_plugin(plugin, &address).await?;
        }
        self.open_gateway(&address)?;
        self.play(&address).await?;
        match self.recording.ending {
            Ending::Stops => self.stop_gateway().await?,
            Ending::Killed => self.kill_gateway().await?,
        }
        self.all_sessions_end().await?;
        self.stop_dispatcher().await
    }

    /// What was heard so far.
    pub(super) fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Starts the dispatcher. Returned is where it listens.
    async fn open_dispatcher(&mut self) -> Result<String, Failure> {
        self.start(Role::Dispatcher, &DISPATCHER)?;
        let listens = |scene: &Scene| scene.last.contains_key(&Role::Dispatcher);
        self.until("the dispatcher listens", listens).await?;
        let Listening { listening } = self.last(Role::Dispatcher)?;
        let address = listening.into_iter().next();
        address.ok_or_else(|| Exit::Fault.because("the dispatcher listens nowhere"))
    }

    /// Starts a plugin, and sees it caught up.
    async fn open_plugin(&mut self, plugin: usize, address: &str) -> Result<(), Failure> {
        let name = PLUGINS[plugin].name;
        let mut args = vec!["tail", "--json", "--to", address, "--as", name];
        args.extend(PLUGINS[plugin].args);
        self.start(Role::Plugin(plugin), &args)?;
        let what = format!("{name} has joined");
        self.until(&what, |scene| scene.seen[plugin].caught_up).await
    }

    fn open_gateway(&mut self, address: &str) -> Result<(), Failure> {
        let mut args = vec!["publish", "--to", address, "--gateway", "openclaw"];
        if self.recording.ending == Ending::Killed {
            args.extend(["--hold", "--drain", "never"]);
        }
        self.start(Role::Gateway, &args)
    }

    /// Plays the recording at full speed, and lets the late plugin join amid it.
    async fn play(&mut self, address: &str) -> Result<(), Failure> {
        let (before, behind) = self.recording.halves();
        let so_far = self.counted(before)?;
        self.scene.zero = Instant::now();
        self.feed(before).await?;
        self.until("prompt has seen what came before late", |scene| {
            (scene.seen[PROMPT].started(), scene.seen[PROMPT].open()) == (so_far.started, so_far.ghosts)
        })
        .await?;
        let joins = format!("{} joins, and has the live sessions announced", PLUGINS[LATE].name);
        self.scene.note(joins);
        self.open_plugin(LATE, address).await?;
        self.feed(behind).await
    }

    /// The recording is over, and the gateway stops in order.
    async fn stop_gateway(&mut self) -> Result<(), Failure> {
        self.leaving.insert(Role::Gateway);
        self.gateway().feed_no_more();
        self.until("the gateway has drained", |scene| scene.gone.contains(&Role::Gateway)).await?;
        self.check_tally()
    }

    /// The gateway is killed when all its hooks are taken in: as far as it knows, it runs for years.
    async fn kill_gateway(&mut self) -> Result<(), Failure> {
        self.gateway().feed_no_more();
        let is_played = |scene: &Scene| scene.last.contains_key(&Role::Gateway);
        self.until("the gateway has fired its hooks", is_played).await?;
        self.check_tally()?;
        self.leaving.insert(Role::Gateway);
        self.scene.note("the gateway is killed with SIGKILL; its grace is 1 s");
        let killed = self.gateway().kill();
        self.checked(Role::Gateway, killed)
    }

    /// Those who were there from the start have seen each life that the gateway showed, and all that any saw is over.
    async fn all_sessions_end(&mut self) -> Result<(), Failure> {
        let lives = self.counted(self.recording.lines)?.started;
        self.until("every plugin has seen every session end", |scene| {
            let mut seen = scene.seen.iter().enumerate();
            seen.all(|(plugin, seen)| seen.open() == 0 && (plugin == LATE || seen.started() == lives))
        })
        .await
    }

    /// Stops the dispatcher, and with it the plugins. Returned is what it reports.
    async fn stop_dispatcher(&mut self) -> Result<Report, Failure> {
        self.leaving.extend(self.processes.keys());
        self.scene.note("the dispatcher is stopped with SIGTERM");
        self.scene.last.remove(&Role::Dispatcher);
        let asked = self.process(Role::Dispatcher).terminate();
        self.checked(Role::Dispatcher, asked)?;
        let all: BTreeSet<Role> = self.processes.keys().copied().collect();
        self.until("the dispatcher and the plugins are gone", |scene| scene.gone == all).await?;
        for role in all {
            let status = self.process(role).status().await;
            let status = self.checked(role, status)?;
            let was_killed = role == Role::Gateway && self.recording.ending == Ending::Killed;
            let is_fine =
                if was_killed { status.signal() == Some(Signal::SIGKILL as i32) } else { status.success() };
            if !is_fine {
                return Err(self.failure(role, status));
            }
        }
        self.last(Role::Dispatcher)
    }

    fn check_tally(&self) -> Result<(), Failure> {
        let tally: Tally = self.last(Role::Gateway)?;
        if tally == (Tally { published: self.recording.hooks(), rejected: 0 }) {
            return Ok(());
        }
        Err(self.failure(
            Role::Gateway,
            format_args!("{} hooks taken in, {} not", tally.published, tally.rejected),
        ))
    }

    fn counted(&self, lines: &str) -> Result<Score, Failure> {
        recording::on_its_own(lines)
            .map_err(|error| Exit::Fault.because(format_args!("{}: {error}", self.recording.name)))
    }
}

/// Processes, and waiting for them.
impl Play<'_> {
    fn start(&mut self, role: Role, args: &[&str]) -> Result<(), Failure> {
        let started = self.stage.start(role, args);
        let process = self.checked(role, started)?;
        self.processes.insert(role, process);
        Ok(())
    }

    fn process(&mut self, role: Role) -> &mut Process {
        self.processes.get_mut(&role).expect("the plot starts everybody before it turns to them")
    }

    fn gateway(&mut self) -> &mut Process {
        self.process(Role::Gateway)
    }

    async fn feed(&mut self, lines: &str) -> Result<(), Failure> {
        let fed = self.gateway().feed(lines).await;
        self.checked(Role::Gateway, fed)
    }

    /// Listens until it is so.
    ///
    /// # Errors
    /// When it takes too long, or a process ends that should not.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Scene) -> bool) -> Result<(), Failure> {
        self.progress.set_message(format!("{}: until {what}", self.recording.name));
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !is_so(&self.scene) {
            match timeout_at(deadline, self.stage.next()).await {
                Ok(said) => self.hear(said).await?,
                Err(_) => return Err(self.scene.overdue(what)),
            }
        }
        Ok(())
    }

    async fn hear(&mut self, said: Said) -> Result<(), Failure> {
        match said {
            Said::Line { role: Role::Plugin(plugin), at, text } => {
                self.trace.line(self.recording.name, PLUGINS[plugin].name, at, &text)?;
                self.scene.hear_plugin(plugin, at, &text)?;
            }
            Said::Line { role, text, .. } => {
                self.scene.last.insert(role, text);
            }
            Said::Complaint { role, text } => self.scene.complain(role, text),
            Said::Gone(role) => {
                self.scene.gone.insert(role);
                if !self.leaving.contains(&role) {
                    let status = self.process(role).status().await;
                    let status = self.checked(role, status)?;
                    return Err(self.failure(role, format_args!("ended early ({status})")));
                }
            }
        }
        Ok(())
    }

    /// Reads the last line of the dispatcher or the gateway.
    fn last<T: for<'de> Deserialize<'de>>(&self, role: Role) -> Result<T, Failure> {
        let line = self.scene.last.get(&role).map_or("", String::as_str);
        serde_json::from_str(line)
            .map_err(|error| self.failure(role, format_args!("not what it should print: {line:?} ({error})")))
    }

    fn checked<T>(&self, role: Role, outcome: io::Result<T>) -> Result<T, Failure> {
        outcome.map_err(|error| self.failure(role, error))
    }

    /// What is wrong with a process, and what it said of it.
    fn failure(&self, role: Role, what: impl Display) -> Failure {
        let mut text = format!("{}: {}: {what}", self.recording.name, role.name());
        for complaint in self.scene.complaints.get(&role).into_iter().flatten() {
            text = format!("{text}\n  {complaint}");
        }
        Exit::Fault.because(text)
    }
}
