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
        let receiver = open.remove(&ends.receiver.digest());
        // Who came in vain is told so, and would else wait for ever.
        if let Some(worker) = sender.or(receiver).and_then(|end| end.relay.worker.borrow().clone())
        {
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

#[cfg(test)]
mod tests {
    use schema::broker_capnp::meeting as meeting_capnp;
    use schema::source_capnp::source;
    use tokio::sync::oneshot;

    use super::*;

    struct Source {
        _dropped: oneshot::Sender<()>,
    }

    impl source::Server for Source {}

    /// Lets an end in, and does `then` with what it gets, on the relay's thread.
    fn come<Fut: Future<Output = ()> + 'static>(
        relays: &Relays,
        id: &ObjectId,
        then: impl FnOnce(capnp::capability::Client) -> Fut + Send + 'static,
    ) {
        let peer = Peer::new(None, "test");
        let Restored::On(worker, make) = relays.restore(&id.digest(), &peer).unwrap().unwrap()
        else {
            panic!("not on a thread of its own");
        };
        worker.run(move || then(make(&peer)));
    }

    #[tokio::test]
    async fn a_sender_whose_receiver_never_comes_is_let_go() {
        let relays = Relays::default();
        let ends = relays.arrange(None).unwrap();
        let (dropped, let_go) = oneshot::channel();
        let (brought, bring) = oneshot::channel();
        let (_stay, left) = oneshot::channel::<()>();
        come(&relays, &ends.sender, |client| async {
            let meeting = meeting_capnp::Client { client };
            let mut request = meeting.bring_request();
            request.get().set_source(capnp_rpc::new_client(Source { _dropped: dropped }));
            request.send().promise.await.unwrap();
            brought.send(()).unwrap();
            // As its connection would, this keeps the thread.
            let _ = left.await;
        });
        bring.await.unwrap();
        relays.give_up(&ends);
        let let_go = tokio::time::timeout(Duration::from_secs(60), let_go).await;
        assert!(let_go.expect("the source is still held").is_err());
        assert!(relays.ends.borrow().is_empty());
    }

    #[tokio::test]
    async fn a_receiver_whose_sender_never_comes_is_told() {
        let relays = Relays::default();
        let ends = relays.arrange(None).unwrap();
        let (tell, told) = oneshot::channel();
        come(&relays, &ends.receiver, |client| async {
            let source = source::Client { client };
            let answer = source.send_request().send().promise.await;
            tell.send(answer.err().map(|error| error.to_string())).unwrap();
        });
        relays.give_up(&ends);
        let told = tokio::time::timeout(Duration::from_secs(60), told).await;
        let words = told.expect("the receiver still waits").unwrap().unwrap();
        assert!(words.contains("the sender has not come"), "{words}");
    }
}
