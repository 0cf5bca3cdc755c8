//! Vats over real loopback sockets: one that listens and those who dial it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod bounds;
mod closing;
mod common;
mod foreign_peers;
#[path = "../generated/greeter_capnp.rs"]
#[rustfmt::skip]
#[allow(
    clippy::all, clippy::unimplemented, missing_docs, rust_2018_idioms, unreachable_pub,
    reason = "made by capnpc"
)]
mod greeter_capnp;
mod refusing;
mod restoring;
mod workers;
