//! A client's connection to a vat: dial, prove, restore.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use capnp::capability::{Client, FromClientHook};
use capnp_rpc::rpc_twoparty_capnp::Side;
use futures::TryFutureExt;
use futures::channel::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::address::Address;
use crate::connect_error::ConnectError;
use crate::counter::ClosedDoor;
use crate::drive::{Wish, drive};
use crate::fingerprint::Fingerprint;
use crate::identity::{Identity, Security};
use crate::limits::Limits;
use crate::network::{Answered, Link, Vat, connection_lost, speak};
use crate::object_id::ObjectId;
use crate::socket::Socket;
use crate::tls::{self, PinnedServer, client_config};
use crate::transport::Transport;
use crate::uri::{Auth, SturdyRef};

/// An open connection to a vat, on which its target was restored. Dropping it closes it.
///
/// It is driven by a task on the thread that made it.
pub struct Connection {
    target: Client,
    local: Address,
    wishes: mpsc::UnboundedSender<Wish>,
    closed: CancellationToken,
    closing: DropGuard,
}

/// Connects to the vat that serves `target` and restores it, all before `deadline` is over.
///
/// `security` is how this side shows itself: a target with a pin needs [`Security::Tls`] with any identity;
/// for an insecure target it plays no part. Must run within a [`tokio::task::LocalSet`].
///
/// # Errors
/// See [`ConnectError`]; [`ConnectError::is_final`] tells whether no other path could work.
pub async fn connect(
    target: &SturdyRef,
    security: &Security,
    deadline: Duration,
) -> Result<Connection, ConnectError> {
    connect_with(target, security, deadline, &Limits::default()).await
}

/// As [`connect`], with other bounds than the default ones (the stream window among them).
///
/// # Errors
/// As for [`connect`].
pub async fn connect_with(
    target: &SturdyRef,
    security: &Security,
    deadline: Duration,
    limits: &Limits,
) -> Result<Connection, ConnectError> {
    dial(target, security, deadline, limits).await?.restored().await
}

/// As [`connect_with`], but doesn't wait for the vat's answer: the first calls can be on their way
/// beside the request for the target, and so cost no round trip of their own.
///
/// # Errors
/// As for [`connect`], but for what the vat has yet to answer.
pub async fn dial(
    target: &SturdyRef,
    security: &Security,
    deadline: Duration,
    limits: &Limits,
) -> Result<Dialled, ConnectError> {
    let address = &target.address;
    let connecting = async {
        let socket = Socket::connect(address).await;
        let socket = socket.map_err(|source| ConnectError::dialling(address, source))?;
        connect_over(socket, target, security, limits).await
    };
    let until = Instant::now() + deadline;
    let late = |_| ConnectError::TimedOut { address: address.clone(), deadline };
    let asked = timeout_at(until, connecting).await.map_err(late)??;
    Ok(Dialled { asked, until, deadline })
}

/// As [`dial`], over a socket that is open, and for as long as it takes.
pub(crate) async fn connect_over(
    socket: Socket,
    target: &SturdyRef,
    security: &Security,
    limits: &Limits,
) -> Result<Asked, ConnectError> {
    let address = &target.address;
    let local = socket.local_address().map_err(|source| ConnectError::dialling(address, source))?;
    let transport = match (target.auth, security) {
        (Auth::Insecure, _) => Transport::Plain(socket),
        (Auth::Tls(_), Security::Insecure) => {
            return Err(ConnectError::NoIdentity { address: address.clone() });
        }
        (Auth::Tls(pin), Security::Tls(identity)) => {
            handshake(socket, address, identity, pin).await?
        }
    };
    let mut vat = speak(transport, Side::Client, None, Box::new(ClosedDoor), limits);
    let (target, answered) = vat.restore(target.id.clone());
    let link = vat.link.clone();
    let connection = Connection::drive(vat, target, local, limits.closing);
    Ok(Asked { connection, link, answered, address: address.clone() })
}

