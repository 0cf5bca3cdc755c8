//! What is known of the part of a snapshot that has been received: in blocks of which size.
//!
//! A stream with large blocks may go on from another replica only if the object that it goes on
//! with has the block size there that it had in what was received. That is known of what passed
//! through this process; of the rest only who sent it.

use std::collections::VecDeque;

use zfs::stream::Follower;
use zfs::{Guid, ResumeToken};

/// The objects remembered of each stream, 16 bytes each: far more than `zfs receive` lags behind.
const OBJECTS: usize = 1 << 18;
/// The streams remembered: what the last one hasn't seen, one before has.
const STREAMS: usize = 4;

/// The streams of one snapshot that have been received by this process, the last one last.
#[derive(Default)]
pub(crate) struct Tail {
    snapshot: Option<Guid>,
    streams: VecDeque<Follower>,
}

impl Tail {
    /// A follower for the next stream, which makes this snapshot.
    pub(crate) fn begin(&mut self, snapshot: Guid) -> Follower {
        if self.snapshot.replace(snapshot) != Some(snapshot) {
            self.streams.clear();
        }
        Follower::new(OBJECTS)
    }

    /// What a follower has seen was fed to `zfs receive`.
    pub(crate) fn fed(&mut self, follower: Follower) {
        self.streams.push_back(follower);
        if self.streams.len() > STREAMS {
            self.streams.pop_front();
        }
    }

    /// Bytes in a block of the object that a token goes on with, as it was received.
    pub(crate) fn block_size(&self, token: &ResumeToken) -> Option<u32> {
        if self.snapshot != Some(token.to_guid) {
            return None;
        }
        self.streams.iter().rev().find_map(|stream| stream.block_size(token.object))
    }
}
