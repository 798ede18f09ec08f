//! The effect log: what the plugin did, in its own words, one JSON line an effect.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;

use super::record::{Handed, Record};

/// What a line of an event has to have: without any of it, a rule would go unjudged.
const OF_AN_EVENT: [&str; 7] =
    ["event_id", "hook", "ledger_id", "incarnation", "session_seq", "changed", "draining"];

/// One line. Of an event it has all of the first fields, of a drain notice or a sweep its own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    pub(super) event_id: Option<String>,
    pub(super) hook: String,
    pub(super) ledger_id: String,
    pub(super) incarnation: u64,
    pub(super) session_seq: u64,
    pub(super) changed: bool,
    pub(super) draining: bool,
    /// The gateway of a drain notice.
    pub(super) drain: Option<String>,
    pub(super) swept: Option<u64>,
}

/// All lines, each with where it ends, in bytes.
#[derive(Debug)]
pub(super) struct Effects {
    lines: Vec<(u64, Line)>,
}

/// Lines that cannot be read, by their number, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Faulty(pub(super) Vec<String>);

impl Effects {
    /// Reads a log; `None` where the plugin writes none.
    ///
    /// # Errors
    /// The lines that cannot be read: by such a log, nothing is judged.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Faulty> {
        // What is no text is no JSON either, and its line says so.
        let Ok(bytes) = fs::read(path) else { return Ok(None) };
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    fn parse(text: &str) -> Result<Option<Self>, Faulty> {
        let (mut effects, mut faulty) = (Self { lines: Vec::new() }, Vec::new());
        let mut end = 0;
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            end += line.len() as u64;
            match parse_line(line) {
                Ok(line) => effects.lines.push((end, line)),
                Err(_) if !line.ends_with('\n') => {} // it is being written
                Err(why) => faulty.push(format!("line {number}, {why}")),
            }
        }
        if faulty.is_empty() { Ok((end > 0).then_some(effects)) } else { Err(Faulty(faulty)) }
    }

    /// All lines, in order.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().map(|(_, line)| line)
    }

    fn events(&self) -> impl Iterator<Item = (&str, u64, &Line)> {
        self.lines.iter().filter_map(|(end, line)| Some((line.event_id.as_deref()?, *end, line)))
    }

    /// How many events took effect, and which did more than once.
    pub(super) fn applied(&self) -> (usize, Vec<String>) {
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for (id, _, line) in self.events() {
            *times.entry(id).or_default() += u32::from(line.changed);
        }
        let more =
            times.iter().filter(|(_, times)| **times > 1).map(|(id, times)| format!("{id} {times} times"));
        (times.values().filter(|times| **times > 0).count(), more.collect())
    }

    /// How often this hook took effect.
    pub(super) fn applied_of(&self, hook: &str) -> usize {
        self.events().filter(|(_, _, line)| line.hook == hook && line.changed).count()
    }

    /// What was answered before it was in the log, or never came there.
    pub(super) fn answered_early(&self, record: &Record) -> Vec<String> {
        let mut done: BTreeMap<&str, u64> = BTreeMap::new();
        let mut handled = BTreeSet::new();
        for (id, end, line) in self.events() {
            done.entry(id).or_insert(end);
            handled.insert(line.hook.as_str());
        }
        // A hook of which there is no effect at all is one that nobody handles.
        let early = |id: &str, log: u64| done.get(id).is_none_or(|end| *end > log);
        let answered = record.dealt().filter_map(|(handed, answer)| Some((handed, answer?)));
        let answered = answered.filter(|(it, _)| handled.contains(it.hook.as_str()));
        let early = answered.filter(|(it, answer)| early(&it.event_id, answer.log));
        early.map(|(it, _)| format!("{} {}", it.hook, it.event_id)).collect()
    }

    /// What the log says otherwise than the event did: by that, its order would go unjudged.
    pub(super) fn misquoted(&self, record: &Record) -> Vec<String> {
        let place = |it: &Handed| (it.incarnation, it.session_seq);
        let handed: BTreeMap<_, _> =
            record.dealt().map(|(handed, _)| (handed.event_id.as_str(), place(handed))).collect();
        let wrong = self.events().filter(|(id, _, line)| {
            handed.get(id).is_none_or(|place| *place != (line.incarnation, line.session_seq))
        });
        wrong.map(|(id, _, line)| format!("{} {id}", line.hook)).collect()
    }

    /// What was done, and answered on no stream.
    pub(super) fn unanswered(&self, record: &Record) -> usize {
        let answered: BTreeSet<_> =
            record.dealt().filter_map(|(handed, answer)| answer.map(|_| handed.event_id.as_str())).collect();
        let done: BTreeSet<_> = self.events().map(|(id, _, _)| id).collect();
        done.difference(&answered).count()
    }

    /// Lives whose events were handled in another order than they were fired.
    pub(super) fn out_of_order(&self) -> Vec<u64> {
        let mut seen = BTreeSet::new();
        let mut newest: BTreeMap<(&str, u64), u64> = BTreeMap::new();
        let mut wrong = BTreeSet::new();
        for (id, _, line) in self.events().filter(|(_, _, line)| line.incarnation > 0 && line.session_seq > 0)
        {
            // What comes again comes later: only its first time counts.
            if seen.insert(id) {
                let newest = newest.entry((&line.ledger_id, line.incarnation)).or_default();
                if line.session_seq < *newest {
                    wrong.insert(line.incarnation);
                }
                *newest = line.session_seq.max(*newest);
            }
        }
        wrong.into_iter().collect()
    }
}

