//! Writing records.

use std::collections::HashMap;

use hookwire_protocol::v1::{SessionEndReason, subscribe_request::Hello};
use prost::Message;
use redb::{Key, ReadableTable as _, Table, TableDefinition, Value, WriteTransaction};

use super::{
    rows::{EndRow, EndedRow, GatewayRow, KeptRow, LifeRow, LotRow, SubscriberRow, state_byte},
    tables::{self, name},
};
use crate::{
    emit::boots::{GatewayIx, MAX_BOOTS_OVER},
    settle::{
        backlog::{LotId, Parts},
        journal::{
            RanSeconds, Record, SubscriberNumber,
            image::{EntryState, Image},
        },
    },
};

/// What the store remembers from commit to commit.
#[derive(Debug)]
pub(super) struct Tally {
    incarnation: u64,
    subscriber: SubscriberNumber,
    /// The number of the newest in `ended`.
    ended: HashMap<GatewayIx, u64>,
    /// The size of the rows in `lives`, `ends` and `lots`, in bytes.
    bytes: u64,
}

impl Tally {
    pub(super) fn new(bytes: u64, image: &Image) -> Self {
        let ended = image
            .gateways
            .iter()
            .map(|(ix, gateway)| (*ix, gateway.ended.values().map(|ended| ended.number).max().unwrap_or(0)));
        Self { incarnation: image.incarnation, subscriber: image.subscriber, ended: ended.collect(), bytes }
    }

    /// The size of the rows in `lives`, `ends` and `lots`, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes records in their order. Whoever gets an error has to forget the transaction, and this.
    pub(super) fn write(
        &mut self,
        transaction: &WriteTransaction,
        records: &[Record],
        ran: RanSeconds,
    ) -> Result<(), redb::Error> {
        let (incarnation, subscriber) = (self.incarnation, self.subscriber);
        let mut writing = Writing::new(transaction, self);
        for record in records {
            writing.record(record)?;
        }
        drop(writing);
        let mut meta = transaction.open_table(tables::META)?;
        meta.insert(name::RAN, u128::from(ran))?;
        if self.incarnation != incarnation {
            meta.insert(name::INCARNATION, u128::from(self.incarnation))?;
        }
        if self.subscriber != subscriber {
            meta.insert(name::SUBSCRIBER, u128::from(self.subscriber))?;
        }
        Ok(())
    }
}

/// One transaction, with the tables that it has come to need.
struct Writing<'t> {
    transaction: &'t WriteTransaction,
    tally: &'t mut Tally,
    emitters: Option<Table<'t, (GatewayIx, &'static str), u64>>,
    ended: Option<Table<'t, (GatewayIx, &'static str), &'static [u8]>>,
    lives: Option<Table<'t, u64, &'static [u8]>>,
    ends: Option<Table<'t, u64, &'static [u8]>>,
    entries: Option<Table<'t, (u64, SubscriberNumber), u8>>,
    lots: Option<Table<'t, LotId, &'static [u8]>>,
    kept: Option<Table<'t, (LotId, SubscriberNumber), &'static [u8]>>,
    /// A row on its way.
    row: Vec<u8>,
}

/// Opens a table when it is first needed: most commits need two or three.
fn opened<'a, 't, K: Key, V: Value>(
    table: &'a mut Option<Table<'t, K, V>>,
    transaction: &'t WriteTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<&'a mut Table<'t, K, V>, redb::Error> {
    match table {
        Some(table) => Ok(table),
        none => Ok(none.insert(transaction.open_table(definition)?)),
    }
}

impl<'t> Writing<'t> {
    fn new(transaction: &'t WriteTransaction, tally: &'t mut Tally) -> Self {
        Self {
            transaction,
            tally,
            emitters: None,
            ended: None,
            lives: None,
            ends: None,
            entries: None,
            lots: None,
            kept: None,
            row: Vec::new(),
        }
    }

