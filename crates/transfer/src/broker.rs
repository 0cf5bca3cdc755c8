//! The broker, for the thread that moves the data.
//!
//! Its capability lives on the control connection's thread; a transfer has a thread of its own, so
//! that heartbeats never queue behind data. This carries calls from the one to the other.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use capnp_rpc::new_client;
use schema::broker_capnp::{broker, rendezvous};
use schema::dataset_capnp::replica_sink;
use schema::{Code, Failure, Place, Replica, outcome, wire};
use sturdyref::{Fingerprint, SturdyRef};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;
use zfs::DatasetPath;

use crate::dial::DIALLED_BY_SENDER;

/// How long the tracker, and the machine that it asks, may take to answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

type Answer<T> = oneshot::Sender<Result<T, Failure>>;

enum Call {
    Replicas(Answer<Vec<Replica>>),
    Reach { wish: Reach, answer: Answer<Vec<SturdyRef>> },
    DialReceiver { meeting: Vec<SturdyRef>, answer: Answer<()> },
    Relay(Answer<SturdyRef>),
    Release { transfer: String, answer: Answer<()> },
}

/// Whom to reach.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) place: Place,
    /// Its path below the pool there.
    pub(crate) dataset: DatasetPath,
    /// The key that the receiver's data connection will show.
    pub(crate) receiver: Option<Fingerprint>,
    pub(crate) may_snapshot: bool,
}

/// A handle to the broker of one dataset; can be sent to any thread.
#[derive(Clone, Debug)]
pub struct Broker {
    calls: mpsc::UnboundedSender<Call>,
}

/// The side of the control connection, on its thread: where the broker's capability can be
/// replaced after that connection was lost.
#[derive(Clone)]
pub struct Desk {
    client: Rc<RefCell<broker::Client>>,
}

impl Desk {
    /// From now on the broker's calls go to `client`.
    pub fn replace(&self, client: broker::Client) {
        *self.client.borrow_mut() = client;
    }
}

impl Broker {
    /// Serves calls to `client` on this thread, within its `LocalSet`, until all handles are gone.
    pub fn new(client: broker::Client, dataset: DatasetPath) -> (Self, Desk) {
        let (calls, mut queue) = mpsc::unbounded_channel();
        let desk = Desk { client: Rc::new(RefCell::new(client)) };
        let mut clerk = Clerk { desk: desk.clone(), dataset, rendezvous: None };
        tokio::task::spawn_local(async move {
            while let Some(call) = queue.recv().await {
                let listing = matches!(call, Call::Replicas(_));
                let serve = clerk.serve(call);
                if listing {
                    // It may be long; it ends by itself when no more of it comes.
                    serve.await;
                } else {
                    // Its caller waits no longer either; the next one may have a new connection.
                    let _ = timeout(ANSWER_DEADLINE, serve).await;
                }
            }
        });
        (Self { calls }, desk)
    }

    /// All replicas of the dataset, with their snapshots, and of those of other names that share
    /// one.
    pub(crate) async fn replicas(&self) -> Result<Vec<Replica>, Failure> {
        self.ask(Call::Replicas).await
    }

    /// Asks the machine at a place for a ticket; gives the sturdyrefs to dial in turn.
    pub(crate) async fn reach(&self, wish: Reach) -> Result<Vec<SturdyRef>, Failure> {
        self.call(|answer| Call::Reach { wish, answer }).await
    }

    /// Has the sender of the ticket asked for last dial the receiver, at one of these.
    pub(crate) async fn dial_receiver(&self, meeting: Vec<SturdyRef>) -> Result<(), Failure> {
        self.call(|answer| Call::DialReceiver { meeting, answer }).await
    }

    /// Has the sender of the ticket asked for last meet the receiver at the tracker.
    pub(crate) async fn relay(&self) -> Result<SturdyRef, Failure> {
        self.call(Call::Relay).await
    }

    /// Has all machines let go of what they hold for a transfer.
    pub(crate) async fn release(&self, transfer: &str) -> Result<(), Failure> {
        let transfer = transfer.to_owned();
        self.call(|answer| Call::Release { transfer, answer }).await
    }

    async fn call<T>(&self, call: impl FnOnce(Answer<T>) -> Call) -> Result<T, Failure> {
        timeout(ANSWER_DEADLINE, self.ask(call)).await.unwrap_or_else(|_| Err(silent()))
    }

