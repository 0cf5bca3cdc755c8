//! What the three binaries share: arguments from a file, logs and messages, exit statuses, the
//! state folder and signals. Knows neither the network nor what any of the binaries is for.

mod allocator;
pub mod capability;
pub mod config;
pub mod exit;
pub mod listen;
pub mod log;
mod say;
pub mod shutdown;
pub mod state;

pub use say::say;