    fn record(&mut self, record: &Record) -> Result<(), redb::Error> {
        match record {
            Record::Boot { gateway, name, boot } => self.boot(*gateway, name, boot),
            Record::BootOver { gateway } => self.gateway(*gateway, boot_over),
            Record::GatewayStop { gateway, said, told } => self.gateway(*gateway, |row| {
                (row.stop, row.stop_told) = (said.as_ref().map(Into::into), *told);
            }),
            Record::Published { gateway, emitter, publish_seq } => {
                let emitters = opened(&mut self.emitters, self.transaction, tables::EMITTERS)?;
                emitters.insert((*gateway, &**emitter), publish_seq)?;
                Ok(())
            }
            Record::Started { incarnation, gateway, event, wanted, ran: started, position } => {
                let (gateway, start, wanted) = (*gateway, event.clone(), wanted.to_vec());
                let (started, position) = (*started, *position);
                self.started(*incarnation, &LifeRow { gateway, start, wanted, started, position })
            }
            Record::Decided { incarnation, event, reason, ran: decided, position } => {
                let (event, reason) = (event.clone(), (*reason).into());
                let row = EndRow { event, reason, decided: *decided, position: *position };
                self.decided(*incarnation, &row)
            }
            Record::Forgotten { incarnation } => self.forgotten(*incarnation),
            Record::Ended { gateway, session, incarnation, reason } => {
                self.ended(*gateway, session, *incarnation, *reason)
            }
            Record::EndedForgotten { gateway, session } => {
                let ended = opened(&mut self.ended, self.transaction, tables::ENDED)?;
                ended.remove((*gateway, &**session))?;
                Ok(())
            }
            Record::Subscribed { subscriber, hello, stream_epoch } => {
                self.subscribed(*subscriber, hello, *stream_epoch)
            }
            Record::Left { subscriber, ran } => {
                self.subscriber(*subscriber, |row| row.away_since = Some(*ran))
            }
            Record::Entry { subscriber, incarnation } => {
                self.entry(*incarnation, *subscriber, EntryState::Open)
            }
            Record::StartSettled { subscriber, incarnation } => {
                self.entry(*incarnation, *subscriber, EntryState::StartSettled)
            }
            Record::Closed { subscriber, incarnation } => {
                self.entry(*incarnation, *subscriber, EntryState::Closed)
            }
            Record::Expired { subscriber, untold } => {
                self.subscriber(*subscriber, |row| row.set_expired(*untold))
            }
            Record::Unsubscribed { subscriber } => {
                self.transaction.open_table(tables::SUBSCRIBERS)?.remove(subscriber)?;
                Ok(())
            }
            Record::Lot { lot, positions, events, ran, kept_for } => {
                let (positions, events) = (positions.to_vec(), events.clone());
                self.lot(*lot, &LotRow { positions, events, taken_in: *ran }, kept_for)
            }
            Record::LotSettled { subscriber, lot, left } => self.kept(*lot, *subscriber, left),
            Record::LotForgotten { lot } => self.lot_forgotten(*lot),
        }
    }

    /// What was known of the gateway's older boot goes, save which boots are over.
    fn boot(&mut self, gateway: GatewayIx, id: &str, boot: &str) -> Result<(), redb::Error> {
        self.gateway(gateway, |row| {
            let over = if row.id == id { std::mem::take(&mut row.over) } else { Vec::new() };
            *row = GatewayRow { id: id.to_owned(), boot: boot.to_owned(), over, ..GatewayRow::default() };
        })?;
        let all = (gateway, "")..(gateway + 1, "");
        opened(&mut self.emitters, self.transaction, tables::EMITTERS)?
            .retain_in(all.clone(), |_, _| false)?;
        opened(&mut self.ended, self.transaction, tables::ENDED)?.retain_in(all, |_, _| false)?;
        self.tally.ended.remove(&gateway);
        Ok(())
    }

    /// Changes a gateway's row.
    fn gateway(&self, gateway: GatewayIx, change: impl FnOnce(&mut GatewayRow)) -> Result<(), redb::Error> {
        let mut gateways = self.transaction.open_table(tables::GATEWAYS)?;
        let mut row: GatewayRow = read(&gateways, gateway)?.unwrap_or_default();
        change(&mut row);
        gateways.insert(gateway, &*row.encode_to_vec())?;
        Ok(())
    }

    fn started(&mut self, incarnation: u64, life: &LifeRow) -> Result<(), redb::Error> {
        self.tally.incarnation = self.tally.incarnation.max(incarnation);
        let lives = opened(&mut self.lives, self.transaction, tables::LIVES)?;
        put(lives, incarnation, life, &mut self.row, &mut self.tally.bytes)
    }

    fn decided(&mut self, incarnation: u64, end: &EndRow) -> Result<(), redb::Error> {
        let ends = opened(&mut self.ends, self.transaction, tables::ENDS)?;
        put(ends, incarnation, end, &mut self.row, &mut self.tally.bytes)
    }

    fn forgotten(&mut self, incarnation: u64) -> Result<(), redb::Error> {
        let lives = opened(&mut self.lives, self.transaction, tables::LIVES)?;
        take(lives, incarnation, &mut self.tally.bytes)?;
        let ends = opened(&mut self.ends, self.transaction, tables::ENDS)?;
        take(ends, incarnation, &mut self.tally.bytes)?;
        let entries = opened(&mut self.entries, self.transaction, tables::ENTRIES)?;
        let all = (incarnation, SubscriberNumber::MIN)..=(incarnation, SubscriberNumber::MAX);
        let holders: Vec<_> =
            entries.range(all)?.map(|entry| Ok(entry?.0.value())).collect::<Result<_, redb::Error>>()?;
        for entry in holders {
            entries.remove(entry)?;
        }
        Ok(())
    }

