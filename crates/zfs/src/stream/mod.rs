//! What is read of a send stream: its first record. The rest is for ZFS alone.

pub mod begin;

pub use begin::{Begin, BeginError, Features};
