//! One thing to measure, once: what every scenario hands to the runner.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::results::{Metric, Row, Settings};

/// One round's figures.
pub type Sample = BTreeMap<Metric, f64>;

/// Something that can be measured again and again, each time in fresh processes.
pub trait Case {
    /// The row that its samples go to; `samples` is empty.
    fn row(&self) -> Row;

    /// Measures it once. It blocks, and ends every process that it started.
    ///
    /// # Errors
    /// It cannot run here, or what came out is wrong.
    fn measure(&self, bench: &Bench) -> Result<Sample, Failure>;
}

/// What every case is given.
#[derive(Clone, Debug)]
pub struct Bench {
    /// What was asked for.
    pub settings: Settings,
    /// The `hookwire` binary, in release.
    pub hookwire: PathBuf,
}

/// Why there is no sample.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// Something that it needs is not here.
    #[error("not measured: {0}")]
    NotMeasured(String),
    /// It ran, and came out wrong.
    #[error("{0}")]
    Wrong(String),
}

impl Bench {
    /// Where what is built for a run goes: beside the release binaries.
    pub fn build_folder(&self) -> &Path {
        self.hookwire.ancestors().nth(2).unwrap_or(Path::new("."))
    }

    /// A number of events or sessions at this run's scale: at least one.
    pub fn scaled(&self, count: u64) -> u64 {
        ((count as f64 * self.settings.scale) as u64).max(1)
    }
}
