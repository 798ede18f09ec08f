//! Where each setting was given last.

use std::{collections::BTreeMap, fmt, ops::Range};

use toml::de::{DeTable, DeValue, Error};

use super::{ConfigError, DEFAULT_FILE, Flags};

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file, and the line in it.
    File {
        /// The file's path.
        name: String,
        /// Counted from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag on the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value as text, whatever its source: numbers and switches in a file are texts, too.
struct Setting {
    texts: Vec<String>,
    origin: Origin,
}

/// Every setting there is, with the value that counts.
pub(super) struct Layers(BTreeMap<String, Setting>);

impl Layers {
    /// The compiled-in file. It decides which settings there are.
    pub(super) fn defaults() -> Result<Self, ConfigError> {
        let settings = parse(DEFAULT_FILE, "config.default.toml")?;
        Ok(Self(settings.into_iter().collect()))
    }

    /// Puts a user's file over what is there.
    pub(super) fn put_file(&mut self, text: &str, name: &str) -> Result<(), ConfigError> {
        for (key, setting) in parse(text, name)? {
            match self.0.get_mut(&key) {
                Some(known) => *known = setting,
                None => return Err(ConfigError::Unknown { origin: setting.origin, key }),
            }
        }
        Ok(())
    }

    /// Puts `HOOKWIRE_*` over what is there.
    pub(super) fn put_variables(&mut self, variable: impl Fn(&str) -> Option<String>) {
        for (key, setting) in &mut self.0 {
            let name = format!("HOOKWIRE_{}", key.to_uppercase());
            if let Some(text) = variable(&name).filter(|text| !text.is_empty()) {
                // The one list there is; a path may have commas in it.
                let texts = if key == "listen" { split(&text) } else { vec![text] };
                *setting = Setting { texts, origin: Origin::Variable(name) };
            }
        }
    }

    /// Puts flags over what is there.
    pub(super) fn put_flags(&mut self, flags: Flags) {
        for (key, texts) in flags {
            let origin = Origin::Flag(format!("--{}", key.replace('_', "-")));
            self.0.insert(key.to_owned(), Setting { texts, origin });
        }
    }

    /// The value of a setting that has exactly one.
    pub(super) fn one<T>(&self, key: &str, read: fn(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        match self.setting(key).texts.as_slice() {
            [text] => read(text).map_err(|why| self.refuse(key, why)),
            _ => Err(self.refuse(key, "it has one value, not a list")),
        }
    }

    /// The values of a setting that has at least one.
    pub(super) fn list<T>(
        &self,
        key: &str,
        read: fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, ConfigError> {
        match self.setting(key).texts.as_slice() {
            [] => Err(self.refuse(key, "the list is empty")),
            texts => texts.iter().map(|text| read(text).map_err(|why| self.refuse(key, why))).collect(),
        }
    }

    /// Says why the value of this setting cannot be used.
    pub(super) fn refuse(&self, key: &str, why: impl fmt::Display) -> ConfigError {
        let origin = self.setting(key).origin.clone();
        ConfigError::Value { key: key.to_owned(), origin, why: why.to_string() }
    }

    fn setting(&self, key: &str) -> &Setting {
        self.0.get(key).expect("the compiled-in file has every setting: a test reads them all")
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

/// A file's settings, in the order of its keys.
fn parse(text: &str, name: &str) -> Result<Vec<(String, Setting)>, ConfigError> {
    let origin = |span: Range<usize>| Origin::File { name: name.to_owned(), line: line_of(text, span.start) };
    let syntax = |error: Error| ConfigError::Syntax {
        origin: origin(error.span().unwrap_or(0..0)),
        why: error.message().to_owned(),
    };
    let table = DeTable::parse(text).map_err(syntax)?;
    let settings = table.into_inner().into_iter().map(|(key, value)| {
        let (origin, key) = (origin(key.span()), key.into_inner().into_owned());
        match texts_of(value.get_ref()) {
            Some(texts) => Ok((key, Setting { texts, origin })),
            None if matches!(value.get_ref(), DeValue::Table(_)) => Err(ConfigError::Unknown { origin, key }),
            None => {
                let why = "it takes a text, a number, true or false, or a list of texts".to_owned();
                Err(ConfigError::Value { key, origin, why })
            }
        }
    });
    settings.collect()
}

/// `None` for what no setting is.
fn texts_of(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(values) => values.iter().map(|value| text_of(value.get_ref())).collect(),
        single => text_of(single).map(|text| vec![text]),
    }
}

fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Boolean(switch) => Some(switch.to_string()),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}
