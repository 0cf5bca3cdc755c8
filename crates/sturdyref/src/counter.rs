//! What one connection of a listener is served: over the counter, ids against capabilities.

use std::cell::RefCell;
use std::rc::Rc;

use capnp::Error;
use capnp::capability::Client;

use crate::gateway::gateway;
use crate::network::Door;
use crate::object_id::{IdDigest, ObjectId};
use crate::restore::{Peer, RestoreError, Restored, Restorer};
use crate::strangers::Stranger;

/// Serves one peer on the listener's thread.
pub(crate) struct Counter {
    restorer: Rc<dyn Restorer>,
    peer: Peer,
    stranger: Stranger,
}

impl Counter {
    pub(crate) fn new(restorer: Rc<dyn Restorer>, peer: Peer, stranger: Stranger) -> Rc<Self> {
        Rc::new(Self { restorer, peer, stranger })
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What the peer gets for `id`, wherever it lives.
    pub(crate) fn ask(&self, id: &[u8]) -> Result<Restored, Error> {
        if id.is_empty() {
            return Err(RestoreError::Unknown.into());
        }
        let restored = self.restorer.restore(id, &self.peer)?;
        self.stranger.prove();
        Ok(restored)
    }

    /// What the peer gets for `id` on a connection that is here to stay.
    pub(crate) fn restore(&self, id: &[u8]) -> Result<Client, Error> {
        match self.ask(id)? {
            Restored::Here(client) => Ok(client),
            Restored::On(..) => Err(Error::failed(
                "this object needs a connection of its own, whose first Bootstrap names it"
                    .to_owned(),
            )),
        }
    }
}

/// The door of a connection that stays on the listener's thread.
pub(crate) struct OpenDoor {
    counter: Rc<Counter>,
    /// What the first Bootstrap restores: the counter was asked before there was an RPC system.
    first: RefCell<Option<Result<Client, Error>>>,
}

impl OpenDoor {
    pub(crate) fn new(counter: Rc<Counter>, first: Option<Result<Client, Error>>) -> Self {
        Self { counter, first: RefCell::new(first) }
    }
}

impl Door for OpenDoor {
    fn open(&self, id: &ObjectId) -> Result<Client, Error> {
        if let Some(first) = self.first.borrow_mut().take() {
            return first;
        }
        if id.is_empty() {
            return Ok(gateway(self.counter.clone()));
        }
        self.counter.restore(id.as_bytes())
    }

    fn proved(&self) -> bool {
        self.counter.stranger.is_proved()
    }
}

/// The door of a connection that moved to a worker: it leads to one object.
pub(crate) struct NarrowDoor {
    pub(crate) id: IdDigest,
    pub(crate) client: Client,
}

impl Door for NarrowDoor {
    fn open(&self, id: &ObjectId) -> Result<Client, Error> {
        if id.digest() == self.id {
            Ok(self.client.clone())
        } else {
            Err(Error::failed("this connection is for one object, and not for this one".to_owned()))
        }
    }

    fn proved(&self) -> bool {
        true
    }
}

/// The door of a client: it serves nothing but what it passes along in calls.
pub(crate) struct ClosedDoor;

impl Door for ClosedDoor {
    fn open(&self, _: &ObjectId) -> Result<Client, Error> {
        Err(RestoreError::Unknown.into())
    }

    fn proved(&self) -> bool {
        true
    }
}
