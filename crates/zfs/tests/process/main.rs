//! The processes, against small scripts that act as `zfs` and `zpool`.
//!
//! Facts that only the real ones can prove are left to the lab.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "how tests fail")]

mod events;
mod fake;
mod hold;
mod list;
mod manage;
mod property;
mod receive;
mod send;
