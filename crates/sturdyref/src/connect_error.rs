//! Why a vat can't be reached, or turned out to be none, in words for whoever has to do something about it.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::address::Address;
use crate::fingerprint::Fingerprint;
use crate::network::Fault;

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// No way there: no such host, no route, no such socket.
    #[error("can't reach {address}")]
    Unreachable {
        /// What was dialled.
        address: Address,
        /// Why not.
        source: io::Error,
    },
    /// The machine is there, and nothing listens.
    #[error("{address} refused the connection: nothing listens there")]
    Refused {
        /// What was dialled.
        address: Address,
        /// As the system says it.
        source: io::Error,
    },
    /// There was no answer in time.
    #[error("{address} did not answer within {deadline:?}")]
    TimedOut {
        /// What was dialled.
        address: Address,
        /// How long there would have been.
        deadline: Duration,
    },
    /// The server has another key than the capability names: it is not the server that is meant, or it lost
    /// its key.
    #[error("{address} has the wrong key: the capability names {expected}, it showed {found}")]
    WrongKey {
        /// What was dialled.
        address: Address,
        /// The key that the capability pins.
        expected: Fingerprint,
        /// The key that was found.
        found: Fingerprint,
    },
    /// The capability needs TLS, and the server didn't manage it.
    #[error("no TLS with {address}, though the capability asks for it")]
    NoTls {
        /// What was dialled.
        address: Address,
        /// What went wrong.
        source: io::Error,
    },
    /// The capability is without TLS, and the server speaks nothing else.
    #[error("{address} speaks TLS, but the capability says insecure; get a new one from its owner")]
    SpeaksTls {
        /// What was dialled.
        address: Address,
    },
    /// The server is no vat.
    #[error("{address} does not speak Cap'n Proto")]
    Garbage {
        /// What was dialled.
        address: Address,
        /// What it sent.
        source: capnp::Error,
    },
    /// The server went away before it answered.
    #[error("{address} closed the connection without an answer")]
    Closed {
        /// What was dialled.
        address: Address,
        /// What was noticed.
        source: capnp::Error,
    },
    /// The server knows of no such capability, or doesn't grant it.
    #[error("{address} did not restore the capability: {reason}")]
    NotRestored {
        /// What was dialled.
        address: Address,
        /// The server's words.
        reason: String,
    },
    /// The capability needs TLS, and this side has no identity to show.
    #[error("the capability for {address} asks for TLS, which needs an identity")]
    NoIdentity {
        /// What was to be dialled.
        address: Address,
    },
    /// This side's identity is of no use.
    #[error("can't use the identity for TLS")]
    Identity(#[source] rustls::Error),
}

impl ConnectError {
    /// Whether nothing was reached at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Refused { .. } | Self::TimedOut { .. })
    }

    /// Whether it is of no use to try another path: the right server has refused, or another one has its name, or this
    /// side can't prove itself. Whatever else answers is somebody else, or nobody, and the server may be elsewhere.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::WrongKey { .. }
                | Self::NotRestored { .. }
                | Self::NoIdentity { .. }
                | Self::Identity(_)
        )
    }

    /// Whether the connection was lost before anything was decided: the same again may do.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::NoTls { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::TimedOut
            ),
            _ => false,
        }
    }

    /// What the system's error means when dialling failed.
    pub(crate) fn dialling(address: &Address, source: io::Error) -> Self {
        let address = address.clone();
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { address, source },
            _ => Self::Unreachable { address, source },
        }
    }

    /// What an error means that came in place of the restored object.
    pub(crate) fn restoring(address: &Address, fault: Option<Fault>, error: capnp::Error) -> Self {
        let address = address.clone();
        match fault {
            Some(Fault::SpeaksTls) => Self::SpeaksTls { address },
            Some(Fault::Garbage(source)) => Self::Garbage { address, source },
            None if error.kind == capnp::ErrorKind::Disconnected => {
                Self::Closed { address, source: error }
            }
            None => Self::NotRestored { address, reason: error.extra },
        }
    }
}
