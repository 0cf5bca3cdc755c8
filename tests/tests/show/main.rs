//! `cli show`: the contract's lines, whatever happens to machines, pools, datasets and the tracker.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod fleet;
mod following;
mod forms;

use std::time::Instant;

/// Does something, waits for what follows from it, and prints how many seconds that took.
fn measure(what: &str, cause: impl FnOnce(), effect: impl FnOnce()) -> f64 {
    cause();
    let started = Instant::now();
    effect();
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("measured: {what}: {seconds:.2} s");
    seconds
}
