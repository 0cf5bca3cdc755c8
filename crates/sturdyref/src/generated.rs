//! Rust made from `schema/*.capnp` by capnpc; not to be edited.

#![allow(
    missing_docs,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    clippy::unimplemented,
    reason = "made by capnpc"
)]

#[rustfmt::skip]
pub(crate) mod gateway_capnp;