    fn ended(
        &mut self,
        gateway: GatewayIx,
        session: &str,
        incarnation: u64,
        reason: SessionEndReason,
    ) -> Result<(), redb::Error> {
        let number = self.tally.ended.entry(gateway).or_default();
        *number += 1;
        let row = EndedRow { number: *number, incarnation, reason: reason.into() };
        let ended = opened(&mut self.ended, self.transaction, tables::ENDED)?;
        ended.insert((gateway, session), &*row.encode_to_vec())?;
        Ok(())
    }

    /// A new stream: what is known of it is what it says now, save what it was not told of.
    fn subscribed(
        &mut self,
        subscriber: SubscriberNumber,
        hello: &Hello,
        stream_epoch: u64,
    ) -> Result<(), redb::Error> {
        self.tally.subscriber = self.tally.subscriber.max(subscriber);
        let mut subscribers = self.transaction.open_table(tables::SUBSCRIBERS)?;
        let known: Option<SubscriberRow> = read(&subscribers, subscriber)?;
        let row = SubscriberRow {
            hello: Some(hello.clone()),
            stream_epoch,
            away_since: None,
            ..known.unwrap_or_default()
        };
        subscribers.insert(subscriber, &*row.encode_to_vec())?;
        Ok(())
    }

    /// Changes a subscriber's row, where it has one.
    fn subscriber(
        &self,
        subscriber: SubscriberNumber,
        change: impl FnOnce(&mut SubscriberRow),
    ) -> Result<(), redb::Error> {
        let mut subscribers = self.transaction.open_table(tables::SUBSCRIBERS)?;
        if let Some(mut row) = read::<_, SubscriberRow>(&subscribers, subscriber)? {
            change(&mut row);
            subscribers.insert(subscriber, &*row.encode_to_vec())?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        incarnation: u64,
        subscriber: SubscriberNumber,
        state: EntryState,
    ) -> Result<(), redb::Error> {
        let entries = opened(&mut self.entries, self.transaction, tables::ENTRIES)?;
        entries.insert((incarnation, subscriber), state_byte(state))?;
        Ok(())
    }
}

/// What retention ALL keeps.
impl Writing<'_> {
    fn lot(
        &mut self,
        lot: LotId,
        row: &LotRow,
        kept_for: &[(SubscriberNumber, Parts)],
    ) -> Result<(), redb::Error> {
        let lots = opened(&mut self.lots, self.transaction, tables::LOTS)?;
        put(lots, lot, row, &mut self.row, &mut self.tally.bytes)?;
        kept_for.iter().try_for_each(|(subscriber, parts)| self.kept(lot, *subscriber, parts))
    }

    fn kept(&mut self, lot: LotId, subscriber: SubscriberNumber, parts: &Parts) -> Result<(), redb::Error> {
        let kept = opened(&mut self.kept, self.transaction, tables::KEPT)?;
        if parts.is_empty() {
            kept.remove((lot, subscriber))?;
        } else {
            kept.insert((lot, subscriber), &*KeptRow::from(parts).encode_to_vec())?;
        }
        Ok(())
    }

    fn lot_forgotten(&mut self, lot: LotId) -> Result<(), redb::Error> {
        let lots = opened(&mut self.lots, self.transaction, tables::LOTS)?;
        take(lots, lot, &mut self.tally.bytes)?;
        let all = (lot, SubscriberNumber::MIN)..=(lot, SubscriberNumber::MAX);
        opened(&mut self.kept, self.transaction, tables::KEPT)?.retain_in(all, |_, _| false)?;
        Ok(())
    }
}

/// Refuses the gateway's present boot from now on.
fn boot_over(row: &mut GatewayRow) {
    if !row.over.contains(&row.boot) {
        row.over.push(row.boot.clone());
        if row.over.len() > MAX_BOOTS_OVER {
            row.over.remove(0);
        }
    }
}

fn read<'k, K, R>(table: &Table<'_, K, &'static [u8]>, key: K::SelfType<'k>) -> Result<Option<R>, redb::Error>
where
    K: Key,
    R: Message + Default,
{
    let Some(row) = table.get(key)? else { return Ok(None) };
    Ok(Some(R::decode(row.value()).map_err(|error| redb::Error::Corrupted(error.to_string()))?))
}

/// Writes a row of a life or a lot, and counts it.
fn put(
    table: &mut Table<'_, u64, &'static [u8]>,
    number: u64,
    row: &impl Message,
    buffer: &mut Vec<u8>,
    bytes: &mut u64,
) -> Result<(), redb::Error> {
    buffer.clear();
    row.encode_raw(buffer);
    *bytes += buffer.len() as u64;
    if let Some(older) = table.insert(number, buffer.as_slice())? {
        *bytes -= older.value().len() as u64;
    }
    Ok(())
}

/// Deletes a row of a life or a lot, and counts it.
fn take(table: &mut Table<'_, u64, &'static [u8]>, number: u64, bytes: &mut u64) -> Result<(), redb::Error> {
    if let Some(older) = table.remove(number)? {
        *bytes -= older.value().len() as u64;
    }
    Ok(())
}
