//! One recording, played: who is started when, what is waited for, and how it ends.
//!
//! Nothing here waits for time to pass. Each step waits for what the processes print, with a deadline.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    io,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use indicatif::ProgressBar;
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::{
    plugin::{LATE, PLUGINS, PROMPT},
    recording::{self, Ending, Recording},
    scene::{Report, Role, Scene, Tally},
    score::Score,
    trace::Trace,
};
use crate::cli::{
    Exit, Failure,
    process::{Listening, Process, Said, Stage},
};

/// How long each step may take. Most take milliseconds; this is for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(20);

/// The dispatcher: any port, a short grace so that nobody has to wait for it, and time for slow machines.
const DISPATCHER: [&str; 8] =
    ["serve", "--in-memory", "--listen", "127.0.0.1:0", "--gateway-grace", "1s", "--drain-budget", "5s"];

/// A recording on the stage.
pub(super) struct Play<'a> {
    recording: &'a Recording,
    stage: Stage<Role>,
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
        let (processes, leaving) = Default::default();
        Ok(Self { recording, stage, trace, progress, processes, leaving, scene: Scene::new() })
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
        self.until("the dispatcher listens", |scene| scene.has_printed(Role::Dispatcher)).await?;
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
        self.scene.begin();
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
        self.check_status(Role::Gateway, ExitStatus::success).await?;
        self.check_tally()
    }

    /// The gateway is killed when all its hooks are taken in: as far as it knows, it runs for years.
    async fn kill_gateway(&mut self) -> Result<(), Failure> {
        self.gateway().feed_no_more();
        let lives = self.counted(self.recording.lines)?.started;
        self.until("the gateway has fired its hooks", |scene| {
            scene.has_printed(Role::Gateway) && scene.seen[PROMPT].started() == lives
        })
        .await?;
        self.check_tally()?;
        self.leaving.insert(Role::Gateway);
        self.scene.note("the gateway is killed with SIGKILL (it may be away for 1 s)");
        let killed = self.gateway().kill();
        self.checked(Role::Gateway, killed)?;
        let was_killed = |status: &ExitStatus| status.signal() == Some(Signal::SIGKILL as i32);
        self.check_status(Role::Gateway, was_killed).await
    }

    /// Prompt has seen each life that the gateway showed, and whatever any plugin saw start is over; the gateway's
    /// stop comes last. Slow may have been handed less: a life that is over before its start could be written cancels
    /// out at a drain.
    async fn all_sessions_end(&mut self) -> Result<(), Failure> {
        let lives = self.counted(self.recording.lines)?.started;
        self.until("every plugin has seen every session end", |scene| {
            scene.seen[PROMPT].started() == lives
                && scene.seen.iter().all(|seen| seen.open() == 0 && !seen.gateway_is_up)
        })
        .await
    }

    /// Stops the dispatcher, and with it the plugins. Returned is what it reports.
    async fn stop_dispatcher(&mut self) -> Result<Report, Failure> {
        let rest: Vec<Role> = self.processes.keys().copied().filter(|role| *role != Role::Gateway).collect();
        self.leaving.extend(&rest);
        self.scene.note("the dispatcher is stopped with SIGTERM");
        let asked = self.process(Role::Dispatcher).terminate();
        self.checked(Role::Dispatcher, asked)?;
        self.until("the dispatcher and the plugins are gone", |scene| {
            rest.iter().all(|role| scene.gone.contains(role))
        })
        .await?;
        for role in rest {
            self.check_status(role, ExitStatus::success).await?;
        }
        self.last(Role::Dispatcher)
    }

    /// Checks how a process ended that is as good as gone.
    async fn check_status(
        &mut self,
        role: Role,
        is_fine: impl Fn(&ExitStatus) -> bool,
    ) -> Result<(), Failure> {
        let status = self.process(role).status().await;
        let status = self.checked(role, status)?;
        if is_fine(&status) { Ok(()) } else { Err(self.failure(role, status)) }
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
        let stdin = if role == Role::Gateway { Stdio::piped() } else { Stdio::null() };
        let started = self.stage.start(role, args, stdin);
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
        self.progress.set_message(format!("{}: waiting until {what}", self.recording.name));
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&self.scene) {
            match timeout_at(deadline, self.stage.next()).await {
                Ok(said) => self.hear(said).await?,
                Err(_) => {
                    let standing = self.scene.standing();
                    let text =
                        format!("{}: waited {PATIENCE:?} until {what}: {standing}", self.recording.name);
                    return Err(Exit::Fault.because(text));
                }
            }
        }
        Ok(())
    }

    async fn hear(&mut self, said: Said<Role>) -> Result<(), Failure> {
        match said {
            Said::Line { role: role @ Role::Plugin(plugin), at, text } => {
                self.trace.line(self.recording.name, PLUGINS[plugin].name, at, &text)?;
                let read = self.scene.plugin(plugin, at, &text);
                read.map_err(|error| self.unreadable(role, &error))?;
            }
            Said::Line { role, text, .. } => self.scene.printed(role, text),
            Said::Complaint { role, text } => self.scene.complaints.add(role, text),
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
    fn last<T: DeserializeOwned>(&self, role: Role) -> Result<T, Failure> {
        self.scene.last(role).map_err(|error| self.unreadable(role, &error))
    }

    fn unreadable(&self, role: Role, error: &serde_json::Error) -> Failure {
        self.failure(role, format_args!("printed something else than it should: {error}"))
    }

    fn checked<T>(&self, role: Role, outcome: io::Result<T>) -> Result<T, Failure> {
        outcome.map_err(|error| self.failure(role, error))
    }

    /// What is wrong with a process, and what it said of it.
    fn failure(&self, role: Role, what: impl Display) -> Failure {
        let what = format_args!("{}: {}: {what}", self.recording.name, role.name());
        Exit::Fault.because(self.scene.complaints.below(role, what))
    }
}
