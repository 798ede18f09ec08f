//! Silence: when a stream has nothing more to say, nothing may be due on it.

use crate::machine::tests::{
    Checked,
    model::{Delivered, Model, Plugin, Stream},
    rule,
};

/// Judges that a pull brought nothing.
pub(in crate::machine::tests) fn observe_silence(model: &Model, ix: usize) -> Checked {
    let plugin = &model.plugins[&ix];
    let stream = plugin.stream.as_ref().unwrap();
    rule!(stream.welcomed, "no Welcome");
    rule!(plugin.untold == (0, 0), "it was not told of {:?} that expired", plugin.untold);
    rule!(stream.notices.is_empty(), "due are {:?}", stream.notices);
    rule!(stream.stops.is_empty(), "due are {:?}", stream.stops);
    rule!(stream.summaries.is_empty(), "due are {:?}", stream.summaries);
    for (life, at) in &stream.retries {
        rule!(*at > model.now, "{life} was to be written again at {at:?}");
    }
    if stream.caught_up { all_is_written(model, plugin, stream) } else { replay_waits(plugin, stream) }
}

/// CaughtUp waits for ends whose start is not answered, and for nothing else.
fn replay_waits(plugin: &Plugin, stream: &Stream) -> Checked {
    let starts = &stream.replay_starts;
    rule!(starts.is_empty(), "the starts of {starts:?} are to be replayed");
    let waits = |life: &u64| !plugin.entries[life];
    let ready: Vec<_> = stream.replay_ends.iter().filter(|life| !waits(life)).collect();
    rule!(ready.is_empty(), "the ends of {ready:?} are to be replayed");
    rule!(!stream.replay_ends.is_empty(), "all is replayed: CaughtUp is due");
    Ok(())
}

fn all_is_written(model: &Model, plugin: &Plugin, stream: &Stream) -> Checked {
    for (life, settled) in &plugin.entries {
        let again = stream.retries.contains_key(life);
        let ended = model.lives[life].end.is_some();
        rule!(again || *settled || stream.starts.contains(life), "the start of {life} is due");
        rule!(again || !settled || !ended || stream.ends.contains(life), "the end of {life} is due");
    }
    for life in &plugin.wanted {
        // An end that an earlier stream carried may be waited for once more.
        let waits = !model.blockers(plugin, *life, &stream.ends).is_empty();
        rule!(waits, "the start of {life} is due");
    }
    let unanswered = stream.deliveries.iter().filter(|delivery| !delivery.answered);
    let events = unanswered.filter(|delivery| matches!(delivery.what, Delivered::Event { .. })).count();
    let waits = events >= stream.window || !plugin.wanted.is_empty();
    rule!(waits || plugin.outstanding == 0, "{} events are due", plugin.outstanding);
    Ok(())
}
