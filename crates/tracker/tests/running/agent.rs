//! A machine's agent, as far as the tracker can tell.

mod sender;

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use capnp::Error;
use schema::agent_capnp::agent;
use schema::hold::Unasked;
use schema::location_capnp::{PoolState, UpdateKind, location, session, update_sink};
use schema::transfer_capnp::transfer;
use schema::{Code, Failure, Hold, batch, outcome, wire};
use sturdyref::{Connection, Identity};
use tokio::sync::{Mutex, mpsc};
use tokio::time::interval;
use zfs::{Guid, Kind, Properties, Snapshot};

use self::sender::FakeDialler;
pub(crate) use self::sender::{CHUNK, CHUNKS};
use crate::process::{Home, dial, identity};

/// What the tracker asked an agent for.
#[derive(Debug, PartialEq)]
pub(crate) enum Asked {
    Offer { pool: String, dataset: String, receiver: Vec<u8> },
    Start { dataset: String, replicas: usize },
    Attach { id: String, dataset: String, replicas: usize },
    Cancel,
    Replaced { by: String },
    DialReceiver { uris: Vec<String> },
    SourceDropped,
    Holds,
    Release { snapshot: String, tag: String },
    ReleaseTransfer { transfer: String, pool: String, dataset: String },
}

/// The one transfer that a fake agent doesn't know, and the one hold.
pub(crate) const UNKNOWN: &str = "00000000000000ff";

struct FakeAgent {
    asked: mpsc::UnboundedSender<Asked>,
    answering: Arc<Mutex<()>>,
    holds: Rc<RefCell<Vec<Hold>>>,
    unlisted: Rc<RefCell<Vec<Unasked>>>,
}

/// A registered machine.
pub(crate) struct Registered {
    pub(crate) connection: Connection,
    pub(crate) session: session::Client,
    pub(crate) location: String,
    /// What the tracker asks for.
    pub(crate) asked: mpsc::UnboundedReceiver<Asked>,
    /// Who locks it keeps the agent from answering to `start`, `attach` and `holds`.
    pub(crate) answering: Arc<Mutex<()>>,
    /// What it says that it holds.
    pub(crate) holds: Rc<RefCell<Vec<Hold>>>,
    /// The pools of which it can't say.
    pub(crate) unlisted: Rc<RefCell<Vec<Unasked>>>,
}

/// Registers a machine, under a key of its own.
pub(crate) async fn register(
    home: &Home,
    location: &str,
    machine: &str,
    pools: &[&str],
) -> Registered {
    register_as(home, location, machine, pools, &identity()).await.unwrap()
}

pub(crate) async fn register_as(
    home: &Home,
    location: &str,
    machine: &str,
    pools: &[&str],
    identity: &Identity,
) -> Result<Registered, Failure> {
    let connection = dial(&home.capability(location), identity).await;
    let fingerprint = identity.fingerprint().0;
    register_on(connection, machine, pools, &fingerprint, schema::PROTOCOL).await
}

pub(crate) async fn register_on(
    connection: Connection,
    machine: &str,
    pools: &[&str],
    fingerprint: &[u8],
    protocol: u16,
) -> Result<Registered, Failure> {
    let (sender, asked) = mpsc::unbounded_channel();
    let (answering, holds, unlisted) = (Arc::default(), Rc::default(), Rc::default());
    let agent = FakeAgent {
        asked: sender,
        answering: Arc::clone(&answering),
        holds: Rc::clone(&holds),
        unlisted: Rc::clone(&unlisted),
    };
    let mut request = connection.target::<location::Client>().register_request();
    let mut hello = request.get().init_hello();
    hello.set_protocol(protocol);
    hello.set_software("a test");
    let mut registration = request.get().init_registration();
    registration.set_machine(machine);
    registration.set_identity(fingerprint);
    let mut names = registration.reborrow().init_pools(wire::length(pools));
    for (index, pool) in (0..).zip(pools) {
        names.set(index, pool);
    }
    registration.set_agent(capnp_rpc::new_client(agent));
    let answer = request.send().promise.await.unwrap();
    let registered = outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap()?;
    Ok(Registered {
        connection,
        session: registered.get_session().unwrap(),
        location: registered.get_location().unwrap().to_string().unwrap(),
        asked,
        answering,
        holds,
        unlisted,
    })
}

