//! Reads a stream and believes none of it: structure, sizes and checksums are verified.

use std::io::{self, ErrorKind, Read};

use super::record::{Begin, CHECKSUM, Header, Item, LENGTH, Position, RESUMING, SUBSTREAM, Type};
use super::{Fletcher4, MAX_BLOCK};

/// The most that a bonus may take: more than the longest path, and more than ZFS allows.
const MAX_BONUS: u32 = 64 << 10;
/// The most that the first record may carry.
const MAX_PAYLOAD: u32 = 64 << 10;

/// Why a stream can't be read on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It ended before its END record.
    Incomplete,
    /// The first record isn't one.
    BadMagic,
    /// A checksum is wrong.
    Checksum,
    /// It is sound, but not of a kind that is understood.
    Unsupported,
    /// A record makes no sense.
    Malformed,
    /// It can't be read any more.
    Device,
}

/// A stream being read, after its first record.
pub(crate) struct Reader<R> {
    pub(super) input: R,
    sum: Fletcher4,
    pub(super) toguid: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the first record.
    pub(crate) fn begin(mut input: R) -> Result<(Self, Begin), Broken> {
        let mut header = Header([0; LENGTH]);
        fill(&mut input, &mut header.0)?;
        let (mut begin, kind) = Begin::parse(&header).ok_or(Broken::BadMagic)?;
        let (resuming, length) = (begin.features & RESUMING != 0, header.u32(4));
        if kind != SUBSTREAM || resuming != (length != 0) || length > MAX_PAYLOAD {
            return Err(Broken::Unsupported);
        }
        let mut sum = Fletcher4::default();
        sum.update(&header.0);
        let mut reader = Self { input, sum, toguid: begin.toguid };
        if resuming {
            let payload = reader.payload(length as usize)?;
            begin.resume = Some(Position::unpack(&payload).ok_or(Broken::Malformed)?);
        }
        Ok((reader, begin))
    }

    /// Reads the next record.
    pub(crate) fn next(&mut self) -> Result<Item, Broken> {
        let mut header = Header([0; LENGTH]);
        fill(&mut self.input, &mut header.0)?;
        let before = self.sum;
        self.sum.update(&header.0[..CHECKSUM]);
        if header.0[CHECKSUM..] != self.sum.to_bytes() {
            return Err(Broken::Checksum);
        }
        self.sum.update(&header.0[CHECKSUM..]);
        match header.u32(0) {
            kind if kind == Type::Object as u32 => {
                let length = header.u32(28);
                if length > MAX_BONUS || header.u64(40) != self.toguid {
                    return Err(Broken::Malformed);
                }
                let bonus = self.payload(length.next_multiple_of(8) as usize)?;
                Ok(Item::Object { object: header.u64(8), bonus })
            }
            kind if kind == Type::Write as u32 => {
                let length = usize::try_from(header.u64(32)).map_err(|_| Broken::Malformed)?;
                if length > MAX_BLOCK || header.u64(40) != self.toguid {
                    return Err(Broken::Malformed);
                }
                Ok(Item::Write {
                    object: header.u64(8),
                    offset: header.u64(24),
                    data: self.payload(length)?,
                })
            }
            kind if kind == Type::FreeObjects as u32 => Ok(Item::Other),
            kind if kind == Type::End as u32 => {
                if header.0[8..40] != before.to_bytes() {
                    return Err(Broken::Checksum);
                }
                Ok(Item::End { toguid: header.u64(40) })
            }
            _ => Err(Broken::Malformed),
        }
    }

    /// Reads to the end of the input, whatever it is.
    pub(crate) fn skip(&mut self) -> io::Result<()> {
        io::copy(&mut self.input, &mut io::sink()).map(drop)
    }

    fn payload(&mut self, length: usize) -> Result<Vec<u8>, Broken> {
        let mut payload = vec![0; length];
        fill(&mut self.input, &mut payload)?;
        self.sum.update(&payload);
        Ok(payload)
    }
}

pub(super) fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<(), Broken> {
    input.read_exact(buffer).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => Broken::Incomplete,
        _ => Broken::Device,
    })
}
