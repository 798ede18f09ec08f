//! Which events a subscription wants.

use hookwire_protocol::{hook, v1};
use wildmatch::WildMatch;

use super::catalogue;

/// At most so many patterns of a kind: a filter is looked at for every event.
const MAX_PATTERNS: usize = 64;

/// A pattern longer than this is longer than any name it could match.
const MAX_PATTERN_BYTES: usize = 256;

/// One subscription's filter. `session_start` and `session_end` are one subscription.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    hooks: Vec<WildMatch>,
    agents: Vec<WildMatch>,
    keys: Vec<WildMatch>,
    lifecycle: bool,
    all_hooks: bool,
    granted: Vec<String>,
    wire: v1::Filter,
}

impl Filter {
    /// Reads a Hello's patterns. No hooks at all means all of them.
    ///
    /// # Errors
    /// Too many patterns, or one that is empty or too long.
    pub(crate) fn new(hooks: &[String], wire: v1::Filter) -> Result<Self, String> {
        let mut granted = hooks.to_vec();
        if granted.is_empty() {
            granted.push("*".to_owned());
        }
        let patterns = compile("hooks", &granted)?;
        let either = |name| patterns.iter().any(|pattern| pattern.matches(name));
        let lifecycle = either(hook::SESSION_START) || either(hook::SESSION_END);
        if lifecycle {
            for name in [hook::SESSION_START, hook::SESSION_END] {
                if !either(name) {
                    granted.push(name.to_owned());
                }
            }
        }
        Ok(Self {
            all_hooks: granted.iter().any(|pattern| pattern == "*"),
            agents: compile("filter.agents", &wire.agents)?,
            keys: compile("filter.keys", &wire.keys)?,
            hooks: patterns,
            lifecycle,
            granted,
            wire,
        })
    }

    /// Whether starts and ends are wanted.
    /// Whether it was made of the same patterns.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.granted, &self.wire) == (&other.granted, &other.wire)
    }

    pub(crate) fn wants_lifecycle(&self) -> bool {
        self.lifecycle
    }

    /// Whether everything is wanted.
    pub(crate) fn wants_all(&self) -> bool {
        self.all_hooks && self.wants_all_sessions()
    }

    /// Whether every session's events are wanted.
    pub(crate) fn wants_all_sessions(&self) -> bool {
        self.agents.is_empty() && self.keys.is_empty()
    }

    /// Whether events of this hook are wanted.
    pub(crate) fn wants_hook(&self, name: &str) -> bool {
        match name {
            hook::SESSION_START | hook::SESSION_END => self.lifecycle,
            _ => self.hooks.iter().any(|pattern| pattern.matches(name)),
        }
    }

    /// Whether events of a session with this agent and key are wanted.
    pub(crate) fn wants_session(&self, agent: &str, key: &str) -> bool {
        matches(&self.agents, agent) && matches(&self.keys, key)
    }

    /// The patterns in force, and those of them that match neither the catalogue nor a hook seen so far.
    pub(crate) fn granted(&self, seen: &[Box<str>]) -> (Vec<String>, Vec<String>) {
        let unknown = self.granted.iter().filter(|text| {
            let pattern = WildMatch::new(text);
            let known = catalogue::HOOKS.iter().any(|name| pattern.matches(name));
            !known && !seen.iter().any(|name| pattern.matches(name))
        });
        (self.granted.clone(), unknown.cloned().collect())
    }

    /// The session filter as it came.
    pub(crate) fn wire(&self) -> &v1::Filter {
        &self.wire
    }
}

fn compile(field: &str, texts: &[String]) -> Result<Vec<WildMatch>, String> {
    if texts.len() > MAX_PATTERNS {
        return Err(format!("{field}: {} patterns are too many, {MAX_PATTERNS} are the most", texts.len()));
    }
    for (at, text) in texts.iter().enumerate() {
        if text.is_empty() || text.len() > MAX_PATTERN_BYTES {
            let size = text.len();
            return Err(format!("{field}[{at}]: a pattern has 1 to {MAX_PATTERN_BYTES} bytes, not {size}"));
        }
    }
    Ok(texts.iter().map(|text| WildMatch::new(text)).collect())
}

fn matches(patterns: &[WildMatch], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(hooks: &[&str]) -> Filter {
        let hooks: Vec<_> = hooks.iter().map(|text| (*text).to_owned()).collect();
        Filter::new(&hooks, v1::Filter::default()).expect("the test's patterns are fine")
    }

    #[test]
    fn hooks() {
        for (patterns, name, wanted) in [
            (&[][..], "message_received", true),
            (&["*"], "message_received", true),
            (&["message_*"], "message_received", true),
            (&["message_*"], "before_dispatch", false),
            (&["message_*"], "session_end", false),
            (&["session_end"], "session_start", true),
            (&["session_star?"], "session_end", true),
            (&["session_*"], "gateway_stop", false),
        ] {
            assert_eq!(filter(patterns).wants_hook(name), wanted, "{patterns:?} {name}");
        }
    }

    #[test]
    fn sessions() {
        let wire = v1::Filter { agents: vec!["main".into()], keys: vec!["agent:*:web:?".into()] };
        let filter = Filter::new(&[], wire).expect("the test's patterns are fine");
        assert!(filter.wants_session("main", "agent:main:web:1"));
        assert!(!filter.wants_session("other", "agent:main:web:1"));
        assert!(!filter.wants_session("main", "agent:main:irc:1"));
    }

    #[test]
    fn unknown_names_are_listed_and_one_half_of_the_lifecycle_brings_the_other() {
        let (granted, unknown) = filter(&["session_end", "no_such_hook", "my_*"]).granted(&["my_own".into()]);
        assert_eq!(granted, ["session_end", "no_such_hook", "my_*", "session_start"]);
        assert_eq!(unknown, ["no_such_hook"]);
    }

    #[test]
    fn bad_patterns_are_named() {
        let error =
            Filter::new(&["ok".into(), String::new()], v1::Filter::default()).expect_err("an empty one");
        assert_eq!(error, "hooks[1]: a pattern has 1 to 256 bytes, not 0");
    }
}
