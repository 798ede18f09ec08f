//! One delivery: a start, an end, a gateway_stop or any other event.

use std::collections::BTreeSet;

use hookwire_protocol::v1::{self, BatchKind, Disposition, event::Payload};

use crate::machine::tests::{
    Checked,
    model::{Delivered, Delivery, Model, Stop},
    rule,
    schedule::{GATEWAYS, PLUGINS},
};

/// Judges a delivery and writes it down.
pub(super) fn observe(model: &mut Model, ix: usize, kind: BatchKind, event: &v1::Event) -> Checked {
    let what = match &event.payload {
        Some(Payload::SessionStart(start)) => observe_start(model, ix, kind, event, start)?,
        Some(Payload::SessionEnd(end)) => observe_end(model, ix, kind, event, end)?,
        Some(Payload::GatewayStop(stop)) => observe_stop(model, ix, kind, event, stop)?,
        _ => observe_other(model, ix, kind, event)?,
    };
    let stream = model.stream(ix);
    if !stream.caught_up {
        stream.replayed += u64::from(kind == BatchKind::Redelivered);
        stream.announced += u64::from(kind == BatchKind::Announced);
    }
    stream.deliveries.push(Delivery { what, answered: false });
    Ok(())
}

/// The life that a start or an end names, which has to be that life's in all it says of it.
fn life_of(model: &Model, event: &v1::Event) -> Checked<u64> {
    let session = event.session.as_ref().ok_or("no session")?;
    let held = model.lives.get(&session.incarnation).ok_or("a phantom life")?;
    rule!(
        (session.id.as_str(), session.key.as_str(), session.agent_id.as_str())
            == (held.id, held.key, held.agent),
        "not the session of {held:?}"
    );
    rule!(event.gateway_id == GATEWAYS[held.gateway], "another gateway than {held:?}");
    rule!(!event.late, "a late start or end");
    Ok(session.incarnation)
}

fn observe_start(
    model: &mut Model,
    ix: usize,
    kind: BatchKind,
    event: &v1::Event,
    start: &v1::SessionStart,
) -> Checked<Delivered> {
    let life = life_of(model, event)?;
    let held = &model.lives[&life];
    rule!(event.hook == "session_start" && event.session_seq == 1, "not how a start begins");
    rule!(event.synthetic == held.synthetic && event.boot_id == held.boot, "unlike {held:?}");
    if start.previous_incarnation != 0 {
        let earlier = model.lives.get(&start.previous_incarnation).ok_or("a phantom before it")?;
        let lived_before = (earlier.gateway, earlier.id) == (held.gateway, held.id)
            && start.previous_incarnation < life
            && earlier.end.as_ref().is_some_and(|end| end.reason == start.previous_reason());
        rule!(lived_before, "it names {earlier:?} as the life before");
    }
    may_be_handed(model, ix, kind, life)?;
    let seen = model.lives.get_mut(&life).unwrap().start_seen.get_or_insert_with(|| event.clone());
    rule!(seen == event, "other bytes than {seen:?}");
    let plugin = model.plugins.get_mut(&ix).unwrap();
    plugin.handed_or_not(life);
    if plugin.entries.insert(life, false).unwrap_or(false) {
        plugin.entries.insert(life, true); // it was settled before: an announcement does not undo that
    }
    plugin.session_seqs.entry(life).or_insert(1);
    let stream = plugin.stream.as_mut().unwrap();
    stream.starts.insert(life);
    stream.retries.remove(&life);
    stream.replay_starts.remove(&life);
    Ok(Delivered::Start(life))
}

