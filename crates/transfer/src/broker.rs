//! The broker, for the thread that moves the data.
//!
//! Its capability lives on the control connection's thread; a transfer has a thread of its own, so
//! that heartbeats never queue behind data. This carries calls from the one to the other.

use std::cell::RefCell;
use std::rc::Rc;

use capnp_rpc::new_client;
use schema::broker_capnp::{broker, rendezvous};
use schema::dataset_capnp::replica_sink;
use schema::{Code, Failure, Place, Replica, outcome, wire};
use sturdyref::{Fingerprint, SturdyRef};
use tokio::sync::{mpsc, oneshot};
use zfs::DatasetPath;

type Answer<T> = oneshot::Sender<Result<T, Failure>>;

enum Call {
    Replicas(Answer<Vec<Replica>>),
    Reach {
        place: Place,
        receiver: Option<Fingerprint>,
        may_snapshot: bool,
        answer: Answer<Vec<SturdyRef>>,
    },
    Relay(Answer<SturdyRef>),
}

/// A handle to the broker of one dataset; can be sent to any thread.
#[derive(Clone, Debug)]
pub struct Broker {
    calls: mpsc::UnboundedSender<Call>,
}

impl Broker {
    /// Serves calls to `client` on this thread, within its `LocalSet`, until all handles are gone.
    pub fn new(client: broker::Client, dataset: DatasetPath) -> Self {
        let (calls, mut queue) = mpsc::unbounded_channel();
        tokio::task::spawn_local(async move {
            let mut desk = Desk { client, dataset, rendezvous: None };
            while let Some(call) = queue.recv().await {
                desk.serve(call).await;
            }
        });
        Self { calls }
    }

    /// All replicas of the dataset, with their snapshots.
    pub async fn replicas(&self) -> Result<Vec<Replica>, Failure> {
        self.call(Call::Replicas).await
    }

    /// Asks the machine at `place` for a ticket, for the receiver whose data connection will show
    /// this key; gives the sturdyrefs to dial in turn.
    pub async fn reach(
        &self,
        place: &Place,
        receiver: Option<Fingerprint>,
        may_snapshot: bool,
    ) -> Result<Vec<SturdyRef>, Failure> {
        let place = place.clone();
        self.call(|answer| Call::Reach { place, receiver, may_snapshot, answer }).await
    }

    /// Has the sender of the ticket asked for last meet the receiver at the tracker.
    pub async fn relay(&self) -> Result<SturdyRef, Failure> {
        self.call(Call::Relay).await
    }

    async fn call<T>(&self, call: impl FnOnce(Answer<T>) -> Call) -> Result<T, Failure> {
        let gone = || {
            Failure::new(
                Code::Failed,
                "ask the tracker",
                "",
                "the connection to it is closed",
                "Run the command again.",
            )
        };
        let (answer, result) = oneshot::channel();
        self.calls.send(call(answer)).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

/// The side of the control connection.
struct Desk {
    client: broker::Client,
    dataset: DatasetPath,
    rendezvous: Option<rendezvous::Client>,
}

impl Desk {
    /// Whoever asked may have gone away meanwhile: then nobody misses the answer.
    async fn serve(&mut self, call: Call) {
        match call {
            Call::Replicas(answer) => {
                let _ = answer.send(self.told(self.replicas().await));
            }
            Call::Reach { place, receiver, may_snapshot, answer } => {
                let reached = self.reach(&place, receiver, may_snapshot).await;
                let _ = answer.send(self.told(reached));
            }
            Call::Relay(answer) => {
                let _ = answer.send(self.told(self.relay().await));
            }
        }
    }

    fn told<T>(&self, result: capnp::Result<Result<T, Failure>>) -> Result<T, Failure> {
        result.unwrap_or_else(|error| {
            Err(Failure::from_exception("ask the tracker for", &self.dataset, &error))
        })
    }

    async fn replicas(&self) -> capnp::Result<Result<Vec<Replica>, Failure>> {
        let replicas = Rc::new(RefCell::new(Vec::new()));
        let mut request = self.client.replicas_request();
        request.get().set_sink(new_client(Collector { replicas: replicas.clone() }));
        let response = request.send().promise.await?;
        let done = outcome::read(response.get()?.get_outcome()?)?;
        Ok(done.map(|_| replicas.take()))
    }

    async fn reach(
        &mut self,
        place: &Place,
        receiver: Option<Fingerprint>,
        may_snapshot: bool,
    ) -> capnp::Result<Result<Vec<SturdyRef>, Failure>> {
        let mut request = self.client.reach_request();
        wire::write_place(request.get().init_place(), place);
        if let Some(Fingerprint(bytes)) = receiver {
            request.get().set_receiver(&bytes);
        }
        request.get().set_may_snapshot(may_snapshot);
        let response = request.send().promise.await?;
        let offer = match outcome::read(response.get()?.get_outcome()?)? {
            Ok(offer) => offer,
            Err(failure) => return Ok(Err(failure)),
        };
        self.rendezvous = Some(offer.get_rendezvous()?);
        let uris = offer.get_uris()?.iter().map(|uri| wire::parse(uri?));
        uris.collect::<capnp::Result<_>>().map(Ok)
    }

    async fn relay(&self) -> capnp::Result<Result<SturdyRef, Failure>> {
        let rendezvous = self
            .rendezvous
            .as_ref()
            .ok_or_else(|| capnp::Error::failed("nothing was offered to be relayed".into()))?;
        let response = rendezvous.relay_request().send().promise.await?;
        match outcome::read(response.get()?.get_outcome()?)? {
            Ok(relay) => wire::parse(relay.get_uri()?).map(Ok),
            Err(failure) => Ok(Err(failure)),
        }
    }
}

/// Gathers the replicas that a listing streams.
pub struct Collector {
    /// Those received so far.
    pub replicas: Rc<RefCell<Vec<Replica>>>,
}

impl replica_sink::Server for Collector {
    async fn write(self: Rc<Self>, params: replica_sink::WriteParams) -> capnp::Result<()> {
        let list = params.get()?.get_replicas()?;
        wire::read_replicas(list, &mut self.replicas.borrow_mut())
    }
}
