//! One life of one session, in 40 bytes and its own event.
//!
//! What its start's event says is not kept a second time: id, key, agent and the session field that all events of the
//! life share are read from there.

use bytes::Bytes;
use hookwire_protocol::v1::SessionEndReason;
use prost::encoding::encoded_len_varint;

use super::{
    journal::RanSeconds,
    number::{U48, varint},
};

/// How a life ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The end's event, encoded once.
    pub(crate) event: Bytes,
    pub(crate) reason: SessionEndReason,
    /// Where in the order of all things it was decided.
    pub(crate) position: u64,
    /// How long dispatchers had run by then.
    pub(crate) since: RanSeconds,
}

/// What whoever has an entry is owed of a life that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    /// The size of its start and its end.
    pub(crate) bytes: u64,
    /// How long dispatchers had run when its end was decided.
    pub(crate) since: RanSeconds,
}

/// One life of one session.
#[derive(Debug)]
pub(crate) struct Life {
    state: State,
    /// When its last event fired, in nanoseconds since the Unix epoch.
    last_activity: u64,
    incarnation: U48,
    /// The session_seq given out last.
    seq: U48,
    /// The gateway's index in the machine.
    gateway: u16,
    /// How many subscribers are due anything of it, and [`EARLIER`].
    holders: u16,
}

/// Another life of the same id or key was held when it started.
const EARLIER: u16 = 1 << 15;

#[derive(Debug)]
enum State {
    Alive(Start),
    Ended(Box<(Start, End)>),
}

/// A start's event, encoded once, behind [what is asked of it](HEADER).
#[derive(Debug, Default)]
struct Start(Box<[u8]>);

/// In front of the event: where its session field lies, in two bytes, and the [`era`] of the life's last event, in four.
const HEADER: usize = 6;

/// `Event.session`, length-delimited.
const SESSION: u8 = 5 << 3 | 2;

/// The fields of a `Session`, length-delimited.
const ID: u8 = 1 << 3 | 2;
const KEY: u8 = 2 << 3 | 2;
const AGENT: u8 = 3 << 3 | 2;

impl Life {
    /// A life that begins with this event, which an encoder has just made, at this place in the order of all things.
    pub(crate) fn new(
        incarnation: u64,
        gateway: u32,
        event: &[u8],
        time_unix_nano: u64,
        position: u64,
    ) -> Self {
        Self {
            state: State::Alive(Start::new(event, position)),
            last_activity: time_unix_nano,
            incarnation: U48::new(incarnation),
            seq: U48::new(1),
            gateway: gateway as u16, // there are no more than 1024
            holders: 0,
        }
    }

