//! What is on the wire, held against the model: messages here, deliveries in [`delivery`], silence in [`idle`].

mod delivery;
mod idle;

pub(super) use self::{delivery::ids_are_distinct, idle::observe_silence};

use hookwire_protocol::v1::{
    self, BatchKind, GapCause, GoodbyeReason, RetentionKind, subscribe_response::Message,
};
use prost::Message as _;

use super::{
    Checked,
    model::{Delivered, Model},
    rule,
    world::LEDGER,
};
use crate::serve::frame::Frame;

/// Takes a frame's bytes apart. They are what any protobuf encoder writes: equal messages are equal bytes.
pub(super) fn decode(frame: &Frame) -> Checked<Message> {
    let whole = frame.pieces.concat();
    rule!(whole.len() > 5 && whole[0] == 0, "not a gRPC message: {whole:?}");
    let length = u32::from_be_bytes([whole[1], whole[2], whole[3], whole[4]]) as usize;
    rule!(length == whole.len() - 5, "the prefix says {length} bytes, there are {}", whole.len() - 5);
    let response = v1::SubscribeResponse::decode(&whole[5..]).map_err(|error| error.to_string())?;
    let canonical = response.encode_to_vec() == whole[5..];
    let message = response.message.ok_or("an empty message")?;
    // A batch says its budget even where that is 0.
    let spent = matches!(&message, Message::Events(batch) if batch.budget_ms == 0);
    rule!(canonical || spent, "encoded in a way of its own: {message:?}");
    let last = matches!(message, Message::Goodbye(_));
    rule!(frame.last == last, "whether it is the last frame: {message:?}");
    Ok(message)
}

/// Judges one message on a plugin's present stream.
pub(super) fn observe(model: &mut Model, ix: usize, message: &Message) -> Checked {
    let stream = model.stream(ix);
    rule!(!stream.goodbye, "something after Goodbye: {message:?}");
    let first = matches!(message, Message::Welcome(_));
    rule!(first != stream.welcomed, "Welcome is first, and comes once: {message:?}");
    match message {
        Message::Welcome(welcome) => observe_welcome(model, ix, welcome),
        Message::Events(batch) => observe_batch(model, ix, batch),
        Message::CaughtUp(caught_up) => observe_caught_up(model, ix, *caught_up),
        Message::Gap(gap) if gap.cause() == GapCause::Expired => {
            let untold = model.plugins[&ix].untold;
            let (entries, events) = untold;
            model.count_untold(ix, (0, events));
            rule!(gap.count == entries && entries > 0 && gap.bytes > 0, "{untold:?} expired: {gap:?}");
            Ok(())
        }
        Message::Gap(gap) if gap.cause() == GapCause::EventsExpired => {
            let untold = model.plugins[&ix].untold;
            let (entries, events) = untold;
            model.count_untold(ix, (entries, 0));
            rule!(gap.count == events && events > 0 && gap.bytes > 0, "{untold:?} expired: {gap:?}");
            Ok(())
        }
        Message::Gap(gap) => {
            let plugin = model.plugins.get_mut(&ix).unwrap();
            rule!(gap.count > 0 && gap.bytes > 0, "an empty {gap:?}");
            rule!(gap.count <= plugin.outstanding, "{gap:?}, and only {} can be lost", plugin.outstanding);
            plugin.outstanding -= gap.count;
            Ok(())
        }
        Message::DrainNotice(notice) => {
            let due = model.stream(ix).notices.pop_front();
            rule!(due.as_ref() == Some(notice), "{notice:?}, due is {due:?}");
            Ok(())
        }
        Message::DrainSummary(summary) => {
            let due = model.stream(ix).summaries.pop_front();
            rule!(due.as_ref() == Some(summary), "{summary:?}, due is {due:?}");
            Ok(())
        }
        Message::Goodbye(goodbye) => {
            let stopping = model.stopping;
            let stream = model.stream(ix);
            stream.goodbye = true;
            let told = match goodbye.reason() {
                GoodbyeReason::Slow => stream.may_be_slow,
                GoodbyeReason::Stopping => stopping,
                _ => false,
            };
            rule!(told, "{goodbye:?}");
            Ok(())
        }
    }
}

