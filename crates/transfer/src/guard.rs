//! Is a stream what was planned? Judged before `zfs receive` sees a byte of it.
//!
//! The stream is untrusted: a compound one would make children and set properties such as
//! `sharenfs`, one of another snapshot would put other data under a good name, one that isn't raw
//! can panic a receiver that holds a raw partial, and one that goes on with other block sizes than
//! what was received so far damages a file in silence.

use zfs::stream::{Begin, Follower};
use zfs::{Guid, Kind};

use schema::text::Bytes;

/// A stream may be this much longer than four times its estimate wherever it goes.
const SLACK: u64 = 1 << 30;

/// What the stream must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The snapshot that it makes.
    pub(crate) guid: Guid,
    /// What it starts from; `None`: it is whole.
    pub(crate) base: Option<Guid>,
    /// Filesystem or volume.
    pub(crate) kind: Kind,
    /// Encrypted, as on disk.
    pub(crate) raw: bool,
    /// Where it goes on with another; `None`: it is from its beginning.
    pub(crate) resumed: Option<Resumed>,
    /// Its size in bytes, by the sender's own word.
    pub(crate) announced: u64,
    /// Bytes that there is room for. Many small files are underestimated twenty times, and what
    /// goes on with a stream that was compressed less by far more: so an honest stream has as much
    /// as it takes. A lie must not fill the pool.
    pub(crate) room: u64,
}

/// Where a stream goes on with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resumed {
    pub(crate) object: u64,
    pub(crate) offset: u64,
    /// Whether it may hold blocks above 128 KiB.
    pub(crate) large_blocks: bool,
    /// Bytes in a block of that object, as it was received: its next part must be the same.
    /// `None` where that doesn't matter.
    pub(crate) block_size: Option<u32>,
}

/// What the head of a stream tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is what was expected.
    Pass,
    /// More of it must be seen.
    Undecided,
}

impl Expected {
    /// Judges the stream by what has been seen of it.
    pub(crate) fn check_head(&self, seen: &Follower) -> Result<Verdict, String> {
        let Some(begin) = seen.begin() else { return Ok(Verdict::Undecided) };
        self.check_begin(begin)?;
        let Some(resumed) = &self.resumed else { return Ok(Verdict::Pass) };
        let Some(point) = seen.resume_point() else { return Ok(Verdict::Undecided) };
        if point != (resumed.object, resumed.offset) {
            return Err(format!(
                "it goes on at offset {} of object {}, not at {} of {}",
                point.1, point.0, resumed.offset, resumed.object
            ));
        }
        let Some(block_size) = resumed.block_size else { return Ok(Verdict::Pass) };
        let Some(first) = seen.first_object() else { return Ok(Verdict::Undecided) };
        if (first.object, first.block_size) == (resumed.object, block_size) {
            return Ok(Verdict::Pass);
        }
        Err(format!(
            "it goes on with object {} in blocks of {}, where object {} was received in blocks of {}: \
             the same snapshot is cut into other blocks there",
            first.object,
            Bytes(first.block_size.into()),
            resumed.object,
            Bytes(block_size.into())
        ))
    }

    fn check_begin(&self, begin: &Begin) -> Result<(), String> {
        match (begin.from_guid, self.base) {
            (None, None) => {}
            (Some(found), None) => {
                return Err(format!("it is an increment, from the snapshot with the GUID {found}"));
            }
            (None, Some(_)) => return Err("it is whole, and no increment".into()),
            (Some(found), Some(expected)) if found != expected => {
                return Err(format!("it starts from the GUID {found}, not {expected}"));
            }
            (Some(_), Some(_)) => {}
        }
        if begin.features.redacted() {
            return Err("it is redacted: it lacks data on purpose".into());
        }
        match (begin.features.resuming(), self.resumed.is_some()) {
            (true, false) => return Err("it goes on with another, and is not whole".into()),
            (false, true) => return Err("it is from its beginning, and was to go on".into()),
            _ => {}
        }
        if begin.to_guid != self.guid {
            return Err(format!(
                "it is of a snapshot with the GUID {}, not {}",
                begin.to_guid, self.guid
            ));
        }
        if begin.kind != self.kind {
            return Err(format!("it is of a {}, not of a {}", begin.kind, self.kind));
        }
        match (begin.features.raw(), self.raw) {
            (true, false) => return Err("it is raw, and was to be plain".into()),
            (false, true) => return Err("it is not raw, and was to be".into()),
            _ => {}
        }
        if self.resumed.is_some_and(|resumed| !resumed.large_blocks)
            && begin.features.large_blocks()
        {
            return Err("it has large blocks, and what was received so far has none".into());
        }
        Ok(())
    }

    /// Judges the number of bytes received so far.
    pub(crate) fn check_size(&self, bytes: u64) -> Result<(), String> {
        if bytes <= self.announced.saturating_mul(4).saturating_add(SLACK).max(self.room) {
            return Ok(());
        }
        Err(format!(
            "{} of it came, where the source announced {}",
            Bytes(bytes),
            Bytes(self.announced)
        ))
    }
}

#[cfg(test)]
mod tests;
