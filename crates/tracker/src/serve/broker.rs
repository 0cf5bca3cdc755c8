//! `Broker`: the right to plan with, and to read, one dataset in all its replicas. It never reaches
//! another.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use capnp::Error;
use schema::agent_capnp::agent;
use schema::broker_capnp::{broker, rendezvous};
use schema::{Place, outcome, wire};
use sturdyref::{Auth, Fingerprint};
use zfs::DatasetPath;

use super::answer::{NoAnswer, answer};
use super::rendezvous::Rendezvous;
use super::replicas;
use crate::clock::now;
use crate::failures;
use crate::issuer::Grant;
use crate::line::Line;
use crate::tracker::Tracker;
use crate::whereabouts::Receiver;

/// One dataset of the fleet, to whoever receives it.
pub(crate) struct Broker {
    pub(crate) tracker: Rc<Tracker>,
    pub(crate) grant: Grant,
    pub(crate) name: DatasetPath,
    /// Who has it.
    pub(crate) receiver: Receiver,
}

/// An agent's answer to being asked for a ticket.
type Offered = capnp::capability::Response<agent::offer_results::Owned>;

impl broker::Server for Broker {
    async fn replicas(
        self: Rc<Self>,
        params: broker::ReplicasParams,
        mut results: broker::ReplicasResults,
    ) -> Result<(), Error> {
        let sink = params.get()?.get_sink()?;
        let checked = self.tracker.check(&self.grant);
        if checked.is_ok() {
            let mut replicas = self.tracker.catalogue.borrow().replicas(&self.name, now());
            self.tracker.tell_sending(&mut replicas);
            replicas::send(&sink, &replicas).await?;
            sink.done_request().send().promise.await?;
        }
        outcome::write_nothing(results.get().init_outcome(), checked)
    }

    async fn reach(
        self: Rc<Self>,
        params: broker::ReachParams,
        mut results: broker::ReachResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        let place = wire::read_place(params.get_place()?)?;
        let dataset = wire::parse(params.get_dataset()?)?;
        let receiver = self.key(params.get_receiver()?)?;
        let asked = self.ask(&place, &dataset, receiver, params.get_may_snapshot()).await;
        let asked = answer(asked)?;
        let offered = match &asked {
            Ok((line, offered)) => {
                outcome::read(offered.get()?.get_outcome()?)?.map(|ticket| (line, ticket))
            }
            Err(failure) => Err(failure.clone()),
        };
        outcome::write(results.get().init_outcome(), offered, |mut answer, (line, ticket)| {
            answer.set_uris(ticket.get_uris()?)?;
            let rendezvous = Rendezvous {
                tracker: self.tracker.clone(),
                grant: self.grant.clone(),
                line: Rc::clone(line),
                place,
                key: receiver,
                receiver: self.receiver.clone(),
                dialler: RefCell::new(Some(ticket.get_dialler()?)),
                dialled: Cell::new(false),
            };
            answer.set_rendezvous(capnp_rpc::new_client::<rendezvous::Client, _>(rendezvous));
            Ok(())
        })
    }

    async fn release(
        self: Rc<Self>,
        params: broker::ReleaseParams,
        mut results: broker::ReleaseResults,
    ) -> Result<(), Error> {
        let transfer = wire::parse(params.get()?.get_transfer()?)?;
        let checked = self.tracker.check(&self.grant);
        if checked.is_ok() {
            self.tracker.release(&self.name, transfer).await;
        }
        outcome::write_nothing(results.get().init_outcome(), checked)
    }
}

impl Broker {
    /// The key that the receiver will show: none without TLS, and never none with it.
    fn key(&self, bytes: &[u8]) -> Result<Option<Fingerprint>, Error> {
        match (self.tracker.issuer.auth, <[u8; 32]>::try_from(bytes)) {
            (_, Ok(fingerprint)) => Ok(Some(Fingerprint(fingerprint))),
            (Auth::Insecure, Err(_)) if bytes.is_empty() => Ok(None),
            _ => Err(Error::failed("a receiver's fingerprint has 32 bytes".to_owned())),
        }
    }

    /// Asks the agent at `place` for a ticket for `dataset`, if that is a replica of ours.
    async fn ask(
        &self,
        place: &Place,
        dataset: &DatasetPath,
        receiver: Option<Fingerprint>,
        may_snapshot: bool,
    ) -> Result<(Rc<Line>, Offered), NoAnswer> {
        const OPERATION: &str = "read from";
        self.tracker.check(&self.grant)?;
        let line = self.tracker.line_to(OPERATION, place)?;
        if !self.tracker.catalogue.borrow().is_replica(place, dataset, &self.name) {
            return Err(failures::not_there(dataset, place, &self.name).into());
        }
        self.tracker.catch_up_on(&line, place, dataset);
        let mut request = line.agent.offer_request();
        let mut params = request.get();
        params.set_pool(place.pool.as_str());
        params.set_dataset(dataset.as_str());
        params.set_receiver(receiver.as_ref().map_or(&[], |receiver| &receiver.0));
        params.set_may_snapshot(may_snapshot);
        let offered = line.ask(OPERATION, place, request.send().promise).await?;
        tracing::info!(%dataset, %place, "offered");
        Ok((line, offered))
    }
}
