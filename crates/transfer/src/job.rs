//! One transfer, from a wish to a verified snapshot: the receiver plans it and owns it.
//!
//! Runs on a thread of its own. Whoever asked for it watches its [`Status`].

use std::pin::pin;
use std::time::{Duration, Instant};

use schema::{Code, Failure, Location, Place};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zfs::process::ReceiveOptions;
use zfs::process::Zfs;
use zfs::{DatasetName, DatasetPath, Guid, Properties, Snapshot, SnapshotLabel, SnapshotName};

use crate::broker::Broker;
use crate::dial::{self, Line};
use crate::failure::zfs_failure;
use crate::guard::Expected;
use crate::incoming::{self, Ended};
use crate::outgoing::snapshot_label;
use crate::plan::{self, Step, Wanted, Wish};
use crate::remote::Remote;
use crate::report::{Plan, Status, Summary};
use crate::target;

/// How long a sender that has dropped the sink may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is to be received.
#[derive(Clone, Debug)]
pub struct Job {
    /// Marks what it leaves at the destination.
    pub id: String,
    /// The dataset's path below its pool, at the source.
    pub dataset: DatasetPath,
    /// What it becomes here.
    pub target: DatasetName,
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
}

/// An id for a transfer; it need not be secret, only another than all others.
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
    /// Whether the fleet speaks TLS.
    pub tls: bool,
    /// Told everything, the outcome last.
    pub status: watch::Sender<Status>,
    /// Ends the job; it still waits for its processes.
    pub cancel: CancellationToken,
}

/// Runs the job. When this returns, none of its processes is left.
pub async fn run(job: Job, tools: Tools) {
    let transfer = Transfer { job, tools };
    let outcome = transfer.run().await;
    if let Err(failure) = &outcome {
        tracing::warn!(dataset = %transfer.job.dataset, target = %transfer.job.target, %failure, "transfer failed");
    }
    transfer.tools.status.send_modify(|status| status.outcome = Some(outcome));
}

struct Transfer {
    job: Job,
    tools: Tools,
}

/// A transfer that only needs to be done.
struct Ready {
    line: Line,
    plan: Plan,
    steps: Vec<Step>,
    /// The stream's size in bytes, by the sender's own word.
    announced: u64,
}

impl Transfer {
    async fn run(&self) -> Result<Summary, Failure> {
        // Until the first step nothing at the destination has changed and no process is ours, so
        // the preparation may be dropped anywhere.
        let ready = tokio::select! {
            ready = self.prepare() => ready?,
            () = self.tools.cancel.cancelled() => return Err(self.interrupted()),
        };
        self.carry_out(ready).await
    }

    /// Chooses, reaches the source, looks at both sides and plans. Changes nothing, but for a first
    /// snapshot at the source.
    async fn prepare(&self) -> Result<Ready, Failure> {
        let Job { dataset, target, .. } = &self.job;
        let replicas = self.tools.broker.replicas().await?;
        let wish = Wish {
            dataset,
            from: self.job.from.as_ref(),
            snapshot: self.job.snapshot.as_ref(),
            near: self.job.near.as_ref(),
        };
        let choice = plan::choose(&replicas, wish)?;
        let may_snapshot = choice.snapshot == Wanted::New;
        self.check_name(&choice.snapshot)?;
        let line =
            dial::reach(&self.tools.broker, &choice.source, may_snapshot, self.tools.tls).await?;
        let remote = Remote { client: &line.source, place: &choice.source };
        let Properties { kind, encrypted, referenced, .. } = remote.open(self.job.program).await?;

        // Looked at before a snapshot is taken: a refusal must leave nothing behind.
        let destination = target::look(&self.tools.zfs, target, &choice.snapshot).await?;
        let steps = plan::plan(target, &destination)?;
        let snapshot = match choice.snapshot {
            Wanted::Existing(snapshot) => Some(snapshot),
            Wanted::New if self.job.dry_run => None,
            Wanted::New => Some(remote.take_snapshot().await?),
        };
        let bytes = match &snapshot {
            Some(snapshot) => remote.estimate(snapshot, encrypted).await?,
            None => None,
        };
        let plan = Plan {
            snapshot,
            source: choice.source,
            target: target.clone(),
            kind,
            raw: encrypted,
            bytes,
            creates: steps.iter().filter_map(Step::creates).cloned().collect(),
            aborts: steps.iter().any(|step| matches!(step, Step::AbortReceive(_))),
            route: line.route,
            warnings: choice.warnings,
        };
        self.tools.status.send_modify(|status| {
            status.plan = Some(plan.clone());
            status.progress.total = plan.bytes;
        });
        Ok(Ready { line, announced: plan.bytes.unwrap_or(referenced), plan, steps })
    }

    /// The target's name must leave room for the snapshot's, or the receive would fail at its end.
    fn check_name(&self, wanted: &Wanted) -> Result<(), Failure> {
        let named = match wanted {
            Wanted::Existing(snapshot) => self.job.target.at(snapshot.label.clone()),
            Wanted::New => snapshot_label().parse().and_then(|label| self.job.target.at(label)),
        };
        named.map(drop).map_err(|error| {
            Failure::new(Code::Usage, "receive", "", error, "Give the destination a shorter name.")
        })
    }

