//! A smoothed rate.

use std::time::{Duration, Instant};

/// What is older than this counts for little: a rate to tell the time left by must neither jump
/// about nor remember the beginning of a long transfer.
const MEMORY: Duration = Duration::from_secs(15);

/// Bytes per second, smoothed exponentially over irregular samples.
pub(super) struct Rate {
    /// The average of all samples and of a rate of 0 before the first.
    average: f64,
    /// The part of it that is samples, from 0 to 1.
    known: f64,
    last: (u64, Instant),
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { average: 0.0, known: 0.0, last: (0, now) }
    }

    /// The rate, now that so many bytes have come in all.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(super) fn sample(&mut self, bytes: u64, now: Instant) -> f64 {
        let time = now.saturating_duration_since(self.last.1).as_secs_f64();
        if time > 0.0 {
            let old = (-time / MEMORY.as_secs_f64()).exp();
            let rate = bytes.saturating_sub(self.last.0) as f64 / time;
            self.average = self.average * old + rate * (1.0 - old);
            self.known = self.known * old + (1.0 - old);
            self.last = (bytes, now);
        }
        if self.known > 0.0 { self.average / self.known } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate after so many seconds at 100 B/s and then so many at another rate, sampled every
    /// `step` milliseconds.
    fn after(steady: u64, then: u64, at: u64, step: usize) -> f64 {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let mut last = 0.0;
        for millis in (0..=(steady + then) * 1000).step_by(step) {
            let first = millis.min(steady * 1000);
            let bytes = (first * 100 + (millis - first) * at) / 1000;
            last = rate.sample(bytes, start + Duration::from_millis(millis));
        }
        last
    }

    #[test]
    fn a_steady_rate_is_told_from_the_first_moment_on() {
        for steady in [1, 10, 1000] {
            assert!((after(steady, 0, 0, 100) - 100.0).abs() < 1.0, "{steady}");
        }
    }

    #[test]
    fn a_change_counts_more_with_time_however_often_it_is_looked_at() {
        for (then, at, expected) in [
            // A pause of a moment changes little, a long one nearly everything.
            (1, 0, 93.6),
            (15, 0, 36.8),
            (60, 0, 1.8),
            (15, 1000, 668.9),
        ] {
            for step in [100, 500] {
                let rate = after(600, then, at, step);
                assert!((rate - expected).abs() < 1.0, "{then} s at {at}: {rate}");
            }
        }
    }

    #[test]
    fn nothing_is_divided_by_no_time() {
        let now = Instant::now();
        assert_eq!(Rate::new(now).sample(5, now), 0.0);
    }
}
