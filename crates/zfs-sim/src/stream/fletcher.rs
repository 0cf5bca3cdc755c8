//! The Fletcher-4 checksum over little-endian 32-bit words, as `zfs_fletcher.c` defines it.

/// A running checksum.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fletcher4([u64; 4]);

impl Fletcher4 {
    /// Goes on over these bytes; a tail shorter than a word is left out.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let [mut a, mut b, mut c, mut d] = self.0;
        let (words, _) = bytes.as_chunks();
        for word in words {
            a = a.wrapping_add(u64::from(u32::from_le_bytes(*word)));
            b = b.wrapping_add(a);
            c = c.wrapping_add(b);
            d = d.wrapping_add(c);
        }
        self.0 = [a, b, c, d];
    }

    /// The first of its four words.
    pub(crate) fn first(self) -> u64 {
        self.0[0]
    }

    /// As it stands in a record.
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}
