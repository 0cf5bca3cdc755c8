//! When it is time for another line of progress: pure, and takes the time as an argument.

use std::time::{Duration, Instant};

/// The time between two lines, which grows while there is nothing new: a wait of days must not fill
/// a log with what everyone knows.
pub(super) struct Pace {
    /// Between two lines that bring something new.
    least: Duration,
    most: Duration,
    /// From the last line to the next, should that bring nothing new.
    wait: Duration,
    /// The bytes told last, and when.
    told: (u64, Instant),
}

impl Pace {
    pub(super) fn new(least: Duration, most: Duration, now: Instant) -> Self {
        Self { least, most, wait: least, told: (0, now) }
    }

    /// Whether to print a line now, that so many bytes have come.
    pub(super) fn is_due(&mut self, bytes: u64, now: Instant) -> bool {
        let (told, at) = self.told;
        let wait = if bytes == told { self.wait } else { self.least };
        if now.saturating_duration_since(at) < wait {
            return false;
        }
        self.wait = if bytes == told { self.most.min(self.wait * 2) } else { self.least };
        self.told = (bytes, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds, of so many, at which a line is printed.
    fn printed(seconds: u64, most: u64, bytes: impl Fn(u64) -> u64) -> Vec<u64> {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(10), Duration::from_secs(most), start);
        let mut is_due = |at: &u64| pace.is_due(bytes(*at), start + Duration::from_secs(*at));
        (0..seconds).filter(|at| is_due(at)).collect()
    }

    #[test]
    fn lines_that_bring_nothing_new_come_ever_more_seldom() {
        let expected = [10, 30, 70, 150, 310, 630, 1230, 1830, 2430];
        assert_eq!(printed(3000, 600, |_| 0), expected);
        assert_eq!(printed(45, 10, |_| 0), [10, 20, 30, 40]);
    }

    #[test]
    fn what_is_new_is_told_at_once_and_at_a_steady_pace() {
        assert_eq!(printed(45, 600, |at| at), [10, 20, 30, 40]);
        // It stands still until second 100, and again from 120 on.
        let moving = |at: u64| at.clamp(100, 120) - 100;
        assert_eq!(printed(200, 600, moving), [10, 30, 70, 101, 111, 121, 131, 151, 191]);
    }
}
