//! Round after round until the snapshot is there.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use schema::text::{Bytes, Span};
use schema::{Code, Failure, Place, Replica};
use sturdyref::Backoff;
use tokio::time::sleep;
use zfs::{Guid, Snapshot};

use super::ledger::{Key, Ledger};
use super::turn::Turns;
use super::{Job, Tools};
use crate::dial::Line;
use crate::failure::{Class, Trouble};
use crate::lock;
use crate::report::{Plan, Summary};
use crate::tail::Tail;
use crate::target::{self, Mark};
use crate::traffic::throttle::Throttle;

/// What has been away for longer is asked for less often: each time, all that all replicas have
/// crosses the network. It has no turn to receive any more, either.
const SOON: Duration = Duration::from_secs(5 * 60);
const SELDOM: Duration = Duration::from_secs(60);
/// What is told of one transfer.
const MOST_NOTES: usize = 1000;

/// Bytes of streams, by where they come from, what they start from, and what they make.
pub(super) type Sizes = BTreeMap<(Place, Option<Guid>, Guid), Option<u64>>;

/// A transfer, and all that it has learned on its way.
pub(super) struct Transfer {
    pub(super) job: Job,
    pub(super) tools: Tools,
    /// What the destination goes by: at each run the same.
    pub(super) id: String,
    /// The snapshot that is to arrive, once it is chosen.
    pub(super) goal: Option<Snapshot>,
    /// What the user should know of that choice.
    pub(super) warnings: Vec<String>,
    /// As the tracker told them last.
    pub(super) replicas: Vec<Replica>,
    pub(super) ledger: Ledger,
    pub(super) tail: Tail,
    /// The source in use.
    pub(super) line: Option<(Key, Line)>,
    /// The one that the round under way is about.
    pub(super) source: Option<Key>,
    /// Others fit as well as that one, and have not failed since there was progress.
    pub(super) others: bool,
    /// The first plan, and when it was begun with.
    pub(super) begun: Option<(Plan, Instant)>,
    /// How far what is there had come when the round began.
    pub(super) mark: Mark,
    /// This run has made the target: what is left of it is ours, also where the right to mark it so
    /// is wanting.
    pub(super) made: bool,
    /// What it has waited for.
    pub(super) turns: Turns,
    /// It has waited in a queue: it is worth waiting for more.
    pub(super) queued: bool,
    /// When it was last brought on, or let in.
    pub(super) moved: Instant,
    /// What slows it down.
    pub(super) throttle: Throttle,
    /// What sources were asked to keep, and when.
    pub(super) held: RefCell<BTreeMap<(Key, Guid), Instant>>,
    /// What sources have told of the sizes of streams.
    pub(super) sizes: RefCell<Sizes>,
    /// Sources that took too long to tell since there was progress, and aren't asked meanwhile.
    pub(super) silent_on_sizes: RefCell<BTreeSet<Place>>,
    /// What was said since there was progress.
    pub(super) told: BTreeSet<String>,
    /// Rounds that failed after the first plan.
    pub(super) retries: u32,
    /// ZFS has said that the lineage has large blocks.
    pub(super) large_blocks: bool,
    /// Since when no machine has the goal, not even one that is off.
    pub(super) gone_since: Option<Instant>,
}

impl Transfer {
    pub(super) fn new(job: Job, tools: Tools) -> Self {
        let throttle = tools.traffic.limits.throttle(job.options.limit_rate);
        Self {
            job,
            tools,
            id: String::new(),
            goal: None,
            warnings: Vec::new(),
            replicas: Vec::new(),
            ledger: Ledger::default(),
            tail: Tail::default(),
            line: None,
            source: None,
            others: false,
            begun: None,
            mark: Mark::default(),
            made: false,
            turns: Turns::default(),
            queued: false,
            moved: Instant::now(),
            throttle,
            held: RefCell::default(),
            sizes: RefCell::default(),
            silent_on_sizes: RefCell::default(),
            told: BTreeSet::new(),
            retries: 0,
            large_blocks: false,
            gone_since: None,
        }
    }

    pub(super) async fn run(mut self) -> Result<Summary, Failure> {
        let cancel = self.tools.cancel.clone();
        let _lock = tokio::select! {
            lock = self.lock() => lock?,
            () = cancel.cancelled() => return Err(self.interrupted()),
        };
        let mut backoff = Backoff::new();
        self.moved = Instant::now();
        loop {
            let trouble = match self.round().await {
                Ok(summary) => return Ok(summary),
                Err(trouble) => trouble,
            };
            self.line = None;
            self.turns.there = false;
            if cancel.is_cancelled() {
                return Err(self.interrupted());
            }
            let progress = tokio::select! {
                progress = self.has_moved() => progress,
                () = cancel.cancelled() => return Err(self.interrupted()),
            };
            if progress {
                self.moved = Instant::now();
                backoff.reset();
                self.told.clear();
                self.silent_on_sizes.take();
            }
            let idle = self.moved.elapsed();
            let pause = self.go_on(trouble, progress, idle, &mut backoff)?;
            if idle >= SOON {
                self.turns.give_up_here();
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = cancel.cancelled() => return Err(self.interrupted()),
            }
        }
    }