/// A dataset with snapshots of these GUIDs.
pub(crate) struct Dataset(pub(crate) &'static str, pub(crate) Vec<u64>);

impl Registered {
    pub(crate) async fn set_pool(&self, pool: &str, state: PoolState) {
        let mut request = self.session.pool_state_request();
        request.get().set_pool(pool);
        request.get().set_state(state);
        request.send().promise.await.unwrap();
    }

    pub(crate) async fn heartbeat(&self) -> Result<(), Error> {
        self.heartbeat_while_sending(0).await
    }

    pub(crate) async fn heartbeat_while_sending(&self, streams: u32) -> Result<(), Error> {
        let mut request = self.session.heartbeat_request();
        request.get().set_sending(streams);
        request.send().promise.await.map(drop)
    }

    /// Keeps the session alive, as an agent does, for as long as this is polled.
    pub(crate) fn beat(&self) -> impl Future<Output = Infallible> + use<> {
        let session = self.session.clone();
        async move {
            let mut ticks = interval(Duration::from_secs(2));
            loop {
                ticks.tick().await;
                session.heartbeat_request().send().promise.await.unwrap();
            }
        }
    }

    /// Tells of a pool's whole content.
    pub(crate) async fn replace(&self, pool: &str, datasets: &[Dataset]) {
        let sink = self.begin_update(pool, UpdateKind::Replace).await;
        write(&sink, datasets, &[]).await;
        end(&sink).await.unwrap();
    }

    pub(crate) async fn begin_update(&self, pool: &str, kind: UpdateKind) -> update_sink::Client {
        let mut request = self.session.update_request();
        request.get().set_pool(pool);
        request.get().set_kind(kind);
        let answer = request.send().promise.await.unwrap();
        let update = outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap();
        update.unwrap().get_sink().unwrap()
    }
}

pub(crate) async fn write(sink: &update_sink::Client, datasets: &[Dataset], removed: &[&str]) {
    let properties = Properties {
        kind: Kind::Filesystem,
        guid: Guid(1),
        used: 2,
        referenced: 3,
        written: 4,
        encrypted: false,
        origin: None,
        inconsistent: false,
        resume_token: None,
    };
    for Dataset(name, guids) in datasets {
        let snapshot = |&guid: &u64| Snapshot {
            label: format!("s{guid}").parse().unwrap(),
            guid: Guid(guid),
            createtxg: guid,
            creation: 5,
        };
        let snapshots: Vec<Snapshot> = guids.iter().map(snapshot).collect();
        for part in batch::parts(&snapshots, &[]) {
            let mut request = sink.write_request();
            let list = request.get().init_datasets(1);
            wire::write_dataset(list.get(0), &name.parse().unwrap(), &properties, part);
            request.send().await.unwrap();
        }
    }
    let mut request = sink.write_request();
    let mut list = request.get().init_removed(wire::length(removed));
    for (index, name) in (0..).zip(removed) {
        list.set(index, name);
    }
    request.send().await.unwrap();
}

pub(crate) async fn end(sink: &update_sink::Client) -> Result<(), Error> {
    let answer = sink.end_request().send().promise.await?;
    outcome::read(answer.get()?.get_outcome()?)?.unwrap();
    Ok(())
}

impl agent::Server for FakeAgent {
    async fn offer(
        self: Rc<Self>,
        params: agent::OfferParams,
        mut results: agent::OfferResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        let _ = self.asked.send(Asked::Offer {
            pool: params.get_pool()?.to_string()?,
            dataset: params.get_dataset()?.to_string()?,
            receiver: params.get_receiver()?.to_vec(),
        });
        outcome::write(results.get().init_outcome(), Ok(()), |mut ticket, ()| {
            ticket.reborrow().init_uris(1).set(0, "capnp://insecure@127.0.0.1:1/ticket");
            ticket.set_dialler(capnp_rpc::new_client(FakeDialler(self.asked.clone())));
            Ok(())
        })
    }

    async fn start(
        self: Rc<Self>,
        params: agent::StartParams,
        mut results: agent::StartResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        let replicas = crate::user::replicas(&params.get_broker()?).await.unwrap();
        let dataset = params.get_request()?.get_dataset()?.to_string()?;
        let _ =
            self.asked.send(Asked::Start { dataset: dataset.clone(), replicas: replicas.len() });
        drop(self.answering.lock().await);
        outcome::write(results.get().init_outcome(), Ok(()), |mut started, ()| {
            started.set_id("t1");
            let stuck = dataset == "stuck";
            let transfer = FakeTransfer { asked: self.asked.clone(), stuck };
            started.set_transfer(capnp_rpc::new_client(transfer));
            Ok(())
        })
    }

    async fn attach(
        self: Rc<Self>,
        params: agent::AttachParams,
        mut results: agent::AttachResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        let id = params.get_id()?.to_string()?;
        let replicas = crate::user::replicas(&params.get_broker()?).await.unwrap().len();
        let dataset = params.get_dataset()?.to_string()?;
        let _ = self.asked.send(Asked::Attach { id: id.clone(), dataset, replicas });
        drop(self.answering.lock().await);
        let known = known(&id, Code::NoSuchTransfer);
        outcome::write(results.get().init_outcome(), known, |mut started, ()| {
            started.set_id(&id);
            let transfer = FakeTransfer { asked: self.asked.clone(), stuck: false };
            started.set_transfer(capnp_rpc::new_client(transfer));
            Ok(())
        })
    }

    async fn replaced(
        self: Rc<Self>,
        params: agent::ReplacedParams,
        _: agent::ReplacedResults,
    ) -> Result<(), Error> {
        let by = params.get()?.get_by()?.to_string()?;
        let _ = self.asked.send(Asked::Replaced { by });
        Ok(())
    }

    async fn holds(
        self: Rc<Self>,
        params: agent::HoldsParams,
        mut results: agent::HoldsResults,
    ) -> Result<(), Error> {
        let _ = self.asked.send(Asked::Holds);
        drop(self.answering.lock().await);
        let holds = self.holds.borrow().clone();
        schema::hold::send(&params.get()?.get_sink()?, &holds).await?;
        outcome::write(results.get().init_outcome(), Ok(()), |listed, ()| {
            Unasked::write_all(listed, &self.unlisted.borrow());
            Ok(())
        })
    }

    async fn release(
        self: Rc<Self>,
        params: agent::ReleaseParams,
        mut results: agent::ReleaseResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        let tag = params.get_tag()?.to_string()?;
        let answer = known(&tag, Code::Refused);
        let snapshot = params.get_snapshot()?.to_string()?;
        let _ = self.asked.send(Asked::Release { snapshot, tag });
        outcome::write_nothing(results.get().init_outcome(), answer)
    }

    async fn release_transfer(
        self: Rc<Self>,
        params: agent::ReleaseTransferParams,
        mut results: agent::ReleaseTransferResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        let transfer = params.get_transfer()?.to_string()?;
        let answer = known(&transfer, Code::Refused);
        let _ = self.asked.send(Asked::ReleaseTransfer {
            transfer,
            pool: params.get_pool()?.to_string()?,
            dataset: params.get_dataset()?.to_string()?,
        });
        outcome::write_nothing(results.get().init_outcome(), answer)
    }
}

fn known(name: &str, code: Code) -> Result<(), Failure> {
    if name == UNKNOWN {
        return Err(Failure::new(code, "find", name, "this agent doesn't know it", ""));
    }
    Ok(())
}

/// A transfer that ends at once when it is observed, or never.
struct FakeTransfer {
    asked: mpsc::UnboundedSender<Asked>,
    stuck: bool,
}

impl transfer::Server for FakeTransfer {
    async fn observe(
        self: Rc<Self>,
        params: transfer::ObserveParams,
        mut results: transfer::ObserveResults,
    ) -> Result<(), Error> {
        let observer = params.get()?.get_observer()?;
        let mut request = observer.event_request();
        request.get().init_event().set_note("working");
        request.send().await?;
        if self.stuck {
            std::future::pending::<()>().await;
        }
        outcome::write(results.get().init_outcome(), Ok(()), |mut summary, ()| {
            summary.set_bytes(7);
            Ok(())
        })
    }

    async fn cancel(
        self: Rc<Self>,
        _: transfer::CancelParams,
        _: transfer::CancelResults,
    ) -> Result<(), Error> {
        let _ = self.asked.send(Asked::Cancel);
        Ok(())
    }
}
