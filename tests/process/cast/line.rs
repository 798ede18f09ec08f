//! What `tail --json` prints, read back.

use serde::Deserialize;
use serde_json::Value;

/// One delivery.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Delivery {
    /// 0 in what `listen` hands on.
    #[serde(default)]
    pub(crate) seq: u64,
    pub(crate) kind: String,
    pub(crate) hook: String,
    pub(crate) event_id: String,
    #[serde(default)]
    pub(crate) session: Session,
    #[serde(default)]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) disposition: String,
    pub(crate) synthetic: bool,
    pub(crate) late: bool,
    pub(crate) boot: String,
    #[serde(default)]
    pub(crate) payload: Value,
}

/// The session of a delivery, where it has one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) incarnation: u64,
}

/// A line of any type.
pub(crate) fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
}

/// The lines that are deliveries, in order.
pub(crate) fn deliveries(lines: &[String]) -> Vec<Delivery> {
    lines
        .iter()
        .map(|line| parse(line))
        .filter(|line| line["type"] == "event")
        .map(|line| serde_json::from_value(line).unwrap())
        .collect()
}

/// The lines of another type, in order.
pub(crate) fn messages(lines: &[String], kind: &str) -> Vec<Value> {
    lines.iter().map(|line| parse(line)).filter(|line| line["type"] == kind).collect()
}
