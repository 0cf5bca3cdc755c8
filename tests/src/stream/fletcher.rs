//! The checksum of streams, such that one of a gigabyte of the same block costs no more than the block.

/// A checksum, over `words` words of four bytes.
#[derive(Clone, Copy)]
pub(super) struct Fletcher4 {
    sums: [u64; 4],
    words: u64,
}

impl Fletcher4 {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let [mut a, mut b, mut c, mut d] = [0_u64; 4];
        for word in bytes.chunks_exact(4) {
            a = a.wrapping_add(u64::from(u32::from_le_bytes(word.try_into().expect("4 bytes"))));
            b = b.wrapping_add(a);
            c = c.wrapping_add(b);
            d = d.wrapping_add(c);
        }
        Self { sums: [a, b, c, d], words: (bytes.len() / 4) as u64 }
    }

    /// Of the bytes of this one with those of the other behind them. It is linear, so a gigabyte of
    /// the same block costs no more than the block.
    pub(super) fn then(&self, other: &Self) -> Self {
        let ([a, b, c, d], n) = (self.sums, other.words);
        // How often each sum goes into those behind it over n words.
        let weights = [1, n, n * (n + 1) / 2, n * (n + 1) * (n + 2) / 6];
        let carried = |sums: &[u64]| {
            let products = sums.iter().zip(weights).map(|(sum, weight)| sum.wrapping_mul(weight));
            products.fold(0, u64::wrapping_add)
        };
        let carried =
            [carried(&[a]), carried(&[b, a]), carried(&[c, b, a]), carried(&[d, c, b, a])];
        let mut sums = other.sums;
        for (sum, carried) in sums.iter_mut().zip(carried) {
            *sum = sum.wrapping_add(carried);
        }
        Self { sums, words: self.words + n }
    }

    pub(super) fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.sums) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}
