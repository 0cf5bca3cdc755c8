//! One transfer, from a wish to a verified snapshot: the receiver plans it and owns it.
//!
//! Runs on a thread of its own. Whoever asked for it watches its [`Status`]. It goes in
//! [rounds](self::round): each looks at what is there now, plans, and carries the plan out; one
//! that fails is followed by another, until the snapshot is there or nothing helps any more.

mod carry;
mod converge;
mod hold;
mod ledger;
mod price;
mod round;
mod source;
mod stream;
mod turn;
mod way;

use schema::{Location, Place};
use sturdyref::Worker;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use zfs::process::Zfs;
use zfs::{DatasetName, DatasetPath, SnapshotLabel};

use self::converge::Transfer;
use crate::broker::Broker;
use crate::entrance::Entrance;
use crate::options::Options;
use crate::report::Status;
pub use crate::reserve::Reserve;
use crate::traffic::Traffic;

/// What is to be received.
#[derive(Clone, Debug)]
pub struct Job {
    /// The dataset's path below its pool, at the source.
    pub dataset: DatasetPath,
    /// What it becomes here.
    pub target: DatasetName,
    /// What this machine is called, for people.
    pub machine: String,
    /// What the target is called elsewhere, for people: by it a hold at the source tells its purpose.
    pub destination: String,
    /// The source to use and no other.
    pub from: Option<Place>,
    /// The snapshot to use and no other.
    pub snapshot: Option<SnapshotLabel>,
    /// Where this machine is, if it is at a location.
    pub near: Option<Location>,
    /// Plan, and do nothing.
    pub dry_run: bool,
    /// The program's name, for the source's messages.
    pub program: &'static str,
    /// How the user wants it done.
    pub options: Options,
    /// What this machine allows.
    pub permits: Permits,
}

/// What a destination allows, whoever asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permits {
    /// Discarding what the source lacks.
    pub rollback: bool,
    /// What is to stay free of the pool.
    pub reserve: Reserve,
}

/// An id for a transfer that is under way; it need not be secret, only another than all others.
pub fn new_id() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// What a job is done with.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Runs `zfs` here.
    pub zfs: Zfs,
    /// Knows the dataset's replicas and the way to them.
    pub broker: Broker,
    /// Where a sender can dial this machine, should it have to.
    pub entrance: Entrance,
    /// The thread that the job runs on.
    pub worker: Worker,
    /// When it may receive, and how fast.
    pub traffic: Traffic,
    /// Told everything, the outcome last.
    pub status: watch::Sender<Status>,
    /// Ends the job; it still waits for its processes.
    pub cancel: CancellationToken,
}

/// Runs the job. When this returns, none of its processes is left.
pub async fn run(job: Job, tools: Tools) {
    let status = tools.status.clone();
    let (dataset, target) = (job.dataset.clone(), job.target.clone());
    let outcome = Transfer::new(job, tools).run().await;
    if let Err(failure) = &outcome {
        tracing::warn!(%dataset, %target, %failure, "transfer failed");
    }
    status.send_modify(|status| status.outcome = Some(outcome));
}
