//! Finds the pings in what an HTTP/2 client sends. Pure.

/// What a client says first, before any frame.
const PREFACE: usize = 24;

/// A frame's length (3 bytes), type, flags, and stream (4).
const HEADER: usize = 9;

/// The type of a ping.
const PING: u8 = 6;

/// The flag of a ping that answers another.
const ACK: u8 = 1;

/// Where the next frame begins.
#[derive(Debug)]
pub(super) struct Pings {
    /// Bytes that are none of a header's.
    skip: usize,
    header: Vec<u8>,
}

impl Default for Pings {
    fn default() -> Self {
        Self { skip: PREFACE, header: Vec::with_capacity(HEADER) }
    }
}

impl Pings {
    /// How many pings, and no answers, begin in these next bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> u64 {
        let mut sent = 0;
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEADER - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if let [a, b, c, kind, flags, ..] = self.header[..]
                && self.header.len() == HEADER
            {
                sent += u64::from(kind == PING && flags & ACK == 0);
                self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.header.clear();
            }
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, (payload >> 8) as u8, payload as u8, kind, flags, 0, 0, 0, 0];
        frame.extend(vec![PING; payload]);
        frame
    }

    #[test]
    fn pings_are_told_from_answers_however_the_bytes_are_cut() {
        let frames =
            [frame(4, 0, 18), frame(PING, 0, 8), frame(0, 1, 700), frame(PING, ACK, 8), frame(PING, 0, 8)];
        let bytes = [vec![b'P'; PREFACE], frames.concat()].concat();
        for piece in [1, 7, 9, 100, bytes.len()] {
            let mut pings = Pings::default();
            assert_eq!(bytes.chunks(piece).map(|bytes| pings.read(bytes)).sum::<u64>(), 2, "{piece}");
        }
    }
}