    /// Stands where no life is held: incarnations begin with 1.
    pub(super) fn none() -> Self {
        Self {
            state: State::Alive(Start::default()),
            last_activity: 0,
            incarnation: U48::new(0),
            seq: U48::new(0),
            gateway: 0,
            holders: 0,
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.incarnation() == 0
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation.get()
    }

    /// The gateway's index in the machine.
    pub(crate) fn gateway(&self) -> u32 {
        self.gateway.into()
    }

    pub(crate) fn id(&self) -> &str {
        text(self.id_bytes())
    }

    pub(crate) fn key(&self) -> &str {
        text(self.key_bytes())
    }

    pub(super) fn id_bytes(&self) -> &[u8] {
        self.start_held().name(ID)
    }

    pub(super) fn key_bytes(&self) -> &[u8] {
        self.start_held().name(KEY)
    }

    pub(crate) fn agent(&self) -> &str {
        text(self.start_held().name(AGENT))
    }

    /// `Event.session` as it stands in every event of this life, with its tag and length.
    pub(crate) fn session_field(&self) -> &[u8] {
        self.start_held().session_field()
    }

    /// Whether this key and this agent, empty where they are not said, are what is known.
    pub(crate) fn is_called(&self, key: &str, agent: &str) -> bool {
        let start = self.start_held();
        (key.is_empty() || start.name(KEY) == key.as_bytes())
            && (agent.is_empty() || start.name(AGENT) == agent.as_bytes())
    }

    /// Whether a gateway that names a session by these bytes of a `SessionRef` means this one and says nothing new of
    /// it: its id alone, or all that its start said.
    pub(super) fn is_named_by(&self, said: &[u8]) -> bool {
        let (_, body) = varint(&self.session_field()[1..]);
        let [ID, length, ..] = *said else { return false };
        let names = &body[..body.len() - encoded_len_varint(self.incarnation()) - 1];
        said == names || (said.len() == 2 + usize::from(length) && names.starts_with(said))
    }

    /// The start's event, encoded once: replays and announcements are these bytes.
    pub(crate) fn start(&self) -> &[u8] {
        self.start_held().event()
    }

    pub(crate) fn alive(&self) -> bool {
        matches!(self.state, State::Alive(_))
    }

    /// How it ended; `None` while alive.
    pub(crate) fn end(&self) -> Option<&End> {
        match &self.state {
            State::Alive(_) => None,
            State::Ended(ended) => Some(&ended.1),
        }
    }

    /// The end's position; `None` while alive.
    pub(crate) fn decided(&self) -> Option<u64> {
        self.end().map(|end| end.position)
    }

    /// What an entry for it is owed; `None` while alive.
    pub(crate) fn owed(&self) -> Option<Owed> {
        let end = self.end()?;
        Some(Owed { bytes: (self.start().len() + end.event.len()) as u64, since: end.since })
    }

    /// The session_seq given out last.
    pub(crate) fn seq(&self) -> u64 {
        self.seq.get()
    }

    /// When its last event fired, in nanoseconds since the Unix epoch.
    pub(crate) fn last_activity(&self) -> u64 {
        self.last_activity
    }

    /// An event of this life: counts it, and says its session_seq.
    pub(crate) fn observe(&mut self, position: u64, time_unix_nano: u64) -> u64 {
        let seq = self.seq() + 1;
        self.seq = U48::new(seq);
        self.last_activity = time_unix_nano;
        self.reaches(position);
        seq
    }

    /// An event of this life stands here.
    pub(crate) fn reaches(&mut self, position: u64) {
        if let State::Alive(start) = &mut self.state {
            start.set_last_era(era(position));
        }
    }

    /// The numbers given out before a crash are not known: goes on from here, if that is further.
    pub(crate) fn jump(&mut self, seq: u64) {
        self.seq = U48::new(self.seq().max(seq));
    }

    /// Whether an event that stands here may be one of this life's. Where it says no, none behind it is.
    pub(crate) fn may_reach(&self, position: u64) -> bool {
        let last = self.start_held().last_era();
        last == u32::MAX || era(position) <= last
    }

    /// Another life of the same id or key was held when it started: its start may have to wait.
    pub(crate) fn has_earlier(&self) -> bool {
        self.holders & EARLIER != 0
    }

    pub(super) fn set_has_earlier(&mut self) {
        self.holders |= EARLIER;
    }

    /// So many more subscribers are due something of it.
    pub(crate) fn hold(&mut self, subscribers: u16) {
        self.holders += subscribers; // there are no more than 4096
    }

    /// One fewer is.
    pub(crate) fn let_go(&mut self) {
        self.holders -= 1;
    }

    /// It has ended, and nobody is due anything of it.
    pub(super) fn is_idle(&self) -> bool {
        !self.alive() && self.holders & !EARLIER == 0
    }

    pub(super) fn set_end(&mut self, end: End) {
        if let State::Alive(start) = &mut self.state {
            self.state = State::Ended(Box::new((std::mem::take(start), end)));
        }
    }

    /// Whether this life, if it is `later`, must wait for `self`'s end to be written.
    pub(super) fn precedes(&self, later: &Self) -> bool {
        let (one, other) = (self.start_held(), later.start_held());
        let same = |field| one.name(field) == other.name(field);
        self.incarnation() < later.incarnation()
            && self.gateway == later.gateway
            && (same(ID) || (!one.name(KEY).is_empty() && same(KEY)))
    }

    fn start_held(&self) -> &Start {
        match &self.state {
            State::Alive(start) => start,
            State::Ended(ended) => &ended.0,
        }
    }
}

impl Start {
    fn new(event: &[u8], position: u64) -> Self {
        // Two bytes are enough: what stands before it is a few ids of at most 128 bytes.
        let at = session_at(event) as u16;
        Self([&at.to_le_bytes()[..], &era(position).to_le_bytes(), event].concat().into())
    }

    fn event(&self) -> &[u8] {
        self.0.get(HEADER..).unwrap_or_default()
    }

    fn session_field(&self) -> &[u8] {
        let [low, high, ..] = *self.0 else { return &[] };
        let field = &self.event()[usize::from(u16::from_le_bytes([low, high]))..];
        let (length, body) = varint(&field[1..]);
        &field[..field.len() - body.len() + length]
    }

    /// A name of the session, empty where it has none.
    fn name(&self, field: u8) -> &[u8] {
        name(self.session_field(), field)
    }

    fn last_era(&self) -> u32 {
        self.0.get(2..HEADER).map_or(0, |era| u32::from_le_bytes([era[0], era[1], era[2], era[3]]))
    }

