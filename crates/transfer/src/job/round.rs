//! One round: look at both sides, choose a source, plan, reach it, and carry the plan out.

use std::time::Instant;

use schema::{Code, Failure, Replica};
use zfs::process::SendFlags;
use zfs::{Properties, Snapshot};

use super::Tools;
use super::converge::Transfer;
use super::ledger::{Key, key};
use super::price::Priced;
use crate::dial::{self, Line, Wanted};
use crate::failure::Trouble;
use crate::outgoing::snapshot_label;
use crate::plan::{self, Chosen, Destination, Form, Goal, Options, Step, Wish};
use crate::remote::Remote;
use crate::report::{self, Action, Origin, Plan, Route, Summary};
use crate::target::{self, Look};

/// A round that only needs to be carried out.
pub(super) struct Ready {
    pub(super) plan: Plan,
    /// The plan's steps, for those who do them.
    pub(super) steps: Vec<Priced>,
    pub(super) look: Look,
    pub(super) form: Form,
    /// How its streams are made.
    pub(super) flags: SendFlags,
    /// What the source told of its dataset.
    pub(super) source: Properties,
}

/// What came of the preparation.
enum Prepared {
    /// There is something to do.
    Ready(Box<Ready>),
    /// All is done, or was to be told only.
    Done(Box<Summary>),
    /// It was another's turn first: what was seen before is to be looked at again.
    Waited,
}

/// What is to arrive.
enum Aim {
    At(Snapshot),
    /// One that would be taken, were this no dry run.
    ToBeTaken,
    /// It was another's turn first: there may be one by now.
    Waited,
}

fn done(summary: Summary) -> Prepared {
    Prepared::Done(Box::new(summary))
}

impl Transfer {
    pub(super) async fn round(&mut self) -> Result<Summary, Trouble> {
        // Until the first step nothing at the destination has changed and no process is ours, so
        // the preparation may be dropped anywhere.
        let cancel = self.tools.cancel.clone();
        loop {
            let prepared = tokio::select! {
                prepared = self.prepare() => prepared?,
                () = cancel.cancelled() => return Err(Trouble::permanent(self.interrupted())),
            };
            match prepared {
                Prepared::Ready(ready) => return self.carry_out(*ready).await,
                Prepared::Done(summary) => return Ok(*summary),
                // There may be a newer snapshot by now, and nothing was held meanwhile.
                Prepared::Waited if self.begun.is_none() => self.goal = None,
                Prepared::Waited => {}
            }
        }
    }

    async fn prepare(&mut self) -> Result<Prepared, Trouble> {
        self.others = false;
        self.refresh().await?;
        let mut look = target::look(&self.tools.zfs, &self.job.target).await?;
        match &mut look.destination {
            Destination::Present(present) => present.ours |= self.made,
            // What is there the next time may be somebody else's.
            Destination::Absent { .. } => self.made = false,
        }
        self.mark = look.mark();
        let goal = match self.aim(&look).await? {
            Aim::At(goal) => goal,
            Aim::ToBeTaken => return self.would_take_snapshot(&look).map(done),
            Aim::Waited => return Ok(Prepared::Waited),
        };
        if look.destination.has(goal.guid) {
            return self.is_there_already(&goal, &look).await.map(done);
        }
        let (replica, steps) = self.choose_source(&goal, &look)?;
        let source_key = key(&replica);
        self.source = Some(source_key.clone());
        let form = self.form(&replica, &look.destination);
        self.reach(&source_key, false).await?;
        let line = self.line()?;
        let remote = Remote { client: &line.source, place: &replica.place };
        let opened = remote.opened(line.opening(self.job.program)).await;
        let source = opened.map_err(Trouble::at_source)?;
        let origin = Origin {
            place: replica.place.clone(),
            dataset: replica.name.clone(),
            route: line.route,
        };
        let whole = steps.iter().any(|step| matches!(step, Step::Send { base: None, .. }));
        let frees =
            steps.iter().any(|step| matches!(step, Step::Abort { .. } | Step::Rollback { .. }));
        let flags = self.flags(form).await?;
        let (mut plan, steps) =
            self.price(&remote, &goal, steps, (form, flags), origin, source.dataset.kind).await?;
        plan.warnings.extend(plan::warnings(&replica, form.raw, whole));
        if !frees {
            self.check_room(&look.destination, plan.bytes).await?;
        }
        if !self.job.dry_run && self.take_turns(&source_key, &source).await? {
            return Ok(Prepared::Waited);
        }
        self.publish(&plan);
        if self.job.dry_run {
            return Ok(done(self.dry(plan)));
        }
        let source = source.dataset;
        Ok(Prepared::Ready(Box::new(Ready { plan, steps, look, form, flags, source })))
    }

