//! `Fleet`: show, download, copy, holds.

use std::rc::Rc;

use capnp::Error;
use catalogue::{MachineId, Query};
use schema::broker_capnp::broker;
use schema::dataset_capnp::replica_sink;
use schema::hold::Unasked;
use schema::hold_capnp::hold_sink;
use schema::transfer_capnp::{copy_request, started, transfer};
use schema::user_capnp::{fleet, query};
use schema::{Failure, outcome, wire};
use sturdyref::Peer;
use tokio::sync::oneshot;
use zfs::{DatasetPath, SnapshotName};

use super::answer::{NoAnswer, answer};
use super::broker::Broker;
use super::transfer::{Held, Transfer};
use super::{holds, replicas};
use crate::clock::now;
use crate::failures;
use crate::issuer::Grant;
use crate::tracker::Tracker;
use crate::whereabouts::Receiver;

/// So many replicas are copied out of the catalogue at a time.
const PAGE: usize = 1000;

/// All machines, to someone who may use them.
pub(crate) struct Fleet {
    pub(crate) tracker: Rc<Tracker>,
    pub(crate) grant: Grant,
    /// Who it is.
    pub(crate) peer: Peer,
}

impl fleet::Server for Fleet {
    async fn list(
        self: Rc<Self>,
        params: fleet::ListParams,
        mut results: fleet::ListResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        let listed = answer(self.send_list(params.get_query()?, &params.get_sink()?).await)?;
        outcome::write_nothing(results.get().init_outcome(), listed)
    }

    async fn dataset(
        self: Rc<Self>,
        params: fleet::DatasetParams,
        mut results: fleet::DatasetResults,
    ) -> Result<(), Error> {
        let name = params.get()?.get_name()?;
        let receiver = Receiver::User(self.peer.clone());
        let broker = self.broker("find", name.to_str()?, receiver);
        outcome::write(results.get().init_outcome(), broker, |mut answer, (_, broker)| {
            answer.set_broker(broker);
            Ok(())
        })
    }

    async fn copy(
        self: Rc<Self>,
        params: fleet::CopyParams,
        mut results: fleet::CopyResults,
    ) -> Result<(), Error> {
        let started = answer(self.start(params.get()?.get_request()?).await)?;
        outcome::write(results.get().init_outcome(), started, write_started)
    }

    async fn attach(
        self: Rc<Self>,
        params: fleet::AttachParams,
        mut results: fleet::AttachResults,
    ) -> Result<(), Error> {
        let attached = answer(self.find_transfer(params.get()?).await)?;
        outcome::write(results.get().init_outcome(), attached, write_started)
    }

    async fn holds(
        self: Rc<Self>,
        params: fleet::HoldsParams,
        mut results: fleet::HoldsResults,
    ) -> Result<(), Error> {
        let unasked = answer(self.send_holds(&params.get()?.get_sink()?).await)?;
        outcome::write(results.get().init_outcome(), unasked, |answer, unasked| {
            Unasked::write_all(answer, &unasked);
            Ok(())
        })
    }

    async fn release(
        self: Rc<Self>,
        params: fleet::ReleaseParams,
        mut results: fleet::ReleaseResults,
    ) -> Result<(), Error> {
        let released = answer(self.let_go(params.get()?).await)?;
        outcome::write_nothing(results.get().init_outcome(), released)
    }
}

fn write_started(mut started: started::Builder<'_>, held: Rc<Held>) -> Result<(), Error> {
    started.set_id(&held.id);
    started.set_transfer(capnp_rpc::new_client::<transfer::Client, _>(Transfer(held)));
    Ok(())
}

impl Fleet {
    async fn send_list(
        &self,
        query: query::Reader<'_>,
        sink: &replica_sink::Client,
    ) -> Result<(), NoAnswer> {
        self.tracker.check(&self.grant)?;
        let pattern = query.get_pattern()?.to_str()?;
        let query = Query::new(pattern, wire::parse_optional(query.get_location()?)?)
            .map_err(|error| failures::pattern(pattern, &error))?;
        // Page by page, since the catalogue changes in between.
        let mut page: Vec<schema::Replica> = Vec::new();
        loop {
            page = {
                let after = page.last().map(|last| (&last.name, &last.place));
                let catalogue = self.tracker.catalogue.borrow();
                catalogue.list(&query, after, now()).take(PAGE).collect()
            };
            if page.is_empty() {
                sink.done_request().send().promise.await?;
                return Ok(());
            }
            self.tracker.tell_sending(&mut page);
            replicas::send(sink, &page).await?;
        }
    }

