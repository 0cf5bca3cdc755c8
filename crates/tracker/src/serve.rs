//! The capabilities that the tracker serves, a file for each interface of `schema/`.

mod answer;
mod broker;
mod door;
mod fleet;
mod holds;
mod location;
mod rendezvous;
mod replicas;
mod session;
mod transfer;
mod update_sink;

pub(crate) use door::Door;
pub(crate) use location::Location;
pub(crate) use transfer::Held;
