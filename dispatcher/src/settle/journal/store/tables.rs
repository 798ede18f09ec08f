//! The tables, and what stands in `meta`.

use redb::{ReadableTable, TableDefinition, WriteTransaction};
use uuid::Uuid;

use super::FORMAT;
use crate::{
    emit::boots::GatewayIx,
    settle::{
        backlog::LotId,
        journal::{RanSeconds, SubscriberNumber, image::Image},
    },
};

/// A row that is a protobuf message.
type Row = &'static [u8];

pub(super) const META: TableDefinition<'_, &str, u128> = TableDefinition::new("meta");
pub(super) const GATEWAYS: TableDefinition<'_, GatewayIx, Row> = TableDefinition::new("gateways");
pub(super) const EMITTERS: TableDefinition<'_, (GatewayIx, &str), u64> = TableDefinition::new("emitters");
pub(super) const ENDED: TableDefinition<'_, (GatewayIx, &str), Row> = TableDefinition::new("ended");
pub(super) const SUBSCRIBERS: TableDefinition<'_, SubscriberNumber, Row> =
    TableDefinition::new("subscribers");
pub(super) const LIVES: TableDefinition<'_, u64, Row> = TableDefinition::new("lives");
pub(super) const ENDS: TableDefinition<'_, u64, Row> = TableDefinition::new("ends");
pub(super) const ENTRIES: TableDefinition<'_, (u64, SubscriberNumber), u8> = TableDefinition::new("entries");

pub(super) const LOTS: TableDefinition<'_, LotId, Row> = TableDefinition::new("lots");
pub(super) const KEPT: TableDefinition<'_, (LotId, SubscriberNumber), Row> = TableDefinition::new("kept");

/// The size of a row in `entries`, in bytes.
pub(super) const ENTRY_BYTES: u64 = 13;

/// About the size of a row in `ended`, `emitters` or `kept`, in bytes: a name or some places, and little else.
pub(super) const NAMED_BYTES: u64 = 64;

/// Names in `meta`; the ones without a field in [`Meta`] are written as they grow.
pub(super) mod name {
    pub(in super::super) const FORMAT: &str = "format";
    pub(in super::super) const LEDGER: &str = "ledger";
    pub(in super::super) const EPOCH: &str = "epoch";
    pub(in super::super) const INCARNATION: &str = "incarnation";
    pub(in super::super) const SUBSCRIBER: &str = "subscriber";
    pub(in super::super) const RAN: &str = "ran";
}

/// What the ledger says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meta {
    pub(super) format: u128,
    ledger: u128,
    pub(super) epoch: u32,
    incarnation: u64,
    subscriber: SubscriberNumber,
    ran: RanSeconds,
}

impl Meta {
    /// A ledger that was never opened.
    pub(super) fn new(ledger: Uuid) -> Self {
        Self { format: FORMAT.into(), ledger: ledger.as_u128(), ..Self::default() }
    }

    /// `None` where there is no ledger yet: the database was made, and nothing more.
    pub(super) fn read(transaction: &WriteTransaction) -> Result<Option<Self>, redb::Error> {
        let table = transaction.open_table(META)?;
        let Some(format) = table.get(name::FORMAT)? else { return Ok(None) };
        let format = format.value();
        if format > FORMAT.into() {
            return Ok(Some(Self { format, ..Self::default() })); // what else it holds is not ours to read
        }
        Ok(Some(Self {
            format,
            ledger: number(&table, name::LEDGER)?,
            epoch: number(&table, name::EPOCH)?,
            incarnation: number(&table, name::INCARNATION)?,
            subscriber: number(&table, name::SUBSCRIBER)?,
            ran: number(&table, name::RAN)?,
        }))
    }

    /// Writes it, and makes the tables that are not there yet.
    pub(super) fn write(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut table = transaction.open_table(META)?;
        table.insert(name::FORMAT, self.format)?;
        table.insert(name::LEDGER, self.ledger)?;
        table.insert(name::EPOCH, u128::from(self.epoch))?;
        table.insert(name::INCARNATION, u128::from(self.incarnation))?;
        table.insert(name::SUBSCRIBER, u128::from(self.subscriber))?;
        table.insert(name::RAN, u128::from(self.ran))?;
        Ok(())
    }

    /// What it says once the ledger is opened another time.
    pub(super) fn next_epoch(self) -> Result<Self, redb::Error> {
        match self.epoch.checked_add(1) {
            Some(epoch) => Ok(Self { format: FORMAT.into(), epoch, ..self }),
            None => Err(redb::Error::Corrupted("meta: epoch: there is none after this one".to_owned())),
        }
    }

    pub(super) fn ledger_id(&self) -> String {
        Uuid::from_u128(self.ledger).simple().to_string()
    }

    /// An image with nothing in it.
    pub(super) fn image(&self) -> Image {
        Image {
            incarnation: self.incarnation,
            subscriber: self.subscriber,
            ran: self.ran,
            ..Image::default()
        }
    }
}

/// A number that has to be there, and to fit.
fn number<N: TryFrom<u128>>(
    meta: &impl ReadableTable<&'static str, u128>,
    name: &str,
) -> Result<N, redb::Error> {
    let value = meta.get(name)?.map(|value| value.value());
    let value = value.ok_or_else(|| redb::Error::Corrupted(format!("meta: {name}: missing")))?;
    N::try_from(value).map_err(|_| redb::Error::Corrupted(format!("meta: {name}: {value} is too large")))
}
