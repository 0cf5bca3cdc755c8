//! `Transfer`, as the tracker hands it out: the agent's own, cancelled when its last user goes.

use std::rc::{Rc, Weak};
use std::time::Duration;

use capnp::{Error, ErrorKind};
use catalogue::MachineId;
use schema::broker_capnp::broker;
use schema::transfer_capnp::{started, transfer};
use schema::{Failure, outcome};
use zfs::DatasetPath;

use crate::line::Line;
use crate::tracker::{Tracker, TransferKey};

/// Who watched over a connection that a machine has lost attaches within this time, or not at all:
/// the cli tries for 60 s.
const ATTACH_AGAIN: Duration = Duration::from_secs(65);

/// A transfer that is under way at an agent, shared by all who watch it.
pub(crate) struct Held {
    pub(crate) id: String,
    dataset: DatasetPath,
    transfer: transfer::Client,
    /// What the agent was given for it.
    broker: broker::Client,
    line: Rc<Line>,
    tracker: Rc<Tracker>,
}

impl Held {
    /// Takes hold of a transfer that an agent has started or was asked for, of this dataset and with
    /// this broker.
    pub(crate) fn new(
        tracker: &Rc<Tracker>,
        line: &Rc<Line>,
        (dataset, broker): (DatasetPath, broker::Client),
        started: started::Reader<'_>,
    ) -> Result<Rc<Self>, Error> {
        let id = started.get_id()?.to_string()?;
        // Another may have asked for it at the same time.
        if let Some(held) = Self::find(tracker, &line.machine, &id, &dataset) {
            return Ok(held);
        }
        let held = Rc::new(Self {
            id: id.clone(),
            dataset,
            transfer: started.get_transfer()?,
            broker,
            line: line.clone(),
            tracker: tracker.clone(),
        });
        let key = (line.machine.clone(), id);
        tracker.transfers.borrow_mut().entry(key).or_default().push(Rc::downgrade(&held));
        Ok(held)
    }

    /// The hold that someone else has on a transfer of this dataset.
    pub(crate) fn find(
        tracker: &Tracker,
        machine: &MachineId,
        id: &str,
        dataset: &DatasetPath,
    ) -> Option<Rc<Self>> {
        let key = (machine.clone(), id.to_owned());
        let transfers = tracker.transfers.borrow();
        let mut holds = transfers.get(&key)?.iter().filter_map(Weak::upgrade);
        // The machine may have come back since, on another connection.
        holds.find(|held| !held.line.over.is_cancelled() && held.dataset == *dataset)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut transfers = self.tracker.transfers.borrow_mut();
        let key = (self.line.machine.clone(), self.id.clone());
        // Another may hold it by a later connection of the machine, or by one that is lost: who
        // watches by that is about to attach again.
        if let Some(holds) = transfers.get_mut(&key) {
            holds.retain(|held| held.strong_count() > 0);
            if !holds.is_empty() {
                return;
            }
            transfers.remove(&key);
        }
        // A transfer outlives the tracker: whoever watches it attaches again.
        if self.tracker.closing.is_cancelled() {
            return;
        }
        if self.line.over.is_cancelled() {
            let brokered = (self.dataset.clone(), self.broker.clone());
            self.tracker.chores.begin(let_go_later(self.tracker.clone(), key, brokered));
        } else {
            let cancel = self.transfer.cancel_request().send().promise;
            self.tracker.chores.begin(async move {
                // One that has ended, or whose machine is gone, needs no cancelling.
                let _ = cancel.await;
            });
        }
    }
}

/// Lets go of a transfer by the machine's next connection, which cancels it unless someone holds it.
async fn let_go_later(
    tracker: Rc<Tracker>,
    (machine, id): TransferKey,
    (dataset, broker): (DatasetPath, broker::Client),
) {
    tokio::time::sleep(ATTACH_AGAIN).await;
    // A machine that is still away is beyond reach.
    let Some(line) = tracker.line_of(&machine) else { return };
    let mut attach = line.agent.attach_request();
    attach.get().set_id(&id);
    attach.get().set_broker(broker.clone());
    attach.get().set_dataset(dataset.as_str());
    let attached = async {
        let started = line.hear(attach.send().promise).await?;
        // Where it is not known any more, there is nothing to cancel.
        let started = outcome::read(started.get()?.get_outcome()?)?;
        let held = |started| Held::new(&tracker, &line, (dataset, broker), started);
        started.ok().map(held).transpose()
    };
    match attached.await {
        Ok(held) => drop(held),
        Err(error) => tracing::debug!(%machine, %error, "cannot let go of a transfer"),
    }
}

/// Served to each who watches.
pub(crate) struct Transfer(pub(crate) Rc<Held>);

impl transfer::Server for Transfer {
    async fn observe(
        self: Rc<Self>,
        params: transfer::ObserveParams,
        mut results: transfer::ObserveResults,
    ) -> Result<(), Error> {
        let held = &self.0;
        let mut request = held.transfer.observe_request();
        request.get().set_observer(params.get()?.get_observer()?);
        match held.line.hear(request.send().promise).await {
            Ok(summary) => results.set(summary.get()?),
            // The transfer may go on at a machine that is away: that is no outcome of it. Who
            // watches attaches again.
            Err(error) if error.kind == ErrorKind::Disconnected => Err(error),
            Err(error) => {
                let failure = Failure::from_exception("follow", &held.id, &error);
                outcome::write(results.get().init_outcome(), Err(failure), |_, (): ()| Ok(()))
            }
        }
    }

    async fn cancel(
        self: Rc<Self>,
        _: transfer::CancelParams,
        _: transfer::CancelResults,
    ) -> Result<(), Error> {
        self.0.transfer.cancel_request().send().promise.await?;
        Ok(())
    }
}
