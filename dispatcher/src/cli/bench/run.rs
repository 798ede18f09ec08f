//! One bench: who is started when, what is waited for, and when the clocks are read.
//!
//! Each wait ends when nobody makes any progress any more, and says who stands still.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use hookwire_sdk::Address;
use indicatif::ProgressBar;
use tokio::time::{Instant, timeout_at};

use super::{
    dial::dial,
    heard::{Heard, Role},
    lines::{self, ToGateway},
    outcome::{Bytes, Nanoseconds, Outcome},
    plan::{Mode, Plan},
    usage,
};
use crate::cli::{
    Exit, Failure,
    process::{Process, Said, Stage},
};

/// How long nobody may make any progress.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bench under way.
pub(super) struct Run<'a> {
    plan: &'a Plan,
    progress: &'a ProgressBar,
    stage: Stage<Role>,
    processes: BTreeMap<Role, Process>,
    /// Who may end now.
    leaving: BTreeSet<Role>,
    heard: Heard,
    /// How far the gateway knows that all have come.
    told: u64,
}

impl<'a> Run<'a> {
    /// Before anything is started.
    ///
    /// # Errors
    /// When the program does not know where it is.
    pub(super) fn new(plan: &'a Plan, progress: &'a ProgressBar) -> Result<Self, Failure> {
        let stage = Stage::new().map_err(|error| Exit::Fault.because(error))?;
        let heard = Heard::new(plan.shares().len());
        let (processes, leaving, told) = Default::default();
        Ok(Self { plan, progress, stage, processes, leaving, heard, told })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When a process fails, or nobody makes any progress.
    pub(super) async fn run(mut self, to: Option<&Address>) -> Result<Outcome, Failure> {
        let address = match to {
            // Before anything is started: that nobody is there is the most frequent failure.
            Some(address) => dial(address).await.map(|_| address.to_string())?,
            None => self.open_dispatcher().await?,
        };
        // Short, as such names are, and nobody's else.
        let name = format!("bench-{:08x}", rand::random::<u32>());
        self.open_plugins(&address, &name).await?;
        let idle = self.dispatcher_memory().now;
        self.open_gateway(&address, &name).await?;
        self.start_sessions().await?;
        let loaded = self.dispatcher_memory().now;
        let cpu = self.measure().await?;
        self.drain().await?;
        let memory = Bytes {
            dispatcher_peak: self.dispatcher_memory().peak,
            dispatcher_idle: idle,
            dispatcher_loaded: loaded,
            dispatcher_after: self.dispatcher_memory().now,
            plugin_peak: self.plugin_peak(),
        };
        self.close().await?;
        Ok(Outcome::new(self.plan, &self.heard, cpu, memory))
    }

    /// Starts the dispatcher. Returned is where it listens.
    async fn open_dispatcher(&mut self) -> Result<String, Failure> {
        let serve = ["serve", "--in-memory", "--listen", "127.0.0.1:0"];
        self.start(Role::Dispatcher, &serve, Stdio::null())?;
        self.until("the dispatcher listens", |heard| heard.listening.is_some()).await?;
        Ok(self.heard.listening.clone().expect("it was waited for"))
    }

    /// Starts the plugins, and sees them caught up.
    async fn open_plugins(&mut self, address: &str, name: &str) -> Result<(), Failure> {
        let counts = [self.plan.sessions.into(), self.plan.measured(), self.plan.step()];
        let [starts, measured, step] = counts.map(|count: u64| count.to_string());
        for (process, share) in self.plan.shares().into_iter().enumerate() {
            let (prefix, share) = (format!("{name}-{process}"), share.to_string());
            let who = ["bench-plugin", "--to", address, "--name", &prefix, "--subscribers", &share];
            let what = ["--gateway", name, "--starts", &starts, "--measured", &measured, "--step", &step];
            self.start(Role::Plugin(process), &[&who[..], &what].concat(), Stdio::piped())?;
        }
        let all_ready = |heard: &Heard| heard.plugins.iter().all(|plugin| plugin.is_ready);
        self.until("all plugins have joined", all_ready).await
    }

    /// Starts the gateway, and sees it attached.
    async fn open_gateway(&mut self, address: &str, name: &str) -> Result<(), Failure> {
        let plan = self.plan;
        let counts = [plan.sessions.into(), plan.events, plan.payload.into(), plan.credit()];
        let [sessions, events, payload, credit] = counts.map(|count: u64| count.to_string());
        let rate = self.plan.rate.map(|rate| rate.to_string());
        let mut args = vec!["bench-gateway", "--to", address, "--name", name, "--sessions", &sessions];
        args.extend(["--events", &events, "--payload", &payload, "--credit", &credit]);
        args.extend(rate.iter().flat_map(|rate| ["--rate", rate.as_str()]));
        if self.plan.mode == Mode::Latency {
            args.push("--singly");
        }
        self.start(Role::Gateway, &args, Stdio::piped())?;
        self.until("the gateway is attached", |heard| heard.gateway.is_ready).await
    }

    /// Every subscriber has acknowledged the start of every session.
    async fn start_sessions(&mut self) -> Result<(), Failure> {
        let sessions = self.plan.sessions.into();
        self.tell(ToGateway::Start).await?;
        self.until("all sessions are started", |heard| {
            heard.acked_by_all() >= sessions && heard.gateway.published >= sessions
        })
        .await
    }

    /// What is measured. Returned is what it cost.
    async fn measure(&mut self) -> Result<Nanoseconds, Failure> {
        let before = self.cpu();
        match self.plan.mode {
            Mode::Throughput | Mode::Latency => {
                self.tell(ToGateway::Fire).await?;
                self.until("all events are acknowledged", Heard::is_measured).await?;
            }
            Mode::Drain => {
                self.tell(ToGateway::Drain).await?;
                // To the report: acknowledgements are to be taken in, too.
                let is_over = |heard: &Heard| heard.is_measured() && heard.gateway.drained.is_some();
                self.until("all ends are acknowledged", is_over).await?;
            }
        }
        Ok(self.cpu().since(&before))
    }

    /// The gateway's sessions are over; in a drain they were what was measured.
    async fn drain(&mut self) -> Result<(), Failure> {
        if self.plan.mode == Mode::Drain {
            return Ok(());
        }
        self.tell(ToGateway::Drain).await?;
        self.until("the drain is over", |heard| heard.gateway.drained.is_some()).await
    }

    /// The gateway and the plugins leave, then the dispatcher is stopped.
    async fn close(&mut self) -> Result<(), Failure> {
        let clients = self.processes.keys().copied().filter(|role| *role != Role::Dispatcher);
        let clients: Vec<_> = clients.collect();
        for role in &clients {
            self.process(*role).feed_no_more();
        }
        self.see_off(clients).await?;
        if self.processes.contains_key(&Role::Dispatcher) {
            let asked = self.process(Role::Dispatcher).terminate();
            self.checked(Role::Dispatcher, asked)?;
            self.see_off(vec![Role::Dispatcher]).await?;
        }
        Ok(())
    }

    async fn see_off(&mut self, roles: Vec<Role>) -> Result<(), Failure> {
        self.leaving.extend(&roles);
        self.until("everybody has left", |heard| roles.iter().all(|role| heard.gone.contains(role))).await?;
        for role in roles {
            let status = self.status(role).await?;
            if !status.success() {
                return Err(self.ended(role, status));
            }
        }
        Ok(())
    }
}

/// Clocks and memory.
impl Run<'_> {
    /// What everybody has cost so far.
    fn cpu(&self) -> Nanoseconds {
        let cpu = |role| self.processes.get(&role).and_then(|process| usage::cpu(process.id().ok()?));
        Nanoseconds {
            gateway: cpu(Role::Gateway),
            dispatcher: cpu(Role::Dispatcher),
            plugins: self.plugins().map(cpu).sum(),
        }
    }

