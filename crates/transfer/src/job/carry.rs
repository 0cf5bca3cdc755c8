//! A plan's steps, one after the other, and what is left to do when the snapshot has arrived.

use schema::{Code, Failure, Replica};
use zfs::process::OperationError;
use zfs::{DatasetName, Guid, PropertyName, Snapshot};

use super::converge::Transfer;
use super::ledger::key;
use super::round::Ready;
use crate::failure::Trouble;
use crate::plan::{self, Destination, Form, Step};
use crate::remote::Remote;
use crate::report::{Origin, Plan, Route, Summary};
use crate::target::{self, Look};

/// The snapshots that one command destroys: their names are one argument, of at most 128 KiB.
const MOST_AT_ONCE: usize = 400;

impl Transfer {
    /// Does the steps, and what is to be done when the snapshot has arrived.
    pub(super) async fn carry_out(&mut self, ready: Ready) -> Result<Summary, Trouble> {
        let turn = self.keep_turn();
        tokio::select! {
            done = self.do_steps(ready) => done,
            never = turn => match never {},
        }
    }

    async fn do_steps(&mut self, ready: Ready) -> Result<Summary, Trouble> {
        let mut first = match &ready.look.destination {
            Destination::Absent { .. } => true,
            Destination::Present(present) => {
                present.partial.as_ref().is_some_and(|partial| partial.first)
            }
        };
        let made = first;
        for (index, (step, size)) in ready.steps.iter().enumerate() {
            if self.tools.cancel.is_cancelled() {
                return Err(Trouble::permanent(self.interrupted()));
            }
            if let Some(request) = self.request(step, ready.flags) {
                // What the user allowed to be thrown away has been: what comes from now on hasn't.
                if self.job.options.restart || self.job.options.rollback {
                    self.job.options.restart = false;
                    self.job.options.rollback = false;
                    let left = ready.steps[index..].iter();
                    let left = left.filter(|(step, _)| step.brings().is_some());
                    self.check_room_again(left.map(|(_, size)| *size).sum()).await?;
                }
                self.stream(&ready, &request, *size, first).await?;
                first = false;
            } else {
                self.prepare_target(step, ready.form).await?;
            }
        }
        self.arrived(&ready, made).await
    }

    /// A step that only changes the destination.
    async fn prepare_target(&mut self, step: &Step, form: Form) -> Result<(), Trouble> {
        let (zfs, target) = (&self.tools.zfs, &self.job.target);
        let done: Result<(), Trouble> = match step {
            Step::Abort { .. } => {
                if let Err(error) = zfs.abort_receive(target).await {
                    return Err(Trouble::at_destination(&error));
                }
                self.release().await;
                return Ok(());
            }
            Step::CreateParent(parent) => {
                zfs.create_parent(parent).await.map(drop).map_err(|e| Trouble::at_destination(&e))
            }
            Step::Adopt => {
                let marked = async {
                    zfs.set_property(target, PropertyName::STREAM, &form.to_string()).await?;
                    zfs.set_property(target, PropertyName::TRANSFER, &self.id).await
                };
                marked.await.map_err(|error| Trouble::at_destination(&error))
            }
            Step::Rollback { to, discards, .. } => self.roll_back(to, discards).await,
            Step::Resume { .. } | Step::Send { .. } => Ok(()),
        };
        done
    }

    /// Destroys what was listed, and nothing that came since.
    async fn roll_back(&self, to: &Snapshot, discards: &[Snapshot]) -> Result<(), Trouble> {
        let (zfs, target) = (&self.tools.zfs, &self.job.target);
        let refuse = |reason: String| {
            let remedy = "Look at what is there, and run the command again.";
            Trouble::permanent(Failure::new(Code::Refused, "roll back", target, reason, remedy))
        };
        let at_destination = |error: &dyn OperationError| Trouble::at_destination(error);
        let now = zfs.dataset(target).await.map_err(|error| at_destination(&error))?;
        let Some(now) = now else { return Err(refuse("it is not there any more".to_owned())) };
        // The names may belong to others by now.
        let kept = now.snapshots.len().saturating_sub(discards.len());
        let (kept, newer) = now.snapshots.split_at(kept);
        if kept.last().is_none_or(|newest| newest.guid != to.guid) || newer != discards {
            return Err(refuse("its snapshots have changed since the plan was made".to_owned()));
        }
        // The newest first: should ZFS refuse a later command, those before it are in order.
        for some in discards.rchunks(MOST_AT_ONCE) {
            let labels: Vec<_> = some.iter().map(|snapshot| &snapshot.label).collect();
            let destroyed = zfs.destroy_snapshots(target, &labels).await;
            destroyed.map_err(|error| at_destination(&error))?;
        }
        for bookmark in now.bookmarks.iter().filter(|mark| mark.createtxg > to.createtxg) {
            let name = target.bookmark(bookmark.label.clone());
            let name = name.map_err(|error| refuse(error.to_string()))?;
            self.note(format!("destroys the bookmark {name}, which is newer than {}", to.label));
            zfs.destroy_bookmark(&name).await.map_err(|error| at_destination(&error))?;
        }
        let name = target.at(to.label.clone()).map_err(|error| refuse(error.to_string()))?;
        zfs.rollback(&name).await.map_err(|error| at_destination(&error))
    }

