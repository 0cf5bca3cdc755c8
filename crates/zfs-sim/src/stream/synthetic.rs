//! A stream out of memory, for measuring what carries it: one file of any length, made of one block
//! of noise again and again. Each record goes out in one write, and is checksummed without another
//! look at its data.

use std::io::Write;

use anyhow::Result;

use super::fletcher::Summed;
use super::record::LENGTH;
use super::{Begin, Content, Entry, MAX_BLOCK, SECTOR, Writer};

/// The length of the file that `ZFS_SIM_SYNTHETIC` asks for, rounded up to whole sectors.
pub(crate) fn asked() -> Result<Option<u64>> {
    let length = crate::faults::number("ZFS_SIM_SYNTHETIC")?;
    Ok(length.map(|length| length.next_multiple_of(SECTOR)))
}

/// Bytes of the records that carry a file of this length.
pub(crate) fn size(length: u64) -> u64 {
    length + length.div_ceil(MAX_BLOCK as u64) * LENGTH as u64
}

/// Writes a whole stream of a filesystem with a file of `length` bytes, whole sectors. `guid` is its
/// snapshot's.
pub fn synthetic_stream(out: impl Write, guid: u64, length: u64) -> Result<()> {
    let begin = Begin {
        creation: 0,
        is_volume: false,
        toguid: guid,
        fromguid: 0,
        toname: "pool/synthetic@snapshot".to_owned(),
        features: 0,
        resume: None,
    };
    let mut writer = Writer::begin(out, begin)?;
    writer.synthetic(length)?;
    writer.end()
}

impl<W: Write> Writer<W> {
    /// Writes a file of `length` bytes, whole sectors.
    pub(crate) fn synthetic(&mut self, length: u64) -> Result<()> {
        let path = b"synthetic".to_vec();
        let content = Content::File(length);
        self.object(1, &Entry { path, mode: 0o644, modified: (0, 0), content })?;
        let noise = noise();
        let block = Summed::of(&noise);
        let mut record = [&[0; LENGTH], noise.as_slice()].concat();
        let whole = length - length % MAX_BLOCK as u64;
        for offset in (0..whole).step_by(MAX_BLOCK) {
            let header = self.write_header(offset, MAX_BLOCK as u64);
            record[..LENGTH].copy_from_slice(&self.summed(header).0);
            self.sum.append(&block);
            self.out.write_all(&record)?;
        }
        match usize::try_from(length - whole)? {
            0 => Ok(()),
            rest => self.write(whole, &noise[..rest]),
        }
    }
}

/// A block that doesn't compress: of a linear congruential generator.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()
    };
    std::iter::repeat_with(next).take(MAX_BLOCK / 8).flatten().collect()
}
