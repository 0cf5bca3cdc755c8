//! What the tracker knows of the fleet: which dataset is where, also of machines that are off.
//!
//! [`Catalogue`] is pure: its operations compute [`Change`]s, apply them, and return them.
//! [`Store`] writes those changes to disk, on a thread of its own, and reads them back at the next
//! start. Time is passed in, as Unix seconds. Never erases what it wasn't told is gone: a machine
//! that leaves, a pool that fails and a session that was replaced change no content.

mod change;
mod lineage;
mod lookup;
mod model;
mod query;
mod release;
mod role;
mod session;
mod store;
#[cfg(test)]
mod testing;

pub use change::{Change, Content, MachineRecord, PoolRecord};
pub use lookup::LookupError;
pub use model::{Catalogue, Identity, MachineId};
pub use query::{PatternError, Query};
pub use release::Release;
pub use role::Role;
pub use session::{Epoch, NameTaken, NoSuchMachine, Registered, SessionError, Update};
pub use store::{OpenError, Store, WriteError, Written};
