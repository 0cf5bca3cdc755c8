//! A token bucket: pure, and takes the time as an argument.
//!
//! What is taken counts at once, and whoever comes next may go when that has had its time. So takers
//! go in the order in which they came, each is told once when to go, and nobody has to look again.

use std::time::{Duration, Instant};

use crate::traffic::rate::Rate;

/// So much time in which nothing was taken can be made up for: more than a wake-up is late by, even
/// on a busy machine, and too little to be felt as a burst.
const CREDIT: Duration = Duration::from_millis(200);
/// So often in a second something is taken.
const PIECES_PER_SECOND: u64 = 16;
/// Less than this isn't worth a message.
const LEAST_PIECE: usize = 128;
/// The most that one of several takes at once: as much as each has at hand, so that their pieces
/// are of one size, and their shares too.
const MOST_OF_SEVERAL: usize = 64 << 10;

/// Lets so many bytes through per second, and no more in any stretch of time but for [`CREDIT`] and
/// the piece that is on its way.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    /// When all that was taken has had its time.
    free: Instant,
}

impl Bucket {
    /// One that nothing has been taken from, and without credit.
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, free: now }
    }

    /// Takes so many bytes, and tells when they may go: not before now.
    pub(crate) fn take(&mut self, bytes: usize, now: Instant) -> Instant {
        let begin = now.checked_sub(CREDIT).map_or(self.free, |earliest| self.free.max(earliest));
        self.free = begin + self.rate.time_for(bytes);
        begin.max(now)
    }
}

/// How much to take at once, at the most, where so many take from a bucket in turn: so that each has
/// its turn many times a second.
pub(crate) fn piece(rate: Rate, takers: usize) -> usize {
    let of_all = usize::try_from(rate.bytes_per_second() / PIECES_PER_SECOND).unwrap_or(usize::MAX);
    let most = if takers > 1 { MOST_OF_SEVERAL } else { usize::MAX };
    (of_all / takers.max(1)).clamp(LEAST_PIECE, most)
}

#[cfg(test)]
mod tests;
