//! A stream of `zfs send` as bytes, to be bent into what it must not be.
//!
//! The layout is `dmu_replay_record`'s (OpenZFS, `sys/zfs_ioctl.h`), little-endian.

use crate::machine::Machine;
use crate::programs::{is_real, zfs_program};

/// Bytes of a record without its payload.
const HEADER: usize = 312;
/// Where a record but the first holds the checksum of all that came before.
const CHECKSUM: usize = HEADER - 32;
/// Where in its object a WRITE's block goes.
const OFFSET: usize = 24;
/// Fields of the first record.
const VERSION: usize = 16;
const KIND: usize = 32;
const TO_GUID: usize = 40;
const FROM_GUID: usize = 48;
/// DMU_BACKUP_FEATURE_RAW, behind the two bits of the header's type.
const RAW: u64 = 1 << 24 << 2;
/// DMU_SUBSTREAM and DMU_COMPOUNDSTREAM, the header's types.
const SINGLE: u64 = 1;
const COMPOUND: u64 = 2;

/// A whole stream, as it was sent.
#[derive(Clone)]
pub struct Stream(Vec<u8>);

impl Stream {
    /// What `zfs send` writes of a snapshot.
    pub fn sent(machine: &Machine, snapshot: &str) -> Self {
        Self::sent_with(machine, &[], snapshot)
    }

    /// The same with these flags.
    pub fn sent_with(machine: &Machine, flags: &[&str], snapshot: &str) -> Self {
        let mut send = machine.command(&zfs_program("zfs"));
        let output = send.arg("send").args(flags).arg(snapshot).output().expect("zfs send");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "zfs send {snapshot}: {message}");
        Self(output.stdout)
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The GUID of the snapshot that it makes.
    pub fn guid(&self) -> u64 {
        self.field(TO_GUID)
    }

    /// As one of several snapshots, which makes children and sets properties.
    pub fn compound(&self) -> Vec<u8> {
        self.with(VERSION, self.field(VERSION) & !SINGLE | COMPOUND)
    }

    /// As an increment.
    pub fn increment(&self) -> Vec<u8> {
        self.with(FROM_GUID, 7)
    }

    /// As of a volume.
    pub fn of_volume(&self) -> Vec<u8> {
        self.with(KIND, self.field(KIND) & !0xffff_ffff | 3)
    }

    /// As of encrypted data.
    pub fn raw(&self) -> Vec<u8> {
        self.with(VERSION, self.field(VERSION) | RAW)
    }

    /// The stream up to its first large block of data, and then block after block of zeroes, for
    /// ever, each record with its right checksum.
    pub fn endless(&self) -> impl FnMut() -> Vec<u8> + Send + use<> {
        const LARGE: usize = 64 << 10;
        let (start, end) = self.find_write(LARGE);
        let mut record = self.0[start..end].to_vec();
        record[HEADER..].fill(0);
        let payload = Fletcher4::of(&record[HEADER..]);
        // A real kernel panics at a block that comes twice; zfs-sim takes none behind a file's end.
        let step = if is_real() { (end - start - HEADER) as u64 } else { 0 };
        let mut head = Some(self.0[..end].to_vec());
        let mut sum = Fletcher4::of(&self.0[..end]);
        move || {
            if let Some(head) = head.take() {
                return head;
            }
            let offset = u64_at(&record, OFFSET) + step;
            record[OFFSET..OFFSET + 8].copy_from_slice(&offset.to_le_bytes());
            sum = sum.then(&Fletcher4::of(&record[..CHECKSUM]));
            let so_far = sum.bytes();
            record[CHECKSUM..HEADER].copy_from_slice(&so_far);
            sum = sum.then(&Fletcher4::of(&so_far)).then(&payload);
            record.clone()
        }
    }

    /// The first WRITE of so many bytes.
    fn find_write(&self, at_least: usize) -> (usize, usize) {
        const OBJECT: u32 = 1;
        const WRITE: u32 = 3;
        const SPILL: u32 = 7;
        let mut start = 0;
        loop {
            let u32_at = |at: usize| {
                let bytes = self.0[start + at..][..4].try_into().expect("4 bytes");
                u32::from_le_bytes(bytes) as usize
            };
            let kind = u32_at(0) as u32;
            let payload = match kind {
                OBJECT => u32_at(28).next_multiple_of(8),
                // Longer ones than 4 GiB there are none.
                WRITE => u32_at(32),
                SPILL => u32_at(16),
                _ => u32_at(4),
            };
            let end = start + HEADER + payload;
            if kind == WRITE && payload >= at_least {
                return (start, end);
            }
            start = end;
        }
    }

    fn field(&self, at: usize) -> u64 {
        u64_at(&self.0, at)
    }

    fn with(&self, at: usize, value: u64) -> Vec<u8> {
        let mut bytes = self.0.clone();
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        bytes
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

/// The checksum of streams, over `words` words of four bytes.
struct Fletcher4 {
    sums: [u64; 4],
    words: u64,
}

impl Fletcher4 {
    fn of(bytes: &[u8]) -> Self {
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
    fn then(&self, other: &Self) -> Self {
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

    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.sums) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}