    fn dispatcher_memory(&self) -> usage::Memory {
        self.memory(Role::Dispatcher)
    }

    fn plugin_peak(&self) -> Option<u64> {
        self.plugins().filter_map(|role| self.memory(role).peak).max()
    }

    fn memory(&self, role: Role) -> usage::Memory {
        let pid = self.processes.get(&role).and_then(|process| process.id().ok());
        pid.map(usage::memory).unwrap_or_default()
    }

    fn plugins(&self) -> impl Iterator<Item = Role> {
        (0..self.heard.plugins.len()).map(Role::Plugin)
    }
}

/// Processes, and waiting for them.
impl Run<'_> {
    fn start(&mut self, role: Role, args: &[&str], stdin: Stdio) -> Result<(), Failure> {
        let started = self.stage.start(role, args, stdin);
        let process = self.checked(role, started)?;
        self.processes.insert(role, process);
        Ok(())
    }

    fn process(&mut self, role: Role) -> &mut Process {
        self.processes.get_mut(&role).expect("the plot starts everybody before it turns to them")
    }

    async fn tell(&mut self, message: ToGateway) -> Result<(), Failure> {
        let line = format!("{}\n", lines::write(&message));
        let fed = self.process(Role::Gateway).feed(&line).await;
        self.checked(Role::Gateway, fed)
    }

    /// Listens until it is so.
    ///
    /// # Errors
    /// When nobody says anything for too long, or a process ends that should not.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Heard) -> bool) -> Result<(), Failure> {
        self.progress.set_message(format!("waiting until {what}"));
        let mut deadline = Instant::now() + PATIENCE;
        while !is_so(&self.heard) {
            let Ok(said) = timeout_at(deadline, self.stage.next()).await else {
                let standing = self.heard.standing();
                let text = format!("no progress for {PATIENCE:?}, waiting until {what}: {standing}");
                return Err(Exit::Fault.because(text));
            };
            // Each line tells of some progress; a complaint does not.
            if let Said::Line { .. } = said {
                deadline = Instant::now() + PATIENCE;
            }
            self.hear(said).await?;
        }
        Ok(())
    }

    async fn hear(&mut self, said: Said<Role>) -> Result<(), Failure> {
        match said {
            Said::Line { role, text, .. } => {
                let read = self.heard.line(role, &text);
                read.map_err(|error| self.failure(role, Exit::Fault, error))?;
                self.pass_credit().await
            }
            Said::Complaint { role, text } => {
                self.heard.complaints.add(role, text);
                Ok(())
            }
            Said::Gone(role) => {
                self.heard.gone.insert(role);
                if self.leaving.contains(&role) {
                    return Ok(());
                }
                let status = self.status(role).await?;
                Err(self.ended(role, status))
            }
        }
    }

    /// The gateway may go on when the slowest subscriber has.
    async fn pass_credit(&mut self) -> Result<(), Failure> {
        let count = self.heard.acked_by_all();
        if count == self.told || self.leaving.contains(&Role::Gateway) {
            return Ok(());
        }
        self.told = count;
        self.progress.set_position(self.position());
        self.tell(ToGateway::Acked { count }).await
    }

    /// How much of what is measured is acknowledged.
    fn position(&self) -> u64 {
        let starts = self.plan.sessions.into();
        let each = self.heard.plugins.iter().zip(self.plan.shares());
        each.map(|(plugin, share)| {
            plugin.acked.saturating_sub(starts).min(self.plan.measured()) * u64::from(share)
        })
        .sum()
    }

    async fn status(&mut self, role: Role) -> Result<ExitStatus, Failure> {
        let status = self.process(role).status().await;
        self.checked(role, status)
    }

    fn checked<T>(&self, role: Role, outcome: io::Result<T>) -> Result<T, Failure> {
        outcome.map_err(|error| self.failure(role, Exit::Fault, error))
    }

    /// A process has ended that should not, or not well: its exit code is ours.
    fn ended(&self, role: Role, status: ExitStatus) -> Failure {
        let exit = match status.code() {
            Some(code) if code == Exit::Unavailable as i32 => Exit::Unavailable,
            Some(code) if code == Exit::Refused as i32 => Exit::Refused,
            _ => Exit::Fault,
        };
        self.failure(role, exit, format_args!("ended early ({status})"))
    }

    /// What is wrong with a process, and what it said of it.
    fn failure(&self, role: Role, exit: Exit, what: impl Display) -> Failure {
        exit.because(self.heard.complaints.below(role, format_args!("{}: {what}", role.name())))
    }
}
