//! A vat that listens: accepts connections and serves on each what its [`Restorer`] says.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address::Address;
use crate::identity::Security;
use crate::limits::Limits;
use crate::restore::Restorer;
use crate::session::House;
use crate::socket::Socket;
use crate::strangers::Strangers;
use crate::tls::server_config;

/// How long the first wait is after a connection could not be accepted, and the longest.
const ACCEPT_PAUSE: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// Why a vat can't listen.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The address is taken, not of this machine, or not permitted.
    #[error("can't listen on {address}")]
    Bind {
        /// Where it should have listened.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// The identity can't be used for TLS.
    #[error("can't use the identity for TLS")]
    Tls(#[from] rustls::Error),
}

/// A bound socket, with connections already queueing at it.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    local: Address,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
}

#[derive(Debug)]
enum Bound {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Listener {
    /// Listens on `address`. A host name is resolved, which may block; port 0 lets the system choose.
    ///
    /// A Unix socket that nobody listens on any more is replaced. Who may connect to one is up to the folder
    /// that it is in.
    ///
    /// # Errors
    /// The address can't be listened on, or the identity is of no use.
    pub fn bind(address: &Address, security: Security) -> Result<Self, ListenError> {
        let tls = match security {
            Security::Insecure => None,
            Security::Tls(identity) => Some(Arc::new(server_config(&identity)?)),
        };
        let (socket, local) = bind(address)
            .map_err(|source| ListenError::Bind { address: address.clone(), source })?;
        Ok(Self { socket, local, tls, limits: Limits::default() })
    }

    /// Keeps these bounds instead of the default ones.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Where this listens; the port is the true one.
    pub fn local_address(&self) -> &Address {
        &self.local
    }

    /// Serves until `closing` is cancelled; then accepts no more, closes all connections, those on workers
    /// included, and returns.
    ///
    /// Must run within a [`tokio::task::LocalSet`] on a runtime with I/O and time.
    ///
    /// # Errors
    /// The socket can't be driven by this runtime. Connections that fail are only logged.
    pub async fn serve(
        self,
        restorer: Rc<dyn Restorer>,
        closing: CancellationToken,
    ) -> io::Result<()> {
        let socket = Accepting::new(self.socket)?;
        let house = Rc::new(House {
            tls: self.tls,
            restorer,
            strangers: Strangers::new(self.limits.unproved_connections),
            limits: self.limits,
            closing: closing.clone(),
            moved: TaskTracker::new(),
        });
        let mut connections = JoinSet::new();
        let mut pause = ACCEPT_PAUSE[0];
        loop {
            tokio::select! {
                () = closing.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = socket.accept() => match accepted {
                    Ok((socket, peer)) => {
                        pause = ACCEPT_PAUSE[0];
                        connections.spawn_local(receive(house.clone(), socket, peer));
                    }
                    Err(error) => {
                        // Most likely there are no file descriptors left: trying again at once would
                        // only burn the time in which some are given back.
                        tracing::warn!(%error, ?pause, "can't accept a connection");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(ACCEPT_PAUSE[1]);
                    }
                },
            }
        }
        drop(socket);
        while connections.join_next().await.is_some() {}
        house.moved.close();
        house.moved.wait().await;
        Ok(())
    }
}

async fn receive(house: Rc<House>, socket: Socket, peer: String) {
    match house.receive(socket, peer.clone()).await {
        Ok(()) => tracing::debug!(peer, "connection done"),
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(peer, error, "connection dropped");
        }
    }
}

fn bind(address: &Address) -> io::Result<(Bound, Address)> {
    match address {
        Address::Tcp { host, port } => {
            let socket = std::net::TcpListener::bind((host.as_str(), *port))?;
            socket.set_nonblocking(true)?;
            let local = socket.local_addr()?.into();
            Ok((Bound::Tcp(socket), local))
        }
        Address::Unix(path) => {
            use std::os::unix::net::{UnixListener, UnixStream};
            let taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
            let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
            let socket = match UnixListener::bind(path) {
                // Its owner died and left it behind.
                Err(error) if taken(&error) && UnixStream::connect(path).is_err_and(refused) => {
                    std::fs::remove_file(path)?;
                    UnixListener::bind(path)
                }
                other => other,
            }?;
            socket.set_nonblocking(true)?;
            Ok((Bound::Unix(socket), address.clone()))
        }
    }
}

/// A listening socket on its runtime. The file of a Unix socket is removed when this is dropped.
enum Accepting {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener, PathBuf),
}

impl Accepting {
    fn new(socket: Bound) -> io::Result<Self> {
        Ok(match socket {
            Bound::Tcp(socket) => Self::Tcp(tokio::net::TcpListener::from_std(socket)?),
            Bound::Unix(socket) => {
                let path = socket.local_addr()?.as_pathname().map(Into::into).unwrap_or_default();
                Self::Unix(tokio::net::UnixListener::from_std(socket)?, path)
            }
        })
    }

    /// The next connection, with the peer's address as text.
    async fn accept(&self) -> io::Result<(Socket, String)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                Ok((Socket::tcp(stream)?, Address::from(peer).to_string()))
            }
            Self::Unix(socket, path) => {
                let (stream, _) = socket.accept().await?;
                Ok((Socket::Unix(stream), Address::Unix(path.clone()).to_string()))
            }
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}
