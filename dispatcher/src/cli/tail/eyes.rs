//! A delivery as a line for eyes: aligned, coloured, and harmless to the terminal.

use anstyle::Style;
use hookwire_protocol::v1::{
    BatchKind, Disposition, DrainNotice, DrainSummary, Event, EventBatch, GapCause, Session,
    event::Payload,
    subscribe_response::{Goodbye, Message, Welcome},
};

use super::json;
use crate::cli::{
    names,
    term::{BAD, DIM, ENDED, GOOD, NOTE, clean, paint, span},
};

/// As wide as a time, `10:37:41.856`.
const NO_TIME: &str = "            ";

/// One line for each event of a batch, and one for any other message, each with its line feed.
pub(super) fn lines(message: &Message) -> String {
    let (style, text) = match message {
        Message::Events(batch) => return event_lines(batch),
        Message::Welcome(welcome) => (NOTE, welcome_text(welcome)),
        Message::CaughtUp(caught_up) => {
            (NOTE, format!("caught up: {} replayed, {} announced", caught_up.replayed, caught_up.announced))
        }
        Message::Gap(gap) if gap.cause() == GapCause::Expired => {
            (BAD, format!("gap: {} sessions expired, their ends will not come", gap.count))
        }
        Message::Gap(gap) => (
            BAD,
            format!("gap: {} events, {} bytes lost ({})", gap.count, gap.bytes, names::gap_cause(gap.cause)),
        ),
        Message::DrainNotice(notice) => (ENDED, notice_text(notice)),
        Message::DrainSummary(summary) => {
            (if summary.carried_over == 0 { GOOD } else { BAD }, summary_text(summary))
        }
        Message::Goodbye(goodbye) => (NOTE, goodbye_text(goodbye)),
    };
    format!("{NO_TIME}  {}\n", paint(style, text))
}

fn event_lines(batch: &EventBatch) -> String {
    let mark = match batch.kind() {
        BatchKind::Live | BatchKind::Unspecified => ' ',
        BatchKind::Announced => '+',
        BatchKind::Redelivered => '↻',
    };
    batch.events.iter().map(|event| event_line(mark, event)).collect()
}

fn event_line(mark: char, event: &Event) -> String {
    // The date is the same all day long: the time of day is enough for eyes.
    let time = json::rfc3339(event.time_unix_nano).map_or(NO_TIME.to_owned(), |time| time[11..23].to_owned());
    let hook = paint(style(event), format!("{:<20}", clean(&event.hook)));
    let session = event.session.as_ref().map(session_text).unwrap_or_default();
    let line = format!("{} {mark} {hook}  {session}  {}", paint(DIM, time), remarks(event).join(", "));
    format!("{}\n", line.trim_end())
}

/// Starts and ends stand out; what a plugin sees most does not.
fn style(event: &Event) -> Style {
    match &event.payload {
        Some(Payload::SessionStart(_)) => GOOD,
        Some(Payload::SessionEnd(end)) if end.disposition() == Disposition::Unknown => BAD,
        Some(Payload::SessionEnd(_)) => ENDED,
        Some(Payload::GatewayStart(_) | Payload::GatewayStop(_)) => NOTE,
        Some(Payload::Json(_)) | None => Style::new(),
    }
}

/// Incarnation, short id and key: `#12  9698fe89  agent:main:telegram:42`.
fn session_text(session: &Session) -> String {
    let life = match session.incarnation {
        0 => String::new(),
        incarnation => format!("#{incarnation}"),
    };
    let short: String = session.id.chars().take(8).collect();
    format!("{life:<5} {:<8}  {}", clean(&short), clean(&session.key))
}

fn remarks(event: &Event) -> Vec<String> {
    let mut remarks = Vec::new();
    remarks.extend(event.payload.as_ref().and_then(json::reason));
    match &event.payload {
        Some(Payload::SessionEnd(end)) => {
            remarks.push(names::disposition(end.disposition));
            remarks.extend(named("next", &end.next_session_id));
        }
        Some(Payload::SessionStart(start)) => remarks.extend(named("resumed from", &start.resumed_from)),
        Some(Payload::GatewayStop(stop)) => {
            remarks.extend(Some(clean(&stop.text).into_owned()).filter(|text| !text.is_empty()))
        }
        _ => {}
    }
    let flags = [(event.synthetic, "synthetic"), (event.late, "late")];
    remarks.extend(flags.iter().filter(|(set, _)| *set).map(|&(_, flag)| flag.to_owned()));
    remarks
}

