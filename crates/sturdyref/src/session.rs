//! One connection of a listener, from its first byte to its last.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use capnp_rpc::rpc_twoparty_capnp::Side;
use futures::stream::pending;
use rustls::ServerConfig;
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::compat::TokioAsyncReadCompatExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::counter::{Counter, NarrowDoor, OpenDoor};
use crate::drive::drive;
use crate::fingerprint::Fingerprint;
use crate::frame::{Frame, Meaning, read_frame};
use crate::limits::Limits;
use crate::network::speak;
use crate::object_id::ObjectId;
use crate::restore::{Peer, Restored, Restorer};
use crate::socket::Socket;
use crate::strangers::Strangers;
use crate::tls::{self, fingerprint_of};
use crate::transport::Transport;

/// What all connections of a listener have in common.
pub(crate) struct House {
    tls: Option<Arc<ServerConfig>>,
    restorer: Rc<dyn Restorer>,
    limits: Limits,
    strangers: Rc<Strangers>,
    /// Cancelled when the listener shuts down.
    closing: CancellationToken,
    /// Counts the connections that moved to workers.
    pub(crate) moved: TaskTracker,
}

/// Why a connection was dropped before anything was served on it.
#[derive(Debug, Error)]
enum Rejected {
    #[error("there were too many connections that asked for nothing")]
    Evicted,
    #[error("the listener is shutting down")]
    Closing,
    #[error("the TLS handshake took longer than {0:?}")]
    HandshakeTimeout(Duration),
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the client showed no certificate that can be read")]
    Certificate(#[source] rustls::Error),
    #[error("the client asked for nothing within {0:?}")]
    Silent(Duration),
    #[error("the client left without asking for anything")]
    Left,
    #[error("what the client sent is no Cap'n Proto, or too large")]
    Garbage(#[source] capnp::Error),
    #[error("the client's first message was no Bootstrap")]
    NoBootstrap,
    #[error("the connection could not be moved to its worker")]
    Move(#[source] io::Error),
}

impl House {
    pub(crate) fn new(
        tls: Option<Arc<ServerConfig>>,
        restorer: Rc<dyn Restorer>,
        limits: Limits,
        closing: CancellationToken,
    ) -> Self {
        let strangers = Strangers::new(limits.unproved_connections);
        Self { tls, restorer, limits, strangers, closing, moved: TaskTracker::new() }
    }

    /// Serves one connection until it ends. That it failed is only logged: it is the peer's affair.
    pub(crate) async fn serve(&self, socket: Socket, peer: String) {
        match self.receive(socket, peer.clone()).await {
            Ok(()) => tracing::debug!(peer, "connection done"),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(peer, error, "connection dropped");
            }
        }
    }

    async fn receive(&self, socket: Socket, address: String) -> Result<(), Rejected> {
        let stranger = self.strangers.admit();
        let evicted = stranger.evicted();
        let arrival = async {
            let (mut transport, fingerprint) = self.handshake(socket).await?;
            let (id, first) = self.first_frame(&mut transport).await?;
            Ok((transport, fingerprint, id, first))
        };
        let (transport, fingerprint, id, first) = tokio::select! {
            arrived = arrival => arrived?,
            () = evicted.cancelled() => return Err(Rejected::Evicted),
            () = self.closing.cancelled() => return Err(Rejected::Closing),
        };
        let closing = self.closing.child_token();
        let peer = Peer { fingerprint, address, closing: closing.clone() };
        let counter = Counter::new(self.restorer.clone(), peer, stranger);
        let restored = if id.is_empty() {
            None
        } else {
            match counter.ask(id.as_bytes()) {
                Ok(Restored::On(worker, make)) => {
                    return self.hand_over(transport, id, first, &counter, worker, make);
                }
                Ok(Restored::Here(client)) => Some(Ok(client)),
                Err(error) => Some(Err(error)),
            }
        };
        let door = Box::new(OpenDoor::new(counter.clone(), restored));
        let vat = speak(transport, Side::Server, Some(first), door, &self.limits);
        tokio::select! {
            () = drive(vat, pending(), closing, self.limits.closing) => Ok(()),
            () = evicted.cancelled() => Err(Rejected::Evicted),
        }
    }

    async fn handshake(
        &self,
        socket: Socket,
    ) -> Result<(Transport, Option<Fingerprint>), Rejected> {
        let Some(config) = &self.tls else { return Ok((Transport::Plain(socket), None)) };
        let accept = tls::accept(config.clone(), socket);
        let (stream, certificate) = timeout(self.limits.handshake, accept)
            .await
            .map_err(|_| Rejected::HandshakeTimeout(self.limits.handshake))?
            .map_err(Rejected::Handshake)?;
        let certificate = certificate.ok_or(rustls::Error::NoCertificatesPresented);
        let fingerprint = certificate.and_then(|certificate| fingerprint_of(&certificate));
        let fingerprint = fingerprint.map_err(Rejected::Certificate)?;
        Ok((Transport::Tls(Box::new(stream)), Some(fingerprint)))
    }

    /// Reads what the peer asks for first, so that it is known before a thread is made for it.
    async fn first_frame(&self, transport: &mut Transport) -> Result<(ObjectId, Frame), Rejected> {
        let read = read_frame(transport.compat(), self.limits.unproved_message);
        let frame = timeout(self.limits.first_frame, read)
            .await
            .map_err(|_| Rejected::Silent(self.limits.first_frame))?
            .map_err(Rejected::Garbage)?
            .ok_or(Rejected::Left)?;
        match frame.meaning().map_err(Rejected::Garbage)? {
            Meaning::Bootstrap { id, .. } => Ok((id, frame)),
            _ => Err(Rejected::NoBootstrap),
        }
    }

    /// Moves the connection to a worker, which serves one object on it.
    fn hand_over(
        &self,
        mut transport: Transport,
        id: ObjectId,
        first: Frame,
        counter: &Counter,
        worker: crate::Worker,
        make: crate::OnWorker,
    ) -> Result<(), Rejected> {
        let (peer, mut limits) = (counter.peer().clone(), self.limits.clone());
        // It carries bulk, to here or from here.
        limits.bulk = true;
        transport.socket_mut().park().map_err(Rejected::Move)?;
        limits.unanswered += limits.most_window;
        let (closing, counted) = (peer.closing.clone(), self.moved.token());
        worker.run(move || async move {
            let _counted = counted;
            if let Err(error) = transport.socket_mut().unpark() {
                tracing::warn!(peer = peer.address, %error, "can't move a connection to its worker");
                return;
            }
            let door = Box::new(NarrowDoor { id: id.digest(), client: make(&peer) });
            let vat = speak(transport, Side::Server, Some(first), door, &limits);
            drive(vat, pending(), closing, limits.closing).await;
            tracing::debug!(peer = peer.address, "connection closed");
        });
        Ok(())
    }
}
