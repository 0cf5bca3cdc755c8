//! Which source goes on with what is there; and why none does, or what is waited for.

use std::time::{Duration, Instant};

use schema::{Code, Failure, Replica};
use zfs::Snapshot;

use super::converge::Transfer;
use super::ledger::key;
use crate::failure::Trouble;
use crate::plan::{self, Step};
use crate::target::Look;

/// A snapshot that was taken or renamed just now may not have come round yet.
const GONE: Duration = Duration::from_secs(60);

impl Transfer {
    /// The best source that a plan can be made with.
    pub(super) fn choose_source(
        &mut self,
        goal: &Snapshot,
        look: &Look,
    ) -> Result<(Replica, Vec<Step>), Trouble> {
        self.others = false;
        match self.is_anywhere(goal) {
            true => self.gone_since = None,
            false => drop(self.gone_since.get_or_insert_with(Instant::now)),
        }
        let (target, from) = (&self.job.target, self.job.from.as_ref());
        let options = self.plan_options();
        let sources =
            plan::sources(&self.replicas, goal.guid, from, self.job.near.as_ref(), look.guid);
        let mut usable = self.ledger.usable(sources);
        if let Some(((place, name), _)) = self.line.as_ref().filter(|_| self.turns.there) {
            plan::with_turn_first(&mut usable, (place, name));
        }
        let unsafe_to_resume = self.keep_safe(&mut usable, look, options.restart);
        let planned = plan::plan_any(target, goal, &usable, &look.destination, options);
        let (index, steps) = planned.map_err(|failure| {
            if usable.is_empty() {
                self.nobody(goal, look, unsafe_to_resume)
            } else {
                self.none_fits(goal, look, failure)
            }
        })?;
        let is_untried = |replica: &Replica| self.ledger.strikes(&key(replica)) == 0;
        // Those before it don't fit. The index is of one of them.
        let (chosen, others) = (usable[index].clone(), &usable[index + 1..]);
        self.others = others.iter().any(|it| is_untried(it) && self.fits(it, goal, look));
        Ok((chosen, steps))
    }

    /// Whether a plan can be made with a replica.
    fn fits(&self, replica: &Replica, goal: &Snapshot, look: &Look) -> bool {
        let (target, options) = (&self.job.target, self.plan_options());
        plan::plan_any(target, goal, &[replica], &look.destination, options).is_ok()
    }

    /// With those that are online no plan can be made.
    fn none_fits(&self, goal: &Snapshot, look: &Look, failure: Failure) -> Trouble {
        let (target, options) = (&self.job.target, self.plan_options());
        if let Some(stuck) = plan::stuck(target, &look.destination, &self.replicas, options) {
            return Trouble::permanent(stuck);
        }
        let mut away = self.away(goal, look);
        away.retain(|replica| self.fits(replica, goal, look));
        // Who failed lately comes first: what keeps the others from it may be no news.
        match waiting_for(&away).or_else(|| self.asked_again()) {
            Some(waiting) => {
                let reason = format!("{}\n{}", waiting.reason, failure.reason);
                Trouble::transient(Failure { reason, ..waiting })
            }
            None => Trouble::permanent(failure),
        }
    }

    /// Whether a machine has it, online or off, as far as is known.
    fn is_anywhere(&self, goal: &Snapshot) -> bool {
        let has = |replica: &Replica| replica.snapshots.iter().any(|it| it.guid == goal.guid);
        self.replicas.iter().any(has)
    }

    /// Why those are not asked now that will be asked again, where there is something to be saved.
    fn asked_again(&self) -> Option<Failure> {
        let worth_it = self.mark.is_partial() && self.ledger.will_ask();
        self.ledger.out().filter(|_| worth_it)
    }

    /// Who has it and is offline, but for those that were left for good.
    fn away(&self, goal: &Snapshot, look: &Look) -> Vec<&Replica> {
        let from = self.job.from.as_ref();
        self.ledger.usable(plan::away(&self.replicas, goal.guid, from, look.guid))
    }

    /// Leaves only sources that can go on with what is there without harm. A stream with large
    /// blocks may be continued by another dataset only where it is known how what has arrived was
    /// cut into blocks; else by who sent it.
    fn keep_safe(&self, usable: &mut Vec<&Replica>, look: &Look, restart: bool) -> Option<Failure> {
        let token = look.token().filter(|token| token.large_blocks && !restart)?;
        if self.tail.block_size(token).is_some() {
            return None;
        }
        let sender = look.sender.filter(|sender| sender.snapshot == token.to_guid);
        let before = usable.len();
        usable.retain(|replica| sender.is_some_and(|it| it.dataset == replica.properties.guid));
        (usable.len() < before).then(|| {
            Failure::new(
                Code::Refused,
                "resume",
                &self.job.target,
                "it was received in large blocks by a program that has ended since, so only the \
                 source that sent it may go on with it, and that one is not online",
                "Bring that source online, or begin anew with --restart.",
            )
        })
    }

    /// No source is left to be asked.
    fn nobody(&self, goal: &Snapshot, look: &Look, unsafe_to_resume: Option<Failure>) -> Trouble {
        if self.gone_since.is_some_and(|since| since.elapsed() >= GONE) {
            let target = &self.job.target;
            let reason = format!(
                "the snapshot {} (GUID {}) is gone from all machines, or they have renamed its dataset",
                goal.label, goal.guid
            );
            let remedy = "Run the command again, with the dataset's new name if it has one; with \
                          --restart for another snapshot if something was interrupted.";
            return Trouble::permanent(Failure::new(
                Code::NoSuchDataset,
                "receive",
                target,
                reason,
                remedy,
            ));
        }
        if let (Some(waiting), None) = (waiting_for(&self.away(goal, look)), &unsafe_to_resume) {
            return Trouble::transient(waiting);
        }
        match (unsafe_to_resume, self.ledger.out()) {
            (Some(failure), None) => Trouble::transient(failure),
            (_, Some(failure)) if self.asked_again().is_some() => Trouble::transient(failure),
            (_, Some(failure)) => Trouble::permanent(failure),
            (None, None) => Trouble::transient(Failure::new(
                Code::Offline,
                "receive",
                &self.job.target,
                format!("no machine that is online has its snapshot {}", goal.label),
                "Bring one online that has it: start its agent, import its pool.",
            )),
        }
    }
}

/// The failure that ends when one of these is back.
fn waiting_for(away: &[&Replica]) -> Option<Failure> {
    let places: Vec<String> = away.iter().map(|replica| replica.place.to_string()).collect();
    Some(Failure::new(
        Code::Offline,
        "receive from",
        &away.first()?.place,
        format!("waiting for what is offline: {}", places.join(", ")),
        "Bring one of these online: start its agent, import its pool.",
    ))
}