    async fn carry_out(
        &self,
        Ready { line, plan, steps, announced }: Ready,
    ) -> Result<Summary, Failure> {
        let started = Instant::now();
        let (mut bytes, mut guid) = (0, None);
        if let (false, Some(snapshot)) = (self.job.dry_run, &plan.snapshot) {
            for step in &steps {
                match step {
                    Step::AbortReceive(target) => {
                        let aborted = self.tools.zfs.abort_receive(target).await;
                        aborted.map_err(|error| zfs_failure(&error))?;
                    }
                    Step::CreateParent(parent) => {
                        let created = self.tools.zfs.create_parent(parent).await;
                        created.map_err(|error| zfs_failure(&error))?;
                    }
                    Step::Receive => {
                        bytes = self.receive(&line, &plan, snapshot, announced).await?
                    }
                }
            }
            guid = Some(self.verify(snapshot).await?);
            for warning in target::check_marks(&self.tools.zfs, &plan).await? {
                self.note(warning);
            }
        }
        Ok(Summary { plan, bytes, elapsed: started.elapsed(), guid })
    }

    /// Receives the stream; returns its length in bytes.
    async fn receive(
        &self,
        line: &Line,
        plan: &Plan,
        snapshot: &Snapshot,
        announced: u64,
    ) -> Result<u64, Failure> {
        let target = &self.job.target;
        let name = self.received_name(snapshot)?;
        let options = ReceiveOptions::first(plan.kind, &self.job.id);
        let expected = Expected {
            guid: snapshot.guid,
            label: snapshot.label.clone(),
            kind: plan.kind,
            raw: plan.raw,
            announced,
        };
        let Tools { zfs, status, cancel, .. } = &self.tools;
        let (sink, incoming) = incoming::channel();
        let count = |bytes: usize| {
            status.send_modify(|status| status.progress.bytes += bytes as u64);
        };
        let remote = Remote { client: &line.source, place: &plan.source };
        let (ended_by_sender, stop) = (incoming.ended.clone(), cancel.child_token());
        let start = || zfs.receive(&name, &options);
        let mut receiving =
            pin!(incoming::receive(incoming, start, target, &expected, &stop, count));
        let mut sending = pin!(remote.send(snapshot, plan.raw, sink));
        // Whichever side ends first decides; the process is waited for in any case.
        let (ended, sent) = tokio::select! {
            ended = &mut receiving => match ended {
                // The sink is gone: the sender's answer, or the loss of the connection, tells why.
                Ended::Aborted if !cancel.is_cancelled() => {
                    (ended, timeout(LAST_WORDS, sending).await.ok())
                }
                _ => (ended, None),
            },
            sent = &mut sending => {
                // A sender that is done without having ended the stream won't end it any more.
                if sent.is_err() || !ended_by_sender.get() {
                    stop.cancel();
                }
                (receiving.await, Some(sent))
            }
        };
        let failure = match (ended, sent) {
            (Ended::Complete(warnings), _) => {
                if !warnings.is_empty() {
                    self.note(format!("zfs receive warned: {warnings}"));
                }
                return Ok(status.borrow().progress.bytes);
            }
            (Ended::Failed(failure), _) => failure,
            (Ended::Aborted, _) if cancel.is_cancelled() => self.interrupted(),
            (Ended::Aborted, Some(Err(failure))) => failure,
            (Ended::Aborted, _) => Failure::new(
                Code::Failed,
                "receive",
                target,
                format!("{} stopped sending without having ended the stream", plan.source),
                "Run the command again.",
            ),
        };
        // Either side may fail in what comes after the data. What counts is whether the snapshot is
        // there: it can't have been there before, and ZFS has checked its stream to the end.
        match self.verify(snapshot).await {
            Ok(_) => {
                self.note(format!("it has arrived whole, and then: {}", failure.reason));
                Ok(status.borrow().progress.bytes)
            }
            Err(_) => Err(failure),
        }
    }

    fn received_name(&self, snapshot: &Snapshot) -> Result<SnapshotName, Failure> {
        self.job.target.at(snapshot.label.clone()).map_err(|error| {
            Failure::new(Code::Usage, "receive", "", error, "Give the destination a shorter name.")
        })
    }

    fn note(&self, note: String) {
        self.tools.status.send_modify(|status| status.notes.push(note));
    }

    /// Done is only what can be read back: ZFS ignores a snapshot that exists, with exit status 0.
    async fn verify(&self, snapshot: &Snapshot) -> Result<Guid, Failure> {
        let wrong = |reason: String| {
            Failure::new(
                Code::Failed,
                "verify",
                &self.job.target,
                reason,
                "Look at what is there with: zfs list -t all -o name,guid",
            )
        };
        let name = self.job.target.at(snapshot.label.clone()).map_err(|e| wrong(e.to_string()))?;
        let found =
            self.tools.zfs.snapshot_guid(&name).await.map_err(|error| zfs_failure(&error))?;
        match found {
            Some(guid) if guid == snapshot.guid => Ok(guid),
            Some(guid) => Err(wrong(format!(
                "its snapshot '{}' has the GUID {guid}, not {}",
                snapshot.label, snapshot.guid
            ))),
            None => Err(wrong(format!("its snapshot '{}' is not there", snapshot.label))),
        }
    }

    fn interrupted(&self) -> Failure {
        Failure::new(
            Code::Interrupted,
            "finish the transfer of",
            &self.job.dataset,
            "it was cancelled",
            "Run the command again to begin anew.",
        )
    }
}