    /// The same, however long it takes.
    async fn ask<T>(&self, call: impl FnOnce(Answer<T>) -> Call) -> Result<T, Failure> {
        let gone = || lost("the connection to it is closed");
        let (answer, result) = oneshot::channel();
        self.calls.send(call(answer)).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

fn lost(reason: &str) -> Failure {
    let remedy = "See to it that the tracker runs and can be reached.";
    Failure::new(Code::Unreachable, "ask the tracker", "", reason, remedy)
}

fn silent() -> Failure {
    lost("it has not answered for 30 s")
}

/// Makes the calls, one after the other.
struct Clerk {
    desk: Desk,
    dataset: DatasetPath,
    rendezvous: Option<rendezvous::Client>,
}

impl Clerk {
    /// Whoever asked may have gone away meanwhile: then nobody misses the answer.
    async fn serve(&mut self, call: Call) {
        let client = self.desk.client.borrow().clone();
        match call {
            Call::Replicas(answer) => {
                let _ = answer.send(self.told(replicas(&client).await));
            }
            Call::Reach { wish, answer } => {
                let reached = self.reach(&client, &wish).await;
                let _ = answer.send(self.told(reached));
            }
            Call::DialReceiver { meeting, answer } => {
                // The next call is not to wait for one that nobody waits for any more.
                let dialled = timeout(DIALLED_BY_SENDER, self.dial_receiver(&meeting)).await;
                let late = || Err(capnp::Error::disconnected("no answer".to_owned()));
                let _ = answer.send(self.told(dialled.unwrap_or_else(|_| late())));
            }
            Call::Relay(answer) => {
                let _ = answer.send(self.told(self.relay().await));
            }
            Call::Release { transfer, answer } => {
                let _ = answer.send(self.told(release(&client, &transfer).await));
            }
        }
    }

    fn told<T>(&self, result: capnp::Result<Result<T, Failure>>) -> Result<T, Failure> {
        result.unwrap_or_else(|error| {
            Err(Failure::from_exception("ask the tracker for", &self.dataset, &error))
        })
    }

    async fn reach(
        &mut self,
        client: &broker::Client,
        wish: &Reach,
    ) -> capnp::Result<Result<Vec<SturdyRef>, Failure>> {
        let mut request = client.reach_request();
        wire::write_place(request.get().init_place(), &wish.place);
        request.get().set_dataset(wish.dataset.as_str());
        if let Some(Fingerprint(bytes)) = &wish.receiver {
            request.get().set_receiver(bytes);
        }
        request.get().set_may_snapshot(wish.may_snapshot);
        let response = request.send().promise.await?;
        let offer = match outcome::read(response.get()?.get_outcome()?)? {
            Ok(offer) => offer,
            Err(failure) => return Ok(Err(failure)),
        };
        self.rendezvous = Some(offer.get_rendezvous()?);
        let uris = offer.get_uris()?.iter().map(|uri| wire::parse(uri?));
        uris.collect::<capnp::Result<_>>().map(Ok)
    }

    fn rendezvous(&self) -> capnp::Result<&rendezvous::Client> {
        let nothing = || capnp::Error::failed("nothing was offered yet".into());
        self.rendezvous.as_ref().ok_or_else(nothing)
    }

    async fn dial_receiver(&self, meeting: &[SturdyRef]) -> capnp::Result<Result<(), Failure>> {
        let mut request = self.rendezvous()?.dial_receiver_request();
        let mut uris = request.get().init_uris(wire::length(meeting));
        for (index, uri) in (0..).zip(meeting) {
            uris.set(index, uri.to_uri().as_str());
        }
        let response = match request.send().promise.await {
            // One of the other two is older. There is still the relay.
            Err(error) if error.kind == capnp::ErrorKind::Unimplemented => {
                let reason = "the sender's version dials no receiver";
                let remedy = "Bring tracker and agent up to date.";
                return Ok(Err(Failure::new(Code::Unreachable, "be dialled", "", reason, remedy)));
            }
            response => response?,
        };
        Ok(outcome::read(response.get()?.get_outcome()?)?.map(|_| ()))
    }

    async fn relay(&self) -> capnp::Result<Result<SturdyRef, Failure>> {
        let rendezvous = self.rendezvous()?;
        let response = rendezvous.relay_request().send().promise.await?;
        match outcome::read(response.get()?.get_outcome()?)? {
            Ok(relay) => wire::parse(relay.get_uri()?).map(Ok),
            Err(failure) => Ok(Err(failure)),
        }
    }
}

async fn replicas(client: &broker::Client) -> capnp::Result<Result<Vec<Replica>, Failure>> {
    let (sink, gathered) = Gathered::begin();
    let mut request = client.replicas_request();
    request.get().set_sink(sink);
    let answer = request.send().promise;
    let done = async { Ok(outcome::read(answer.await?.get()?.get_outcome()?)?.map(drop)) };
    gathered.of(done).await
}

async fn release(client: &broker::Client, transfer: &str) -> capnp::Result<Result<(), Failure>> {
    let mut request = client.release_request();
    request.get().set_transfer(transfer);
    let response = request.send().promise.await?;
    Ok(outcome::read(response.get()?.get_outcome()?)?.map(|_| ()))
}

/// Gathers the replicas that a listing streams.
pub struct Gathered {
    replicas: Rc<RefCell<Vec<Replica>>>,
    heard: Rc<Notify>,
    end: oneshot::Receiver<capnp::Result<()>>,
}

impl Gathered {
    /// With the sink for them.
    pub fn begin() -> (replica_sink::Client, Self) {
        let (replicas, heard, (ended, end)) = (Rc::default(), Rc::default(), oneshot::channel());
        let gathered = Self { replicas: Rc::clone(&replicas), heard: Rc::clone(&heard), end };
        let ended = RefCell::new(Some(ended));
        (new_client(Collector { replicas, heard, ended }), gathered)
    }

    /// All of them, unless the call that they were asked for with fails first. Its answer, which
    /// comes a round trip after the last of them, isn't waited for.
    ///
    /// # Errors
    /// Those of the call, or what was listed can't be read. That nothing has come for 30 s is a failure.
    pub async fn of(
        self,
        call: impl Future<Output = capnp::Result<Result<(), Failure>>>,
    ) -> capnp::Result<Result<Vec<Replica>, Failure>> {
        tokio::select! {
            biased;
            Ok(ended) = self.end => ended?,
            answer = call => match answer? {
                Ok(()) => {}
                Err(failure) => return Ok(Err(failure)),
            },
            () = silence(&self.heard) => return Ok(Err(silent())),
        }
        Ok(Ok(self.replicas.take()))
    }
}

/// Ends when nothing has been heard for so long, however long the list is.
async fn silence(heard: &Notify) {
    while timeout(ANSWER_DEADLINE, heard.notified()).await.is_ok() {}
}

struct Collector {
    replicas: Rc<RefCell<Vec<Replica>>>,
    /// At each part of the list.
    heard: Rc<Notify>,
    /// Told once.
    ended: RefCell<Option<oneshot::Sender<capnp::Result<()>>>>,
}

impl Collector {
    fn end(&self, how: capnp::Result<()>) {
        if let Some(ended) = self.ended.take() {
            // Whoever asked may have gone.
            let _ = ended.send(how);
        }
    }
}

impl replica_sink::Server for Collector {
    async fn write(self: Rc<Self>, params: replica_sink::WriteParams) -> capnp::Result<()> {
        self.heard.notify_one();
        let list = params.get()?.get_replicas()?;
        let read = wire::read_replicas(list, &mut self.replicas.borrow_mut());
        read.inspect_err(|error| self.end(Err(error.clone())))
    }

    async fn done(
        self: Rc<Self>,
        _: replica_sink::DoneParams,
        _: replica_sink::DoneResults,
    ) -> capnp::Result<()> {
        self.end(Ok(()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::LocalSet;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// Sends a part of its list each 10 s, be it only more of one replica, and then no more.
    struct Slow {
        parts: u32,
        says_done: bool,
    }

    impl broker::Server for Slow {
        async fn replicas(
            self: Rc<Self>,
            params: broker::ReplicasParams,
            _: broker::ReplicasResults,
        ) -> capnp::Result<()> {
            let sink = params.get()?.get_sink()?;
            for _ in 0..self.parts {
                sleep(Duration::from_secs(10)).await;
                sink.write_request().send().await?;
            }
            if self.says_done {
                sink.done_request().send().promise.await?;
            }
            std::future::pending().await
        }
    }

    /// What comes of asking it, and after how many seconds.
    async fn listed(slow: Slow) -> (Result<usize, Failure>, u64) {
        let asked = async {
            let (broker, _desk) = Broker::new(new_client(slow), "data".parse().unwrap());
            let began = Instant::now();
            let replicas = broker.replicas().await;
            (replicas.map(|all| all.len()), began.elapsed().as_secs())
        };
        LocalSet::new().run_until(asked).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_may_be_as_long_as_it_likes_while_more_of_it_comes() {
        assert_eq!(listed(Slow { parts: 10, says_done: true }).await, (Ok(0), 100));
        for (parts, seconds) in [(0, 30), (1, 40), (10, 130)] {
            let ended = listed(Slow { parts, says_done: false }).await;
            assert_eq!(ended, (Err(silent()), seconds));
        }
    }
}
