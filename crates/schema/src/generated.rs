//! Made from `schema/*.capnp` by `cargo xtask schema`; never edited by hand.
#![allow(
    clippy::all,
    clippy::unimplemented,
    clippy::unwrap_used,
    missing_docs,
    rust_2018_idioms,
    unreachable_pub
)]

#[rustfmt::skip]
pub mod agent_capnp;
#[rustfmt::skip]
pub mod broker_capnp;
#[rustfmt::skip]
pub mod byte_stream_capnp;
#[rustfmt::skip]
pub mod dataset_capnp;
#[rustfmt::skip]
pub mod hold_capnp;
#[rustfmt::skip]
pub mod location_capnp;
#[rustfmt::skip]
pub mod outcome_capnp;
#[rustfmt::skip]
pub mod source_capnp;
#[rustfmt::skip]
pub mod transfer_capnp;
#[rustfmt::skip]
pub mod user_capnp;
