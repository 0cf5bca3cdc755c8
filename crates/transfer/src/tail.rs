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

#[cfg(test)]
mod tests {
    use zfs::stream::Begin;

    use super::*;
    use crate::plan::examples::token;

    /// What has followed a stream of two records: BEGIN with large blocks, and object 5.
    fn followed(mut follower: Follower, block_size: u32) -> Follower {
        const LARGE_BLOCKS: u64 = 1 << 19;
        let mut stream = [0; 2 * Begin::LEN];
        let mut put = |at: usize, bytes: &[u8]| stream[at..at + bytes.len()].copy_from_slice(bytes);
        put(8, &0x2_f5ba_cbac_u64.to_le_bytes());
        put(16, &(1 | LARGE_BLOCKS << 2).to_le_bytes());
        put(32, &2_u32.to_le_bytes());
        put(Begin::LEN, &1_u32.to_le_bytes());
        put(Begin::LEN + 8, &5_u64.to_le_bytes());
        put(Begin::LEN + 24, &block_size.to_le_bytes());
        follower.follow(&stream).unwrap();
        follower
    }

    /// A token for that snapshot, which goes on with that object.
    fn at(snapshot: u64, object: u64) -> ResumeToken {
        let mut token = token(snapshot, None);
        token.object = object;
        token
    }

    /// Bytes in a block of object 5, after streams of the snapshot 7 with such blocks.
    fn tail(block_sizes: impl IntoIterator<Item = u32>) -> Tail {
        let mut tail = Tail::default();
        for block_size in block_sizes {
            let follower = tail.begin(Guid(7));
            tail.fed(followed(follower, block_size));
        }
        tail
    }

    #[test]
    fn an_object_has_the_blocks_that_it_came_in_last() {
        let mut tail = tail([1 << 20, 128 << 10]);
        assert_eq!(tail.block_size(&at(7, 5)), Some(128 << 10));
        assert_eq!(tail.block_size(&at(7, 6)), None, "no stream had that object");
        // A stream that was cut before it came to the object says nothing of it.
        let follower = tail.begin(Guid(7));
        tail.fed(follower);
        assert_eq!(tail.block_size(&at(7, 5)), Some(128 << 10));
    }

    #[test]
    fn of_one_snapshot_nothing_follows_for_another() {
        let mut tail = tail([1 << 20]);
        assert_eq!(tail.block_size(&at(8, 5)), None);
        tail.begin(Guid(8));
        assert_eq!(tail.block_size(&at(8, 5)), None);
        tail.begin(Guid(7));
        assert_eq!(tail.block_size(&at(7, 5)), None, "what was received of it may be gone");
    }

    #[test]
    fn only_the_last_streams_are_remembered() {
        let mut tail = tail([1 << 20]);
        for _ in 1..STREAMS {
            let cut_at_once = tail.begin(Guid(7));
            tail.fed(cut_at_once);
        }
        assert_eq!(tail.block_size(&at(7, 5)), Some(1 << 20));
        let one_more = tail.begin(Guid(7));
        tail.fed(one_more);
        assert_eq!(tail.block_size(&at(7, 5)), None);
    }
}
