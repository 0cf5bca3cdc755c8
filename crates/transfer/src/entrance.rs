//! Where a machine that receives can be dialled, should the sender have to.

use std::convert::Infallible;
use std::rc::Rc;

use schema::text::chain;
use schema::{Code, Failure};
use sturdyref::{
    Address, Auth, Fingerprint, Identity, Listener, ObjectId, Security, SturdyRef, Worker,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::dial::receiving;
use crate::guests::{Awaited, Guest, Guests};

/// How this machine shows itself on data connections, and where it can be dialled.
#[derive(Clone, Debug)]
pub enum Entrance {
    /// There is none: one is opened each time, on the address that the tracker is reached from, and
    /// closed as soon as the sender is in. Each time under a key of its own: a vat may keep only one
    /// connection per key.
    Opened {
        /// The local address of the connection to the tracker.
        at: watch::Receiver<Address>,
        /// Whether the fleet speaks TLS.
        tls: bool,
    },
    /// There is a listener that lets guests in.
    Listener {
        /// Those it lets in.
        guests: Guests,
        /// What is to be dialled, once that is known.
        at: watch::Receiver<Option<Address>>,
        /// How it shows itself.
        security: Security,
    },
}

/// An entrance at which a sender is awaited.
pub(crate) struct Door {
    /// What the sender is to dial: the meeting, where there is a way to it.
    pub(crate) meeting: Option<SturdyRef>,
    awaited: Awaited,
    /// What was opened for it.
    opened: Option<(Listener, Guests)>,
}

impl Entrance {
    /// How a data connection shows itself, and an entrance that it goes with.
    ///
    /// # Errors
    /// There is no key to be had.
    pub(crate) fn security(&self) -> Result<Security, Failure> {
        match self {
            Self::Opened { tls: false, .. } => Ok(Security::Insecure),
            Self::Opened { tls: true, .. } => {
                let identity = Identity::ephemeral();
                identity.map(Security::Tls).map_err(|error| failed("make a key for", &error))
            }
            Self::Listener { security, .. } => Ok(security.clone()),
        }
    }

    /// Awaits the sender that shows this key, on this thread, which is the worker's. `security` is
    /// what the sender is to find.
    ///
    /// # Errors
    /// There is no port, or no secret to be had.
    pub(crate) fn open(
        &self,
        security: &Security,
        sender: Option<Fingerprint>,
        worker: Worker,
    ) -> Result<Door, Failure> {
        let id = ObjectId::random().map_err(|error| failed("make an id for", &error))?;
        let (guests, address, listener) = match self {
            Self::Listener { guests, at, .. } => (guests.clone(), at.borrow().clone(), None),
            Self::Opened { at, .. } => {
                let listener = Listener::bind(&any_port(&at.borrow()), security.clone());
                let listener = listener.map_err(|error| failed("open a port for", &error))?;
                let listener = listener.with_limits(receiving());
                (Guests::default(), Some(listener.local_address().clone()), Some(listener))
            }
        };
        let awaited = guests.expect(&id, sender, worker);
        let auth = auth(security);
        let meeting = address.map(|address| SturdyRef { auth, address, id });
        Ok(Door { meeting, awaited, opened: listener.map(|listener| (listener, guests)) })
    }
}

impl Door {
    /// The sender, once it has come; `None` if it left again. What was opened for it is closed then.
    pub(crate) async fn welcome(self) -> Option<Guest> {
        let Self { mut awaited, opened, .. } = self;
        tokio::select! {
            guest = awaited.arrived() => guest,
            never = serve(opened) => match never {},
        }
    }
}

/// Dropped, it accepts no more; who was let in stays.
async fn serve(opened: Option<(Listener, Guests)>) -> Infallible {
    if let Some((listener, guests)) = opened {
        let served = listener.serve(Rc::new(guests), CancellationToken::new()).await;
        tracing::warn!(?served, "the sender can't dial this machine any more");
    }
    std::future::pending().await
}

/// What is pinned of one that shows itself like that.
pub fn auth(security: &Security) -> Auth {
    match security {
        Security::Tls(identity) => Auth::Tls(identity.fingerprint()),
        Security::Insecure => Auth::Insecure,
    }
}

/// A free port of the host of this address.
fn any_port(local: &Address) -> Address {
    let host = match local {
        Address::Tcp { host, .. } => host.clone(),
        // The tracker is on this machine.
        Address::Unix(_) => std::net::Ipv4Addr::LOCALHOST.to_string(),
    };
    Address::Tcp { host, port: 0 }
}

fn failed(operation: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(Code::Failed, operation, "the data connection", chain(error), "")
}

#[cfg(test)]
mod tests;