fn observe_welcome(model: &mut Model, ix: usize, welcome: &v1::subscribe_response::Welcome) -> Checked {
    let began = model.stream(ix).began;
    let (older, newer) = (model.stream_epochs.range(..began), model.stream_epochs.range(began..));
    rule!(older.into_iter().all(|(_, older)| *older < welcome.stream_epoch), "an old epoch: {welcome:?}");
    rule!(newer.into_iter().all(|(_, newer)| *newer > welcome.stream_epoch), "a new epoch: {welcome:?}");
    model.stream_epochs.insert(began, welcome.stream_epoch);
    rule!(welcome.stream_epoch >> 32 == u64::from(welcome.dispatcher_epoch), "{welcome:?}");
    let (wants, kept) = (model.plugins[&ix].wants, model.plugins[&ix].kept);
    let stream = model.stream(ix);
    stream.welcomed = true;
    rule!(welcome.ledger_id == LEDGER, "{welcome:?}");
    rule!(welcome.known == stream.known, "known should be {}", stream.known);
    rule!(welcome.ends_owed == stream.ends_owed, "{} ends owed: {welcome:?}", stream.ends_owed);
    rule!(
        welcome.starts_to_replay == stream.starts_to_replay,
        "{} starts to replay: {welcome:?}",
        stream.starts_to_replay
    );
    rule!(welcome.max_in_flight as usize == stream.window, "a window of {}: {welcome:?}", stream.window);
    rule!(welcome.filter == Some(wants.filter()), "{welcome:?}");
    let expired = welcome.expired.map(|expired| (expired.entries, expired.events));
    let untold = model.plugins[&ix].untold;
    rule!(expired == Some(untold), "{untold:?} expired: {welcome:?}");
    model.count_untold(ix, (0, 0));
    let (max_age_ms, max_bytes) = (kept.seconds * 1000, kept.bytes);
    let retention = v1::Retention { kind: RetentionKind::Owed.into(), max_age_ms, max_bytes };
    rule!(welcome.retention == Some(retention), "{kept:?}: {welcome:?}");
    let lifecycle = |hook: &String| hook.starts_with("session_") || hook == "*";
    rule!(welcome.granted_hooks.iter().any(lifecycle) == wants.lifecycle(), "{welcome:?}");
    Ok(())
}

/// Replay and announcements are done, and counted.
fn observe_caught_up(model: &mut Model, ix: usize, caught_up: v1::CaughtUp) -> Checked {
    let plugin = &model.plugins[&ix];
    let stream = plugin.stream.as_ref().unwrap();
    rule!(!stream.caught_up, "CaughtUp twice");
    rule!(stream.replay_starts.is_empty(), "CaughtUp before the starts of {:?}", stream.replay_starts);
    rule!(stream.replay_ends.is_empty(), "CaughtUp before the ends of {:?}", stream.replay_ends);
    rule!(caught_up.replayed == stream.replayed, "{} were replayed: {caught_up:?}", stream.replayed);
    rule!(caught_up.announced == stream.announced, "{} were announced: {caught_up:?}", stream.announced);
    if stream.announce {
        for (life, held) in model.alive().filter(|(life, _)| !stream.starts.contains(life)) {
            let wanted = plugin.wants.lifecycle() && plugin.wants.session(held.key, held.agent);
            // One that began after the last announcement comes live; so does one that waits for an end.
            rule!(!wanted || plugin.wanted.contains(&life), "{life} was not announced");
        }
        // Its end may have been decided meanwhile, and come live: the plugin must not sweep it.
        let named = |life: &&u64| stream.starts.contains(life) || stream.ends.contains(life);
        let unnamed = plugin.entries.keys().find(|life| !named(life));
        rule!(unnamed.is_none(), "{unnamed:?} is held open, and was not named");
    }
    model.stream(ix).caught_up = true;
    Ok(())
}

fn observe_batch(model: &mut Model, ix: usize, batch: &v1::EventBatch) -> Checked {
    rule!(!batch.events.is_empty(), "an empty batch");
    let next = model.stream(ix).deliveries.len() as u64 + 1;
    rule!(batch.first_seq == next, "seq {} where {next} is next", batch.first_seq);
    let kind = batch.kind();
    rule!(kind != BatchKind::Unspecified, "a batch of no kind");
    for event in &batch.events {
        let name = |error| format!("{kind:?} {event:?}:\n    {error}");
        delivery::observe(model, ix, kind, event).map_err(name)?;
    }
    window_is_kept(model, ix)
}

/// Other events that are not answered fit the window, save those that an end may have taken along.
fn window_is_kept(model: &mut Model, ix: usize) -> Checked {
    let stream = model.stream(ix);
    let unanswered = stream.deliveries.iter().filter(|delivery| !delivery.answered);
    let windowed = unanswered.filter(|it| matches!(it.what, Delivered::Event { windowed: true })).count();
    rule!(windowed <= stream.window, "{windowed} events in a window of {}", stream.window);
    Ok(())
}
