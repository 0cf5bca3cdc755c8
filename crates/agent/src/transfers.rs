//! The transfers into this machine: begun by the tracker, owned here.
//!
//! Each runs on a thread of its own. It goes on when the tracker goes; whoever knows its id can
//! watch it again.

mod watched;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use schema::broker_capnp::broker;
use schema::transfer_capnp::{observer, transfer as transfer_server};
use schema::{Code, Failure, outcome};
use sturdyref::Worker;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use transfer::Traffic;
use transfer::broker::{Broker, Desk};
use transfer::entrance::Entrance;
use transfer::job::{self, Job, Tools};
use transfer::outgoing::Tasks;
use transfer::report::{Status, Summary};
use transfer::wire;
use zfs::{DatasetPath, Zfs};

use self::watched::{Holder, Holders};

/// An observer hears of progress at most this often.
const REPORT_EVERY: Duration = Duration::from_millis(250);
/// So many ended transfers are remembered for those who ask again.
const REMEMBERED: usize = 100;

/// All transfers into this machine.
pub(crate) struct Transfers {
    zfs: Zfs,
    entrance: Entrance,
    tasks: Tasks,
    traffic: Traffic,
    /// Whether the tracker knows of this machine now.
    registered: watch::Sender<bool>,
    known: RefCell<Known>,
}

#[derive(Default)]
struct Known {
    transfers: HashMap<String, Handle>,
    /// In the order of their beginning.
    order: VecDeque<String>,
}

#[derive(Clone)]
struct Handle {
    dataset: DatasetPath,
    status: watch::Receiver<Status>,
    cancel: CancellationToken,
    /// Where its broker is replaced.
    desk: Desk,
    holders: Holders,
}

/// A transfer, to one who holds it.
struct Held {
    handle: Handle,
    _holder: Holder,
}

impl Transfers {
    /// None yet.
    pub(crate) fn new(zfs: Zfs, entrance: Entrance, tasks: Tasks, traffic: Traffic) -> Rc<Self> {
        let registered = watch::Sender::new(false);
        Rc::new(Self { zfs, entrance, tasks, traffic, registered, known: RefCell::default() })
    }

    /// Tells whether there is a session with the tracker, by which transfers can be watched.
    pub(crate) fn registered(&self, registered: bool) {
        self.registered.send_replace(registered);
    }

    /// Begins a transfer; gives the id by which it is found again.
    pub(crate) fn start(
        &self,
        job: Job,
        broker: broker::Client,
    ) -> Result<(String, transfer_server::Client), Failure> {
        if self.tasks.shutdown.is_cancelled() {
            return Err(Failure::new(
                Code::Offline,
                "receive",
                &job.target,
                "the agent is stopping",
                "Start it again.",
            ));
        }
        let worker = Worker::spawn("receive").map_err(|error| {
            Failure::new(
                Code::Failed,
                "receive",
                &job.target,
                format!("no thread to receive on: {error}"),
                "Wait until other transfers have ended.",
            )
        })?;
        let id = job::new_id();
        tracing::info!(%id, dataset = %job.dataset, target = %job.target, "transfer begins");
        let (status, watched) = watch::channel(Status::default());
        let cancel = self.tasks.shutdown.child_token();
        let (broker, desk) = Broker::new(broker, job.dataset.clone());
        let handle = Handle {
            dataset: job.dataset.clone(),
            status: watched,
            cancel: cancel.clone(),
            desk,
            holders: Holders::none(),
        };
        self.known.borrow_mut().remember(id.clone(), handle.clone());
        self.watch(handle.clone());
        let (zfs, entrance) = (self.zfs.clone(), self.entrance.clone());
        let (worker_of_it, traffic) = (worker.clone(), self.traffic.clone());
        let tools = Tools { zfs, broker, entrance, worker: worker_of_it, traffic, status, cancel };
        let tracker = self.tasks.tracker.clone();
        worker.run(move || tracker.track_future(job::run(job, tools)));
        Ok((id, handle.client()))
    }

    /// Cancels a transfer that nobody wants any more.
    fn watch(&self, handle: Handle) {
        let registered = self.registered.subscribe();
        tokio::task::spawn_local(async move {
            let mut status = handle.status.clone();
            let over = async {
                // The sender goes only with the transfer itself.
                let _ = status.wait_for(|status| status.outcome.is_some()).await;
            };
            handle.holders.cancel_unwanted(registered, over, &handle.cancel).await;
        });
    }

