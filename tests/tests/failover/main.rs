//! Failover: whatever befalls the source of a transfer, another replica goes on with it where that
//! does no harm, and nobody where it would; what arrives is what was sent, byte for byte.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod before;
mod completing;
mod encryption;
mod large_blocks;
mod refusing;
mod restarting;
mod resuming;
mod scene;
mod source;
mod tracker;
