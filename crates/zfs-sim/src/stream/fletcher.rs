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

    /// Goes on over bytes that were summed by themselves: as [`Self::update`] would, at once.
    pub(crate) fn append(&mut self, next: &Summed) {
        let [a, b, c, d] = self.0;
        let Summed { sum: Self([e, f, g, h]), words: [one, two, three] } = *next;
        self.0 = [
            a.wrapping_add(e),
            b.wrapping_add(one.wrapping_mul(a)).wrapping_add(f),
            c.wrapping_add(one.wrapping_mul(b)).wrapping_add(two.wrapping_mul(a)).wrapping_add(g),
            d.wrapping_add(one.wrapping_mul(c))
                .wrapping_add(two.wrapping_mul(b))
                .wrapping_add(three.wrapping_mul(a))
                .wrapping_add(h),
        ];
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

/// Bytes with their checksum.
pub(crate) struct Summed {
    sum: Fletcher4,
    /// How often a word before these bytes counts again in each of the sums: of n words n,
    /// n(n+1)/2 and n(n+1)(n+2)/6 times.
    words: [u64; 3],
}

impl Summed {
    /// Sums whole words, far fewer than 2^21 of them.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut sum = Fletcher4::default();
        sum.update(bytes);
        let n = bytes.len() as u64 / 4;
        Self { sum, words: [n, n * (n + 1) / 2, n * (n + 1) * (n + 2) / 6] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appending_a_sum_is_going_on_over_its_bytes() {
        let bytes: Vec<u8> = (0..4096_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        for split in [0, 4, 100, 8192, bytes.len()] {
            let (mut whole, mut parts) = (Fletcher4::default(), Fletcher4::default());
            whole.update(&bytes);
            parts.update(&bytes[..split]);
            parts.append(&Summed::of(&bytes[split..]));
            assert_eq!(parts.0, whole.0, "split at {split}");
        }
    }
}
