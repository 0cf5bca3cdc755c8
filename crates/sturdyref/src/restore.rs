//! How a vat decides what the holder of an id gets, and on which thread.

use capnp::capability::Client;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::fingerprint::Fingerprint;
use crate::worker::Worker;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The key that the peer proved to have; `None` without TLS.
    pub fingerprint: Option<Fingerprint>,
    /// Where it comes from, for messages: `tcp:HOST:PORT` or `unix:PATH`.
    pub address: String,
    pub(crate) closing: CancellationToken,
}

impl Peer {
    /// A peer that showed this key and comes from there. Listeners make their own; this is for tests of
    /// restorers.
    pub fn new(fingerprint: Option<Fingerprint>, address: impl Into<String>) -> Self {
        Self { fingerprint, address: address.into(), closing: CancellationToken::new() }
    }

    /// Closes the connection, once what is queued is sent (or the peer was too slow to take it).
    pub fn hang_up(&self) {
        self.closing.cancel();
    }
}

/// Turns ids into capabilities.
pub trait Restorer {
    /// What the peer gets for `id` (its raw bytes, never empty).
    ///
    /// Called once per request on the listener's thread; it must not block.
    ///
    /// # Errors
    /// The peer gets an exception with the error's text.
    fn restore(&self, id: &[u8], peer: &Peer) -> Result<Restored, RestoreError>;
}

/// Makes the capability on the thread where it will live.
pub type OnWorker = Box<dyn FnOnce(&Peer) -> Client + Send>;

/// Where a restored object lives.
pub enum Restored {
    /// On the listener's own thread, among all others.
    Here(Client),
    /// On a worker: the whole connection moves there, and serves nothing but this object.
    On(Worker, OnWorker),
}

/// Why an id restores nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// Nothing has this id.
    #[error("Unknown persistent service ID")]
    Unknown,
    /// The id is known, and this peer may not use it, now or here.
    #[error("{0}")]
    Refused(String),
    /// The id is good, but there is no room; trying again later makes sense.
    #[error("{0}")]
    Overloaded(String),
}

impl From<RestoreError> for capnp::Error {
    fn from(error: RestoreError) -> Self {
        let text = error.to_string();
        match error {
            RestoreError::Unknown | RestoreError::Refused(_) => Self::failed(text),
            RestoreError::Overloaded(_) => Self::overloaded(text),
        }
    }
}
