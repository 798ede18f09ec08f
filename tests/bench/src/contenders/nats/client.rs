//! NATS' text protocol, as much of it as a publisher and a subscriber of a run need. The usual client brings some
//! fifty crates that nothing else here uses (TLS and signed credentials), and every build of the tests would compile them.

use std::str;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::link::{self, Reader, Writer};
use crate::role::BoxError;

/// What one read may bring, in bytes.
const READ_BYTES: usize = 256 << 10;

/// No line and no payload of a run is larger.
const MAX_BYTES: usize = 1 << 20;

const CONNECT: &str =
    r#"CONNECT {"verbose":false,"pedantic":false,"lang":"rust","version":"0","protocol":1}"#;

/// What comes from the server.
pub(crate) struct Incoming {
    reader: Reader,
    bytes: BytesMut,
}

/// What goes there: nothing does before [`Outgoing::flush`].
pub(crate) struct Outgoing {
    writer: Writer,
    bytes: BytesMut,
}

/// A message to one of our subscriptions.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    /// The number that the subscription was given.
    pub(crate) subscription: u32,
    /// Where an answer goes, empty where none is wanted.
    pub(crate) reply: String,
    /// What it says.
    pub(crate) payload: Bytes,
}

#[derive(Debug, PartialEq)]
enum Said {
    Message(Message),
    Pong,
    /// A PING may go unanswered for four minutes, which no run lasts.
    Nothing,
}

/// Connects; the server has taken it in when this returns.
pub(crate) async fn connect(address: &str) -> Result<(Incoming, Outgoing), BoxError> {
    let (reader, writer) = link::connect(address).await?;
    let mut incoming = Incoming { reader, bytes: BytesMut::new() };
    let mut outgoing = Outgoing { writer, bytes: BytesMut::new() };
    outgoing.line(&[CONNECT]);
    outgoing.settle(&mut incoming).await?;
    Ok((incoming, outgoing))
}

impl Incoming {
    /// Waits for a message.
    pub(crate) async fn next(&mut self) -> Result<Message, BoxError> {
        loop {
            match self.take()? {
                Some(message) => return Ok(message),
                None => self.read().await?,
            }
        }
    }

    /// The next message, if it is here in whole.
    pub(crate) fn take(&mut self) -> Result<Option<Message>, BoxError> {
        while let Some(said) = parse(&mut self.bytes)? {
            if let Said::Message(message) = said {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    async fn pong(&mut self) -> Result<(), BoxError> {
        loop {
            match parse(&mut self.bytes)? {
                Some(Said::Pong) => return Ok(()),
                Some(_) => {}
                None => self.read().await?,
            }
        }
    }

    async fn read(&mut self) -> Result<(), BoxError> {
        self.bytes.reserve(READ_BYTES);
        match self.reader.read_buf(&mut self.bytes).await? {
            0 => Err("the server has hung up".into()),
            _ => Ok(()),
        }
    }
}

impl Outgoing {
    /// Asks for what comes to a subject.
    pub(crate) fn subscribe(&mut self, subject: &str, subscription: u32) {
        self.line(&["SUB", subject, &subscription.to_string()]);
    }

    /// Publishes; `reply` is where an answer goes, empty for none.
    pub(crate) fn publish(&mut self, subject: &str, reply: &str, payload: &[u8]) {
        let length = payload.len().to_string();
        match reply {
            "" => self.line(&["PUB", subject, &length]),
            reply => self.line(&["PUB", subject, reply, &length]),
        }
        self.bytes.extend_from_slice(payload);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Writes what waits, in one go.
    pub(crate) async fn flush(&mut self) -> Result<(), BoxError> {
        self.writer.write_all(&self.bytes).await?;
        self.bytes.clear();
        Ok(())
    }

    /// Writes what waits, and comes back when the server has acted on it. Messages that arrive meanwhile are lost.
    pub(crate) async fn settle(&mut self, incoming: &mut Incoming) -> Result<(), BoxError> {
        self.line(&["PING"]);
        self.flush().await?;
        incoming.pong().await
    }

    fn line(&mut self, words: &[&str]) {
        for (index, word) in words.iter().enumerate() {
            self.bytes.extend_from_slice(if index == 0 { b"" } else { b" " });
            self.bytes.extend_from_slice(word.as_bytes());
        }
        self.bytes.extend_from_slice(b"\r\n");
    }
}

/// The next thing said, if it is here in whole.
fn parse(bytes: &mut BytesMut) -> Result<Option<Said>, BoxError> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() > MAX_BYTES { Err("a line without an end".into()) } else { Ok(None) };
    };
    let line = str::from_utf8(&bytes[..end])?;
    let mut words = line.split(' ');
    let said = match words.next() {
        Some("MSG") => return parse_message(bytes, end),
        Some("PONG") => Said::Pong,
        Some("INFO" | "PING" | "+OK") => Said::Nothing,
        _ => return Err(format!("the server said {line}").into()),
    };
    bytes.advance(end + 2);
    Ok(Some(said))
}

/// `MSG <subject> <sid> [reply] <bytes>`, and the payload behind it.
fn parse_message(bytes: &mut BytesMut, end: usize) -> Result<Option<Said>, BoxError> {
    let words: Vec<_> = str::from_utf8(&bytes[..end])?.split(' ').collect();
    let (subscription, reply, length) = match words[..] {
        [_, _, subscription, length] => (subscription, "", length),
        [_, _, subscription, reply, length] => (subscription, reply, length),
        _ => return Err("a MSG with a word too many or too few".into()),
    };
    let (subscription, length) = (subscription.parse()?, length.parse::<usize>()?);
    if length > MAX_BYTES {
        return Err(format!("a payload of {length} bytes").into());
    }
    if bytes.len() < end + 2 + length + 2 {
        return Ok(None);
    }
    let reply = reply.to_owned();
    bytes.advance(end + 2);
    let payload = bytes.split_to(length).freeze();
    bytes.advance(2);
    Ok(Some(Said::Message(Message { subscription, reply, payload })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_for_its_last_byte() {
        let whole = b"MSG hooks 1 7\r\na\r\nb\r\nc\r\n";
        for here in 0..whole.len() {
            assert_eq!(parse(&mut BytesMut::from(&whole[..here])).unwrap(), None);
        }
        let message = Message { subscription: 1, reply: String::new(), payload: Bytes::from("a\r\nb\r\nc") };
        let mut bytes = BytesMut::from(&whole[..]);
        assert_eq!(parse(&mut bytes).unwrap(), Some(Said::Message(message)));
        assert!(bytes.is_empty());
    }

    #[test]
    fn a_reply_subject_is_kept() {
        let message = Message { subscription: 2, reply: "$JS.ACK.1".into(), payload: Bytes::from("x") };
        let said = parse(&mut BytesMut::from("MSG hooks 2 $JS.ACK.1 1\r\nx\r\n")).unwrap();
        assert_eq!(said, Some(Said::Message(message)));
    }

    #[test]
    fn what_the_server_complains_about_is_an_error() {
        assert!(parse(&mut BytesMut::from("-ERR 'Slow Consumer'\r\n")).is_err());
        assert!(parse(&mut BytesMut::from("MSG hooks 2\r\n")).is_err());
        assert!(parse(&mut BytesMut::from("MSG hooks 2 99999999999\r\n")).is_err());
    }
}
