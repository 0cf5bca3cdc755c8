//! Where a sender comes to a receiver that it has to dial: who is expected, and is let in.
//!
//! Each guest is expected under a new secret id, for one connection, from whoever shows the key that the
//! receiver would have dialled; nobody else is let in, and nobody uses the id up for it. What a
//! guest brings stays on the thread of the transfer that awaits it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capnp::Error;
use capnp::capability::Client;
use schema::broker_capnp::meeting;
use schema::source_capnp::source;
use sturdyref::{Fingerprint, IdDigest, ObjectId, Peer, RestoreError, Restored, Restorer, Worker};
use tokio::sync::oneshot;

thread_local! {
    /// Where this thread's transfers wait.
    static AWAITED: RefCell<HashMap<IdDigest, Waiting>> = RefCell::default();
}

/// The guests that a machine's transfers expect.
#[derive(Clone, Debug, Default)]
pub struct Guests(Arc<Mutex<HashMap<IdDigest, Expected>>>);

#[derive(Debug)]
struct Expected {
    /// The key that it has to show; `None` without TLS.
    sender: Option<Fingerprint>,
    /// The transfer's thread.
    worker: Worker,
}

/// A transfer that waits for a guest.
struct Waiting {
    arrived: oneshot::Sender<Guest>,
    /// Once the guest has come, and until it has brought something: it goes when nobody waits any more.
    visit: Option<Visit>,
}

/// A connection that somebody has come by. It is closed when this is dropped.
struct Visit(Peer);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.hang_up();
    }
}

/// A sender that has come, and brought its source. Its connection is closed when this is dropped.
pub(crate) struct Guest {
    pub(crate) source: source::Client,
    _visit: Option<Visit>,
}

/// Waits for one guest; it is expected as long as this lives.
pub(crate) struct Awaited {
    guests: Guests,
    digest: IdDigest,
    guest: oneshot::Receiver<Guest>,
}

impl Guests {
    fn expected(&self) -> MutexGuard<'_, HashMap<IdDigest, Expected>> {
        // A map is whole after each of its calls, whatever became of the caller.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Expects a guest under this id, on this very thread, which is the worker's.
    pub(crate) fn expect(
        &self,
        id: &ObjectId,
        sender: Option<Fingerprint>,
        worker: Worker,
    ) -> Awaited {
        let digest = id.digest();
        let (arrived, guest) = oneshot::channel();
        let waiting = Waiting { arrived, visit: None };
        AWAITED.with_borrow_mut(|awaited| awaited.insert(digest, waiting));
        self.expected().insert(digest, Expected { sender, worker });
        Awaited { guests: self.clone(), digest, guest }
    }

    /// Lets a guest in, once; `None` if the id is no guest's.
    ///
    /// # Errors
    /// It shows another key than the one expected.
    pub fn restore(&self, id: &[u8], peer: &Peer) -> Option<Result<Restored, RestoreError>> {
        let digest = IdDigest::of(id);
        let mut expected = self.expected();
        let sender = expected.get(&digest)?.sender;
        if sender.is_some() && sender != peer.fingerprint {
            let why = "another sender is expected".to_owned();
            return Some(Err(RestoreError::Refused(why)));
        }
        let Expected { worker, .. } = expected.remove(&digest)?;
        tracing::info!(peer = peer.address, "the sender has dialled");
        Some(Ok(Restored::On(worker, Box::new(move |peer| meet(digest, peer.clone())))))
    }
}

impl Awaited {
    /// The guest; `None` if it has left before it brought anything.
    pub(crate) async fn arrived(&mut self) -> Option<Guest> {
        (&mut self.guest).await.ok()
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.guests.expected().remove(&self.digest);
        let _ = take(self.digest);
    }
}

/// A listener's restorer where nothing but guests is awaited.
impl Restorer for Guests {
    fn restore(&self, id: &[u8], peer: &Peer) -> Result<Restored, RestoreError> {
        Self::restore(self, id, peer).unwrap_or(Err(RestoreError::Unknown))
    }
}

/// Whoever waits under this id, to be found by nobody else any more.
fn take(digest: IdDigest) -> Option<Waiting> {
    AWAITED.with_borrow_mut(|awaited| awaited.remove(&digest))
}

fn meet(digest: IdDigest, peer: Peer) -> Client {
    let visit = Visit(peer);
    AWAITED.with_borrow_mut(|awaited| {
        // Where nobody waits any more, the visit is over at once.
        if let Some(waiting) = awaited.get_mut(&digest) {
            waiting.visit = Some(visit);
        }
    });
    capnp_rpc::new_client::<meeting::Client, _>(Meeting(digest)).client
}

struct Meeting(IdDigest);

impl meeting::Server for Meeting {
    async fn bring(
        self: Rc<Self>,
        params: meeting::BringParams,
        _: meeting::BringResults,
    ) -> Result<(), Error> {
        let source = params.get()?.get_source()?;
        let left = || Error::failed("the receiver does not wait any more".to_owned());
        let Waiting { arrived, visit } = take(self.0).ok_or_else(left)?;
        arrived.send(Guest { source, _visit: visit }).map_err(|_| left())
    }
}

