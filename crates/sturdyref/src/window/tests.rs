//! The window on paths that are simulated, message by message.

use std::collections::VecDeque;

use super::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const MESSAGE: usize = 256 * KIB;
const LEAST: usize = MIB;
const MOST: usize = 32 * MIB;
const MBIT: f64 = 1e6 / 8.0;

/// A path and the receiver at its end.
struct Path {
    /// Bytes per second.
    bandwidth: f64,
    round_trip: Duration,
    /// Each message takes up to so many times half the round trip longer; none overtakes another.
    jitter: f64,
    /// What the receiver takes, in bytes per second, by the time.
    receiver: fn(Duration) -> f64,
    /// The bytes of a message, by what the path and the receiver take in a second.
    message: fn(f64) -> usize,
    seed: u64,
}

struct Measured {
    /// Bytes per second after the first ten seconds.
    rate: f64,
    /// The largest window after the first ten seconds.
    largest: usize,
}

fn as_fast_as_it_comes(_: Duration) -> f64 {
    f64::INFINITY
}

/// All of one size, or not.
const SIZES: [fn(f64) -> usize; 2] = [|_| MESSAGE, as_they_are_sent];

/// As the pump makes them: what is taken in 20 ms.
fn as_they_are_sent(rate: f64) -> usize {
    ((0.02 * rate) as usize).clamp(64 * KIB, MIB)
}

impl Path {
    fn of(bandwidth: f64, round_trip: u64) -> Self {
        let round_trip = Duration::from_millis(round_trip);
        let (receiver, message) = (as_fast_as_it_comes, (|_| MESSAGE) as fn(f64) -> usize);
        Self { bandwidth, round_trip, jitter: 0.0, receiver, message, seed: 1 }
    }

    /// Sends whatever the window allows for half a minute.
    fn run(&self) -> Measured {
        let (warm, end) = (Duration::from_secs(10), Duration::from_secs(30));
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut window = Window::new(LEAST);
        let mut answers: VecDeque<(Duration, Sent)> = VecDeque::new();
        let (mut now, mut sent_at, mut there_at, mut taken_at, mut answer_at) = Default::default();
        let (mut delivered, mut largest) = (0, 0);
        while now < end {
            while window.is_open() {
                let takes = (self.receiver)(taken_at);
                let message = (self.message)(takes.min(self.bandwidth));
                let sent = window.sent(now, message);
                let mut half = || self.round_trip.mul_f64(0.5 * (1.0 + self.jitter * random.f64()));
                // One after the other onto the wire, and one after the other into the receiver, which answers
                // when there is room for the next.
                sent_at =
                    now.max(sent_at) + Duration::from_secs_f64(message as f64 / self.bandwidth);
                there_at = (sent_at + half()).max(there_at);
                taken_at = there_at.max(taken_at) + Duration::from_secs_f64(message as f64 / takes);
                answer_at = (taken_at + half()).max(answer_at);
                answers.push_back((answer_at, sent));
            }
            let (at, sent) = answers.pop_front().expect("something is in flight");
            now = at;
            let bytes = sent.bytes();
            window.answered(now, sent, MOST - LEAST);
            if now >= warm {
                delivered += bytes;
                largest = largest.max(window.size);
            }
        }
        let rate = delivered as f64 / (end - warm).as_secs_f64();
        Measured { rate, largest }
    }

    /// Several times what it holds at most: more makes no sense on it.
    fn most(&self) -> usize {
        let holds = self.bandwidth * self.round_trip.as_secs_f64() * (1.0 + self.jitter);
        4 * LEAST + (6.0 * holds) as usize
    }
}

#[test]
fn it_fills_short_and_long_paths_narrow_and_wide_ones() {
    for round_trip in [1, 20, 100, 200] {
        for mbit in [50.0, 1000.0] {
            for jitter in [0.0, 0.2] {
                for message in SIZES {
                    let path = Path { jitter, message, ..Path::of(mbit * MBIT, round_trip) };
                    let measured = path.run();
                    let share = measured.rate / path.bandwidth;
                    let size = message(path.bandwidth);
                    let what = format!("{mbit} Mbit/s, {round_trip} ms, jitter {jitter}, {size}");
                    assert!(share >= 0.95, "{what}: {share:.3} of the bandwidth");
                    assert!(measured.largest <= path.most(), "{what}: {} bytes", measured.largest);
                }
            }
        }
    }
}

#[test]
fn a_slow_receiver_is_not_taken_for_a_long_path() {
    for message in SIZES {
        let path = Path { receiver: |_| 20e6, message, ..Path::of(10_000.0 * MBIT, 20) };
        let measured = path.run();
        assert!(measured.rate >= 0.95 * 20e6, "{} bytes/s", measured.rate);
        assert!(measured.largest <= 4 * LEAST, "a window of {} bytes", measured.largest);
    }
}

