//! Plugins in other languages.

/// What the form that Hookwire speaks is called.
pub const BATCHES: &str = "batches";
const PER_EVENT: &str = "per event";

/// A language.
#[derive(Debug)]
pub struct Language {
    /// Its client library.
    pub name: &'static str,
    /// How many times faster.
    pub floor: f64,
}

/// Those.
pub const LANGUAGES: [Language; 2] = [Language { name: "grpcio", floor: 100.0 }, Language { name: "grpc-js", floor: 8.0 }];

impl Language {
    /// x
    pub fn batches(&self) -> String {
        format!("{}, {BATCHES}", self.name)
    }
    /// x
    pub fn per_event(&self) -> String {
        format!("{}, {PER_EVENT}", self.name)
    }
}