/// A connection over which the target was asked for.
pub(crate) struct Asked {
    connection: Connection,
    link: Rc<Link>,
    answered: Answered,
    address: Address,
}

impl Asked {
    /// Waits until the vat has restored the target.
    pub(crate) async fn restored(self) -> Result<Connection, ConnectError> {
        let Self { connection, link, answered, address } = self;
        match answered.await.unwrap_or_else(|_| Err(connection_lost())) {
            Ok(()) => Ok(connection),
            Err(error) => Err(ConnectError::restoring(&address, link.fault(), error)),
        }
    }
}

/// A connection whose other end has proved its key, and has yet to say whether it serves the
/// target. Dropping it closes it.
pub struct Dialled {
    asked: Asked,
    until: Instant,
    deadline: Duration,
}

impl Dialled {
    /// The object that was asked for. It can be called at once; if it can't be restored, the calls
    /// fail with the vat's exception.
    pub fn target<T: FromClientHook>(&self) -> T {
        self.asked.connection.target()
    }

    /// Waits until the vat has restored the target.
    ///
    /// # Errors
    /// It refuses, or has not answered when the deadline is over: see [`ConnectError`].
    pub async fn restored(self) -> Result<Connection, ConnectError> {
        let Self { asked, until, deadline } = self;
        let address = asked.address.clone();
        let late = |_| ConnectError::TimedOut { address, deadline };
        timeout_at(until, asked.restored()).await.map_err(late)?
    }
}

impl fmt::Debug for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialled")
            .field("connection", &self.asked.connection)
            .finish_non_exhaustive()
    }
}

async fn handshake(
    socket: Socket,
    address: &Address,
    identity: &Identity,
    expected: Fingerprint,
) -> Result<Transport, ConnectError> {
    let pin = Arc::new(PinnedServer::new(expected));
    let config = client_config(identity, pin.clone()).map_err(ConnectError::Identity)?;
    match tls::connect(config, socket).await {
        Ok(stream) => Ok(Transport::Tls(Box::new(stream))),
        Err(source) => Err(match pin.wrong_key() {
            Some(found) => ConnectError::WrongKey { address: address.clone(), expected, found },
            None => ConnectError::NoTls { address: address.clone(), source },
        }),
    }
}

impl Connection {
    fn drive(vat: Vat, target: Client, local: Address, grace: Duration) -> Self {
        let (wishes, wished) = mpsc::unbounded();
        let (closing, closed) = (CancellationToken::new(), CancellationToken::new());
        let (told_to_close, done) = (closing.clone(), closed.clone().drop_guard());
        tokio::task::spawn_local(async move {
            drive(vat, wished, told_to_close, grace).await;
            drop(done);
        });
        Self { target, local, wishes, closed, closing: closing.drop_guard() }
    }

    /// The object that the target's id stands for. It was restored while connecting.
    pub fn target<T: FromClientHook>(&self) -> T {
        self.target.clone().cast_to()
    }

    /// The object with this id on the same vat. It can be called at once; if it can't be restored, the calls
    /// fail with the vat's exception.
    pub fn restore<T: FromClientHook>(&self, id: ObjectId) -> T {
        let (granted, client) = oneshot::channel();
        // If nobody is there to grant it any more, the other end hears of it below.
        let _ = self.wishes.unbounded_send(Wish { id, granted });
        let client = client.map_err(|_| connection_lost());
        capnp_rpc::new_future_client::<Client>(client).cast_to()
    }

    /// The address of this end, as the vat's network sees it.
    pub fn local_address(&self) -> &Address {
        &self.local
    }

    /// Waits until the connection has ended, whoever ended it.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Closes the connection, and returns once the vat was told (or is too slow to listen).
    ///
    /// A call that was not answered may have been carried out or not.
    pub async fn close(self) {
        drop(self.closing);
        self.closed.cancelled().await;
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("local", &self.local).finish_non_exhaustive()
    }
}
