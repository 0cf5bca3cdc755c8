//! The pipe between a process and us: as large as the system lets it be.

use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use rustix::pipe::fcntl_setpipe_size;

use super::error::CommandError;

/// Grows a pipe as far as this user may. A full pool of pipes or a refusal leaves it as it is.
pub(super) fn enlarge(pipe: &impl AsFd) {
    static LARGEST: OnceLock<Option<usize>> = OnceLock::new();
    let largest = LARGEST.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/fs/pipe-max-size").ok()?.trim().parse().ok()
    });
    if let Some(size) = *largest
        && let Err(error) = fcntl_setpipe_size(pipe, size)
    {
        tracing::debug!(size, %error, "a pipe keeps its size");
    }
}

/// The error for a pipe that was asked for and isn't there.
pub(super) fn missing() -> CommandError {
    CommandError::Lost(io::Error::from(io::ErrorKind::BrokenPipe))
}