    /// The last steps: what was set is read back, the source is told.
    async fn arrived(&mut self, ready: &Ready, made: bool) -> Result<Summary, Trouble> {
        let goal = self.chosen()?;
        let target = self.job.target.clone();
        if made {
            let marks = target::check_marks(&self.tools.zfs, &target, ready.plan.kind).await;
            for warning in marks.map_err(Trouble::transient)? {
                self.note(warning);
            }
        } else {
            self.write_form(&target, ready).await;
        }
        if let Ok(line) = self.line() {
            let place = &ready.plan.source.place;
            let remote = Remote { client: &line.source, place };
            let finished = self.unless_cancelled(remote.finish(&goal, &self.id)).await;
            if let Some(Err(failure)) = finished {
                self.note(format!("{place} can't bookmark {}: {}", goal.label, failure.reason));
            }
        }
        // What other sources, or earlier runs, still hold.
        self.release().await;
        Ok(self.summary(ready.plan.clone(), goal.guid))
    }

    /// How the lineage's streams are made, where that wasn't written down or has changed.
    async fn write_form(&self, target: &DatasetName, ready: &Ready) {
        let Destination::Present(present) = &ready.look.destination else { return };
        if present.form == Some(ready.form) {
            return;
        }
        let form = ready.form.to_string();
        let written = self.tools.zfs.set_property(target, PropertyName::STREAM, &form).await;
        if let Err(error) = written {
            tracing::warn!(%target, error = %error.why(), "cannot write down the form of its streams");
        }
    }

    /// Has everyone let go of what they hold for this transfer. If the tracker is away, that is
    /// left to the next run, or to the 7 days.
    async fn release(&self) {
        self.held.borrow_mut().clear();
        let released = self.unless_cancelled(self.tools.broker.release(&self.id)).await;
        if let Some(Err(failure)) = released {
            self.note(format!(
                "other sources that were used keep their holds for now: {}",
                failure.reason
            ));
        }
    }

    /// What comes after the data is not worth a wait to who wants no more.
    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.tools.cancel.cancelled() => None,
        }
    }

    fn chosen(&self) -> Result<Snapshot, Trouble> {
        self.goal.clone().ok_or_else(|| {
            let reason = "no snapshot was chosen";
            let target = &self.job.target;
            Trouble::permanent(Failure::new(Code::Failed, "receive", target, reason, ""))
        })
    }

    /// The snapshot is there: from before, or from a round that failed after that.
    pub(super) async fn is_there_already(
        &mut self,
        goal: &Snapshot,
        look: &Look,
    ) -> Result<Summary, Trouble> {
        let plan = match &self.begun {
            Some((plan, _)) => plan.clone(),
            None => self.nothing_to_do(goal, look)?,
        };
        if self.begun.is_none() {
            self.tools.status.send_modify(|status| status.plan = Some(plan.clone()));
        }
        if !self.job.dry_run {
            self.finish_late(goal, look).await;
            // What was interrupted there was on its way to another snapshot, and may yet go on.
            if !self.mark.is_partial() {
                self.release().await;
            }
        }
        Ok(self.summary(plan, goal.guid))
    }

    /// Tells a source that the snapshot has arrived, where the round that received it, perhaps in an
    /// earlier run, came to no such end. Without a bookmark, all that is lost is a later increment.
    async fn finish_late(&mut self, goal: &Snapshot, look: &Look) {
        let ours = matches!(&look.destination, Destination::Present(present) if present.ours);
        let has_bookmark =
            |replica: &Replica| replica.bookmarks.iter().any(|b| b.guid == goal.guid);
        let (from, near) = (self.job.from.as_ref(), self.job.near.as_ref());
        let sources = plan::sources(&self.replicas, goal.guid, from, near, look.guid);
        let Some(source) =
            sources.first().filter(|_| ours && !sources.iter().any(|r| has_bookmark(r)))
        else {
            return;
        };
        let source = key(source);
        let finished = async {
            self.reach(&source, false).await?;
            let line = self.line()?;
            let remote = Remote { client: &line.source, place: &source.0 };
            remote.opened(line.opening(self.job.program)).await.map_err(Trouble::at_source)?;
            remote.finish(goal, &self.id).await.map_err(Trouble::at_source)
        };
        if let Err(trouble) = finished.await {
            self.note(format!(
                "{} can't bookmark {}: {}",
                source.0, goal.label, trouble.failure.reason
            ));
        }
    }

    fn nothing_to_do(&self, goal: &Snapshot, look: &Look) -> Result<Plan, Trouble> {
        let holds = |replica: &&Replica| {
            replica.snapshots.iter().any(|snapshot| snapshot.guid == goal.guid)
                && Some(replica.properties.guid) != look.guid
        };
        let replica = self.replicas.iter().find(holds).ok_or_else(|| {
            let reason = "nobody else has the snapshot any more";
            let target = &self.job.target;
            Trouble::permanent(Failure::new(Code::NoSuchDataset, "receive", target, reason, ""))
        })?;
        Ok(Plan {
            snapshot: Some(goal.clone()),
            source: Origin {
                place: replica.place.clone(),
                dataset: replica.name.clone(),
                route: Route::Direct,
            },
            target: self.job.target.clone(),
            kind: replica.properties.kind,
            raw: replica.properties.encrypted,
            steps: Vec::new(),
            bytes: Some(0),
            warnings: self.warnings.clone(),
        })
    }

    fn summary(&self, plan: Plan, guid: Guid) -> Summary {
        let (plan, elapsed) = match &self.begun {
            Some((first, since)) => (first.clone(), since.elapsed()),
            None => (plan, std::time::Duration::ZERO),
        };
        Summary {
            plan,
            bytes: self.received(),
            elapsed,
            guid: Some(guid),
            sources: self.ledger.used().to_vec(),
            retries: self.retries,
        }
    }
}