fn named(name: &str, value: &str) -> Option<String> {
    (!value.is_empty()).then(|| format!("{name} {}", clean(value)))
}

fn welcome_text(welcome: &Welcome) -> String {
    let mut text = format!(
        "welcome: ledger {}, {}, {} ends owed, {} starts to replay",
        clean(&welcome.ledger_id),
        if welcome.known { "known here" } else { "not known here" },
        welcome.ends_owed,
        welcome.starts_to_replay,
    );
    if !welcome.unknown_hooks.is_empty() {
        text = format!("{text}, matching nothing yet: {}", clean(&welcome.unknown_hooks.join(" ")));
    }
    if let Some(expired) = welcome.expired.filter(|expired| expired.entries + expired.events > 0) {
        text = format!("{text}, expired: {} sessions, {} events", expired.entries, expired.events);
    }
    text
}

fn notice_text(notice: &DrainNotice) -> String {
    let back = match notice.restart_expected_ms {
        0 => String::new(),
        ms => format!(", back in {}", span(ms.into())),
    };
    format!(
        "drain of {}: {}, {} ends owed within {}{back}",
        clean(&notice.gateway_id),
        names::stop_reason(notice.reason),
        notice.ends_owed,
        span(notice.budget_ms.into()),
    )
}

fn summary_text(summary: &DrainSummary) -> String {
    format!(
        "drained {} in {}: {} owed, {} acked, {} accepted, {} rejected, {} carried over",
        clean(&summary.gateway_id),
        span(summary.elapsed_ms.into()),
        summary.owed,
        summary.acked,
        summary.accepted,
        summary.rejected,
        summary.carried_over,
    )
}

fn goodbye_text(goodbye: &Goodbye) -> String {
    let reason = names::goodbye_reason(goodbye.reason);
    match &*goodbye.text {
        "" => format!("goodbye ({reason})"),
        text => format!("goodbye ({reason}): {}", clean(text)),
    }
}

#[cfg(test)]
mod tests {
    use hookwire_protocol::v1::{GoodbyeReason, SessionEnd, SessionEndReason, SessionStart};

    use super::*;

    fn plain(message: Message) -> String {
        anstream::adapter::strip_str(&lines(&message)).to_string()
    }

    fn event(hook: &str, payload: Payload) -> Event {
        let session = Session {
            id: "9698fe89-f837".into(),
            key: "agent:main:42".into(),
            incarnation: 12,
            ..Default::default()
        };
        Event {
            hook: hook.into(),
            session: Some(session),
            time_unix_nano: 1_795_343_861_856_000_000,
            payload: Some(payload),
            ..Default::default()
        }
    }

    #[test]
    fn events_are_aligned() {
        let end = SessionEnd {
            reason: SessionEndReason::Reset.into(),
            disposition: Disposition::Ended.into(),
            ..Default::default()
        };
        let late = Event { late: true, ..event("message_received", Payload::Json("{}".into())) };
        let events = vec![
            event("session_start", Payload::SessionStart(SessionStart::default())),
            event("session_end", Payload::SessionEnd(end)),
            late,
            Event { hook: "cron_changed".into(), ..Default::default() },
        ];
        let batch = EventBatch { kind: BatchKind::Redelivered.into(), events, ..Default::default() };
        assert_eq!(
            plain(Message::Events(batch)),
            concat!(
                "10:37:41.856 ↻ session_start         #12   9698fe89  agent:main:42\n",
                "10:37:41.856 ↻ session_end           #12   9698fe89  agent:main:42  reset, ended\n",
                "10:37:41.856 ↻ message_received      #12   9698fe89  agent:main:42  late\n",
                "             ↻ cron_changed\n",
            )
        );
    }

    #[test]
    fn a_goodbye_says_why() {
        let reason = GoodbyeReason::Displaced.into();
        let goodbye = Goodbye { reason, text: "a newer\u{1b} stream".into(), ..Default::default() };
        assert_eq!(
            plain(Message::Goodbye(goodbye)),
            format!("{NO_TIME}  goodbye (displaced): a newer\\u{{1b}} stream\n")
        );
        assert_eq!(
            plain(Message::Goodbye(Goodbye::default())),
            format!("{NO_TIME}  goodbye (unspecified)\n")
        );
    }
}