    fn set_last_era(&mut self, era: u32) {
        if let Some(last) = self.0.get_mut(2..HEADER) {
            last.copy_from_slice(&era.to_le_bytes());
        }
    }
}

/// Which 1024 positions this one is among; those that do not fit are all the same one.
fn era(position: u64) -> u32 {
    u32::try_from(position >> 10).unwrap_or(u32::MAX)
}

/// A name in a session field, empty where it has none.
fn name(session: &[u8], field: u8) -> &[u8] {
    let mut rest = match session {
        [_, rest @ ..] => varint(rest).1,
        [] => return &[],
    };
    // In order, and behind them stands the incarnation: its tag is larger than theirs.
    while let [tag, behind @ ..] = rest
        && *tag <= field
    {
        let (length, behind) = varint(behind);
        let (name, behind) = behind.split_at(length);
        if *tag == field {
            return name;
        }
        rest = behind;
    }
    &[]
}

/// The agent and the key of the session that an encoded element names; `None` where it names none.
pub(crate) fn agent_and_key(event: &[u8]) -> Option<(&str, &str)> {
    let session = event.get(session_at(event)..).filter(|field| field.first() == Some(&SESSION))?;
    Some((text(name(session, AGENT)), text(name(session, KEY))))
}

/// Where the session field begins in an encoded element: behind its own head and four fields that have a length.
fn session_at(event: &[u8]) -> usize {
    let mut rest = varint(&event[1..]).1;
    while let [tag, behind @ ..] = rest
        && *tag < SESSION
    {
        let (length, behind) = varint(behind);
        rest = &behind[length..];
    }
    event.len() - rest.len()
}

/// What an encoder wrote from text.
fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).expect("it was encoded from text")
}

#[cfg(test)]
mod tests {
    use hookwire_protocol::v1;
    use prost::Message as _;

    use super::*;
    use crate::emit::encode::{EventId, Parts, Payload, Session, SessionParts, encode, origin};

    fn start(gateway: &str, id: &str, key: &str, agent: &str) -> Life {
        let event = encode(&Parts {
            id: EventId::Start { ledger: "ledger", incarnation: 300 },
            hook: "session_start",
            origin: &origin(gateway, "boot"),
            session: Some(Session::Parts(SessionParts { id, key, agent, incarnation: 300 })),
            session_seq: 1,
            time_unix_nano: 7,
            traceparent: "",
            synthetic: false,
            late: false,
            payload: Payload::SessionStart(&Default::default()),
        });
        let life = Life::new(300, 3, &event, 7, 1);
        assert_eq!(life.start(), event);
        life
    }

    #[test]
    fn names_are_read_from_the_event() {
        let long = "x".repeat(1000);
        for gateway in ["gw", &long[..128]] {
            for (id, key, agent) in
                [("s1", "agent:main", "main"), ("s1", "", "main"), ("s1", &long, ""), (&long, "", "")]
            {
                let life = start(gateway, id, key, agent);
                assert_eq!((life.id(), life.key(), life.agent()), (id, key, agent));
                assert_eq!(agent_and_key(life.start()), Some((agent, key)));
                let field = life.session_field();
                let at = life.start().windows(field.len()).position(|part| part == field);
                assert_eq!((field[0], at.is_some()), (SESSION, true));
                assert_eq!(varint(&field[1..]).1.len(), varint(&field[1..]).0);
            }
        }
    }

    #[test]
    fn it_knows_its_own_names_and_no_others() {
        let life = start("gw", "s1", "agent:main", "main");
        let said = |id: Option<&str>, key: &str, agent_id: &str| {
            let (key, agent_id) = (key.to_owned(), agent_id.to_owned());
            v1::SessionRef { id: id.map(str::to_owned), key, agent_id }.encode_to_vec()
        };
        for (id, key, agent, same) in [
            (Some("s1"), "", "", true),
            (Some("s1"), "agent:main", "main", true),
            (Some("s1"), "agent:main", "", false),
            (Some("s1"), "agent:other", "main", false),
            (Some("s2"), "", "", false),
            (None, "agent:main", "main", false),
        ] {
            assert_eq!(life.is_named_by(&said(id, key, agent)), same, "{id:?} {key} {agent}");
        }
        let cut = &said(Some("s1"), "agent:main", "main")[..9];
        assert!(!life.is_named_by(cut), "what breaks off is no name");
        assert!(!life.is_named_by(b"") && !life.is_named_by(&[ID]));
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Life>(), 40);
    }

    #[test]
    fn an_end_keeps_what_the_start_said() {
        let mut life = start("gw", "s1", "agent:main", "main");
        assert_eq!((life.observe(5000, 9), life.seq(), life.last_activity()), (2, 2, 9));
        life.hold(1);
        life.set_has_earlier();
        assert_eq!(life.owed(), None);
        let event = Bytes::from_static(b"end");
        life.set_end(End { event, reason: SessionEndReason::Reset, position: 6000, since: 70 });
        let bytes = life.start().len() as u64 + 3;
        assert_eq!(life.owed(), Some(Owed { bytes, since: 70 }));
        assert_eq!((life.id(), life.incarnation(), life.gateway()), ("s1", 300, 3));
        assert_eq!((life.alive(), life.decided(), life.has_earlier()), (false, Some(6000), true));
        assert!(life.may_reach(5000) && !life.may_reach(7000));
        assert!(!life.is_idle());
        life.let_go();
        assert!(life.is_idle());
    }
}
