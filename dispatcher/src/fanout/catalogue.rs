//! The hooks that are known by name. Others are delivered all the same.

use hashbrown::HashMap;
use hookwire_protocol::hook;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Different hooks that one dispatcher tells apart.
pub(crate) const MAX_HOOKS: usize = 4096;

/// The typed hooks of an OpenClaw gateway, as recorded in `tests/data/openclaw`, and the ones beside them.
pub(crate) const HOOKS: [&str; 34] = [
    "agent_end",
    "agent_turn_prepare",
    "after_compaction",
    "after_tool_call",
    "before_agent_finalize",
    "before_agent_reply",
    "before_agent_run",
    "before_agent_start",
    "before_compaction",
    "before_dispatch",
    "before_model_resolve",
    "before_prompt_build",
    "before_reset",
    "before_tool_call",
    "channel_pairing_requested",
    "cron_changed",
    "cron_reconciled",
    "gateway_start",
    "gateway_stop",
    "llm_input",
    "llm_output",
    "message_received",
    "message_sending",
    "message_sent",
    "model_call_ended",
    "model_call_started",
    "reply_payload_sending",
    "session_end",
    "session_start",
    "skill_changed",
    "skill_proposal_changed",
    "subagent_ended",
    "subagent_progress",
    "subagent_spawned",
];

/// What is known of each, in order of their names: read by people, not by the dispatcher.
const DESCRIPTIONS: &str = include_str!("catalogue.json");

/// What is known of a hook.
#[derive(Debug, Deserialize)]
pub(crate) struct Described {
    /// What happened when it fires.
    pub(crate) about: String,
    /// The version of Hookwire that knew it first.
    pub(crate) since: String,
    /// It carries a message of its own; any other hook carries the gateway's JSON.
    #[serde(default)]
    pub(crate) typed: bool,
    /// Its fields, with their types in words. None where it was not recorded.
    pub(crate) fields: Map<String, Value>,
    /// What it carried once.
    pub(crate) example: Option<Value>,
}

/// What the type of a field says that no gateway does.
const BY_THE_DISPATCHER: &str = ", by the dispatcher";

impl Described {
    /// The fields that a gateway says, with their types.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.fields.iter().filter_map(|(name, kind)| Some((name.as_str(), kind.as_str()?)));
        fields.filter(|(_, kind)| !kind.ends_with(BY_THE_DISPATCHER))
    }
}

/// All hooks of the catalogue, described.
pub(crate) fn described() -> Vec<(String, Described)> {
    let all: Map<String, Value> = serde_json::from_str(DESCRIPTIONS).expect("a test reads it");
    let one = |hook| serde_json::from_value(hook).expect("a test reads it");
    all.into_iter().map(|(name, hook)| (name, one(hook))).collect()
}

/// Hooks by number: those of the catalogue, then others as they are seen.
#[derive(Debug)]
pub(crate) struct Hooks {
    names: Vec<Box<str>>,
    /// Those with a message of their own, which are all in the catalogue.
    typed: [u32; 4],
    numbers: HashMap<Box<[u8]>, u32>,
}

impl Hooks {
    /// In order of their numbers.
    pub(crate) fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The name of a hook that has this number.
    pub(crate) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    /// The number of a hook that was seen before, or is in the catalogue.
    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Whether this hook carries a message of its own.
    pub(crate) fn is_typed(&self, number: u32) -> bool {
        self.typed.contains(&number)
    }

    /// A hook's number; `None` where there is no room for another.
    pub(crate) fn number(&mut self, name: &str) -> Option<u32> {
        if let Some(number) = self.find(name.as_bytes()) {
            return Some(number);
        }
        if self.names.len() >= MAX_HOOKS {
            return None;
        }
        let number = self.names.len() as u32;
        self.names.push(name.into());
        self.numbers.insert(name.as_bytes().into(), number);
        Some(number)
    }
}

impl Default for Hooks {
    /// What a gateway makes up takes no room from those that are known.
    fn default() -> Self {
        let names: Vec<Box<str>> = HOOKS.into_iter().map(Into::into).collect();
        let numbers = names.iter().map(|name| name.as_bytes().into()).zip(0..).collect();
        let mut hooks = Self { names, typed: [0; 4], numbers };
        let typed = [hook::SESSION_START, hook::SESSION_END, hook::GATEWAY_START, hook::GATEWAY_STOP];
        hooks.typed = typed.map(|name| hooks.find(name.as_bytes()).expect("it is in the catalogue"));
        hooks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDINGS: [&str; 2] = [
        include_str!("../../../tests/data/openclaw/killed.jsonl"),
        include_str!("../../../tests/data/openclaw/restart-then-stop.jsonl"),
    ];

    #[test]
    fn every_hook_is_described() {
        let described = described();
        let mut names = HOOKS;
        names.sort_unstable();
        assert!(described.iter().map(|(name, _)| name.as_str()).eq(names));
        for (name, hook) in described {
            let known = |field: &String| hook.fields.contains_key(field);
            let example = hook.example.unwrap_or_default();
            assert!(example.as_object().is_none_or(|it| it.keys().all(known)), "{name}: {example}");
        }
    }

    #[test]
    fn every_recorded_field_is_described() {
        let described: HashMap<_, _> = described().into_iter().collect();
        let lines = RECORDINGS.into_iter().flat_map(str::lines);
        for line in lines.map(|line| serde_json::from_str::<Value>(line).expect("a recorded line")) {
            let hook = &described[line["hook"].as_str().expect("a hook")];
            let fields = line["event"].as_object().expect("an event").keys();
            if !hook.typed {
                assert!(fields.clone().all(|field| hook.fields.contains_key(field)), "{line}");
            }
        }
    }
}
