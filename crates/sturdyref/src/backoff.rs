//! How long to wait before the next attempt, so that a fleet doesn't come back all at once.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);

/// Delays for retrying for ever: random between 0.5 s and a ceiling that doubles from 1 s to 10 s.
#[derive(Debug, Clone)]
pub struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    /// Begins with the shortest delays.
    pub fn new() -> Self {
        Self { ceiling: SHORTEST * 2 }
    }

    /// How long to wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let delay = SHORTEST + (self.ceiling - SHORTEST).mul_f64(fastrand::f64());
        self.ceiling = (self.ceiling * 2).min(LONGEST);
        delay
    }

    /// Begins again with the shortest delays: an attempt has succeeded.
    pub fn reset(&mut self) {
        *self = Self::new();
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_ten_seconds_and_stay_within_bounds() {
        let mut backoff = Backoff::new();
        for ceiling in [1, 2, 4, 8, 10, 10, 10] {
            let delay = backoff.next_delay();
            assert!(delay >= SHORTEST && delay <= Duration::from_secs(ceiling), "{delay:?}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_secs(1));
    }

    #[test]
    fn two_machines_do_not_wait_alike() {
        let (mut a, mut b) = (Backoff::new(), Backoff::new());
        let differ = (0..20).any(|_| a.next_delay() != b.next_delay());
        assert!(differ);
    }
}
