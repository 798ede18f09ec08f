//! Redis' protocol, as much of it as a pipeline needs. The usual client brings some forty crates that nothing else here
//! uses, and every build of the tests would compile them.

use std::str;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::link::{self, Reader, Writer};
use crate::role::BoxError;

/// What one read may bring, in bytes: a whole answer of 256 events in most cases.
const READ_BYTES: usize = 256 << 10;

/// No answer of a run is larger.
const MAX_BYTES: usize = 4 << 20;

/// Arrays in arrays that an answer may have.
const MAX_DEPTH: usize = 8;

/// An answer, or a part of one. An error that Redis tells is an error here.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    /// A text.
    Bytes(Bytes),
    /// A number.
    Integer(i64),
    /// More values.
    Array(Vec<Value>),
    /// There is none.
    Nothing,
}

/// What comes from Redis.
pub(super) struct Incoming {
    reader: Reader,
    bytes: BytesMut,
}

/// What goes there: nothing does before [`Outgoing::flush`].
pub(super) struct Outgoing {
    writer: Writer,
    bytes: BytesMut,
}

/// Where a parser stands in bytes that are not taken out yet.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

pub(super) async fn connect(address: &str) -> Result<(Incoming, Outgoing), BoxError> {
    let (reader, writer) = link::connect(address).await?;
    Ok((Incoming { reader, bytes: BytesMut::new() }, Outgoing { writer, bytes: BytesMut::new() }))
}

impl Value {
    pub(super) fn array(self) -> Result<Vec<Value>, BoxError> {
        match self {
            Self::Array(values) => Ok(values),
            other => Err(format!("an array was to come, not {other:?}").into()),
        }
    }

    pub(super) fn bytes(self) -> Result<Bytes, BoxError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(format!("a text was to come, not {other:?}").into()),
        }
    }
}

impl Incoming {
    /// Waits for the next answer.
    pub(super) async fn next(&mut self) -> Result<Value, BoxError> {
        loop {
            if let Some(value) = take(&mut self.bytes)? {
                return Ok(value);
            }
            self.bytes.reserve(READ_BYTES);
            if self.reader.read_buf(&mut self.bytes).await? == 0 {
                return Err("redis has hung up".into());
            }
        }
    }
}

impl Outgoing {
    /// Puts a command behind what waits.
    pub(super) fn command(&mut self, words: &[&[u8]]) {
        self.bytes.put_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.bytes.put_slice(format!("${}\r\n", word.len()).as_bytes());
            self.bytes.put_slice(word);
            self.bytes.put_slice(b"\r\n");
        }
    }

    /// Writes what waits, in one go.
    pub(super) async fn flush(&mut self) -> Result<(), BoxError> {
        self.writer.write_all(&self.bytes).await?;
        self.bytes.clear();
        Ok(())
    }
}

/// The next answer, if it is here in whole.
fn take(bytes: &mut BytesMut) -> Result<Option<Value>, BoxError> {
    let mut cursor = Cursor { bytes, at: 0 };
    // Looked for before anything is taken out: the texts can then be slices of what came.
    if !cursor.skip(0)? {
        return if bytes.len() > MAX_BYTES { Err("an answer without an end".into()) } else { Ok(None) };
    }
    let length = cursor.at;
    let whole = bytes.split_to(length).freeze();
    let mut cursor = Cursor { bytes: &whole, at: 0 };
    cursor.value(&whole).map(Some)
}

impl<'a> Cursor<'a> {
    /// Whether a whole value is here, and goes behind it.
    fn skip(&mut self, depth: usize) -> Result<bool, BoxError> {
        if depth > MAX_DEPTH {
            return Err("an answer that is too deep".into());
        }
        let Some((kind, line)) = self.line() else { return Ok(false) };
        match kind {
            b'$' => {
                let Ok(length) = usize::try_from(number(line)?) else { return Ok(true) };
                self.at = self.at.saturating_add(length).saturating_add(2);
                Ok(self.at <= self.bytes.len())
            }
            b'*' => {
                for _ in 0..number(line)?.max(0) {
                    if !self.skip(depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    /// The value here, all of which [`Cursor::skip`] has seen.
    fn value(&mut self, whole: &Bytes) -> Result<Value, BoxError> {
        let (kind, line) = self.line().ok_or("half an answer")?;
        match kind {
            b'+' => Ok(Value::Bytes(whole.slice_ref(line))),
            b':' => Ok(Value::Integer(number(line)?)),
            b'$' => {
                let Ok(length) = usize::try_from(number(line)?) else { return Ok(Value::Nothing) };
                let text = whole.slice(self.at..self.at + length);
                self.at += length + 2;
                Ok(Value::Bytes(text))
            }
            b'*' => {
                let Ok(length) = usize::try_from(number(line)?) else { return Ok(Value::Nothing) };
                (0..length).map(|_| self.value(whole)).collect::<Result<_, _>>().map(Value::Array)
            }
            _ => Err(format!("redis said {}", String::from_utf8_lossy(line)).into()),
        }
    }

    /// The kind and the rest of a line, and goes behind it.
    fn line(&mut self) -> Option<(u8, &'a [u8])> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        self.at += end + 2;
        let (&kind, line) = rest[..end].split_first()?;
        Some((kind, line))
    }
}

fn number(line: &[u8]) -> Result<i64, BoxError> {
    Ok(str::from_utf8(line)?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_waits_for_its_last_byte() {
        let whole = b"*2\r\n$5\r\nhooks\r\n*2\r\n:7\r\n$-1\r\n";
        for here in 0..whole.len() {
            assert_eq!(take(&mut BytesMut::from(&whole[..here])).unwrap(), None);
        }
        let inner = Value::Array(vec![Value::Integer(7), Value::Nothing]);
        let value = Value::Array(vec![Value::Bytes("hooks".into()), inner]);
        let mut bytes = BytesMut::from(&whole[..]);
        assert_eq!(take(&mut bytes).unwrap(), Some(value));
        assert!(bytes.is_empty());
    }

    #[test]
    fn what_redis_complains_about_is_an_error() {
        assert!(take(&mut BytesMut::from("-ERR no such key\r\n")).is_err());
        assert!(take(&mut BytesMut::from("$x\r\n")).is_err());
        assert!(take(&mut BytesMut::from("*1\r\n".repeat(99).as_str())).is_err());
    }
}
