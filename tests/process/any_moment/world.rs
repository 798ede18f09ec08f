//! The parties of a run, what happens to them, and how they are once everything has healed.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use hookwire_protocol::v1::{GetStatusResponse, SubscriberStatus};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{
    check::{self, Copies},
    party::{Plugin, Said, Sessions},
    plan::{Deed, Happening, Plan},
};
use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    home::Home,
    line,
    process::{Process, eventually},
    proxy::Proxy,
    publisher::{self, Publisher},
};

/// How soon all that is owed is settled, once everybody is back.
const OWED_WITHIN: Duration = Duration::from_secs(5);

/// See the [module](self).
pub(super) struct World {
    home: Home,
    flags: Vec<&'static str>,
    hasty: bool,
    counts_descriptors: bool,
    /// `None` only between a death and the next.
    daemon: Option<Daemon>,
    wire: Proxy,
    plugins: Vec<Plugin>,
    publisher: Publisher,
    published: Sessions,
    gateway: Option<Gateway>,
    fired: Sessions,
    /// Starts and ends that were settled for good, by plugin.
    settled: HashMap<&'static str, Copies>,
    /// Descriptors of a dispatcher that nobody is connected to.
    descriptors: usize,
}

impl World {
    pub(super) async fn new(plan: &Plan) -> Self {
        let home = Home::new();
        let flags = flags(plan);
        let daemon = home.serve(&flags).await;
        let descriptors = descriptors(&daemon);
        let address = home.address();
        let wire = Proxy::to(PathBuf::from(address.trim_start_matches("unix:"))).await;
        let mut plugins = vec![
            Plugin::new("near", &address, &[]),
            Plugin::new("far", &wire.address, &[]),
            Plugin::new("slow", &wire.address, &["--ack", "delay:30ms"]),
        ];
        for plugin in &mut plugins {
            plugin.comes().await;
        }
        let publisher = Publisher::start(wire.address.parse().unwrap(), "receipts", "b");
        Self {
            flags,
            hasty: plan.hasty,
            counts_descriptors: plan.counts_descriptors,
            daemon: Some(daemon),
            wire,
            plugins,
            publisher,
            published: Sessions::new("p"),
            gateway: None,
            fired: Sessions::new("f"),
            settled: HashMap::new(),
            descriptors,
            home,
        }
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the next one was started")
    }

    pub(super) async fn happens(&mut self, happening: &Happening) {
        self.revive().await;
        match happening {
            Happening::Publish(deeds) => self.publish(deeds),
            Happening::Fire(deeds) => self.fire(deeds).await,
            Happening::KillDispatcher { next_dies_at } => self.kill_dispatcher(next_dies_at.as_deref()).await,
            Happening::StopDispatcher(time) => {
                self.signal_dispatcher(Signal::SIGSTOP);
                sleep(*time).await; // that is what happens
                self.signal_dispatcher(Signal::SIGCONT);
            }
            Happening::KillPlugin { plugin, at_once } => {
                self.plugins[*plugin].kill().await;
                if *at_once {
                    self.plugins[*plugin].launch();
                }
            }
            Happening::StopPlugin(plugin) => self.plugins[*plugin].signal(Signal::SIGSTOP),
            Happening::GoOn(plugin) => self.plugins[*plugin].signal(Signal::SIGCONT),
            Happening::KillGateway => self.kill_gateway().await,
            Happening::DrainGateway => self.drain_gateway().await,
            Happening::Hold(way) => self.wire.hold(*way),
            Happening::Release => self.wire.release(),
            Happening::Cut => self.wire.cut(),
            Happening::Pause(time) => sleep(*time).await, // that is what happens
        }
    }

    fn publish(&mut self, deeds: &[Deed]) {
        for said in deeds.iter().filter_map(|deed| self.published.act(*deed)) {
            self.publisher.fire(match said {
                Said::Start(id) => publisher::start(&id),
                Said::Message(id) => publisher::message(&id, "m"),
                Said::End(id, reason) => publisher::end(&id, reason),
            });
        }
    }

    async fn fire(&mut self, deeds: &[Deed]) {
        let said = deeds.iter().filter_map(|deed| self.fired.act(*deed));
        let events: Vec<_> = said
            .map(|said| match said {
                Said::Start(id) => gateway::start(&id),
                Said::Message(id) => gateway::message(&id, "m"),
                Said::End(id, reason) => gateway::end(&id, &check::word(reason)),
            })
            .collect();
        if self.gateway.is_none() {
            self.gateway = Some(Gateway::start(self.daemon(), "process", &["--drain", "never", "--hold"]));
        }
        let read = self.gateway.as_mut().expect("it was started").try_fire(&events).await;
        if !read {
            self.kill_gateway().await; // it has ended: nobody answered
        }
    }

