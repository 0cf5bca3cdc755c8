//! Moves a dataset from one machine to another.
//!
//! [`plan`] is pure: what to transfer, from where, in which steps. The rest does it: the receiver
//! runs a [`job`], reaches the source through a [`broker`] and feeds what comes to `zfs receive`,
//! once the [`guard`] has passed it; the sender [serves](outgoing::serve) a `Source`. A
//! machine's [`Traffic`] tells how many transfers go at once, how fast, and by which ways not. Knows nothing of the
//! catalogue, and decides nothing that the plan could.

pub mod broker;
pub mod dial;
mod ends;
pub mod entrance;
mod failure;
mod guard;
pub mod guests;
pub mod holds;
#[cfg(test)]
mod in_memory;
mod incoming;
pub mod job;
mod lock;
pub mod options;
pub mod outgoing;
pub mod plan;
mod remote;
pub mod report;
mod reserve;
mod settings;
pub mod size;
mod stream_request;
mod tail;
mod target;
mod traffic;
mod ways;
pub mod wire;

pub use failure::zfs_failure;
pub use traffic::{Limits, Queue, Rate, RateError, Traffic};
pub use ways::Ways;