/// When a start may be written.
fn may_be_handed(model: &Model, ix: usize, kind: BatchKind, life: u64) -> Checked {
    let plugin = &model.plugins[&ix];
    let stream = plugin.stream.as_ref().unwrap();
    let (held, entry) = (&model.lives[&life], plugin.entries.get(&life));
    let written = stream.starts.contains(&life);
    match kind {
        BatchKind::Redelivered => {
            rule!(entry == Some(&false), "its start is owed no redelivery");
            let retry = stream.retries.get(&life).is_some_and(|at| *at <= model.now);
            rule!(retry || !written, "written again without a RETRY, or before its time");
            rule!(retry || !stream.caught_up, "of an earlier stream, behind CaughtUp");
            rule!(retry || stream.announced == 0, "of an earlier stream, behind an announcement");
            return Ok(()); // a redelivery may come after anything
        }
        BatchKind::Announced => {
            rule!(stream.announce && !stream.caught_up, "announced when nobody asked");
            let due = held.end.is_none() || (entry.is_some() && !stream.ends.contains(&life));
            rule!(due && !written, "announced though it is over, or was written here before");
            let wanted = plugin.wants.lifecycle() && plugin.wants.session(held.key, held.agent);
            rule!(wanted || entry.is_some(), "it does not match the filter");
        }
        _ => {
            rule!(stream.caught_up, "live before CaughtUp");
            rule!(plugin.wanted.contains(&life), "{} is not to be handed its start", PLUGINS[ix]);
        }
    }
    if entry.is_none() {
        let blockers = model.blockers(plugin, life, &plugin.ends_written);
        rule!(blockers.is_empty(), "before the ends of {blockers:?}, which have the same id or key");
        rule!(!plugin.ends_written.contains(&life), "a start behind its end");
    }
    Ok(())
}

fn observe_end(
    model: &mut Model,
    ix: usize,
    kind: BatchKind,
    event: &v1::Event,
    end: &v1::SessionEnd,
) -> Checked<Delivered> {
    let life = life_of(model, event)?;
    let (held, plugin) = (&model.lives[&life], &model.plugins[&ix]);
    let decided = held.end.as_ref().ok_or("its end is not decided")?;
    rule!(event.hook == "session_end" && event.session_seq == held.seq + 1, "not how {held:?} ends");
    rule!(end.reason() == decided.reason, "it ended for {:?}", decided.reason);
    rule!(end.disposition() == disposition(decided.reason), "a disposition of another reason");
    rule!(end.last_session_seq == held.seq, "its last session_seq was {}", held.seq);
    rule!(plugin.entries.contains_key(&life), "{} has no entry for it", PLUGINS[ix]);
    rule!(plugin.entries[&life], "its start is not settled");
    let stream = plugin.stream.as_ref().unwrap();
    let retry = stream.retries.get(&life).is_some_and(|at| *at <= model.now);
    rule!(retry || !stream.ends.contains(&life), "written again without a RETRY, or before its time");
    let earlier = decided.decided < stream.began;
    match kind {
        BatchKind::Redelivered => {
            rule!(earlier || stream.retried.contains(&life), "it was decided on this stream");
            rule!(!stream.caught_up || stream.retried.contains(&life), "replayed behind CaughtUp");
        }
        BatchKind::Live => {
            rule!(!earlier, "it was decided before this stream");
            rule!(stream.caught_up || model.drained.contains(&held.gateway), "live before CaughtUp");
        }
        _ => return Err("an end is never announced".to_owned()),
    }
    let decided = model.lives.get_mut(&life).unwrap().end.as_mut().unwrap();
    let seen = decided.seen.get_or_insert_with(|| event.clone());
    rule!(seen == event, "other bytes than {seen:?}");
    let plugin = model.plugins.get_mut(&ix).unwrap();
    plugin.ends_written.insert(life);
    let stream = plugin.stream.as_mut().unwrap();
    stream.ends.insert(life);
    stream.retries.remove(&life);
    stream.replay_ends.remove(&life);
    Ok(Delivered::End(life))
}

/// The table of the contract, written down once more.
fn disposition(reason: v1::SessionEndReason) -> Disposition {
    use v1::SessionEndReason as Reason;
    match reason {
        Reason::New | Reason::Reset | Reason::Idle | Reason::Daily | Reason::Deleted => Disposition::Ended,
        Reason::Compaction => Disposition::Moved,
        Reason::Shutdown | Reason::Restart => Disposition::Suspended,
        _ => Disposition::Unknown,
    }
}