fn parse_line(line: &str) -> Result<Line, String> {
    let line: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let Some(fields) = line.as_object() else { return Err("it is no object".to_owned()) };
    let sweeps = fields.contains_key("swept");
    let needed: &[&str] = if sweeps { &["ledger_id"] } else { &OF_AN_EVENT };
    let missing = needed.iter().find(|name| !fields.contains_key(**name));
    match missing.filter(|_| !fields.contains_key("drain")) {
        Some(missing) => Err(format!("there is no {missing:?}")),
        None => serde_json::from_value(line).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(lines: &[(&str, u64, u64, bool)]) -> Effects {
        let line = |(id, incarnation, session_seq, changed): &(&str, u64, u64, bool)| Line {
            event_id: Some((*id).to_owned()),
            incarnation: *incarnation,
            session_seq: *session_seq,
            changed: *changed,
            ..Default::default()
        };
        Effects { lines: (1..).zip(lines.iter().map(line)).collect() }
    }

    const LINE: &str = r#"{"event_id":"a","hook":"h","ledger_id":"l","incarnation":1,"session_seq":1,"changed":true,"draining":false}"#;

    #[test]
    fn a_line_without_one_of_its_keys_is_named_and_so_is_the_key() {
        for key in OF_AN_EVENT {
            let mut fields: Value = serde_json::from_str(LINE).expect("an object");
            fields.as_object_mut().expect("an object").remove(key);
            let read = Effects::parse(&format!("{LINE}\n{fields}\n{LINE}\n"));
            assert_eq!(read.expect_err(key), Faulty(vec![format!("line 2, there is no {key:?}")]));
        }
        for line in ["7", "{", r#"{"swept":1}"#, &LINE.replace("true", "1")] {
            assert!(Effects::parse(&format!("{line}\n")).is_err(), "{line}");
        }
    }

    #[test]
    fn the_other_lines_have_keys_of_their_own_and_the_last_may_be_half() {
        let text = format!("{LINE}\n{{\"drain\":\"g\"}}\n{{\"swept\":1,\"ledger_id\":\"l\"}}\n{{\"event");
        let effects = Effects::parse(&text).expect("readable").expect("a log");
        assert_eq!(effects.lines().count(), 3);
        assert!(Effects::parse("").expect("readable").is_none());
    }

    #[test]
    fn what_is_applied_twice_is_named() {
        let log = effects(&[("a", 1, 1, true), ("b", 1, 2, true), ("b", 1, 2, true), ("a", 1, 1, false)]);
        assert_eq!(log.applied(), (2, vec!["b 2 times".to_owned()]));
    }

    #[test]
    fn order_counts_within_a_life_and_the_first_time() {
        let fine = effects(&[("a", 1, 1, true), ("x", 2, 1, true), ("b", 1, 2, true), ("a", 1, 1, false)]);
        assert!(fine.out_of_order().is_empty());
        assert_eq!(effects(&[("b", 1, 2, true), ("a", 1, 1, true)]).out_of_order(), [1]);
    }
}
