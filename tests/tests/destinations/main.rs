//! What a destination allows and what it gets: rules, options, room, and one transfer at a time.
//! What is refused has status 6, tells what to do, and has changed nothing.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod adopting;
mod clones;
mod diverged;
mod encrypted;
mod interrupted;
mod meanwhile;
mod mounted;
mod one_at_a_time;
mod recursive;
mod room;
mod scene;
mod settings;
mod telling;
