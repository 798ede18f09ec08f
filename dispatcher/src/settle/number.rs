//! Numbers in few bytes.

/// A number below 2^48: at a million a second, nine years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct U48([u16; 3]);

impl U48 {
    pub(super) fn new(number: u64) -> Self {
        debug_assert!(number < 1 << 48, "{number}");
        Self([number as u16, (number >> 16) as u16, (number >> 32) as u16])
    }

    pub(super) fn get(self) -> u64 {
        let Self([low, middle, high]) = self;
        u64::from(low) | u64::from(middle) << 16 | u64::from(high) << 32
    }
}

/// A length as protobuf writes it, and what stands behind it.
pub(super) fn varint(bytes: &[u8]) -> (usize, &[u8]) {
    if let [length @ 0..0x80, rest @ ..] = bytes {
        return ((*length).into(), rest); // nearly always
    }
    let mut length = 0;
    for (at, byte) in bytes.iter().enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return (length, &bytes[at + 1..]);
        }
    }
    (length, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_back() {
        for number in [0, 1, 0xffff, 0x1_0000, 0x1234_5678_9abc, (1 << 48) - 1] {
            assert_eq!(U48::new(number).get(), number);
        }
    }

    #[test]
    fn a_length_and_what_is_behind_it() {
        for length in [0, 1, 127, 128, 300, 1 << 20] {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(length, &mut bytes);
            bytes.push(9);
            assert_eq!(varint(&bytes), (length as usize, &[9][..]));
        }
    }
}
