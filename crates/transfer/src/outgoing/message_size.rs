//! How much of a stream goes into one message: as much as was sent lately in a fiftieth of a second.
//!
//! A message costs the same at both ends whatever its size, so on a fast path they are large. On a slow one a
//! large message would be long on its way, and none of it is any use before all of it has come: it would look as
//! if the sender were silent, and be lost with it if that dies. (Those that are on a path when it becomes slow are as
//! large as they were.)
//!
//! Pure: the time since the stream's beginning is an argument.

use std::time::Duration;

/// The least that a message may hold, and what the first ones do.
const LEAST: usize = 64 << 10;
/// The most: what a pipe holds (`zfs::process`), and whose memory is used again (`sturdyref`, buffer.rs). Half as much
/// takes a twelfth more of the CPU where several streams are sent at once.
const MOST: usize = 1 << 20;
/// How long sending a message may take, if it holds more than the least.
const AIM: Duration = Duration::from_millis(20);
/// The size is judged anew after so long, or after so many messages: a fast path takes those in a moment.
const TURN: Duration = Duration::from_millis(100);
const MESSAGES: u32 = 8;

/// The size of a stream's messages, in bytes.
#[derive(Debug)]
pub(super) struct MessageSize {
    size: usize,
    /// Of this turn.
    began: Duration,
    messages: u32,
    bytes: usize,
}

impl MessageSize {
    pub(super) fn new() -> Self {
        Self { size: LEAST, began: Duration::ZERO, messages: 0, bytes: 0 }
    }

    /// The most bytes of stream that the next message may hold.
    pub(super) fn most(&self) -> usize {
        self.size
    }

    /// A message of so many bytes has been sent, and another may be.
    pub(super) fn sent(&mut self, now: Duration, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
        let took = now.saturating_sub(self.began);
        if took < TURN && self.messages < MESSAGES {
            return;
        }
        // What fits into an empty window goes in no time, however slow the path is: so no more than twice as much.
        let most = MOST.min(2 * self.size);
        let in_time = self.bytes as f64 * AIM.as_secs_f64() / took.as_secs_f64();
        self.size = (in_time as usize).clamp(LEAST, most);
        (self.began, self.messages, self.bytes) = (now, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;
    const WINDOW: usize = MIB;

    /// The sizes of the messages of `total` bytes, over a path that takes so many bytes per second: those that
    /// fit into the window are taken at once.
    fn sizes(rate: f64, total: usize) -> Vec<usize> {
        let (mut size, mut sizes, mut sent) = (MessageSize::new(), Vec::new(), 0);
        while sent < total {
            sizes.push(size.most());
            sent += size.most();
            let seconds = sent.saturating_sub(WINDOW) as f64 / rate;
            size.sent(Duration::from_secs_f64(seconds), size.most());
        }
        sizes
    }

    #[test]
    fn on_a_fast_path_messages_are_soon_as_large_as_may_be() {
        let sizes = sizes(2e9, 100 * MIB);
        let smaller: usize = sizes.iter().take_while(|size| **size < MOST).sum();
        assert!(smaller < 8 * MIB, "{smaller}");
        assert_eq!(sizes.last(), Some(&MIB));
        assert_eq!(sizes[0], 64 << 10);
    }

    #[test]
    fn without_a_clock_they_are_too() {
        let mut size = MessageSize::new();
        (0..4 * MESSAGES).for_each(|_| size.sent(Duration::ZERO, size.most()));
        assert_eq!(size.most(), MOST);
    }

    #[test]
    fn no_message_takes_long() {
        for rate in [1e6, 5e6, 2e7, 5e7] {
            // The first window may hold messages that are too large, as nothing is known yet.
            let after = sizes(rate, 40 * WINDOW).into_iter().skip(3 * MESSAGES as usize);
            let longest = after.max().unwrap() as f64 / rate;
            let may_be = if rate > 4e6 { 0.021 } else { 0.066 };
            assert!(longest <= may_be, "{longest} s at {rate} B/s");
        }
    }

    #[test]
    fn those_that_fill_the_first_window_are_small_however_slow_the_path() {
        let largest = sizes(1e3, 2 * WINDOW).into_iter().max();
        assert_eq!(largest, Some(128 << 10));
    }

    #[test]
    fn they_become_smaller_with_the_path_and_larger_again() {
        let mut size = MessageSize::new();
        let mut now = Duration::ZERO;
        let mut send_at = |rate: f64, seconds: u64| {
            let until = now + Duration::from_secs(seconds);
            while now < until {
                now += Duration::from_secs_f64(size.most() as f64 / rate);
                size.sent(now, size.most());
            }
            size.most()
        };
        assert_eq!(send_at(1e9, 1), MOST);
        assert_eq!(send_at(1e6, 3), LEAST);
        assert_eq!(send_at(1e9, 1), MOST);
    }
}
