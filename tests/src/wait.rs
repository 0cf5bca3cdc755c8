//! Waiting: for events, with a deadline that only a failure ever meets.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::programs::is_real;

/// How often an event that can't be subscribed to is looked for: not so often that looking takes
/// more than half of the time of those who are to bring it about.
const GLANCE: Duration = Duration::from_millis(20);

/// Nothing that is waited for takes this long: ten times as long in the lab, an emulated machine.
pub fn deadline() -> Duration {
    Duration::from_secs(if is_real() { 400 } else { 40 })
}

/// Waits until `look` finds what it looks for, and returns it.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    in_time(look).unwrap_or_else(|| panic!("never came: {what}"))
}

/// The same; `None` where it didn't come before the deadline.
pub(crate) fn in_time<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline();
    loop {
        let start = Instant::now();
        let found = look();
        if found.is_some() || Instant::now() >= end {
            return found;
        }
        sleep(GLANCE.max(start.elapsed()));
    }
}