#[test]
fn a_receiver_that_takes_bytes_by_fits_and_starts_gets_no_more_than_the_path_holds() {
    // As `zfs receive` does while a transaction group is written.
    let receiver = |now: Duration| if now.as_secs() % 6 < 4 { 200e6 } else { 2e6 };
    for message in SIZES {
        let path = Path { receiver, message, ..Path::of(1000.0 * MBIT, 20) };
        let measured = path.run();
        assert!(measured.largest <= path.most(), "a window of {} bytes", measured.largest);
    }
}

#[test]
fn it_begins_small_and_is_never_larger_than_allowed() {
    let mut window = Window::new(LEAST);
    assert!(window.is_open());
    let mut sent = Vec::new();
    while window.is_open() {
        sent.push(window.sent(Duration::ZERO, MESSAGE));
    }
    assert_eq!(window.in_flight(), LEAST + MESSAGE);
    for (now, sent) in (1..).zip(sent) {
        window.answered(Duration::from_secs(1) + Duration::from_nanos(now), sent, LEAST / 2);
    }
    assert!(window.size <= 3 * LEAST / 2);
    assert!(window.size > LEAST, "it has not grown");
    let sent = window.sent(Duration::from_secs(2), MESSAGE);
    window.answered(Duration::from_secs(3), sent, 0);
    assert_eq!(window.size, LEAST, "what it began with is always there");
}

#[test]
fn a_path_that_becomes_longer_is_filled_again() {
    let mut window = Window::new(LEAST);
    let mut now = Duration::ZERO;
    let mut in_flight: VecDeque<(Duration, Sent)> = VecDeque::new();
    let mut free = Duration::ZERO;
    let mut delivered = 0;
    while now < Duration::from_secs(60) {
        let round_trip = Duration::from_millis(if now.as_secs() < 20 { 10 } else { 200 });
        while window.is_open() {
            free = free.max(now) + Duration::from_secs_f64(MESSAGE as f64 / 100e6);
            in_flight.push_back((free + round_trip, window.sent(now, MESSAGE)));
        }
        let (at, sent) = in_flight.pop_front().expect("something is in flight");
        now = at.max(now);
        window.answered(now, sent, MOST - LEAST);
        if now >= Duration::from_secs(50) {
            delivered += MESSAGE;
        }
    }
    let rate = delivered as f64 / 10.0;
    assert!(rate >= 0.9 * 100e6, "{rate} bytes/s");
}

#[test]
fn a_path_that_becomes_narrower_gets_a_smaller_window() {
    let mut window = Window::new(LEAST);
    let (mut now, mut free) = (Duration::ZERO, Duration::ZERO);
    let mut in_flight: VecDeque<(Duration, Sent)> = VecDeque::new();
    let round_trip = Duration::from_millis(100);
    let mut before = 0;
    while now < Duration::from_secs(120) {
        let bandwidth = if now.as_secs() < 20 { 100e6 } else { 10e6 };
        while window.is_open() {
            free = free.max(now) + Duration::from_secs_f64(MESSAGE as f64 / bandwidth);
            in_flight.push_back((free + round_trip, window.sent(now, MESSAGE)));
        }
        let (at, sent) = in_flight.pop_front().expect("something is in flight");
        now = at.max(now);
        window.answered(now, sent, MOST);
        if now.as_secs() < 20 {
            before = before.max(window.size);
        }
    }
    assert!(before >= 20 * MIB, "{before} bytes on a wide path");
    assert!(window.size <= 8 * MIB, "{} bytes on a narrow one", window.size);
}

#[test]
fn answers_that_come_in_bunches_make_a_path_seem_no_faster() {
    let at = |tenth: u32| Duration::from_millis(100) * tenth;
    let mut window = Window::new(LEAST);
    let mut sent: VecDeque<Sent> = (0..50).map(|tenth| window.sent(at(tenth), MESSAGE)).collect();
    for sent in sent.drain(..25) {
        window.answered(at(50), sent, MOST);
    }
    sent.push_back(window.sent(at(50), MESSAGE));
    for sent in sent {
        window.answered(at(51), sent, MOST);
    }
    let (rate, real) = (window.rate.best(more).unwrap(), 10.0 * MESSAGE as f64);
    assert!(rate <= 1.1 * real, "{rate} bytes/s, not {real}");
}

#[test]
fn a_time_in_which_nothing_was_to_be_sent_does_not_count() {
    let mut window = Window::new(LEAST);
    let took = Duration::from_millis(100);
    for hour in 0..3 {
        let now = Duration::from_secs(3600) * hour;
        let sent = window.sent(now, MESSAGE);
        window.answered(now + took, sent, MOST);
    }
    assert_eq!(window.rate.best(more), Some(10.0 * MESSAGE as f64));
}

#[test]
fn a_path_that_holds_next_to_nothing_leaves_it_as_it_began() {
    let mut window = Window::new(LEAST);
    let sent = window.sent(Duration::ZERO, KIB);
    window.answered(Duration::from_millis(1), sent, MOST);
    assert_eq!(window.size, LEAST);
}