/// The guest has left: if it has brought nothing, it won't any more, and whoever waits is told.
impl Drop for Meeting {
    fn drop(&mut self) {
        let _ = take(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sturdyref::{Auth, ConnectError, Connection, Listener, Security, SturdyRef};
    use tokio::task::LocalSet;
    use tokio::time::timeout;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn peer(key: u8) -> Peer {
        Peer::new(Some(Fingerprint([key; 32])), "tcp:192.0.2.9:9")
    }

    fn expect(guests: &Guests) -> (ObjectId, Awaited) {
        let id = ObjectId::random().unwrap();
        let worker = Worker::spawn("receive").unwrap();
        let awaited = guests.expect(&id, Some(Fingerprint([7; 32])), worker);
        (id, awaited)
    }

    #[test]
    fn the_right_sender_is_let_in_once_and_no_other_spoils_it() {
        let guests = Guests::default();
        let (id, _awaited) = expect(&guests);
        let refused = Guests::restore(&guests, id.as_bytes(), &peer(8));
        assert!(matches!(refused, Some(Err(RestoreError::Refused(_)))));
        let keyless = Peer::new(None, "tcp:192.0.2.9:9");
        let refused = Guests::restore(&guests, id.as_bytes(), &keyless);
        assert!(matches!(refused, Some(Err(RestoreError::Refused(_)))));
        assert!(Guests::restore(&guests, b"guessed", &peer(7)).is_none());
        let let_in = Guests::restore(&guests, id.as_bytes(), &peer(7));
        assert!(matches!(let_in, Some(Ok(Restored::On(..)))));
        assert!(Guests::restore(&guests, id.as_bytes(), &peer(7)).is_none());
    }

    /// A listener on this thread that lets these guests in; whom they are to dial.
    fn listen(guests: &Guests, id: ObjectId) -> SturdyRef {
        let any_port = "tcp:127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(&any_port, Security::Insecure).unwrap();
        let address = listener.local_address().clone();
        let served = listener.serve(Rc::new(guests.clone()), CancellationToken::new());
        tokio::task::spawn_local(served);
        SturdyRef { auth: Auth::Insecure, address, id }
    }

    async fn dial(meeting: &SturdyRef) -> Result<Connection, ConnectError> {
        let deadline = Duration::from_secs(30);
        sturdyref::connect(meeting, &Security::Insecure, deadline).await
    }

    async fn is_closed(connection: &Connection) {
        timeout(Duration::from_secs(30), connection.closed()).await.expect("it is still open");
    }

    #[tokio::test]
    async fn who_has_come_and_brings_nothing_is_sent_away_once_nobody_waits() {
        let here = LocalSet::new();
        let meet = async {
            let (guests, worker) = (Guests::default(), Worker::spawn("receive").unwrap());
            let id = ObjectId::random().unwrap();
            let ((tell, told), (give_up, given_up)) = (oneshot::channel(), oneshot::channel());
            let receiver = (guests.clone(), id.clone(), worker.clone());
            worker.run(move || async move {
                let (guests, id, worker) = receiver;
                let awaited = guests.expect(&id, None, worker);
                tell.send(()).unwrap();
                given_up.await.unwrap();
                drop(awaited);
            });
            told.await.unwrap();
            let connection = dial(&listen(&guests, id)).await.unwrap();
            give_up.send(()).unwrap();
            is_closed(&connection).await;
        };
        here.run_until(meet).await;
    }

    #[tokio::test]
    async fn who_comes_when_nobody_waits_any_more_is_sent_away() {
        let here = LocalSet::new();
        let meet = async {
            let (guests, worker) = (Guests::default(), Worker::spawn("receive").unwrap());
            let id = ObjectId::random().unwrap();
            // Let in by the listener, with nobody on the transfer's thread.
            guests.expected().insert(id.digest(), Expected { sender: None, worker });
            match dial(&listen(&guests, id)).await {
                Ok(connection) => is_closed(&connection).await,
                Err(error) => assert!(error.is_lost(), "{error}"),
            }
        };
        here.run_until(meet).await;
    }

    #[test]
    fn without_tls_the_id_is_all_that_a_sender_shows() {
        let guests = Guests::default();
        let id = ObjectId::random().unwrap();
        let _awaited = guests.expect(&id, None, Worker::spawn("receive").unwrap());
        let let_in = guests.restore(id.as_bytes(), &Peer::new(None, "tcp:192.0.2.9:9"));
        assert!(matches!(let_in, Some(Ok(Restored::On(..)))));
    }

    #[tokio::test]
    async fn what_the_first_brings_is_what_arrives_and_later_there_is_nobody() {
        struct Nothing;
        impl source::Server for Nothing {}

        let meet_as_expected = |guests: &Guests, id: &ObjectId| -> meeting::Client {
            let Some(Ok(Restored::On(_, make))) = guests.restore(id.as_bytes(), &peer(7)) else {
                panic!("it isn't let in")
            };
            capnp::capability::FromClientHook::new(make(&peer(7)).hook)
        };
        let bring = |meeting: &meeting::Client| {
            let mut request = meeting.bring_request();
            request.get().set_source(capnp_rpc::new_client(Nothing));
            request.send().promise
        };
        let guests = Guests::default();
        let (id, mut awaited) = expect(&guests);
        let meeting = meet_as_expected(&guests, &id);
        bring(&meeting).await.unwrap();
        assert!(awaited.arrived().await.is_some());
        assert!(bring(&meeting).await.is_err(), "it has brought something already");

        let (id, awaited) = expect(&guests);
        let meeting = meet_as_expected(&guests, &id);
        drop(awaited);
        assert!(bring(&meeting).await.is_err(), "nobody waits any more");

        let (id, mut awaited) = expect(&guests);
        drop(meet_as_expected(&guests, &id));
        assert!(awaited.arrived().await.is_none(), "it has left");
    }

    #[test]
    fn nobody_is_expected_once_nobody_waits() {
        let guests = Guests::default();
        let (id, awaited) = expect(&guests);
        drop(awaited);
        assert!(Guests::restore(&guests, id.as_bytes(), &peer(7)).is_none());
        assert!(AWAITED.with_borrow(HashMap::is_empty));
    }
}
