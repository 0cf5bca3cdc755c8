//! Takes a stream and keeps none of it, for measuring what carried it.

use std::io::{BufRead, ErrorKind};

use super::reader::fill;
use super::record::{Header, Item, LENGTH, Type};
use super::{Broken, Content, Entry, Reader};

impl<R: BufRead> Reader<R> {
    /// Reads records to the END, as any receive does. Gives a volume's size, which nothing here is.
    pub(crate) fn verify(mut self) -> Result<Option<u64>, Broken> {
        let toguid = self.toguid;
        loop {
            match self.next()? {
                Item::End { toguid: end } if end == toguid => return Ok(None),
                Item::End { .. } => return Err(Broken::Malformed),
                _ => {}
            }
        }
    }

    /// The same without a look at data and checksums. That each file comes whole and in order is
    /// seen from offsets and lengths alone.
    pub(crate) fn discard(mut self) -> Result<Option<u64>, Broken> {
        let (mut written, mut expected) = (0, 0);
        loop {
            let mut header = Header([0; LENGTH]);
            fill(&mut self.input, &mut header.0)?;
            let kind = header.u32(0);
            if kind == Type::Write as u32 {
                if header.u64(24) != written {
                    return Err(Broken::Malformed);
                }
                let length = header.u64(32);
                self.pass(length)?;
                written += length;
                continue;
            }
            if kind == Type::FreeObjects as u32 {
                continue;
            }
            if written != expected {
                return Err(Broken::Incomplete);
            }
            if kind == Type::End as u32 {
                let whole = header.u64(40) == self.toguid;
                return if whole { Ok(None) } else { Err(Broken::Malformed) };
            }
            if kind != Type::Object as u32 {
                return Err(Broken::Malformed);
            }
            let mut bonus = vec![0; header.u32(28).next_multiple_of(8) as usize];
            fill(&mut self.input, &mut bonus)?;
            let (entry, _): (Entry, _) =
                postcard::take_from_bytes(&bonus).map_err(|_| Broken::Malformed)?;
            written = 0;
            expected = match entry.content {
                Content::File(length) => length,
                Content::Folder | Content::Link(_) | Content::Gone => 0,
            };
        }
    }

    /// Reads so many bytes, and looks at none.
    fn pass(&mut self, mut bytes: u64) -> Result<(), Broken> {
        while bytes > 0 {
            let there = match self.input.fill_buf() {
                Ok([]) => return Err(Broken::Incomplete),
                Ok(there) => there.len() as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(Broken::Device),
            };
            let passed = there.min(bytes);
            self.input.consume(usize::try_from(passed).map_err(|_| Broken::Malformed)?);
            bytes -= passed;
        }
        Ok(())
    }
}