    /// Asks who has what. Without an answer what was known before is good enough.
    async fn refresh(&mut self) -> Result<(), Trouble> {
        match self.tools.broker.replicas().await {
            Ok(replicas) => self.replicas = replicas,
            Err(failure) if self.replicas.is_empty() => return Err(Trouble::transient(failure)),
            Err(failure) => tracing::info!(%failure, "going by what the tracker told before"),
        }
        Ok(())
    }

    /// The snapshot that is to arrive, chosen once.
    async fn aim(&mut self, look: &Look) -> Result<Aim, Trouble> {
        if let Some(goal) = &self.goal {
            return Ok(Aim::At(goal.clone()));
        }
        let wish = Wish {
            dataset: &self.job.dataset,
            from: self.job.from.as_ref(),
            snapshot: self.job.snapshot.as_ref(),
            except: look.guid,
        };
        let Chosen { goal, warnings } =
            plan::choose(&self.replicas, wish).map_err(Trouble::permanent)?;
        self.warnings = warnings;
        let goal = match goal {
            Goal::Existing(snapshot) => snapshot,
            Goal::New { at } => {
                let key = (at, self.job.dataset.clone());
                match self.take_snapshot(&key, look).await? {
                    Aim::At(snapshot) => snapshot,
                    other => return Ok(other),
                }
            }
        };
        self.check_name(self.job.target.at(goal.label.clone()))?;
        self.goal = Some(goal.clone());
        Ok(Aim::At(goal))
    }

    /// Has the source take its first snapshot.
    async fn take_snapshot(&mut self, key: &Key, look: &Look) -> Result<Aim, Trouble> {
        // Looked at before a snapshot is taken: a refusal must leave nothing behind.
        if let Destination::Present(_) = &look.destination {
            return Err(Trouble::permanent(Failure::new(
                Code::Refused,
                "receive",
                &self.job.target,
                "the destination exists already",
                "Choose another name for it, or rename what is there with: zfs rename",
            )));
        }
        self.check_name(snapshot_label().parse().and_then(|label| self.job.target.at(label)))?;
        self.source = Some(key.clone());
        if self.job.dry_run {
            return Ok(Aim::ToBeTaken);
        }
        self.reach(key, true).await?;
        let line = self.line()?;
        let remote = Remote { client: &line.source, place: &key.0 };
        let opened = remote.opened(line.opening(self.job.program)).await;
        let opened = opened.map_err(Trouble::at_source)?;
        if self.take_turns(key, &opened).await? {
            return Ok(Aim::Waited);
        }
        let line = self.line()?;
        let remote = Remote { client: &line.source, place: &key.0 };
        let taken = remote.take_snapshot().await.map_err(Trouble::at_snapshot)?;
        let of_source = |replica: &&mut Replica| super::ledger::key(replica) == *key;
        if let Some(replica) = self.replicas.iter_mut().find(of_source) {
            replica.snapshots.push(taken.clone());
        }
        Ok(Aim::At(taken))
    }

    /// The target's name must leave room for the snapshot's, or the receive would fail at its end.
    fn check_name<T, E: std::fmt::Display>(&self, named: Result<T, E>) -> Result<(), Trouble> {
        named.map(drop).map_err(|error| {
            let remedy = "Give the destination a shorter name.";
            Trouble::permanent(Failure::new(Code::Usage, "receive", "", error, remedy))
        })
    }