/// Behind all ends that were awaited, once a boot.
fn observe_stop(
    model: &mut Model,
    ix: usize,
    kind: BatchKind,
    event: &v1::Event,
    stop: &v1::GatewayStop,
) -> Checked<Delivered> {
    rule!(event.hook == "gateway_stop" && kind == BatchKind::Live && event.session.is_none(), "{kind:?}");
    let stops = &mut model.stream(ix).stops;
    let named = |due: &Stop| event.gateway_id == GATEWAYS[due.gateway] && event.boot_id == due.boot;
    let due = stops.iter().position(named).ok_or_else(|| format!("due is {stops:?}"))?;
    let due = stops.remove(due);
    rule!(event.synthetic == due.own.is_none() && stop.reason() == due.reason, "due is {due:?}");
    rule!(stop.text == due.own.map_or(String::new(), |number| number.to_string()), "due is {due:?}");
    let plugin = model.plugins.get_mut(&ix).unwrap();
    rule!(plugin.stops_had.insert((due.gateway, due.boot)), "for the second time");
    Ok(Delivered::Stop(due.closing))
}

/// The number in its payload.
fn number(event: &v1::Event) -> Checked<u64> {
    match &event.payload {
        Some(Payload::Json(json)) => {
            let text = String::from_utf8_lossy(json);
            text.parse().map_err(|_| format!("{text} was never published"))
        }
        Some(Payload::GatewayStart(start)) => Ok(start.port.into()),
        _ => Err("without a payload".to_owned()),
    }
}

fn observe_other(model: &mut Model, ix: usize, kind: BatchKind, event: &v1::Event) -> Checked<Delivered> {
    let number = number(event)?;
    let told = model.told.get_mut(&number).ok_or("never published")?;
    let incarnation = event.session.as_ref().map_or(0, |session| session.incarnation);
    let said = event.session.as_ref();
    let said = said.map(|said| (said.id.as_str(), said.key.as_str(), said.agent_id.as_str()));
    rule!(kind == BatchKind::Live, "an ordinary event is live");
    rule!(event.hook == told.hook && event.gateway_id == GATEWAYS[told.gateway], "unlike {told:?}");
    rule!(event.boot_id == told.boot && said == told.session, "unlike {told:?}");
    rule!(told.incarnations.contains(&incarnation), "not of a life among {:?}", told.incarnations);
    rule!((event.late, event.session_seq) == (told.late, told.seq), "unlike {told:?}");
    let seen = told.seen.get_or_insert_with(|| event.clone());
    rule!(seen == event, "other bytes than {seen:?}");
    rule!(told.id.as_ref().is_none_or(|id| *id == event.id), "it was {:?} before", told.id);
    let (late, at, session) = (told.late, told.at, told.session);
    let plugin = model.plugins.get_mut(&ix).unwrap();
    let passes = session.is_none_or(|(_, key, agent)| plugin.wants.session(key, agent));
    rule!(passes && plugin.wants.hook(&event.hook), "it does not match the filter");
    rule!(plugin.had.insert(number), "for the second time");
    rule!(plugin.outstanding > 0, "delivered, and counted as lost as well");
    plugin.outstanding -= 1;
    let stream = plugin.stream.as_mut().unwrap();
    rule!(stream.caught_up, "before CaughtUp");
    rule!(at > stream.began, "of an earlier stream");
    if !late && incarnation > 0 {
        rule!(!plugin.wanted.contains(&incarnation), "before its start");
        rule!(!plugin.cancelled.contains(&incarnation), "of a life whose start a drain has cancelled");
        rule!(!plugin.ends_written.contains(&incarnation), "behind its end");
        let last = plugin.session_seqs.entry(incarnation).or_default();
        rule!(*last < event.session_seq, "session_seq {} behind {last}", event.session_seq);
        *last = event.session_seq;
    }
    // Where an end is due that is not written yet, it may have taken this along.
    let ended = model.lives.get(&incarnation).is_some_and(|held| held.end.is_some());
    let due = plugin.entries.get(&incarnation) == Some(&true) || plugin.expired.contains(&incarnation);
    Ok(Delivered::Event { windowed: !(ended && due) })
}

/// Ids tell events apart, whoever sees them.
pub(in crate::machine::tests) fn ids_are_distinct(model: &Model) -> Checked {
    let mut ids = BTreeSet::new();
    let lives = model.lives.values();
    let ends = lives.clone().filter_map(|life| life.end.as_ref()?.seen.as_ref());
    let starts = lives.filter_map(|life| life.start_seen.as_ref());
    for event in starts.chain(ends).chain(model.told.values().filter_map(|told| told.seen.as_ref())) {
        rule!(ids.insert(&event.id), "two events with the id {}", event.id);
    }
    Ok(())
}
