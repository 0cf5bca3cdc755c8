//! What to transfer, from where, in which steps. Pure: no I/O, so that tables and properties can
//! test it without a process.

pub mod choice;
pub mod lineage;
pub mod steps;

pub use choice::{Choice, Wanted, Wish, choose};
pub use steps::{Destination, Step, plan};