    pub(super) fn plan_options(&self) -> Options {
        let options = &self.job.options;
        Options {
            all_snapshots: options.all_snapshots,
            restart: options.restart,
            rollback: options.rollback,
            may_rollback: self.job.permits.rollback,
            adopt: options.adopt,
            decrypt: options.decrypt,
        }
    }

    fn form(&self, replica: &Replica, destination: &Destination) -> Form {
        let encrypted = replica.properties.encrypted;
        let form = plan::form(encrypted, destination, self.plan_options(), true);
        Form { large_blocks: form.large_blocks || self.large_blocks, ..form }
    }

    /// Connects to a source, unless that is the one in use.
    pub(super) async fn reach(&mut self, key: &Key, may_snapshot: bool) -> Result<(), Trouble> {
        if self.line.as_ref().is_some_and(|(in_use, _)| in_use == key) {
            return Ok(());
        }
        self.line = None;
        self.turns.there = false;
        let Tools { broker, entrance, worker, traffic, .. } = &self.tools;
        let avoided = self.ledger.avoided(key);
        let (place, dataset, ways) = (&key.0, &key.1, &traffic.ways);
        let (avoided, program) = (&avoided, self.job.program);
        let wanted = Wanted { place, dataset, may_snapshot, avoided, ways, program };
        let reached = dial::reach(broker, entrance, worker, wanted).await;
        if reached.is_err() {
            // There is no better way than those that were avoided.
            self.ledger.avoid_none(key);
        }
        self.line = Some((key.clone(), reached.map_err(Trouble::at_source)?));
        Ok(())
    }

    pub(super) fn line(&self) -> Result<&Line, Trouble> {
        self.line.as_ref().map(|(_, line)| line).ok_or_else(|| {
            let reason = "the connection to the source is gone";
            Trouble::transient(Failure::new(Code::Failed, "receive", &self.job.target, reason, ""))
        })
    }

    /// Tells the plan, and when it is the first, remembers it.
    fn publish(&mut self, plan: &Plan) {
        let received = self.received();
        self.tools.status.send_modify(|status| {
            status.plan = Some(plan.clone());
            status.progress.total = plan.bytes.map(|bytes| received + bytes);
        });
        if self.begun.is_some() {
            let Origin { place, dataset, .. } = &plan.source;
            self.note(format!("going on from {place} ({dataset})"));
        }
        if self.begun.is_none() && !self.job.dry_run {
            self.begun = Some((plan.clone(), Instant::now()));
        }
    }

    fn dry(&self, plan: Plan) -> Summary {
        Summary {
            plan,
            bytes: 0,
            elapsed: std::time::Duration::ZERO,
            guid: None,
            sources: Vec::new(),
            retries: 0,
        }
    }

    /// A dry run where the source would have to take a snapshot first.
    fn would_take_snapshot(&self, look: &Look) -> Result<Summary, Trouble> {
        let source = self
            .source
            .clone()
            .and_then(|of| self.replicas.iter().find(|replica| key(replica) == of));
        let replica = source.ok_or_else(|| {
            let reason = "nobody has it any more";
            let target = &self.job.target;
            Trouble::permanent(Failure::new(Code::NoSuchDataset, "receive", target, reason, ""))
        })?;
        let missing = match &look.destination {
            Destination::Absent { missing_parents } => missing_parents.as_slice(),
            Destination::Present(_) => &[],
        };
        let steps = missing.iter().cloned().map(Action::CreateParent);
        let raw = replica.properties.encrypted && !self.job.options.decrypt;
        let warnings = self.warnings.iter().cloned().chain(plan::warnings(replica, raw, true));
        let plan = Plan {
            snapshot: None,
            source: Origin {
                place: replica.place.clone(),
                dataset: replica.name.clone(),
                route: Route::Direct,
            },
            target: self.job.target.clone(),
            kind: replica.properties.kind,
            raw,
            steps: steps.map(|action| report::Step { action, bytes: None }).collect(),
            bytes: None,
            warnings: warnings.collect(),
        };
        self.tools.status.send_modify(|status| status.plan = Some(plan.clone()));
        Ok(self.dry(plan))
    }
}
