//! Measures the two controls against each other, by what the path brings under each.
//!
//! That shows only while the path holds the streams back ([Flow](crate::flow) tells when): with a source that
//! pauses or is throttled nothing can be learned, and that time counts against neither. A receiver that is slow
//! fills the windows, too; then both bring the same, and the usual one stays. What is counted adds up over all
//! streams of a connection, however short they are.
//!
//! Paths change, so there is another trial every few minutes, whichever stays. The worse one has the connection for
//! 4 s of each 5 min, which costs at most 1.4% of what the better one would bring.
//!
//! Pure: the time since the connection's beginning is an argument.

use std::time::Duration;

/// How long each has to find the path's pace, and then to show it.
const SETTLE: Duration = Duration::from_secs(2);
const MEASURE: Duration = Duration::from_secs(2);
/// Between two trials.
const REST: Duration = Duration::from_secs(5 * 60);
/// As many times as much must be brought by BBR.
const WORTH: f64 = 1.2;
/// What is counted, or not, is slices of at least this length, not single answers: where a packet was lost, the
/// first of a bunch opens the window, and the others belong to the same wait.
const SLICE: Duration = Duration::from_millis(100);
/// The part of a slice in which the source may have been waited for, at the most.
const MOST_OPEN: f64 = 0.1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Control {
    #[default]
    Usual,
    Bbr,
}

impl Control {
    fn other(self) -> Self {
        match self {
            Self::Usual => Self::Bbr,
            Self::Bbr => Self::Usual,
        }
    }
}

/// One trial after the other.
#[derive(Debug, Default)]
pub(super) struct Trial {
    /// In use.
    control: Control,
    /// Bytes per second by the other one, in this trial, once that is known.
    other: Option<f64>,
    /// The next trial doesn't begin before.
    rests_until: Duration,
    /// What counts for the control in use.
    settled: Duration,
    measured: Duration,
    bytes: usize,
    slice: Slice,
    /// Streams that are held back.
    held_back: usize,
    /// When this was told something last.
    now: Duration,
}

/// What isn't known yet to count.
#[derive(Debug, Default)]
struct Slice {
    length: Duration,
    /// Of that, the time in which no stream was held back.
    open: Duration,
    bytes: usize,
}

impl Trial {
    /// One more stream is held back.
    pub(super) fn held_back(&mut self, now: Duration) {
        self.pass(now);
        self.held_back += 1;
    }

    /// It isn't any more.
    pub(super) fn let_go(&mut self, now: Duration) {
        self.pass(now);
        self.held_back -= 1;
    }

    /// So many bytes have arrived. Returns what is to be used from now on, if that changes.
    pub(super) fn arrived(&mut self, now: Duration, bytes: usize) -> Option<Control> {
        self.pass(now);
        self.slice.bytes += bytes;
        if self.slice.length < SLICE {
            return None;
        }
        let slice = std::mem::take(&mut self.slice);
        if now < self.rests_until || slice.open > slice.length.mul_f64(MOST_OPEN) {
            return None;
        }
        if self.settled < SETTLE {
            self.settled += slice.length;
            return None;
        }
        self.measured += slice.length;
        self.bytes += slice.bytes;
        if self.measured < MEASURE {
            return None;
        }
        let rate = self.bytes as f64 / self.measured.as_secs_f64();
        (self.settled, self.measured, self.bytes) = Default::default();
        let next = self.next(now, rate);
        let changes = next != self.control;
        self.control = next;
        changes.then_some(next)
    }

    /// What comes after the one in use has brought so many bytes per second.
    fn next(&mut self, now: Duration, rate: f64) -> Control {
        let Some(other) = self.other.take() else {
            self.other = Some(rate);
            return self.control.other();
        };
        self.rests_until = now + REST;
        let (usual, bbr) = match self.control {
            Control::Usual => (rate, other),
            Control::Bbr => (other, rate),
        };
        if bbr < WORTH * usual { Control::Usual } else { Control::Bbr }
    }

    /// Whether any stream is held back.
    #[cfg(test)]
    pub(super) fn holds_back(&self) -> bool {
        self.held_back > 0
    }

    fn pass(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.now);
        self.now = now;
        self.slice.length += passed;
        if self.held_back == 0 {
            self.slice.open += passed;
        }
    }
}

#[cfg(test)]
mod tests;
