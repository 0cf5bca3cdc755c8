//! How many bytes of a stream may be on their way: as many as the path holds, and some more.
//!
//! A path holds its bandwidth times its round trip. Both are measured by the answers to a stream's messages: the
//! bandwidth as the most that was delivered per second lately, the round trip as the least time that an answer took
//! lately. So a receiver that is slow makes no larger window: what waits for it delays the answers, which doesn't
//! count, and brings no more of them, which would. Now and then the window is lowered for a round, lest what
//! stands in queues of our own making be taken for the path's length.
//!
//! Pure: the time since the stream's beginning is an argument.

use std::time::Duration;

/// So many times what the path holds: a lost packet keeps all that comes after it from being delivered for a
/// round trip or two, in which the sender must not run dry.
const GAIN: f64 = 2.5;
/// The same while the round trip is measured anew: less than the path holds, so that no queue is left.
const DRAIN: f64 = 0.75;
/// Measurements count for one to two of these.
const EPOCH: Duration = Duration::from_secs(5);

/// The window of one stream, in bytes.
#[derive(Debug)]
pub(crate) struct Window {
    least: usize,
    size: usize,
    largest_message: usize,
    in_flight: usize,
    /// Bytes answered, and when the last of them were.
    delivered: u64,
    delivered_at: Duration,
    /// When the message was sent that was answered last.
    answered_sent_at: Duration,
    /// Bytes per second.
    rate: Lately<f64>,
    round_trip: Lately<Duration>,
    epoch_began: Duration,
    /// As long as less than this is answered, the window is lowered.
    drained_at: Option<u64>,
}

/// What is known of a message when it is sent; given back with its answer.
#[derive(Debug)]
pub(crate) struct Sent {
    bytes: usize,
    at: Duration,
    delivered: u64,
    delivered_at: Duration,
    answered_sent_at: Duration,
}

impl Sent {
    /// Its size.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The best of this epoch and of the one before.
#[derive(Debug, Default)]
struct Lately<T> {
    before: Option<T>,
    now: Option<T>,
}

impl<T: Copy + PartialOrd> Lately<T> {
    fn learn(&mut self, value: T, is_better: impl Fn(T, T) -> bool) {
        if self.now.is_none_or(|now| is_better(value, now)) {
            self.now = Some(value);
        }
    }

    fn best(&self, is_better: impl Fn(T, T) -> bool) -> Option<T> {
        match (self.before, self.now) {
            (Some(before), Some(now)) if is_better(before, now) => Some(before),
            (before, now) => now.or(before),
        }
    }

    fn turn(&mut self) {
        self.before = self.now.take();
    }
}

fn more(one: f64, other: f64) -> bool {
    one > other
}

fn sooner(one: Duration, other: Duration) -> bool {
    one < other
}

impl Window {
    /// A window that begins with `least` bytes and has never less.
    pub(crate) fn new(least: usize) -> Self {
        Self {
            least,
            size: least,
            largest_message: 0,
            in_flight: 0,
            delivered: 0,
            delivered_at: Duration::ZERO,
            answered_sent_at: Duration::ZERO,
            rate: Lately::default(),
            round_trip: Lately::default(),
            epoch_began: Duration::ZERO,
            drained_at: None,
        }
    }

    /// Whether another message may be sent. One more than fits may: else a window that is smaller than a
    /// message would let none through, and one that is hardly larger would wait after each. But not while it is
    /// lowered, when none may go beyond it with more than half: large messages would stand in the queue that is to
    /// be gone.
    pub(crate) fn is_open(&self) -> bool {
        if self.drained_at.is_some() {
            self.in_flight == 0 || self.in_flight + self.largest_message / 2 <= self.size
        } else {
            self.in_flight < self.size + self.largest_message
        }
    }

    /// Bytes that were sent and not answered.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// A message of so many bytes is sent.
    pub(crate) fn sent(&mut self, now: Duration, bytes: usize) -> Sent {
        if self.in_flight == 0 {
            // Nothing was to be delivered meanwhile: that time is nobody's.
            self.delivered_at = now;
            self.answered_sent_at = now;
        }
        self.in_flight += bytes;
        self.largest_message = self.largest_message.max(bytes);
        let Self { delivered, delivered_at, answered_sent_at, .. } = *self;
        Sent { bytes, at: now, delivered, delivered_at, answered_sent_at }
    }

    /// It is answered. The window is larger by `growth` at most than what it began with.
    pub(crate) fn answered(&mut self, now: Duration, sent: Sent, growth: usize) {
        self.in_flight -= sent.bytes;
        self.delivered += sent.bytes as u64;
        self.delivered_at = now;
        self.answered_sent_at = sent.at;
        let round_trip = now.saturating_sub(sent.at);
        self.round_trip.learn(round_trip, sooner);
        // Neither answers nor messages that came in a bunch make it seem faster than it is.
        let took = now.saturating_sub(sent.delivered_at);
        let took = took.max(sent.at.saturating_sub(sent.answered_sent_at));
        if !took.is_zero() && took >= round_trip {
            let bytes = self.delivered - sent.delivered;
            self.rate.learn(bytes as f64 / took.as_secs_f64(), more);
        }
        if now.saturating_sub(self.epoch_began) >= EPOCH {
            self.epoch_began = now;
            self.rate.turn();
            self.round_trip.turn();
            // All that is in flight now, and then a round in the lowered window.
            let lowered = self.path_holds(DRAIN).unwrap_or(0.0) as u64;
            self.drained_at = Some(self.delivered + self.in_flight as u64 + lowered);
        }
        if self.drained_at.is_some_and(|at| self.delivered >= at) {
            self.drained_at = None;
        }
        let gain = if self.drained_at.is_some() { DRAIN } else { GAIN };
        if let Some(bytes) = self.path_holds(gain) {
            self.size = (bytes as usize).clamp(self.least, self.least + growth);
        }
    }

    /// So many times what the path holds, as far as that is known.
    fn path_holds(&self, times: f64) -> Option<f64> {
        let (rate, round_trip) = (self.rate.best(more)?, self.round_trip.best(sooner)?);
        Some(times * rate * round_trip.as_secs_f64())
    }
}

#[cfg(test)]
mod tests;