    /// A transfer of `dataset` that was begun before. It goes on with this broker: the one that it
    /// had may have been lost with a connection to the tracker.
    pub(crate) fn attach(
        &self,
        id: &str,
        dataset: &DatasetPath,
        broker: broker::Client,
    ) -> Result<transfer_server::Client, Failure> {
        let refusal = |code, reason: String| {
            Failure::new(code, "watch the transfer", id, reason, "Run the command again.")
        };
        let handle = self.known.borrow().transfers.get(id).cloned();
        let handle = handle.ok_or_else(|| {
            let reason = "this agent knows of no such transfer; it may have been started anew";
            refusal(Code::NoSuchTransfer, reason.to_owned())
        })?;
        // It would go on with a broker that reaches nothing of use to it.
        if handle.dataset != *dataset {
            let reason = format!("it is a transfer of '{}', not of '{dataset}'", handle.dataset);
            return Err(refusal(Code::Refused, reason));
        }
        handle.desk.replace(broker);
        Ok(handle.client())
    }
}

impl Known {
    fn remember(&mut self, id: String, handle: Handle) {
        self.order.push_back(id.clone());
        self.transfers.insert(id, handle);
        let ended = |handle: &Handle| handle.status.borrow().outcome.is_some();
        while self.order.len() > REMEMBERED {
            let Some(oldest) =
                self.order.iter().position(|id| self.transfers.get(id).is_none_or(ended))
            else {
                return;
            };
            if let Some(id) = self.order.remove(oldest) {
                self.transfers.remove(&id);
            }
        }
    }
}

impl Handle {
    fn client(self) -> transfer_server::Client {
        let _holder = self.holders.one_more();
        capnp_rpc::new_client(Held { handle: self, _holder })
    }

    /// Tells the observer what it doesn't know yet, again and again, until the transfer has ended.
    async fn report(&self, observer: &observer::Client) -> capnp::Result<Result<Summary, Failure>> {
        let mut watched = self.status.clone();
        let mut told = Status::default();
        loop {
            let now = watched.borrow_and_update().clone();
            tell(observer, &told, &now).await?;
            if let Some(outcome) = now.outcome {
                return Ok(outcome);
            }
            told = now;
            // The end is told at once, all else after a while.
            let mut ended = self.status.clone();
            tokio::select! {
                () = sleep(REPORT_EVERY) => {}
                _ = ended.wait_for(|status| status.outcome.is_some()) => {}
            }
            if watched.changed().await.is_err() && watched.borrow().outcome.is_none() {
                return Err(capnp::Error::failed("the transfer ended without an outcome".into()));
            }
        }
    }
}

/// Sends what is new in `now`.
async fn tell(observer: &observer::Client, told: &Status, now: &Status) -> capnp::Result<()> {
    if let (Some(plan), true) = (&now.plan, now.plan != told.plan) {
        let mut request = observer.event_request();
        wire::write_plan(request.get().init_event().init_plan(), plan);
        request.send().await?;
    }
    for note in now.notes.iter().skip(told.notes.len()) {
        let mut request = observer.event_request();
        request.get().init_event().set_note(note);
        request.send().await?;
    }
    if now.progress != told.progress {
        let mut request = observer.event_request();
        wire::write_progress(request.get().init_event().init_progress(), now.progress);
        request.send().await?;
    }
    Ok(())
}

impl transfer_server::Server for Held {
    async fn observe(
        self: Rc<Self>,
        params: transfer_server::ObserveParams,
        mut results: transfer_server::ObserveResults,
    ) -> capnp::Result<()> {
        let observer = params.get()?.get_observer()?;
        let ended = self.handle.report(&observer).await?;
        outcome::write(results.get().init_outcome(), ended, |builder, summary| {
            wire::write_summary(builder, &summary);
            Ok(())
        })
    }

    async fn cancel(
        self: Rc<Self>,
        _: transfer_server::CancelParams,
        _: transfer_server::CancelResults,
    ) -> capnp::Result<()> {
        self.handle.cancel.cancel();
        let mut watched = self.handle.status.clone();
        // The sender goes only with the transfer itself.
        let _ = watched.wait_for(|status| status.outcome.is_some()).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
