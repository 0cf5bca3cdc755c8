//! A stream out of memory, for measuring what carries it: one file of any length, made of one block
//! of noise again and again, which is checksummed without another look at it. A pipe gets the block's
//! pages as they are, so that next to nothing of what is measured is this.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

use anyhow::Result;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};

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
    write(out, begin(guid), length, |out, block| Ok(out.write_all(block)?))
}

fn begin(guid: u64) -> Begin {
    Begin {
        creation: 0,
        is_volume: false,
        toguid: guid,
        fromguid: 0,
        toname: "pool/synthetic@snapshot".to_owned(),
        features: 0,
        resume: None,
    }
}

/// Writes such a stream into `out`, of the snapshot of `begin`.
pub(crate) fn send(out: impl AsFd, begin: Begin, length: u64) -> Result<()> {
    let out = File::from(out.as_fd().try_clone_to_owned()?);
    let mut pages = File::from(memfd_create("noise", MemfdFlags::CLOEXEC)?);
    pages.write_all(&noise())?;
    write(out, begin, length, |out, block| give(&pages, block, out))
}

/// Puts a block into a pipe without a copy of it; into anything else it is written.
fn give(pages: &File, block: &[u8], out: &mut File) -> Result<()> {
    let mut given = 0;
    while given < block.len() as u64 {
        let left = block.len() - usize::try_from(given)?;
        match splice(pages, Some(&mut given), &out, None, left, SpliceFlags::empty()) {
            Err(Errno::INVAL) if given == 0 => return Ok(out.write_all(block)?),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
    }
    Ok(())
}

fn write<W: Write>(
    out: W,
    begin: Begin,
    length: u64,
    give: impl FnMut(&mut W, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut writer = Writer::begin(out, begin)?;
    writer.synthetic(length, give)?;
    writer.end()
}

impl<W: Write> Writer<W> {
    /// Writes a file of `length` bytes, whole sectors; `give` writes its whole blocks.
    fn synthetic(
        &mut self,
        length: u64,
        mut give: impl FnMut(&mut W, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let path = b"synthetic".to_vec();
        let content = Content::File(length);
        self.object(1, &Entry { path, mode: 0o644, modified: (0, 0), content })?;
        let noise = noise();
        let block = Summed::of(&noise);
        let whole = length - length % MAX_BLOCK as u64;
        for offset in (0..whole).step_by(MAX_BLOCK) {
            let header = self.write_header(offset, MAX_BLOCK as u64);
            let header = self.summed(header);
            self.out.write_all(&header.0)?;
            self.sum.append(&block);
            give(&mut self.out, &noise)?;
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, pipe};

    use super::*;

    const LENGTHS: [u64; 4] = [0, 512, 3 * MAX_BLOCK as u64, 9 * MAX_BLOCK as u64 + 1024];

    fn written(length: u64) -> Vec<u8> {
        let mut stream = Vec::new();
        synthetic_stream(&mut stream, 7, length).unwrap();
        stream
    }

    #[test]
    fn a_pipe_gets_the_same_stream_as_a_file_and_as_memory() {
        for length in LENGTHS {
            let (mut output, input) = pipe().unwrap();
            let sending = std::thread::spawn(move || send(input, begin(7), length).unwrap());
            let mut stream = Vec::new();
            output.read_to_end(&mut stream).unwrap();
            sending.join().unwrap();
            assert!(stream == written(length), "a pipe, {length} bytes");

            let mut file = tempfile::tempfile().unwrap();
            send(&file, begin(7), length).unwrap();
            file.rewind().unwrap();
            stream.clear();
            file.read_to_end(&mut stream).unwrap();
            assert!(stream == written(length), "a file, {length} bytes");
        }
    }
}
