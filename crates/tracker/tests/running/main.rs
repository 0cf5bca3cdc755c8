//! The tracker as its users have it: the real binary, on loopback, spoken to through its
//! capability files. Agents are stood in for by [`agent::FakeAgent`].

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod agent;
mod capability_files;
mod fleet;
mod forget_and_reissue;
mod holds;
mod process;
mod relay;
mod sessions;
mod transfers;
mod usage;
mod user;
