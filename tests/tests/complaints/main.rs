//! What people complain about most in tools that send ZFS datasets to and fro: each complaint has a
//! test that bears its name, and shows that it is none here.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod destinations;
mod interrupted;
mod renamed;
mod scene;
mod terminal;
mod told;
mod watchdog;
