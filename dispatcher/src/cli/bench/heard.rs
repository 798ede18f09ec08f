//! What the processes of a bench have said so far. Pure.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::{
    latency::Latency,
    lines::{Drained, FromGateway, FromPlugin},
};
use crate::cli::process::{Complaints, Listening};

/// How many of those that stand still are named.
const NAMED: usize = 4;

/// Who a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Dispatcher,
    Gateway,
    Plugin(usize),
}

impl Role {
    /// Its name for a person.
    pub(super) fn name(self) -> String {
        match self {
            Self::Dispatcher => "dispatcher".to_owned(),
            Self::Gateway => "gateway".to_owned(),
            Self::Plugin(plugin) => format!("plugin process {plugin}"),
        }
    }
}

/// A plugin process.
#[derive(Debug, Default)]
pub(super) struct Plugin {
    pub(super) is_ready: bool,
    /// What each of its subscribers has acknowledged, at least.
    pub(super) acked: u64,
    pub(super) lost: u64,
    /// When it was through with all that is measured.
    pub(super) measured_at: Option<u64>,
}

/// The gateway.
#[derive(Debug, Default)]
pub(super) struct Gateway {
    pub(super) is_ready: bool,
    /// When it fired first, and how large an event is.
    pub(super) fired: Option<(u64, u64)>,
    pub(super) published: u64,
    pub(super) drained: Option<Drained>,
}

/// Everything that was heard.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) listening: Option<String>,
    pub(super) gateway: Gateway,
    pub(super) plugins: Vec<Plugin>,
    pub(super) latency: Latency,
    pub(super) complaints: Complaints<Role>,
    pub(super) gone: BTreeSet<Role>,
}

impl Heard {
    /// Nothing, of so many plugin processes.
    pub(super) fn new(plugins: usize) -> Self {
        Self {
            listening: None,
            gateway: Gateway::default(),
            plugins: (0..plugins).map(|_| Plugin::default()).collect(),
            latency: Latency::new(),
            complaints: Complaints::new(),
            gone: BTreeSet::new(),
        }
    }

    /// A process has printed a line.
    ///
    /// # Errors
    /// When it is none that it should print.
    pub(super) fn line(&mut self, role: Role, text: &str) -> serde_json::Result<()> {
        match role {
            // The first says where it listens, the last is a report that nobody needs here.
            Role::Dispatcher if self.listening.is_none() => {
                self.listening = read::<Listening>(text)?.listening.into_iter().next();
            }
            Role::Dispatcher => {}
            Role::Gateway => self.gateway.take(read(text)?),
            Role::Plugin(plugin) => self.plugin(plugin, read(text)?),
        }
        Ok(())
    }

    fn plugin(&mut self, plugin: usize, line: FromPlugin) {
        let it = &mut self.plugins[plugin];
        match line {
            FromPlugin::Ready => it.is_ready = true,
            FromPlugin::Acked { count, lost } => (it.acked, it.lost) = (count, lost),
            FromPlugin::Measured { at_unix_nano, latency } => {
                it.measured_at = Some(at_unix_nano);
                latency.into_iter().for_each(|(nanoseconds, count)| self.latency.record(nanoseconds, count));
            }
        }
    }

    /// What every subscriber has acknowledged.
    pub(super) fn acked_by_all(&self) -> u64 {
        self.plugins.iter().map(|plugin| plugin.acked).min().unwrap_or_default()
    }

    /// Whether all plugins are through with what is measured.
    pub(super) fn is_measured(&self) -> bool {
        self.plugins.iter().all(|plugin| plugin.measured_at.is_some())
    }

    /// What was lost on the way to all subscribers.
    pub(super) fn lost(&self) -> u64 {
        self.plugins.iter().map(|plugin| plugin.lost).sum()
    }

    /// Where everybody stands, for the one who waited in vain: the slowest first.
    pub(super) fn standing(&self) -> String {
        let gateway = &self.gateway;
        let ready = if gateway.is_ready { "ready" } else { "not ready" };
        let mut slowest: Vec<_> = self.plugins.iter().enumerate().collect();
        slowest.sort_by_key(|(_, plugin)| (plugin.is_ready, plugin.acked));
        let each = slowest.iter().take(NAMED).map(|(number, plugin)| match plugin.is_ready {
            true => format!("plugin process {number} has acknowledged {}", plugin.acked),
            false => format!("plugin process {number} is not ready"),
        });
        let gateway = format!("gateway {ready}, {} published and taken in", gateway.published);
        std::iter::once(gateway).chain(each).collect::<Vec<_>>().join("; ")
    }
}

impl Gateway {
    fn take(&mut self, line: FromGateway) {
        match line {
            FromGateway::Ready => self.is_ready = true,
            FromGateway::Fired { at_unix_nano, event_bytes } => {
                self.fired = Some((at_unix_nano, event_bytes));
            }
            FromGateway::Published { count } => self.published = count,
            FromGateway::Drained(drained) => self.drained = Some(drained),
        }
    }
}

fn read<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_says_how_far_all_are() {
        let mut heard = Heard::new(2);
        let acked = |count| format!(r#"{{"type":"acked","count":{count},"lost":1}}"#);
        heard.line(Role::Plugin(0), &acked(7)).unwrap();
        assert_eq!(heard.acked_by_all(), 0);
        heard.line(Role::Plugin(1), &acked(5)).unwrap();
        assert_eq!((heard.acked_by_all(), heard.lost()), (5, 2));
    }

    #[test]
    fn who_stands_still_is_named() {
        let mut heard = Heard::new(2);
        heard.line(Role::Plugin(0), r#"{"type":"ready"}"#).unwrap();
        let standing = heard.standing();
        assert!(standing.starts_with("gateway not ready"), "{standing}");
        assert!(standing.ends_with("1 is not ready; plugin process 0 has acknowledged 0"), "{standing}");
    }

    #[test]
    fn only_the_first_line_of_a_dispatcher_matters() {
        let mut heard = Heard::new(0);
        heard.line(Role::Dispatcher, r#"{"listening":["127.0.0.1:1"]}"#).unwrap();
        heard.line(Role::Dispatcher, r#"{"reason":"shutdown"}"#).unwrap();
        assert_eq!(heard.listening.as_deref(), Some("127.0.0.1:1"));
        assert!(heard.line(Role::Gateway, "hello").is_err());
    }
}
