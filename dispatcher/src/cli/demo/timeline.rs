//! Who saw what, and when: one row for each start and end, one column for each plugin. Pure.

use std::{collections::HashMap, time::Duration};

use anstyle::Style;
use hookwire_protocol::hook;

use super::plugin::{Event, PLUGINS, Session};
use crate::cli::term;

/// How wide a plugin's column is.
const COLUMN: usize = 9;

/// How wide the column of what happened is.
const WHAT: usize = 16;

/// The label of a drain's row.
const DRAINS: &str = "the gateway drains";

/// What is said below the rows.
const LEGEND: &str = "Times in ms.  (n) announced, or delivered again.  \
     * made by Hookwire: the gateway did not say it.";

/// The rows, in the order in which they were first heard of.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    rows: Vec<Row>,
    by_id: HashMap<String, usize>,
}

#[derive(Debug)]
struct Row {
    at: Duration,
    /// The session, or whatever else it is about.
    label: String,
    /// Which life of that session; 0 where it is about none.
    incarnation: u64,
    what: String,
    style: Style,
    seen: [Option<Sight>; PLUGINS.len()],
}

#[derive(Clone, Copy, Debug)]
struct Sight {
    at: Duration,
    is_live: bool,
}

impl Timeline {
    /// A plugin was handed an event; only lifecycle events get a row.
    pub(super) fn event(&mut self, plugin: usize, at: Duration, event: &Event) {
        let mark = if event.synthetic { " *" } else { "" };
        let (what, style) = match event.hook.as_str() {
            hook::SESSION_START => (format!("start{mark}"), term::GOOD),
            hook::SESSION_END => (format!("end: {}{mark}", event.reason), term::ENDED),
            hook::GATEWAY_START => (String::new(), term::NOTE),
            hook::GATEWAY_STOP => (format!("{}{mark}", event.reason), term::NOTE),
            _ => return,
        };
        let (label, incarnation) = match &event.session {
            Some(session) => (name(session).to_owned(), session.incarnation),
            None => (event.hook.clone(), 0),
        };
        let row = Row { at, label, incarnation, what, style, seen: Default::default() };
        self.see(&event.event_id, plugin, Sight { at, is_live: event.kind == "live" }, row);
    }

    /// A plugin was told that a boot of the gateway is being drained.
    pub(super) fn drain(&mut self, plugin: usize, at: Duration, boot: &str, reason: &str) {
        let label = DRAINS.to_owned();
        let row = Row {
            at,
            label,
            incarnation: 0,
            what: reason.to_owned(),
            style: term::NOTE,
            seen: Default::default(),
        };
        self.see(boot, plugin, Sight { at, is_live: true }, row);
    }

    /// Something happened outside of the plugins.
    pub(super) fn note(&mut self, at: Duration, text: impl Into<String>) {
        self.rows.push(Row {
            at,
            label: text.into(),
            incarnation: 0,
            what: String::new(),
            style: term::DIM,
            seen: Default::default(),
        });
    }

    /// What a plugin saw twice, it saw when it saw it first.
    fn see(&mut self, id: &str, plugin: usize, sight: Sight, row: Row) {
        let index = *self.by_id.entry(id.to_owned()).or_insert_with(|| {
            self.rows.push(row);
            self.rows.len() - 1
        });
        self.rows[index].seen[plugin].get_or_insert(sight);
    }

    /// The rows for a terminal, aligned; the caller takes the colours away elsewhere.
    pub(super) fn render(&self) -> String {
        let is_session = |row: &&Row| row.incarnation > 0;
        let width = self.rows.iter().filter(is_session).map(|row| row.label.chars().count()).max();
        let width = width.unwrap_or(0).max(DRAINS.len());
        let plugins: String = PLUGINS.iter().map(|plugin| format!("{:>COLUMN$}", plugin.name)).collect();
        let header = format!("{:>6}  {:width$}  life  {:WHAT$}{plugins}", "ms", "session", "");
        let mut lines = vec![term::paint(term::DIM, header)];
        lines.extend(self.rows.iter().map(|row| row.render(width)));
        lines.push(term::paint(term::DIM, LEGEND));
        lines.join("\n")
    }
}

impl Row {
    fn render(&self, width: usize) -> String {
        let at = term::paint(term::DIM, format_args!("{:>6}", self.at.as_millis()));
        let label = term::clean(&self.label);
        if self.is_note() {
            return format!("{at}  {}", term::paint(self.style, label));
        }
        let what = format!("{:WHAT$}", term::clean(&self.what));
        let seen: String = self.seen.iter().map(|sight| Sight::render(*sight)).collect();
        let seen = seen.trim_end();
        // Of a session's row only what happened is coloured.
        match self.incarnation {
            0 => format!("{at}  {}{seen}", term::paint(self.style, format_args!("{label:width$}        {what}"))),
            life => format!("{at}  {label:width$}  {:>4}  {}{seen}", format!("#{life}"), term::paint(self.style, what)),
        }
    }

    fn is_note(&self) -> bool {
        self.seen.iter().all(Option::is_none)
    }
}

impl Sight {
    fn render(sight: Option<Self>) -> String {
        let text = match sight {
            Some(Self { at, is_live: true }) => at.as_millis().to_string(),
            Some(Self { at, is_live: false }) => format!("({})", at.as_millis()),
            None => String::new(),
        };
        format!("{text:>COLUMN$}")
    }
}

/// What a person calls the session.
fn name(session: &Session) -> &str {
    if session.key.is_empty() { &session.id } else { &session.key }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, hook: &str, incarnation: u64) -> Event {
        let session = (incarnation > 0).then(|| Session { id: "s".into(), key: "chat".into(), incarnation });
        Event { event_id: id.into(), hook: hook.into(), kind: "live".into(), session, ..Event::default() }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn everybody_sees_one_event_in_one_row() {
        let mut timeline = Timeline::default();
        timeline.event(0, ms(1), &event("boot", "gateway_start", 0));
        timeline.event(0, ms(2), &event("a", "session_start", 7));
        timeline.event(0, ms(3), &event("chat", "llm_input", 7));
        timeline.event(1, ms(3), &event("a", "session_start", 7));
        timeline.note(ms(9), "late joins");
        timeline.event(2, ms(10), &Event { kind: "announced".into(), ..event("a", "session_start", 7) });
        timeline.event(1, ms(11), &event("a", "session_start", 7));
        let end = Event { reason: "lost".into(), synthetic: true, ..event("b", "session_end", 7) };
        timeline.event(1, ms(1200), &end);
        timeline.drain(0, ms(1300), "boot id", "shutdown");
        let text = anstream::adapter::strip_str(&timeline.render()).to_string();
        let expected = [
            "    ms  session             life                     prompt     slow     late",
            "     1  gateway_start                                     1",
            "     2  chat                  #7  start                   2        3     (10)",
            "     9  late joins",
            "  1200  chat                  #7  end: lost *                   1200",
            "  1300  the gateway drains        shutdown             1300",
            LEGEND,
        ];
        assert_eq!(text, expected.join("\n"));
    }

    #[test]
    fn a_session_without_a_key_goes_by_its_id() {
        assert_eq!(name(&Session { id: "s".into(), ..Session::default() }), "s");
    }
}
