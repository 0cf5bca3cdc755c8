//! A vat that listens: accepts connections and serves on each what its [`Restorer`] says.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use futures::FutureExt;
use rustls::ServerConfig;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::accept::{Accepted, Accepting, Bound, Pause, bind};
use crate::address::Address;
use crate::identity::Security;
use crate::limits::Limits;
use crate::restore::Restorer;
use crate::session::House;
use crate::tls::server_config;

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
    /// included, and returns. Dropped before that, it accepts no more, and connections on workers go on.
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
        let house = Rc::new(House::new(self.tls, restorer, self.limits, closing.clone()));
        let mut connections = JoinSet::new();
        let mut pause = Pause::default();
        loop {
            tokio::select! {
                () = closing.cancelled() => break,
                Some(ended) = connections.join_next() => {
                    // It gave back its file descriptor.
                    pause = Pause::default();
                    if let Err(error) = ended {
                        tracing::error!(%error, "a connection's task failed");
                    }
                }
                accepted = pause.over().then(|()| socket.accept()) => match accepted {
                    Ok(accepted) => {
                        pause = Pause::default();
                        connections.spawn_local(receive(house.clone(), accepted));
                    }
                    Err(error) => {
                        pause = pause.after(&error);
                        tracing::warn!(%error, ?pause, "can't accept a connection");
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

async fn receive(house: Rc<House>, accepted: Accepted) {
    let peer = accepted.peer();
    match accepted.into_socket() {
        Ok(socket) => house.serve(socket, peer).await,
        Err(error) => tracing::debug!(peer, %error, "connection dropped"),
    }
}
