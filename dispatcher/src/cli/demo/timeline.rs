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

/// How the rows are read.
pub(super) const LEGEND: &str = "\
    life   the session's incarnation: a reset keeps its id, and begins another life\n\
    *      made by Hookwire, where the gateway said nothing\n\
    12     when a plugin saw it, in ms; (12): announced, or delivered again\n\
    blank  it was not handed out, and so no end is owed";

/// The rows, and who saw them.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    rows: Vec<Row>,
    by_id: HashMap<String, usize>,
}

#[derive(Debug)]
struct Row {
    /// When it was first heard of.
    at: Duration,
    about: About,
    seen: [Option<Sight>; PLUGINS.len()],
}

#[derive(Debug)]
enum About {
    /// A session: its name, which of its lives, and what became of it.
    Session { name: String, incarnation: u64, what: String, style: Style },
    /// The gateway: what it did, and why.
    Gateway { did: String, why: String },
    /// Something outside of the plugins.
    Note(String),
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
        let about = match (event.hook.as_str(), &event.session) {
            (hook::SESSION_START, Some(session)) => {
                About::session(session, format!("start{mark}"), term::GOOD)
            }
            (hook::SESSION_END, Some(session)) => {
                About::session(session, format!("end: {}{mark}", event.reason), term::ENDED)
            }
            (hook::GATEWAY_START, _) => {
                About::Gateway { did: "the gateway starts".to_owned(), why: String::new() }
            }
            (hook::GATEWAY_STOP, _) => {
                About::Gateway { did: "the gateway stops".to_owned(), why: format!("{}{mark}", event.reason) }
            }
            _ => return,
        };
        self.see(&event.event_id, plugin, Sight { at, is_live: event.kind == "live" }, about);
    }

    /// A plugin was told that a boot of the gateway is being drained.
    pub(super) fn drain(&mut self, plugin: usize, at: Duration, boot: &str, reason: &str) {
        let about = About::Gateway { did: "a drain begins".to_owned(), why: reason.to_owned() };
        self.see(boot, plugin, Sight { at, is_live: true }, about);
    }

    /// Something happened outside of the plugins.
    pub(super) fn note(&mut self, at: Duration, text: impl Into<String>) {
        self.rows.push(Row { at, about: About::Note(text.into()), seen: Default::default() });
    }

    /// What a plugin saw twice, it saw when it saw it first.
    fn see(&mut self, id: &str, plugin: usize, sight: Sight, about: About) {
        let index = *self.by_id.entry(id.to_owned()).or_insert_with(|| {
            self.rows.push(Row { at: sight.at, about, seen: Default::default() });
            self.rows.len() - 1
        });
        self.rows[index].seen[plugin].get_or_insert(sight);
    }

    /// The rows for a terminal, aligned; the caller takes the colours away elsewhere.
    pub(super) fn render(&self) -> String {
        let width = self.rows.iter().map(|row| row.about.width()).max().unwrap_or(0);
        let plugins: String = PLUGINS.iter().map(|plugin| format!("{:>COLUMN$}", plugin.name)).collect();
        let header = format!("{:width$}  life  {:WHAT$}{plugins}", "session", "");
        let mut lines = vec![term::paint(term::DIM, header)];
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.order());
        lines.extend(rows.iter().map(|row| row.render(width)));
        lines.join("\n")
    }
}

impl Row {
    /// As the first plugin saw it: that one takes every hook, and what several processes print at the same time comes
    /// in any order.
    fn order(&self) -> Duration {
        self.seen[0].map_or(self.at, |sight| sight.at)
    }

    fn render(&self, width: usize) -> String {
        let seen: String = self.seen.iter().map(|sight| Sight::render(*sight)).collect();
        let seen = seen.trim_end();
        match &self.about {
            About::Session { name, incarnation, what, style } => {
                let (name, life) = (term::clean(name), format!("#{incarnation}"));
                let what = term::paint(*style, format_args!("{what:WHAT$}"));
                format!("{name:width$}  {life:>4}  {what}{seen}")
            }
            About::Gateway { did, why } => {
                format!("{}{seen}", term::paint(term::NOTE, format_args!("{did:width$}        {why:WHAT$}")))
            }
            About::Note(text) => {
                term::paint(term::NOTE, format_args!("── {} ms: {text}", self.at.as_millis()))
            }
        }
    }
}

impl About {
    /// A session goes by its key, where it has one.
    fn session(Session { id, key, incarnation }: &Session, what: String, style: Style) -> Self {
        let name = if key.is_empty() { id } else { key };
        Self::Session { name: name.clone(), incarnation: *incarnation, what, style }
    }

    /// How much room it needs in the first column.
    fn width(&self) -> usize {
        match self {
            Self::Session { name, .. } => term::clean(name).chars().count(),
            Self::Gateway { did, .. } => did.len(),
            Self::Note(_) => 0,
        }
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

    fn plain(timeline: &Timeline) -> Vec<String> {
        let text = anstream::adapter::strip_str(&timeline.render()).to_string();
        text.lines().map(str::to_owned).collect()
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
        let expected = [
            "session             life                     prompt     slow     late",
            "the gateway starts                                1",
            "chat                  #7  start                   2        3     (10)",
            "── 9 ms: late joins",
            "chat                  #7  end: lost *                   1200",
            "a drain begins            shutdown             1300",
        ];
        assert_eq!(plain(&timeline), expected);
    }

    #[test]
    fn rows_are_in_the_order_of_the_first_plugin() {
        let mut timeline = Timeline::default();
        timeline.event(1, ms(1), &event("a", "session_start", 7));
        timeline.event(0, ms(2), &event("boot", "gateway_start", 0));
        timeline.event(0, ms(3), &event("a", "session_start", 7));
        let rows = plain(&timeline);
        assert!(rows[1].starts_with("the gateway starts") && rows[2].starts_with("chat"), "{rows:?}");
    }

    #[test]
    fn a_session_without_a_key_goes_by_its_id() {
        let session = Session { id: "s".into(), ..Session::default() };
        let about = About::session(&session, String::new(), term::GOOD);
        assert!(matches!(about, About::Session { name, .. } if name == "s"));
    }
}
