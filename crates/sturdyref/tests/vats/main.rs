//! Vats over real loopback sockets: one that listens and those who dial it.

#[path = "../common/mod.rs"]
mod common;
#[path = "../generated/greeter_capnp.rs"]
#[rustfmt::skip]
#[allow(
    clippy::all, clippy::unimplemented, clippy::unwrap_used,
    missing_docs, rust_2018_idioms, unreachable_pub,
    reason = "made by capnpc"
)]
mod greeter_capnp;

mod bounds;
mod closing;
mod refusing;
mod restoring;
mod workers;
