//! A stream of `zfs send` as bytes, to be bent into what it must not be.
//!
//! The layout is `dmu_replay_record`'s (OpenZFS, `sys/zfs_ioctl.h`), little-endian.

mod fletcher;

use std::ops::Range;

use self::fletcher::Fletcher4;
use crate::machine::Machine;
use crate::programs::zfs_program;

/// Bytes of a record without its payload.
const HEADER: usize = 312;
/// Where a record but the first holds the checksum of all that came before.
const CHECKSUM: usize = HEADER - 32;
/// Types of records.
const OBJECT: u32 = 1;
const WRITE: u32 = 3;
const END: u32 = 5;
const SPILL: u32 = 7;
/// The object of an OBJECT or WRITE, and where in it a WRITE's block goes.
const OBJECT_ID: usize = 8;
const OFFSET: usize = 24;
/// Bytes in a block of an OBJECT.
const BLOCK_SIZE: usize = 24;
/// Where END has the checksum of the stream before it.
const END_CHECKSUM: usize = 8;
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

    /// One that was sent, as it is.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The GUID of the snapshot that it makes.
    pub fn guid(&self) -> u64 {
        self.field(TO_GUID)
    }

    /// Of the snapshot with this GUID.
    pub fn of_another(&self, guid: u64) -> Vec<u8> {
        self.with(TO_GUID, guid)
    }

    /// As an increment from the snapshot with this GUID.
    pub fn from_another(&self, guid: u64) -> Vec<u8> {
        self.with(FROM_GUID, guid)
    }

    /// As plain data, if it is raw.
    pub fn not_raw(&self) -> Vec<u8> {
        self.with(VERSION, self.field(VERSION) & !RAW)
    }

    /// As one that goes on 128 KiB later than it does.
    pub fn resumed_elsewhere(&self) -> Vec<u8> {
        const NAME: &[u8] = b"resume_offset\0\0\0";
        let at = self.0.windows(NAME.len()).position(|window| window == NAME);
        let value = at.expect("a resumed stream") + NAME.len();
        self.with(value, self.field(value) + (128 << 10))
    }

    /// With its first object in blocks of another size.
    pub fn in_other_blocks(&self) -> Vec<u8> {
        let records = self.records();
        let object = records.iter().find(|record| self.u32_at(record.start) == OBJECT);
        let at = object.expect("an object").start + BLOCK_SIZE;
        let mut bytes = self.0.clone();
        let halved = self.u32_at(at) / 2;
        bytes[at..at + 4].copy_from_slice(&halved.to_le_bytes());
        bytes
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

    /// With its first large block of data twice.
    pub fn with_a_block_twice(&self) -> Vec<u8> {
        let mut records = self.records();
        let (first, _) = self.two_writes();
        records.insert(first, records[first].clone());
        self.of_records(&records)
    }

    /// With two blocks of the same file in the wrong order.
    pub fn with_writes_backwards(&self) -> Vec<u8> {
        let mut records = self.records();
        let (first, second) = self.two_writes();
        records.swap(first, second);
        self.of_records(&records)
    }

    /// The stream up to its first large block of data, and then block after block of zeroes, for
    /// ever, each record with its right checksum.
    pub fn endless(&self) -> impl FnMut() -> Vec<u8> + Send + use<> {
        let (first, _) = self.two_writes();
        let Range { start, end } = self.records()[first];
        let mut record = self.0[start..end].to_vec();
        record[HEADER..].fill(0);
        let payload = Fletcher4::of(&record[HEADER..]);
        let step = (end - start - HEADER) as u64;
        let mut head = Some(self.0[..end].to_vec());
        let mut sum = Fletcher4::of(&self.0[..end]);
        move || {
            if let Some(head) = head.take() {
                return head;
            }
            let offset = u64_at(&record, OFFSET) + step;
            record[OFFSET..OFFSET + 8].copy_from_slice(&offset.to_le_bytes());
            sum = seal(sum, &mut record[..HEADER]).then(&payload);
            record.clone()
        }
    }

    /// The first two WRITEs of large blocks that follow each other in a file.
    fn two_writes(&self) -> (usize, usize) {
        const LARGE: usize = 64 << 10;
        let records = self.records();
        let is_large_write = |record: &Range<usize>| {
            self.u32_at(record.start) == WRITE && record.len() >= HEADER + LARGE
        };
        let object = |record: &Range<usize>| u64_at(&self.0[record.clone()], OBJECT_ID);
        let first = (1..records.len()).find(|&n| {
            let (one, next) = (&records[n - 1], &records[n]);
            is_large_write(one) && is_large_write(next) && object(one) == object(next)
        });
        let second = first.expect("two blocks of a file");
        (second - 1, second)
    }

    /// Where each record begins and, with its payload, ends.
    fn records(&self) -> Vec<Range<usize>> {
        let mut records = Vec::new();
        let mut start = 0;
        while start < self.0.len() {
            let u32_at = |at: usize| self.u32_at(start + at);
            let payload = match u32_at(0) {
                OBJECT => u32_at(28).next_multiple_of(8),
                // Longer ones than 4 GiB there are none.
                WRITE => u32_at(32),
                SPILL => u32_at(16),
                _ => u32_at(4),
            };
            let end = start + HEADER + payload as usize;
            records.push(start..end);
            start = end;
        }
        records
    }

    /// These records, in this order, with their right checksums.
    fn of_records(&self, records: &[Range<usize>]) -> Vec<u8> {
        let mut stream = self.0[records[0].clone()].to_vec();
        let mut sum = Fletcher4::of(&stream);
        for record in &records[1..] {
            let mut record = self.0[record.clone()].to_vec();
            if u32_at(&record, 0) == END {
                record[END_CHECKSUM..END_CHECKSUM + 32].copy_from_slice(&sum.bytes());
            }
            sum = seal(sum, &mut record[..HEADER]).then(&Fletcher4::of(&record[HEADER..]));
            stream.extend(record);
        }
        stream
    }

    fn u32_at(&self, at: usize) -> u32 {
        u32_at(&self.0, at)
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

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// Puts the checksum of all before it into a header; gives that of all with the header.
fn seal(before: Fletcher4, header: &mut [u8]) -> Fletcher4 {
    let sum = before.then(&Fletcher4::of(&header[..CHECKSUM]));
    let so_far = sum.bytes();
    header[CHECKSUM..].copy_from_slice(&so_far);
    sum.then(&Fletcher4::of(&so_far))
}