    /// Whether the round that failed has brought anything on. What can't be looked at has not.
    async fn has_moved(&self) -> bool {
        let look = target::look(&self.tools.zfs, &self.job.target).await;
        look.is_ok_and(|look| look.mark() != self.mark)
    }

    /// Whether a round that fails now is followed by another.
    pub(super) fn may_go_on(&self) -> bool {
        self.moved.elapsed() < self.job.options.timeout
    }

    /// After how long to try again, or why not to.
    fn go_on(
        &mut self,
        trouble: Trouble,
        progress: bool,
        idle: Duration,
        backoff: &mut Backoff,
    ) -> Result<Duration, Failure> {
        let source = self.source.take();
        if let Some(key) = &source {
            self.ledger.leave(key, &trouble, progress);
        }
        if trouble.class == Class::Permanent {
            return Err(trouble.failure);
        }
        // Nothing has been received that a wait could save, nor been waited for: whoever asked is
        // told at once, once each source has been tried.
        if self.begun.is_none() && !self.queued && !self.others {
            return Err(trouble.failure);
        }
        if self.job.options.timeout.is_zero() {
            return Err(trouble.failure);
        }
        if idle >= self.job.options.timeout {
            let reason =
                format!("{}\nnothing came for {} s", trouble.failure.reason, idle.as_secs());
            return Err(Failure { reason, ..trouble.failure });
        }
        if self.begun.is_some() {
            self.retries += 1;
        }
        let whom = source.map_or(String::new(), |(place, _)| format!("{place}: "));
        self.tell_once(format!("{whom}{}", trouble.failure.reason));
        if self.others {
            return Ok(Duration::ZERO);
        }
        let left = self.job.options.timeout.saturating_sub(idle);
        let most = Span(self.job.options.timeout);
        self.tell_once(format!(
            "it goes on by itself when it can, for at most {most} without progress"
        ));
        let pause = if idle < SOON { backoff.next_delay() } else { SELDOM };
        Ok(pause.min(left))
    }

    /// Notes what is news since there was progress: a wait of days must not fill memory and screen
    /// with what everyone knows.
    fn tell_once(&mut self, note: String) {
        if self.told.insert(note.clone()) {
            self.note(note);
        }
    }

    /// Takes the destination for this transfer alone.
    async fn lock(&mut self) -> Result<Option<lock::Lock>, Failure> {
        let Tools { zfs, status, .. } = &self.tools;
        let target = &self.job.target;
        let pool = zfs.pool(target.pool()).await;
        let pool = pool.map_err(|error| crate::zfs_failure(&error))?.ok_or_else(|| {
            Failure::new(
                Code::NoSuchPlace,
                "receive into",
                target,
                "its pool is not there",
                "Import the pool: zpool import",
            )
        })?;
        self.id = lock::transfer_id(pool.guid, target);
        if self.job.dry_run {
            if lock::is_taken(&self.id) {
                self.note("another transfer into it is under way on this machine".to_owned());
            }
            return Ok(None);
        }
        let waiting = || {
            let note = format!("waiting for another transfer into {target} to end");
            status.send_modify(|status| status.notes.push(note));
        };
        lock::take(&self.id, target, self.job.options.wait, waiting).await.map(Some)
    }

    pub(super) fn note(&self, note: String) {
        tracing::info!(target = %self.job.target, "{note}");
        self.tools.status.send_modify(|status| match status.notes.len() {
            // A transfer of weeks must not fill the memory of who watches it.
            0..MOST_NOTES => status.notes.push(note),
            MOST_NOTES => status.notes.push("what else happens is in the log".to_owned()),
            _ => {}
        });
    }

    /// What has been received in this run.
    pub(super) fn received(&self) -> u64 {
        self.tools.status.borrow().progress.bytes
    }

    pub(super) fn interrupted(&self) -> Failure {
        let (kept, remedy) = match self.received() {
            0 => (String::new(), "Run the command again."),
            bytes => {
                let remedy = "What has arrived is kept: run the command again to go on.";
                (format!(" after {}", Bytes(bytes)), remedy)
            }
        };
        Failure::new(
            Code::Interrupted,
            "finish the transfer of",
            &self.job.dataset,
            format!("it was cancelled{kept}"),
            remedy,
        )
    }
}
