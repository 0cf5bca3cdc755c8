//! The harness of the end-to-end tests: a fleet of the real binaries, on zfs-sim or on real ZFS.
//!
//! | what | is |
//! |---|---|
//! | [`Fleet`] | a tracker, its capability files, and a network that machines are added to |
//! | [`Machine`] | a computer with pools; an agent may run on it, and the cli can be run there |
//! | [`Cable`] | the way to a machine's agent, which can be cut |
//! | [`Process`] | a running program and its log; [`Ran`] one that has ended |
//! | [`Contents`], [`Properties`] | what datasets hold, and all about them, to be compared |
//! | [`liar`], [`Stream`] | a machine whose every word can be chosen, and what it may send |
//! | [`user`] | someone who speaks to the tracker without the cli |
//! | [`until`] | waits for an event |
//!
//! The same test runs on both backends. On zfs-sim each machine has a ZFS of its own
//! (`ZFS_SIM_ROOT`) and everything is on loopback, so tests run side by side. With
//! `ZATLAS_REAL_ZFS=1` (as root, in the lab) machines share the kernel's ZFS, on pools in files, and
//! each lives in a network namespace; pools and namespaces have names, so tests run one by one.
//!
//! What fails panics, with every log of the fleet. Nothing here is part of the product.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod cable;
mod contents;
mod fleet;
pub mod liar;
mod machine;
mod network;
mod pools;
mod process;
mod processes;
mod programs;
mod properties;
mod site;
mod stream;
pub mod user;
mod wait;

pub use cable::Cable;
pub use contents::{Contents, Tree};
pub use fleet::Fleet;
pub use machine::Machine;
pub use process::{Process, Ran};
pub use processes::Stray;
pub use programs::{is_real, program};
pub use properties::Properties;
pub use stream::Stream;
pub use wait::{deadline, until};

pub use rustix::process::Signal;
