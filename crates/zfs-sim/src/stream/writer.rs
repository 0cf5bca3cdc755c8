//! Writes a stream, record by record, with its checksums.

use std::io::Write;

use anyhow::Result;

use super::record::{Begin, CHECKSUM, Header, RESUMING, Type};
use super::{Content, Entry, Fletcher4, MAX_BLOCK, SECTOR};

/// DMU_OT_PLAIN_FILE_CONTENTS, DMU_OT_ZVOL and DMU_OT_SA, as the objects of real streams have them.
const FILE_CONTENTS: u32 = 19;
const ZVOL: u32 = 23;
const SYSTEM_ATTRIBUTES: u32 = 44;

/// A stream being written.
pub(crate) struct Writer<W> {
    pub(super) out: W,
    pub(super) sum: Fletcher4,
    begin: Begin,
    /// The object being written; real objects start at 1.
    object: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the first record.
    pub(crate) fn begin(out: W, begin: Begin) -> Result<Self> {
        let mut writer = Self { out, sum: Fletcher4::default(), begin, object: 0 };
        let mut payload = Vec::new();
        if let Some(position) = writer.begin.resume {
            writer.begin.features |= RESUMING;
            payload = position.pack()?;
        }
        let mut header = writer.begin.header();
        header.set_u32(4, payload.len().try_into()?);
        for part in [header.0.as_slice(), &payload] {
            writer.sum.update(part);
            writer.out.write_all(part)?;
        }
        Ok(writer)
    }

    /// Begins an object; numbers go up.
    pub(crate) fn object(&mut self, object: u64, entry: &Entry) -> Result<()> {
        self.object = object;
        let mut bonus = postcard::to_stdvec(entry)?;
        let length = match entry.content {
            Content::File(length) => length,
            Content::Folder | Content::Link(_) | Content::Gone => 0,
        };
        let block = length.next_multiple_of(SECTOR).clamp(SECTOR, MAX_BLOCK as u64);
        let mut header = Header::new(Type::Object);
        header.set_u64(8, self.object);
        header.set_u32(16, self.object_type());
        header.set_u32(20, SYSTEM_ATTRIBUTES);
        header.set_u32(24, block.try_into()?);
        header.set_u32(28, bonus.len().try_into()?);
        header.0[34] = 1;
        header.set_u64(40, self.begin.toguid);
        bonus.resize(bonus.len().next_multiple_of(8), 0);
        self.record(header, &bonus)
    }

    /// Writes a block of the current object: whole sectors, at most 128 KiB.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        self.record(self.write_header(offset, data.len() as u64), data)
    }

    /// The header of such a block, without its checksum.
    pub(super) fn write_header(&self, offset: u64, length: u64) -> Header {
        let mut header = Header::new(Type::Write);
        header.set_u64(8, self.object);
        header.set_u32(16, self.object_type());
        header.set_u64(24, offset);
        header.set_u64(32, length);
        header.set_u64(40, self.begin.toguid);
        header
    }

    /// Writes the last records: no further objects, and the end.
    pub(crate) fn end(mut self) -> Result<()> {
        let mut header = Header::new(Type::FreeObjects);
        header.set_u64(8, self.object + 1);
        header.set_u64(16, 32 - (self.object + 1) % 32);
        header.set_u64(24, self.begin.toguid);
        self.record(header, &[])?;
        let mut header = Header::new(Type::End);
        header.0[8..40].copy_from_slice(&self.sum.to_bytes());
        header.set_u64(40, self.begin.toguid);
        self.record(header, &[])?;
        Ok(self.out.flush()?)
    }

    fn object_type(&self) -> u32 {
        if self.begin.is_volume { ZVOL } else { FILE_CONTENTS }
    }

    /// The header with the checksum of all before it, to which it is added.
    pub(super) fn summed(&mut self, mut header: Header) -> Header {
        self.sum.update(&header.0[..CHECKSUM]);
        let sum = self.sum.to_bytes();
        header.0[CHECKSUM..].copy_from_slice(&sum);
        self.sum.update(&sum);
        header
    }

    fn record(&mut self, header: Header, payload: &[u8]) -> Result<()> {
        let header = self.summed(header);
        self.sum.update(payload);
        self.out.write_all(&header.0)?;
        Ok(self.out.write_all(payload)?)
    }
}
