//! Waiting: for events, with a deadline that only a failure ever meets.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::programs::is_real;

/// How often an event that can't be subscribed to is looked for.
const GLANCE: Duration = Duration::from_millis(20);

/// Nothing that is waited for takes this long: ten times as long in the lab, an emulated machine.
pub fn deadline() -> Duration {
    Duration::from_secs(if is_real() { 400 } else { 40 })
}

/// Waits until `look` finds what it looks for, and returns it.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "never came: {what}");
        sleep(GLANCE);
    }
}