    async fn kill_gateway(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.kill().await;
            self.fired.open.clear();
        }
    }

    async fn drain_gateway(&mut self) {
        if self.gateway.is_some() {
            let drain = ["drain", "--gateway", "process", "--reason", "restart", "--budget", "300ms"];
            // The dispatcher may die of it.
            Process::run(&[&drain[..], &["--to", &self.daemon().address]].concat(), &[]).await;
            self.kill_gateway().await;
        }
    }

    fn signal_dispatcher(&mut self, signal: Signal) {
        if let Some(daemon) = &mut self.daemon
            && !daemon.is_over()
        {
            daemon.signal(signal);
        }
    }

    /// The next dispatcher, where one has died at its named moment.
    async fn revive(&mut self) {
        if let Some(daemon) = self.daemon.take_if(Daemon::is_over) {
            daemon.dies().await;
            self.serve(None).await;
        }
    }

    async fn kill_dispatcher(&mut self, next_dies_at: Option<&str>) {
        self.signal_dispatcher(Signal::SIGKILL);
        self.daemon.take().expect("one is there").dies().await;
        self.serve(next_dies_at).await;
    }

    async fn serve(&mut self, dies_at: Option<&str>) {
        self.daemon = Some(match dies_at {
            Some(moment) => self.home.serve_until(moment, &self.flags).await,
            None => self.home.serve(&self.flags).await,
        });
    }

    /// Everybody is back, and everything comes to rest.
    pub(super) async fn heals(&mut self) {
        self.wire.cut();
        for plugin in &mut self.plugins {
            plugin.signal(Signal::SIGCONT);
        }
        self.kill_dispatcher(None).await; // one that dies no more
        for plugin in &mut self.plugins {
            plugin.comes().await;
        }
        let connected = |it: &GetStatusResponse| it.subscribers.iter().filter(|it| it.connected).count();
        self.daemon().until("plugins", |status| connected(status) == self.plugins.len()).await;
        let back = Instant::now();
        self.publisher.settle().await;
        self.comes_to_rest().await;
        let took = back.elapsed();
        assert!(took < OWED_WITHIN, "what was owed took {took:?}");
        self.settlements_are_durable().await;
    }

    /// Everything that was owed is settled, and all of it is written down.
    async fn comes_to_rest(&self) {
        let rests = |it: &SubscriberStatus| it.owed + it.in_flight + it.queued + it.retrying == 0;
        self.daemon().until("rest", |status| status.subscribers.iter().all(rests)).await;
        for plugin in &self.plugins {
            if let Some(settled) = self.settled.get(plugin.name) {
                check::nothing_comes_again(plugin, settled);
            }
        }
    }

    /// A later commit holds what had time before: with its receipt, no crash undoes what is settled now.
    async fn settlements_are_durable(&mut self) {
        let now = self.plugins.iter().map(|it| (it.name, check::copies(it))).collect();
        self.publish(&[Deed::Start]);
        self.publisher.settle().await;
        self.settled = now;
    }

    /// The dispatcher stops in order; then both sides' records are held against each other.
    pub(super) async fn ends(mut self) {
        self.comes_to_rest().await;
        self.kill_gateway().await;
        if self.counts_descriptors {
            self.everybody_leaves().await;
        } else {
            self.dispatcher_stops().await;
        }
        check::every_life_ended(&self.plugins);
        if !self.hasty {
            self.plugins.iter().for_each(|plugin| check::is_as_published(plugin, &self.published));
        }
    }

    async fn dispatcher_stops(&mut self) {
        let open: HashMap<_, _> = self.plugins.iter().map(|it| (it.name, check::open_lives(it))).collect();
        let stopped = self.daemon.take().expect("one is there").stop(Signal::SIGTERM).await;
        assert_eq!(stopped.ended.code(), Some(0), "{stopped:#?}");
        assert_eq!(stopped.report["durable"], true);
        for plugin in &mut self.plugins {
            plugin.leave().await;
            let row = stopped.row(plugin.name);
            row.adds_up();
            assert_eq!((row.owed, row.acked), (open[plugin.name], open[plugin.name]), "{}", plugin.name);
        }
    }

    /// The sessions end by a drain that the dispatcher survives, and nobody leaves anything behind in it.
    async fn everybody_leaves(&mut self) {
        let drain = ["drain", "--reason", "shutdown", "--to", &self.daemon().address];
        let drained = Process::run(&drain, &[]).await;
        assert_eq!(drained.code(), Some(0), "{drained:#?}");
        let report = line::parse(drained.stdout.last().expect("a report"));
        assert!(
            report["subscribers"].as_array().unwrap().iter().all(|it| it["carried_over"] == 0),
            "{report}"
        );
        for plugin in &mut self.plugins {
            plugin.leave().await;
        }
        self.publisher.stop();
        self.wire.cut();
        let (daemon, least) = (self.daemon(), self.descriptors);
        let look = async || {
            let now = descriptors(daemon);
            if now <= least { Ok(()) } else { Err(format!("{now} descriptors, not {least}")) }
        };
        eventually("baseline", look).await;
        Home::close(self.daemon.take().expect("one is there")).await;
    }
}

/// How the dispatchers of a run are started.
fn flags(plan: &Plan) -> Vec<&'static str> {
    let grace = if plan.hasty { "200ms" } else { "1h" };
    let durability = if plan.power { "power" } else { "process" };
    let always = ["--drain-budget", "1m", "--keepalive", "2s"];
    [&["--gateway-grace", grace, "--durability", durability][..], &always].concat()
}

fn descriptors(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap().count()
}
