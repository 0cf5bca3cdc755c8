//! What to transfer, from where, in which steps. Pure: no I/O, so that tables and properties can
//! test it without a process.
//!
//! [`choose`] says which snapshot is wanted, [`sources`] who has it, [`plan_any`] which of them it
//! comes from and by which [`Step`]s; [`stuck`] tells that nobody can finish what is there,
//! [`warnings`] what the user may not expect.

pub mod destination;
pub mod form;
pub mod goal;
mod increment;
pub mod lineage;
mod planner;
mod several;
pub mod sources;
pub mod steps;
mod warnings;

pub use destination::{Destination, Partial, Present};
pub use form::{Form, form};
pub use goal::{Chosen, Goal, Wish, choose};
pub use planner::plan;
pub use several::{plan_any, stuck};
pub use sources::{away, sources, with_turn_first};
pub use steps::{Base, Options, Refusal, Source, Step};
pub use warnings::warnings;

#[cfg(test)]
pub(crate) mod examples;
#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