    /// A broker for the dataset of this name, if there is one, to be used by `receiver`.
    fn broker(
        &self,
        operation: &str,
        name: &str,
        receiver: Receiver,
    ) -> Result<(DatasetPath, broker::Client), Failure> {
        self.tracker.check(&self.grant)?;
        let path: DatasetPath =
            name.parse().map_err(|error| failures::illegal(operation, name, error))?;
        if !self.tracker.catalogue.borrow().has(&path) {
            return Err(failures::no_such_dataset(operation, name));
        }
        let broker = self.mint(path.clone(), receiver);
        Ok((path, broker))
    }

    fn mint(&self, name: DatasetPath, receiver: Receiver) -> broker::Client {
        let (tracker, grant) = (self.tracker.clone(), self.grant.clone());
        capnp_rpc::new_client(Broker { tracker, grant, name, receiver })
    }

    async fn start(&self, request: copy_request::Reader<'_>) -> Result<Rc<Held>, NoAnswer> {
        const OPERATION: &str = "copy to";
        let name = request.get_dataset()?.to_str()?;
        let (dataset, broker) = self.broker("copy", name, Receiver::Machine)?;
        let place = wire::read_place(request.get_destination()?)?;
        let (tracker, line) = (self.tracker.clone(), self.tracker.line_to(OPERATION, &place)?);
        let mut start = line.agent.start_request();
        start.get().set_request(request)?;
        start.get().set_broker(broker.clone());
        let started = start.send().promise;
        self.finish(async move {
            let started = line.ask(OPERATION, &place, started).await?;
            let started = outcome::read(started.get()?.get_outcome()?)??;
            Ok(Held::new(&tracker, &line, (dataset, broker), started)?)
        })
        .await
    }

    async fn find_transfer(
        &self,
        params: fleet::attach_params::Reader<'_>,
    ) -> Result<Rc<Held>, NoAnswer> {
        const OPERATION: &str = "attach to a transfer at";
        self.tracker.check(&self.grant)?;
        let place = wire::read_place(params.get_destination()?)?;
        let id = params.get_id()?.to_str()?;
        let dataset: DatasetPath = wire::parse(params.get_dataset()?)?;
        let (tracker, machine) = (self.tracker.clone(), MachineId::of(&place));
        // A transfer under way is its machine's alone to know. The tracker may just have been
        // restarted, and be told of the pools only later.
        let line = match tracker.line_of(&machine) {
            Some(line) => line,
            None => tracker.line_to(OPERATION, &place)?,
        };
        if let Some(held) = Held::find(&tracker, &machine, id, &dataset) {
            return Ok(held);
        }
        // It may have gone from everywhere meanwhile: a transfer under way isn't concerned.
        let broker = self.mint(dataset.clone(), Receiver::Machine);
        let mut attach = line.agent.attach_request();
        attach.get().set_id(id);
        attach.get().set_broker(broker.clone());
        attach.get().set_dataset(dataset.as_str());
        let started = attach.send().promise;
        self.finish(async move {
            let started = line.ask(OPERATION, &place, started).await?;
            let started = outcome::read(started.get()?.get_outcome()?)??;
            Ok(Held::new(&tracker, &line, (dataset, broker), started)?)
        })
        .await
    }

    async fn send_holds(&self, sink: &hold_sink::Client) -> Result<Vec<Unasked>, NoAnswer> {
        self.tracker.check(&self.grant)?;
        let (holds, unasked) = holds::gather(&self.tracker).await;
        schema::hold::send(sink, &holds).await?;
        Ok(unasked)
    }

    async fn let_go(&self, params: fleet::release_params::Reader<'_>) -> Result<(), NoAnswer> {
        const OPERATION: &str = "release the hold on";
        self.tracker.check(&self.grant)?;
        let place = wire::read_place(params.get_place()?)?;
        let snapshot: SnapshotName = wire::parse(params.get_snapshot()?)?;
        if *snapshot.dataset().pool() != place.pool {
            return Err(failures::other_pool(OPERATION, &snapshot, &place).into());
        }
        let line = self.tracker.line_to(OPERATION, &place)?;
        let mut request = line.agent.release_request();
        request.get().set_snapshot(snapshot.to_string());
        request.get().set_tag(params.get_tag()?);
        let answer = line.ask_soon(OPERATION, &snapshot, request.send().promise).await?;
        outcome::read(answer.get()?.get_outcome()?)??;
        Ok(())
    }

    /// Waits for a hold on a transfer, which is taken even if the caller goes meanwhile and this
    /// future with it: the hold is then let go, which cancels the transfer. An answer that nobody
    /// took would leave it running for nobody.
    async fn finish(
        &self,
        taking: impl Future<Output = Result<Rc<Held>, NoAnswer>> + 'static,
    ) -> Result<Rc<Held>, NoAnswer> {
        let (give, take) = oneshot::channel();
        self.tracker.chores.begin(async move {
            // Where there is no taker the hold is dropped.
            let _ = give.send(taking.await);
        });
        take.await.map_err(|_| Error::disconnected("the tracker is about to end".to_owned()))?
    }
}
