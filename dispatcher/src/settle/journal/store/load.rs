//! Reading a whole ledger.

use std::collections::BTreeMap;

use prost::Message;
use redb::{ReadableTable as _, WriteTransaction};

use super::{
    rows::{EndRow, EndedRow, GatewayRow, KeptRow, LifeRow, LotRow, SubscriberRow, state_of},
    tables::{self, Meta},
};
use crate::settle::{
    backlog::{LotId, Parts},
    journal::{
        SubscriberNumber,
        image::{EndImage, EntryState, Image, LifeImage},
    },
};

type Entries = BTreeMap<(u64, SubscriberNumber), EntryState>;

/// What is in the tables.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Without what means nothing.
    pub(super) image: Image,
    /// The size of the rows in `lives`, `ends` and `lots`, in bytes.
    pub(super) bytes: u64,
    /// Entries whose life or subscriber is not known.
    pub(super) stray_entries: Vec<(u64, SubscriberNumber)>,
    /// Ends whose life is not known.
    pub(super) stray_ends: Vec<u64>,
    /// What is kept of a lot, or for a subscriber, that is not known.
    pub(super) stray_kept: Vec<(LotId, SubscriberNumber)>,
    /// Lots that nobody keeps.
    pub(super) stray_lots: Vec<LotId>,
}

/// Reads all tables.
///
/// # Errors
/// The system refuses, or a row makes no sense.
pub(super) fn load(transaction: &WriteTransaction, meta: &Meta) -> Result<Loaded, redb::Error> {
    let mut loaded = Loaded {
        image: meta.image(),
        bytes: 0,
        stray_entries: Vec::new(),
        stray_ends: Vec::new(),
        stray_kept: Vec::new(),
        stray_lots: Vec::new(),
    };
    loaded.gateways(transaction)?;
    loaded.subscribers(transaction)?;
    loaded.lives(transaction)?;
    loaded.ends(transaction)?;
    loaded.entries(transaction)?;
    loaded.image.place_what_has_no_place();
    loaded.lots(transaction)?;
    loaded.kept(transaction)?;
    Ok(loaded)
}

impl Loaded {
    /// Deletes what means nothing.
    pub(super) fn sweep(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut entries = transaction.open_table(tables::ENTRIES)?;
        for entry in &self.stray_entries {
            entries.remove(entry)?;
        }
        let mut ends = transaction.open_table(tables::ENDS)?;
        for end in &self.stray_ends {
            ends.remove(end)?;
        }
        let mut kept = transaction.open_table(tables::KEPT)?;
        for part in &self.stray_kept {
            kept.remove(part)?;
        }
        let mut lots = transaction.open_table(tables::LOTS)?;
        for lot in &self.stray_lots {
            lots.remove(lot)?;
        }
        Ok(())
    }

    fn lots(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        for row in transaction.open_table(tables::LOTS)?.iter()? {
            let (lot, row) = row?;
            self.bytes += row.value().len() as u64;
            let row: LotRow = decode(row.value(), || format!("lots: {}", lot.value()))?;
            self.image.lots.insert(lot.value(), row.into());
        }
        Ok(())
    }

    fn kept(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let Self { image, stray_kept, stray_lots, .. } = self;
        for row in transaction.open_table(tables::KEPT)?.iter()? {
            let (key, row) = row?;
            let (lot, subscriber) = key.value();
            let name = || format!("kept: {lot}, {subscriber}");
            let row: KeptRow = decode(row.value(), name)?;
            let parts = Parts::try_from(row).map_err(|why| unsound(name(), why))?;
            if image.lots.contains_key(&lot) && image.subscribers.contains_key(&subscriber) {
                image.kept.insert((lot, subscriber), parts);
            } else {
                stray_kept.push((lot, subscriber));
            }
        }
        let keeps = |lot: LotId| image.kept.range((lot, 0)..=(lot, SubscriberNumber::MAX)).next().is_some();
        stray_lots.extend(image.lots.keys().copied().filter(|lot| !keeps(*lot)));
        for lot in stray_lots {
            image.lots.remove(lot);
        }
        Ok(())
    }

