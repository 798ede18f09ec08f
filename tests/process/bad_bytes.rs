//! What is no gRPC is answered where that can help, and closed in any case.

use crate::{
    cast::{
        daemon::Daemon,
        stranger::{PREFACE, SETTINGS, hear, say},
    },
    witness::Witness,
};

#[tokio::test]
async fn http1() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let mut browser = say(&daemon, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let answer = String::from_utf8(hear(&mut browser).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("This port speaks gRPC, which needs HTTP/2"), "{answer}");
    witness.goes_on(daemon).await;
}

#[tokio::test]
async fn garbage() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for words in [b"\0".as_slice(), tls, &[0xff; 4096], b"\n\n\n\n", b"PRI * HTTP/3.0\r\n\r\n"] {
        assert_eq!(hear(&mut say(&daemon, words).await).await, b"", "{}", words.escape_ascii());
    }
    witness.goes_on(daemon).await;
}

/// Behind a true preface: HTTP/2 has its own words for it.
#[tokio::test]
async fn garbage_behind_a_preface() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let heard = hear(&mut say(&daemon, &[PREFACE, SETTINGS, &[0xff; 4096]].concat()).await).await;
    assert!(frames(&heard).contains(&GOAWAY), "{}", heard.escape_ascii());
    witness.goes_on(daemon).await;
}

/// The type of a frame that says why a connection ends.
const GOAWAY: u8 = 7;

/// The types of these HTTP/2 frames.
fn frames(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [a, b, c, kind, ..] = bytes {
        types.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = bytes.get(9 + length..).unwrap_or_default();
    }
    types
}
