//! The pipe between a process and us: larger than the system makes it.

use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use rustix::io::{Errno, ioctl_fionread};
use rustix::pipe::fcntl_setpipe_size;
use tokio::io::Interest;
use tokio::net::unix::pipe::Receiver;
use tokio::process::ChildStdout;

use super::error::CommandError;

/// The largest message of a stream, so that one is there to be read at once. With half as much four streams over TLS
/// lose a twentieth.
const SIZE: usize = 1 << 20;
/// What pipes have from the beginning.
const LEAST: usize = 64 << 10;

/// Grows a pipe as far as this user may. A full pool of pipes or a refusal leaves it as it is.
fn enlarge(pipe: &impl AsFd) {
    static LARGEST: OnceLock<Option<usize>> = OnceLock::new();
    let largest = LARGEST.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/fs/pipe-max-size").ok()?.trim().parse().ok()
    });
    let Some(mut size) = largest.map(|largest| largest.min(SIZE)) else { return };
    // A user's pipes may have so much together: what is left may do for a smaller one.
    while let Err(error) = fcntl_setpipe_size(pipe, size) {
        size /= 2;
        if size < LEAST {
            tracing::debug!(%error, "a pipe keeps its size");
            return;
        }
    }
}

/// What a process writes, through a pipe as large as it may be.
#[derive(Debug)]
pub(super) struct Output(Receiver);

impl Output {
    /// Must be called within a runtime.
    pub(super) fn new(stdout: ChildStdout) -> io::Result<Self> {
        let pipe = stdout.into_owned_fd()?;
        enlarge(&pipe);
        Receiver::from_owned_fd(pipe).map(Self)
    }

    /// Waits until there is something, and tells how many bytes; 0 at the end.
    pub(super) async fn ready(&self) -> io::Result<usize> {
        loop {
            let seen = self.0.ready(Interest::READABLE).await?;
            let there = self.0.try_io(|| match ioctl_fionread(&self.0)? {
                0 if !seen.is_read_closed() => Err(io::ErrorKind::WouldBlock.into()),
                count => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
            });
            match there {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                there => return there,
            }
        }
    }

    /// Fills the buffer, which must not be larger than what there is.
    pub(super) fn read(&self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match rustix::io::read(&self.0, &mut *buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => buffer = &mut buffer[count..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The error for a pipe that was asked for and isn't there.
pub(super) fn missing() -> CommandError {
    CommandError::Lost(io::Error::from(io::ErrorKind::BrokenPipe))
}
