//! The first bytes of a connection: HTTP/2, or something that deserves an answer, or not.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What an HTTP/2 client says first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How an HTTP/1 request begins.
const HTTP1_METHODS: [&[u8]; 9] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"TRACE ", b"CONNECT "];

/// What an HTTP/1 client is told. Not 426: that would have to offer an upgrade, and there is none.
const HTTP1_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain\r\n\
    content-length: 62\r\n\
    connection: close\r\n\
    \r\n\
    This port speaks gRPC, which needs HTTP/2 from the first byte\n";

/// How much of an HTTP/1 request is read after the answer, in bytes.
const HTTP1_LEFTOVER: u64 = 64 << 10;

/// What a peer seems to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// HTTP/2: exactly [`PREFACE`] was read.
    Http2,
    /// HTTP/1.
    Http1,
    /// Nothing that we know.
    Unknown,
}

/// Reads as little as it takes to know.
///
/// # Errors
/// When the peer goes away before that.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Greeting> {
    let mut heard = [0; PREFACE.len()];
    let mut length = 0;
    loop {
        // Not a byte more than the preface: what follows it belongs to hyper.
        match stream.read(&mut heard[length..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => length += read,
        }
        if let Some(greeting) = recognise(&heard[..length]) {
            return Ok(greeting);
        }
    }
}

/// `None` while it can still become one or the other.
fn recognise(heard: &[u8]) -> Option<Greeting> {
    if PREFACE.starts_with(heard) {
        (heard.len() == PREFACE.len()).then_some(Greeting::Http2)
    } else if HTTP1_METHODS.iter().any(|method| heard.starts_with(method)) {
        Some(Greeting::Http1)
    } else if HTTP1_METHODS.iter().any(|method| method.starts_with(heard)) {
        None
    } else {
        Some(Greeting::Unknown)
    }
}

/// Tells an HTTP/1 client what this port is.
///
/// # Errors
/// When the peer goes away before that.
pub(super) async fn turn_away_http1(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    stream.write_all(HTTP1_ANSWER).await?;
    stream.shutdown().await?;
    // Closing with unread bytes makes the kernel send a reset, which can overtake the answer.
    tokio::io::copy(&mut stream.take(HTTP1_LEFTOVER), &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_the_preface_and_not_a_byte_more() {
        let said = [PREFACE.as_slice(), b"\0\0\0\x04"].concat();
        let mut stream = said.as_slice();
        assert_eq!(read(&mut stream).await.unwrap(), Greeting::Http2);
        assert_eq!(stream, b"\0\0\0\x04");
    }

    #[test]
    fn decides_as_soon_as_it_can() {
        for (heard, greeting) in [
            (b"P".as_slice(), None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            (b"POS", None),
            (b"POST ", Some(Greeting::Http1)),
            (b"GET / HTTP/1.1\r\n\r\n", Some(Greeting::Http1)),
            (b"PRI * HTTP/1.1", Some(Greeting::Unknown)),
            (b"GETTING", Some(Greeting::Unknown)),
            (b"\x16\x03\x01", Some(Greeting::Unknown)),
        ] {
            assert_eq!(recognise(heard), greeting, "{}", heard.escape_ascii());
        }
    }

    #[tokio::test]
    async fn a_peer_that_leaves_in_the_middle_is_an_error() {
        assert!(read(&mut PREFACE[..10].as_ref()).await.is_err());
    }

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let answer = str::from_utf8(HTTP1_ANSWER).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{} bytes", body.len());
    }
}
