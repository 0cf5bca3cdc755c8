//! How far a transfer is, from what is told of it: pure, and takes the time as an argument.

use std::fmt;
use std::time::{Duration, Instant};

use schema::text::Bytes;
use transfer::report::Progress;

use super::rate::Rate;
use crate::duration::human;

/// The time without a byte from which on that is said.
const STALL: Duration = Duration::from_secs(10);

/// The most that is shown before it is done: the total is ZFS's estimate.
const NEARLY: f64 = 0.99;

/// Follows one transfer.
pub(super) struct Meter {
    rate: Rate,
    /// What had been received when, the last time that there was more than before.
    moved: (u64, Instant),
    total: Option<u64>,
    /// The share done, and the bytes received, when the total became known or changed.
    anchor: (f64, u64),
    share: Option<f64>,
}

/// How far it is now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    /// Received.
    pub(super) bytes: u64,
    /// Expected, where that isn't known to be too little.
    pub(super) total: Option<u64>,
    /// From 0 to 1, where there is an estimate: it never falls, and is 1 only when all is done.
    pub(super) share: Option<f64>,
    /// Bytes per second.
    pub(super) rate: f64,
    /// How long nothing has come, where that is worth a word.
    pub(super) still: Option<Duration>,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { rate: Rate::new(now), moved: (0, now), total: None, anchor: (0.0, 0), share: None }
    }

    pub(super) fn read(&mut self, Progress { bytes, total }: Progress, now: Instant) -> Reading {
        if bytes != self.moved.0 {
            self.moved = (bytes, now);
        }
        if total != self.total {
            // Another source estimates otherwise: from here on, what is left of the bar stands for
            // what is left of the bytes.
            self.anchor = (self.share.unwrap_or(0.0), if self.share.is_some() { bytes } else { 0 });
            self.total = total;
        }
        if let Some(total) = total {
            let share = self.share_of(bytes, total).min(NEARLY);
            self.share = Some(self.share.unwrap_or(0.0).max(share));
        }
        let still = now.saturating_duration_since(self.moved.1);
        Reading {
            bytes,
            total: total.filter(|total| bytes <= *total),
            share: self.share,
            rate: self.rate.sample(bytes, now),
            still: (still > STALL).then_some(still),
        }
    }

    /// How far it is when all that was to come has come.
    pub(super) fn done(&mut self, bytes: u64, now: Instant) -> Reading {
        let rate = self.rate.sample(bytes, now);
        Reading { bytes, total: Some(bytes), share: Some(1.0), rate, still: None }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    fn share_of(&self, bytes: u64, total: u64) -> f64 {
        let (share, since) = self.anchor;
        let left = total.saturating_sub(since);
        let done = bytes.saturating_sub(since);
        if left == 0 { NEARLY } else { share + (1.0 - share) * (done as f64 / left as f64) }
    }
}

impl Reading {
    /// Until it is done, at this rate; while nothing comes, nobody knows.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.total?.saturating_sub(self.bytes) as f64 / self.rate;
        Duration::try_from_secs_f64(left).ok().filter(|_| self.bytes > 0 && self.still.is_none())
    }
}

impl fmt::Display for Reading {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate for people"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Bytes(self.bytes))?;
        if let Some(total) = self.total {
            write!(f, " of {}", Bytes(total))?;
        }
        write!(f, ", {}/s", Bytes(self.rate as u64))?;
        match (self.still, self.left()) {
            (Some(still), _) => write!(f, ", no data for {}", human(still)),
            (None, Some(left)) => write!(f, ", {} left", human(left)),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The readings for what is received at each second.
    fn readings(told: &[(u64, u64, Option<u64>)]) -> Vec<Reading> {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        let told = told.iter().copied();
        told.map(|(second, bytes, total)| {
            meter.read(Progress { bytes, total }, start + Duration::from_secs(second))
        })
        .collect()
    }

    fn shares(told: &[(u64, Option<u64>)]) -> Vec<Option<f64>> {
        let told: Vec<_> =
            (0..).zip(told).map(|(at, (bytes, total))| (at, *bytes, *total)).collect();
        readings(&told).into_iter().map(|reading| reading.share).collect()
    }

    #[test]
    fn the_share_is_of_the_estimate_and_never_whole_before_the_end() {
        let told = [(0, Some(100)), (50, Some(100)), (99, Some(100)), (150, Some(100))];
        assert_eq!(shares(&told), [Some(0.0), Some(0.5), Some(0.99), Some(0.99)]);
        assert_eq!(shares(&[(5, None), (6, Some(0))]), [None, Some(0.99)]);
    }

    #[test]
    fn another_estimate_never_makes_it_jump_back_nor_stick() {
        // Half is done when the total is said to be 250: the 200 left are the other half.
        let told = [(50, Some(100)), (50, Some(250)), (150, Some(250)), (250, Some(250))];
        assert_eq!(shares(&told), [Some(0.5), Some(0.5), Some(0.75), Some(0.99)]);
        // A smaller total goes the same way, and so does one that is forgotten for a while.
        let told = [(50, Some(200)), (50, None), (60, Some(110)), (85, Some(110))];
        assert_eq!(shares(&told), [Some(0.25), Some(0.25), Some(0.25), Some(0.625)]);
        assert_eq!(shares(&[(50, Some(100)), (10, Some(100))]), [Some(0.5), Some(0.5)]);
    }

    #[test]
    fn when_all_is_done_the_share_is_whole_whatever_was_expected() {
        for total in [Some(100), Some(300), None] {
            let mut meter = Meter::new(Instant::now());
            meter.read(Progress { bytes: 50, total }, Instant::now());
            let done = meter.done(200, Instant::now());
            assert_eq!((done.share, done.bytes, done.total), (Some(1.0), 200, Some(200)));
        }
    }

    #[test]
    fn a_late_estimate_is_of_all() {
        assert_eq!(shares(&[(40, None), (50, Some(100))]), [None, Some(0.5)]);
    }

    #[test]
    fn while_nothing_comes_nobody_knows_how_long_it_takes() {
        let left = |at| readings(&[(1, 50, Some(100)), (at, 50, Some(100))])[1].left();
        assert!(left(11).is_some());
        assert_eq!(left(12), None);
    }

    #[test]
    fn a_reading_tells_rate_time_left_and_stalls() {
        const MIB: u64 = 1 << 20;
        for (told, text) in [
            (&[(10, 50, Some(100))][..], "50.0 MiB of 100.0 MiB, 5.0 MiB/s, 10 s left"),
            (&[(10, 50, None)], "50.0 MiB, 5.0 MiB/s"),
            (&[(10, 50, Some(1))], "50.0 MiB, 5.0 MiB/s"),
            (&[(1, 0, Some(1))], "0 B of 1.0 MiB, 0 B/s"),
            (
                &[(10, 50, Some(100)), (22, 50, Some(100))],
                "50.0 MiB of 100.0 MiB, 1.4 MiB/s, no data for 12 s",
            ),
        ] {
            let scaled: Vec<_> = told
                .iter()
                .map(|(at, bytes, total)| (*at, bytes * MIB, total.map(|total| total * MIB)))
                .collect();
            assert_eq!(readings(&scaled).last().unwrap().to_string(), text);
        }
    }
}
