//! Machines that are told how fast their transfers may be, and how many go at once.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "how tests fail"
)]

mod leaving;
mod rates;
mod scene;
mod turns;
