//! Relays that were arranged and wait to be used: two secret ids each, one for either end.
//!
//! Both ends' connections live on one thread of the relay's own, so that no stream passes through
//! the thread that everything else is on. There is no such thread before one end has come.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use sturdyref::{
    Fingerprint, IdDigest, NoRandomness, ObjectId, Peer, RestoreError, Restored, Worker,
};

use crate::meeting;

/// Both ends must have come by then.
pub(crate) const FIRST_USE: Duration = Duration::from_secs(60);

/// The relays that at least one end has still to come to.
#[derive(Default)]
pub(crate) struct Relays {
    ends: RefCell<HashMap<IdDigest, End>>,
}

struct End {
    side: Side,
    /// The key that the peer has to show, where it is known.
    pin: Option<Fingerprint>,
    relay: Rc<Relay>,
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Sender,
    Receiver,
}

#[derive(Default)]
struct Relay {
    worker: RefCell<Option<Worker>>,
}

/// A new relay's two ids.
#[derive(Debug)]
pub(crate) struct Ends {
    /// Restores a `Meeting`.
    pub(crate) sender: ObjectId,
    /// Restores the `Source` that the sender brings there.
    pub(crate) receiver: ObjectId,
}

impl Relays {
    /// Arranges a relay to the peer with the key `receiver`.
    pub(crate) fn arrange(&self, receiver: Option<Fingerprint>) -> Result<Ends, NoRandomness> {
        let ends = Ends { sender: ObjectId::random()?, receiver: ObjectId::random()? };
        let relay = Rc::new(Relay::default());
        let mut open = self.ends.borrow_mut();
        let sender = End { side: Side::Sender, pin: None, relay: relay.clone() };
        open.insert(ends.sender.digest(), sender);
        let receiver = End { side: Side::Receiver, pin: receiver, relay };
        open.insert(ends.receiver.digest(), receiver);
        Ok(ends)
    }

    /// Gives a relay up, unless both ends have come.
    pub(crate) fn give_up(&self, ends: &Ends) {
        let mut open = self.ends.borrow_mut();
        let sender = open.remove(&ends.sender.digest());
        open.remove(&ends.receiver.digest());
        // A receiver that came in vain is told so.
        if let Some(worker) = sender.and_then(|end| end.relay.worker.borrow().clone()) {
            worker.run(|| async { meeting::give_up() });
        }
    }

    /// Lets one end in, once; `None` if the id is no relay's.
    pub(crate) fn restore(
        &self,
        id: &IdDigest,
        peer: &Peer,
    ) -> Option<Result<Restored, RestoreError>> {
        let mut open = self.ends.borrow_mut();
        let End { side, pin, relay } = open.get(id)?;
        if pin.is_some() && *pin != peer.fingerprint {
            let why = "this capability is for the holder of another key".to_owned();
            return Some(Err(RestoreError::Refused(why)));
        }
        let (side, worker) = (*side, relay.worker());
        let worker = match worker {
            Ok(worker) => worker,
            Err(error) => {
                return Some(Err(RestoreError::Overloaded(format!("cannot relay: {error}"))));
            }
        };
        open.remove(id);
        tracing::info!(?side, peer = peer.address, "an end of a relay has come");
        Some(Ok(Restored::On(
            worker,
            Box::new(move |_| match side {
                Side::Sender => meeting::meeting(),
                Side::Receiver => meeting::source(),
            }),
        )))
    }
}

impl Relay {
    fn worker(&self) -> std::io::Result<Worker> {
        let mut worker = self.worker.borrow_mut();
        match &*worker {
            Some(worker) => Ok(worker.clone()),
            None => Ok(worker.insert(Worker::spawn("relay")?).clone()),
        }
    }
}