    fn gateways(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let gateways = &mut self.image.gateways;
        for row in transaction.open_table(tables::GATEWAYS)?.iter()? {
            let (gateway, row) = row?;
            let row: GatewayRow = decode(row.value(), || format!("gateways: {}", gateway.value()))?;
            gateways.insert(gateway.value(), row.into());
        }
        for row in transaction.open_table(tables::EMITTERS)?.iter()? {
            let (key, publish_seq) = row?;
            let (gateway, emitter) = key.value();
            gateways.entry(gateway).or_default().emitters.insert(emitter.into(), publish_seq.value());
        }
        for row in transaction.open_table(tables::ENDED)?.iter()? {
            let (key, row) = row?;
            let (gateway, session) = key.value();
            let name = || format!("ended: {gateway}, {session}");
            let row: EndedRow = decode(row.value(), name)?;
            let ended = row.try_into().map_err(|why| unsound(name(), why))?;
            gateways.entry(gateway).or_default().ended.insert(session.into(), ended);
        }
        Ok(())
    }

    fn subscribers(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        for row in transaction.open_table(tables::SUBSCRIBERS)?.iter()? {
            let (subscriber, row) = row?;
            let row: SubscriberRow = decode(row.value(), || format!("subscribers: {}", subscriber.value()))?;
            self.image.subscribers.insert(subscriber.value(), row.into());
        }
        Ok(())
    }

    fn lives(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let bytes = &mut self.bytes;
        let lives = transaction.open_table(tables::LIVES)?;
        let lives = lives.iter()?.map(|row| {
            let (incarnation, row) = row?;
            *bytes += row.value().len() as u64;
            let row: LifeRow = decode(row.value(), || format!("lives: {}", incarnation.value()))?;
            Ok((incarnation.value(), LifeImage::from(row)))
        });
        // In order: a tree is made of it at once, which is three times faster than row by row.
        self.image.lives = lives.collect::<Result<_, redb::Error>>()?;
        Ok(())
    }

    fn ends(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut lives = self.image.lives.iter_mut().peekable();
        for row in transaction.open_table(tables::ENDS)?.iter()? {
            let (incarnation, row) = row?;
            let incarnation = incarnation.value();
            self.bytes += row.value().len() as u64;
            let name = || format!("ends: {incarnation}");
            let row: EndRow = decode(row.value(), name)?;
            let end: EndImage = row.try_into().map_err(|why| unsound(name(), why))?;
            // Both are in order.
            while lives.next_if(|(life, _)| **life < incarnation).is_some() {}
            match lives.next_if(|(life, _)| **life == incarnation) {
                Some((_, life)) => life.end = Some(end),
                None => self.stray_ends.push(incarnation),
            }
        }
        Ok(())
    }

    fn entries(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let Self { image, stray_entries, .. } = self;
        let mut lives = image.lives.keys().peekable();
        let mut known = Vec::new();
        for row in transaction.open_table(tables::ENTRIES)?.iter()? {
            let (entry, state) = row?;
            let (incarnation, subscriber) = entry.value();
            let state = state_of(state.value());
            let state = state.map_err(|why| unsound(format!("entries: {incarnation}, {subscriber}"), why))?;
            while lives.next_if(|life| **life < incarnation).is_some() {}
            if lives.peek() == Some(&&incarnation) && image.subscribers.contains_key(&subscriber) {
                known.push((entry.value(), state));
            } else {
                stray_entries.push(entry.value());
            }
        }
        image.entries = Entries::from_iter(known);
        Ok(())
    }
}

fn decode<R: Message + Default>(bytes: &[u8], name: impl FnOnce() -> String) -> Result<R, redb::Error> {
    R::decode(bytes).map_err(|error| unsound(name(), error.to_string()))
}

fn unsound(name: String, why: String) -> redb::Error {
    redb::Error::Corrupted(format!("{name}: {why}"))
}
