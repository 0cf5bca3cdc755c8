use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;

fn rate(bytes: u64) -> Rate {
    Rate::per_second(bytes).unwrap()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Takers that each take one piece after the other, for so long: the bytes of each, and when each
/// piece went.
fn run(rate: Rate, takers: usize, time: Duration, late: Duration) -> (Vec<usize>, Vec<Instant>) {
    let start = Instant::now();
    let mut bucket = Bucket::new(rate, start);
    let mut bytes = vec![0; takers];
    let mut went = Vec::new();
    let size = piece(rate, takers);
    // When each comes back, and who.
    let mut queue: Vec<(Instant, usize)> = (0..takers).map(|taker| (start, taker)).collect();
    loop {
        queue.sort();
        let (now, taker) = queue.remove(0);
        let at = bucket.take(size, now);
        if at > start + time {
            return (bytes, went);
        }
        bytes[taker] += size;
        went.push(at);
        queue.push((at + late, taker));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn share(bytes: usize, rate: Rate, time: Duration) -> f64 {
    bytes as f64 / (rate.bytes_per_second() as f64 * time.as_secs_f64())
}

#[test]
fn the_rate_is_kept_within_5_percent_over_10_seconds() {
    let time = Duration::from_secs(10);
    for bytes in [1024, 64 << 10, MIB, 100 * MIB, 3000 * MIB] {
        for takers in [1, 2, 7] {
            // Each is woken up to a millisecond late, or much later.
            for late in [0, 1, 20] {
                let (taken, _) = run(rate(bytes), takers, time, millis(late));
                let share = share(taken.iter().sum(), rate(bytes), time);
                // One that comes back late each time can't take more than it has at hand.
                let reachable = piece(rate(bytes), takers) * takers * 1000
                    >= usize::try_from(bytes).unwrap() * usize::try_from(late).unwrap();
                let least = if reachable { 0.95 } else { 0.0 };
                assert!((least..1.05).contains(&share), "{bytes} B/s, {takers}, {late}: {share}");
            }
        }
    }
}

#[test]
fn several_get_equal_shares() {
    for takers in [2, 3, 10, 100] {
        let (taken, _) = run(rate(10 * MIB), takers, Duration::from_secs(10), millis(1));
        let (least, most) = (taken.iter().min().unwrap(), taken.iter().max().unwrap());
        assert!(most - least <= piece(rate(10 * MIB), takers), "{taken:?}");
    }
}

/// A share that is larger than what one has at hand would be taken whole by some and in parts by others.
#[test]
fn each_of_several_takes_no_more_than_it_has_at_hand_and_one_alone_all_it_can() {
    let fast = rate(1000 * MIB);
    assert_eq!(piece(fast, 2), MOST_OF_SEVERAL);
    assert!(piece(fast, 1) > MOST_OF_SEVERAL);
    assert_eq!(piece(rate(1024), 1000), LEAST_PIECE);
}

#[test]
fn it_flows_evenly() {
    for bytes in [1024, 64 << 10, MIB, 100 * MIB] {
        let (_, went) = run(rate(bytes), 1, Duration::from_secs(10), millis(1));
        let gaps = went.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = gaps.max().unwrap();
        assert!(longest <= millis(150), "{bytes} B/s: {longest:?}");
    }
}

#[test]
fn of_many_each_has_its_turn_long_before_it_looks_stalled() {
    for takers in [10, 100, 1000] {
        let slow = rate(64 << 10);
        let round = slow.time_for(piece(slow, takers) * takers);
        assert!(round <= Duration::from_secs(5), "{takers}: {round:?}");
    }
}

#[test]
fn time_in_which_nothing_was_taken_counts_for_little() {
    let start = Instant::now();
    let mut bucket = Bucket::new(rate(MIB), start);
    let later = start + Duration::from_secs(3600);
    let at_once = (0..).take_while(|_| bucket.take(1 << 10, later) == later).count();
    // 200 ms of it, and the piece that uses up the last of them.
    assert_eq!(at_once, 1024 / 5 + 1);
}

proptest! {
    /// Whatever is taken whenever: in no stretch of time does more go than its rate, the credit and
    /// one piece; and nobody waits for longer than what was taken before takes.
    #[test]
    fn never_too_much_and_never_too_late(
        bytes in 1024..1_000_000_000_u64,
        takes in prop::collection::vec((0..300_000_u32, 1..400_000_usize), 1..200),
    ) {
        let rate = rate(bytes);
        let start = Instant::now();
        let mut bucket = Bucket::new(rate, start);
        let mut now = start;
        let mut went = Vec::new();
        let mut owed = start;
        for (micros, size) in takes {
            now += Duration::from_micros(micros.into());
            let at = bucket.take(size, now);
            prop_assert!(at >= now);
            prop_assert!(at <= owed.max(now), "it waits for no reason");
            owed = owed.max(now) + rate.time_for(size);
            went.push((at, size));
        }
        for (first, (begin, _)) in went.iter().enumerate() {
            let mut sum = 0;
            for (at, size) in &went[first..] {
                // What goes at this moment may go on for as long as it takes.
                prop_assert!(rate.time_for(sum) <= *at - *begin + CREDIT + millis(1));
                sum += size;
            }
        }
    }
}
