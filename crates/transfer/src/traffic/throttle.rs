//! What slows a machine's transfers down to the rates that it was given.
//!
//! A stream takes what it is going to move next, and waits until that may go; so the pipe before it
//! fills, and whoever writes there waits, too. Transfers have threads of their own: they share a
//! [`Bucket`] behind a lock that is held for no longer than a sum takes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Instant, sleep_until};

use crate::traffic::bucket::{Bucket, piece};
use crate::traffic::rate::Rate;

/// How fast the transfers of a machine may be, in all and each.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    all: Option<Arc<Shared>>,
    each: Option<Rate>,
}

/// What is shared by those who take from it, in turn and in equal parts.
#[derive(Debug)]
struct Shared {
    rate: Rate,
    bucket: Mutex<Bucket>,
    /// How many wait now for what they have taken.
    takers: AtomicUsize,
}

impl Limits {
    /// `all` is for what all transfers send and receive together, `each` for every single one.
    pub fn new(all: Option<Rate>, each: Option<Rate>) -> Self {
        Self { all: all.map(|rate| Arc::new(Shared::new(rate))), each }
    }

    /// For a transfer that wants no more than `own` itself.
    pub(crate) fn throttle(&self, own: Option<Rate>) -> Throttle {
        let own = self.each.into_iter().chain(own).min();
        let own = own.map(|rate| Arc::new(Shared::new(rate)));
        Throttle { own, all: self.all.clone() }
    }
}

/// What slows a transfer down, through all of its streams.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    own: Option<Arc<Shared>>,
    all: Option<Arc<Shared>>,
}

impl Throttle {
    /// How fast the transfer can be at the most, if it is told.
    pub(crate) fn rate(&self) -> Option<Rate> {
        self.shared().map(|shared| shared.rate).min()
    }

    /// Waits until some of so many bytes may go, and tells how many: all, where nothing limits it.
    pub(crate) async fn take(&self, bytes: usize) -> usize {
        let bytes = self.shared().fold(bytes, |bytes, shared| bytes.min(shared.piece()));
        for shared in self.shared() {
            shared.take(bytes).await;
        }
        bytes
    }

    fn shared(&self) -> impl Iterator<Item = &Shared> {
        self.own.iter().chain(&self.all).map(Arc::as_ref)
    }
}

impl Shared {
    fn new(rate: Rate) -> Self {
        let bucket = Mutex::new(Bucket::new(rate, Instant::now().into_std()));
        Self { rate, bucket, takers: AtomicUsize::new(0) }
    }

    fn piece(&self) -> usize {
        piece(self.rate, self.takers.load(Ordering::Relaxed) + 1)
    }

    async fn take(&self, bytes: usize) {
        let now = Instant::now();
        let at = {
            // What a thread that panicked left behind is still a bucket.
            let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            Instant::from_std(bucket.take(bytes, now.into_std()))
        };
        if at > now {
            let _waiting = Waiting::begin(&self.takers);
            sleep_until(at).await;
        }
    }
}

/// Counted among those who wait, also where the wait is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(takers: &'a AtomicUsize) -> Self {
        takers.fetch_add(1, Ordering::Relaxed);
        Self(takers)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::time::timeout;

    use super::*;

    const MIB: usize = 1 << 20;
    const CHUNK: usize = 256 << 10;

    fn rate(text: &str) -> Option<Rate> {
        Some(text.parse().unwrap())
    }

    /// What is taken within so many seconds by one that always has more.
    async fn taken(throttle: &Throttle, seconds: u64) -> usize {
        let mut total = 0;
        let all = async {
            loop {
                total += throttle.take(CHUNK).await;
            }
        };
        let _ = timeout(Duration::from_secs(seconds), all).await;
        total
    }

    /// `taken` is within 5% of so many MiB.
    #[track_caller]
    fn assert_about(taken: usize, mib: usize) {
        assert!(taken.abs_diff(mib * MIB) <= mib * MIB / 20, "{taken}, not {mib} MiB");
    }

    #[tokio::test]
    async fn without_a_limit_all_goes_at_once() {
        let throttle = Limits::default().throttle(None);
        assert_eq!(throttle.take(usize::MAX).await, usize::MAX);
        assert_eq!(throttle.rate(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_lowest_of_all_limits_counts() {
        for (all, each, own, mib) in [
            (rate("2M"), None, None, 20),
            (None, rate("2M"), None, 20),
            (None, None, rate("2M"), 20),
            (rate("8M"), rate("2M"), rate("4M"), 20),
            (rate("8M"), rate("4M"), rate("2M"), 20),
            (rate("2M"), rate("8M"), rate("4M"), 20),
        ] {
            let throttle = Limits::new(all, each).throttle(own);
            assert_eq!(throttle.rate(), rate("2M"));
            assert_about(taken(&throttle, 10).await, mib);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn several_share_what_there_is_and_one_alone_has_all_of_it() {
        let limits = Limits::new(rate("8M"), None);
        let throttles = [(); 4].map(|()| limits.throttle(None));
        let [a, b, c, d] = &throttles;
        let all = tokio::join!(taken(a, 10), taken(b, 10), taken(c, 10), taken(d, 10));
        for one in [all.0, all.1, all.2, all.3] {
            assert_about(one, 20);
        }
        assert_about(taken(a, 10).await, 80);
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_does_not_use_is_the_others() {
        let limits = Limits::new(rate("8M"), None);
        let (slow, fast) = (limits.throttle(rate("1M")), limits.throttle(None));
        let (slow, fast) = tokio::join!(taken(&slow, 10), taken(&fast, 10));
        assert_about(slow, 10);
        assert_about(fast, 70);
    }

    #[tokio::test(start_paused = true)]
    async fn the_more_wait_the_less_each_takes_at_once() {
        let limits = Limits::new(rate("64K"), None);
        let throttles = [(); 100].map(|()| limits.throttle(None));
        let start = Instant::now();
        let bytes = join_all(throttles.iter().map(|throttle| throttle.take(CHUNK))).await;
        assert!(bytes.iter().all(|bytes| *bytes > 0));
        assert!(start.elapsed() < Duration::from_secs(1), "{:?} to the last", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_is_counted_no_longer() {
        let limits = Limits::new(rate("1M"), None);
        let throttle = limits.throttle(None);
        for _ in 0..20 {
            let _ = timeout(Duration::from_millis(1), throttle.take(CHUNK)).await;
        }
        let all = limits.all.as_ref().unwrap();
        assert_eq!(all.takers.load(Ordering::Relaxed), 0);
    }

    /// On threads and by the clock, as transfers do.
    #[test]
    fn threads_share_it() {
        let limits = Limits::new(rate("64M"), None);
        let work = |throttle: Throttle| {
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
                runtime.unwrap().block_on(taken(&throttle, 2))
            }
        };
        let threads = [(); 4].map(|()| thread::spawn(work(limits.throttle(None))));
        let sum: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        // A machine that is busy makes it less, nothing makes it more.
        assert!(sum > 0 && sum <= 2 * 64 * MIB * 115 / 100, "{sum}");
    }
}
