//! Every bound of a connection in one place, so that no peer can make a vat hold more than was meant.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::memory::Memory;

/// The bounds that a listener or a client connection keeps. [`Default`] is what production uses.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a new connection may take to ask for a capability.
    pub first_frame: Duration,
    /// The largest frame, in bytes, from a peer that has proved no sturdyref.
    pub unproved_message: usize,
    /// How many connections may have proved no sturdyref; one more, and the oldest is dropped.
    pub unproved_connections: usize,
    /// The largest frame in bytes.
    pub message: usize,
    /// Bytes of calls without an answer (an answer counts once it is written) over which reading
    /// stops, not counting one [`window`](Self::window); on a worker, neither a
    /// [`most_window`](Self::most_window).
    ///
    /// So a method must not wait for what its caller will only say after that much more.
    pub unanswered: usize,
    /// Questions that the peer may leave without its Finish; one more, and the connection is dropped.
    pub open_questions: usize,
    /// Bytes in flight on a stream that this side sends, at the least. It begins with these, and has more where
    /// the path holds more: bandwidth times round trip.
    pub window: usize,
    /// The most that a stream may have in flight. Not more than the peer lets unanswered: its socket would stand
    /// full for as long as it is busy, and the system takes that for a dead link.
    pub most_window: usize,
    /// What the windows of all streams of connections with these limits may have together, beyond the first
    /// [`window`](Self::window) of each. In flight may be up to two messages more on each stream, since one more
    /// than fits is sent, whole.
    pub memory: Memory,
    /// Whether a connection that is dialled carries bulk from here. (One that is accepted does if it is moved to a
    /// worker.) It then uses the congestion control BBR, where the system has it and it is measured to be faster.
    pub bulk: bool,
    /// How long a closing connection may take to send what is queued.
    pub closing: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            first_frame: Duration::from_secs(5),
            unproved_message: 64 << 10,
            unproved_connections: 256,
            message: 4 << 20,
            unanswered: 8 << 20,
            open_questions: 1 << 16,
            window: 1 << 20,
            most_window: 8 << 20,
            memory: Memory::of(48 << 20),
            bulk: false,
            closing: Duration::from_secs(1),
        }
    }
}

/// Raises the soft limit of open files of this process to its hard limit, and returns it.
///
/// # Errors
/// The system refused.
pub fn raise_nofile_limit() -> io::Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_becomes_the_hard_one() {
        let raised = raise_nofile_limit().unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(limit.current.unwrap_or(u64::MAX), raised);
    }
}
