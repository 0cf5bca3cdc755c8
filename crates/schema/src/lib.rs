//! The wire contract between tracker, agent and cli.
//!
//! [`generated`] is Rust made from `schema/*.capnp` and checked in, so that building needs no
//! Cap'n Proto compiler. Beside it stand the contract's words as Rust types, parsed once where a
//! message comes in ([`Place`], [`Failure`], [`Replica`]), and their way to and from the wire.
//! Does no I/O of its own.

pub mod batch;
pub mod failure;
pub mod generated;
pub mod hold;
pub mod outcome;
pub mod place;
pub mod replica;
pub mod text;
pub mod transfer_id;
pub mod wire;

pub use failure::{Code, Failure};
pub use generated::{
    agent_capnp, broker_capnp, byte_stream_capnp, dataset_capnp, hold_capnp, location_capnp,
    outcome_capnp, source_capnp, transfer_capnp, user_capnp,
};
pub use hold::Hold;
pub use place::{Destination, Location, Machine, Place, PlaceError};
pub use replica::Replica;
pub use transfer_id::{TransferId, TransferIdError};

/// The protocol's version: two programs of different versions refuse each other.
pub const PROTOCOL: u16 = 2;
