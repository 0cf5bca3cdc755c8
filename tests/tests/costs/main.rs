//! What an operation costs: its round trips, and the `zfs` and `zpool` processes that it takes.
//!
//! # Round trips
//! An [`Exchange`](exchange::Exchange) stands between two programs, which speak without TLS here,
//! and is told which questions (Bootstraps and calls) are to come in one go. Of such a burst it
//! lets nothing through until all of it has come, and what it holds back nobody can have answered.
//! So a burst that comes whole costs one round trip, however long the way; and an operation that
//! ends has taken as many as it has bursts, or fewer. Where a call waits for an answer that it
//! should not need, the burst never comes whole, the operation fails, and what had come by then is
//! printed. At the end no question may be left over, nor one more have come.
//!
//! Nothing of that depends on how fast anything is: a slow machine is waited for, and only a
//! program that waits for what is held back meets a deadline. Not held back, and so not counted,
//! are answers, what follows them (Finish, Release), and the calls of streams (`write`, `event`):
//! how many of them there are, and when, is the window's affair. Each connection costs one more
//! round trip before that for TCP, and one for TLS.
//!
//! # Processes
//! Each machine notes what its `zfs` and `zpool` are run for. Operations wait for the last of their
//! processes, so that all are in the note when they end. An agent also lists what has changed in
//! its pools, whoever changed it. That isn't among the counts: but in the test that is about it,
//! `zpool events` tells nothing here, and the next listing of all is due after 10 minutes.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod exchange;
mod following;
mod frame;
mod listing;
mod scene;
mod transferring;
