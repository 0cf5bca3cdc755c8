//! Logs: on stderr, by `RUST_LOG`.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Begins logging; `default` ("info") holds where `RUST_LOG` isn't set or can't be read.
pub fn init(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // It would tell of a reader that has gone with `eprintln!`, and that panics.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
