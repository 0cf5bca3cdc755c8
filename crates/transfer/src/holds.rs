//! What an agent keeps from being destroyed, for transfers that may come back: its holds.
//!
//! A hold's tag names the agent and the transfer; a [book](mod@book) beside it remembers what the
//! transfer makes and when it last asked. A hold is let go when its transfer is done with it, when
//! someone says so, or 7 days after its last use: never merely because an agent has started, and
//! never another agent's.

mod book;
mod tag;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use schema::hold::Unasked;
use schema::text::chain;
use schema::{Code, Failure, Machine};
use tokio::sync::RwLock;
use tokio::time::timeout;
use zfs::process::{Depth, OperationError, Zfs};
use zfs::{DatasetName, Guid, HoldTag, PoolName, SnapshotName};

use self::book::{Book, Key, Note};
use self::tag::Tags;
use crate::failure::zfs_failure;

pub use self::book::BookError;

/// A hold that no transfer has asked for in so many seconds is let go.
pub(crate) const LIFE: i64 = 7 * 24 * 3600;
/// Somebody waits for a list. A pool that hangs is left out of it.
const LIST_DEADLINE: Duration = Duration::from_secs(15);
const EXPIRE_DEADLINE: Duration = Duration::from_secs(600);

/// The holds of one agent; clones are the same holds, on any thread.
#[derive(Clone, Debug)]
pub struct Holds(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    zfs: Zfs,
    tags: Tags,
    book: Mutex<Book>,
    /// Of each pool: taken by those who hold, and alone by who lets go of what is out of use. A pool that hangs keeps only its own holds waiting.
    gates: Mutex<HashMap<PoolName, Arc<RwLock<()>>>>,
}

/// A hold of ours, on disk and in the book.
struct Found {
    hold: zfs::Hold,
    key: Key,
    note: Note,
}

impl Holds {
    /// The holds of the agent `machine`, whose book is the file `book`.
    ///
    /// # Errors
    /// There is a book that can't be read.
    pub fn open(zfs: Zfs, machine: &Machine, book: PathBuf) -> Result<Self, BookError> {
        let book = Mutex::new(Book::open(book)?);
        let tags = Tags::of(machine);
        Ok(Self(Arc::new(Shared { zfs, tags, book, gates: Mutex::default() })))
    }

    /// Keeps a snapshot from being destroyed until `transfer` is finished, or for 7 days from now.
    /// `destination` is what the transfer makes, for people.
    pub async fn hold(
        &self,
        snapshot: &SnapshotName,
        guid: Guid,
        transfer: &str,
        destination: &str,
    ) -> Result<(), Failure> {
        let transfer = tag::parse(transfer)?;
        let tag = self.0.tags.tag(transfer)?;
        let dataset = snapshot.dataset();
        let gate = self.gate(dataset.pool());
        let _open = gate.read().await;
        // In the book before it is put, so that there is never a hold that nobody knows of.
        let key = Key { guid, transfer };
        let noted = self.book(|book| book.used(key, dataset, destination, now()));
        noted.map_err(|error| unnoted(snapshot, &error))?;
        // It may be there already.
        self.0.zfs.hold(snapshot, &tag).await.map_err(|error| zfs_failure(&error)).map(drop)
    }

    /// Lets go of all that is held of a dataset for a transfer, under whatever names it is by now.
    pub async fn release_transfer(
        &self,
        dataset: &DatasetName,
        transfer: &str,
    ) -> Result<(), Failure> {
        let transfer = tag::parse(transfer)?;
        // Most transfers find nothing to do, and hold nothing. What a lost book doesn't know of is
        // let go in time.
        if !self.book(|book| book.mentions(transfer)) {
            return Ok(());
        }
        let tag = self.0.tags.tag(transfer)?;
        // Who holds for the same transfer's next run does so after this.
        let gate = self.gate(dataset.pool());
        let _closed = gate.write().await;
        let holds = match self.0.zfs.holds(dataset, Depth::Alone).await {
            Err(error) if error.is_not_found() => return Ok(()),
            holds => holds.map_err(|error| zfs_failure(&error))?,
        };
        let mut gone = Vec::new();
        for (guid, hold) in holds.into_iter().filter(|(_, hold)| hold.tag == tag.as_str()) {
            self.let_go(&hold.snapshot, &tag).await?;
            gone.push(Key { guid, transfer });
        }
        // So that whoever asks for the same again finds nothing to do.
        let noted = self.book(|book| book.let_go(dataset, &gone));
        noted.map_err(|error| unnoted(dataset, &error))
    }

    /// Lets go of one hold, which must be this agent's.
    pub async fn release(&self, snapshot: &SnapshotName, tag: &str) -> Result<(), Failure> {
        const OPERATION: &str = "release the hold on";
        let remedy = "`cli holds` lists all holds.";
        let Some(transfer) = self.0.tags.transfer(tag) else {
            let reason = format!("the tag '{tag}' is not one of this agent's ({})", self.0.tags);
            return Err(Failure::new(Code::Refused, OPERATION, snapshot, reason, remedy));
        };
        if !self.let_go(snapshot, &self.0.tags.tag(transfer)?).await? {
            let reason = format!("it has no hold '{tag}'");
            return Err(Failure::new(Code::NoSuchDataset, OPERATION, snapshot, reason, remedy));
        }
        Ok(())
    }

    /// All that this agent holds in `pools`, which are all of its pools: by snapshot; and the pools
    /// that could not be listed. `now` is in Unix seconds.
    pub async fn list(
        &self,
        pools: &[PoolName],
        now: i64,
    ) -> Result<(Vec<schema::Hold>, Vec<Unasked>), Failure> {
        let (found, unlisted) = self.look(pools, now, LIST_DEADLINE).await?;
        let mut holds: Vec<_> = found.into_iter().map(Found::into_hold).collect();
        holds.sort_by(|a, b| (&a.snapshot, &a.tag).cmp(&(&b.snapshot, &b.tag)));
        let unasked = |(pool, failure): (PoolName, Option<Failure>)| Unasked {
            place: pool.to_string(),
            reason: failure.map_or("the pool is not imported".to_owned(), |failure| failure.reason),
        };
        Ok((holds, unlisted.into_iter().map(unasked).collect()))
    }

    /// Lets go of what no transfer has asked for in the 7 days before `now`, in Unix seconds, in
    /// `pools`, which are all of the agent's pools.
    ///
    /// # Errors
    /// Something could not be listed or let go; all else was.
    pub async fn expire(&self, pools: &[PoolName], now: i64) -> Result<(), Failure> {
        let is_over = |note: &Note| now.saturating_sub(note.last_used) > LIFE;
        let (found, unlisted) = self.look(pools, now, EXPIRE_DEADLINE).await?;
        let mut failed = unlisted.into_iter().find_map(|(_, failure)| failure);
        for Found { hold, key, .. } in found.into_iter().filter(|found| is_over(&found.note)) {
            let gate = self.gate(hold.snapshot.dataset().pool());
            let _closed = gate.write().await;
            // A transfer may have asked for it meanwhile.
            if self.book(|book| book.find(&key).is_none_or(|note| is_over(&note))) {
                match self.let_go_if_it_is(&hold.snapshot, key).await {
                    Ok(true) => {
                        tracing::info!(snapshot = %hold.snapshot, tag = hold.tag, "expired");
                    }
                    Ok(false) => {}
                    Err(failure) => failed = failed.or(Some(failure)),
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// What ZFS and the book say together, and the pools that have nothing to say: those that could
    /// not be listed, with why, and those that aren't imported. A pool that hangs is given up after
    /// the deadline. A hold that isn't in the book is entered, as used now; what is in the book
    /// alone leaves it.
    async fn look(
        &self,
        pools: &[PoolName],
        now: i64,
        deadline: Duration,
    ) -> Result<(Vec<Found>, Vec<(PoolName, Option<Failure>)>), Failure> {
        let (mut seen, mut unlisted, mut listed) = (Vec::new(), Vec::new(), BTreeSet::new());
        let look = |pool| async move { (pool, timeout(deadline, self.seen(pool)).await) };
        for (pool, looked) in join_all(pools.iter().map(look)).await {
            match looked {
                Ok(Ok(Some(holds))) => {
                    listed.insert(pool.clone());
                    seen.extend(holds);
                }
                Ok(Ok(None)) => unlisted.push((pool.clone(), None)),
                Ok(Err(failure)) => unlisted.push((pool.clone(), Some(failure))),
                Err(_) => unlisted.push((pool.clone(), Some(late(pool, deadline)))),
            }
        }
        let mut at: BTreeMap<Key, BTreeSet<DatasetName>> = BTreeMap::new();
        for (hold, key) in &seen {
            at.entry(*key).or_default().insert(hold.snapshot.dataset().clone());
        }
        let noted = self.book(|book| {
            book.reconcile(&at, &listed, now)?;
            let found = |(hold, key)| {
                let note = book.find(&key).unwrap_or_else(|| Note::first_seen(now));
                Found { hold, key, note }
            };
            Ok(seen.into_iter().map(found).collect())
        });
        let found = noted.map_err(|error: BookError| unnoted("the pools' snapshots", &error))?;
        Ok((found, unlisted))
    }

    /// The holds of ours in a pool; `None` if it isn't imported.
    async fn seen(&self, pool: &PoolName) -> Result<Option<Vec<(zfs::Hold, Key)>>, Failure> {
        let root = DatasetName::root(pool.clone());
        let holds = match self.0.zfs.holds(&root, Depth::Everything).await {
            Err(error) if error.is_not_found() => return Ok(None),
            holds => holds.map_err(|error| zfs_failure(&error))?,
        };
        let mut seen = Vec::new();
        for (guid, hold) in holds {
            if let Some(transfer) = self.0.tags.transfer(&hold.tag) {
                seen.push((hold, Key { guid, transfer }));
            }
        }
        Ok(Some(seen))
    }

    /// Lets go of a hold, unless another snapshot goes by that name by now: who looks next sees it.
    async fn let_go_if_it_is(&self, snapshot: &SnapshotName, key: Key) -> Result<bool, Failure> {
        let guid = self.0.zfs.snapshot_guid(snapshot).await;
        if guid.map_err(|error| zfs_failure(&error))? != Some(key.guid) {
            return Ok(false);
        }
        self.let_go(snapshot, &self.0.tags.tag(key.transfer)?).await
    }

    async fn let_go(&self, snapshot: &SnapshotName, tag: &HoldTag) -> Result<bool, Failure> {
        self.0.zfs.release(snapshot, tag).await.map_err(|error| zfs_failure(&error))
    }

    fn gate(&self, pool: &PoolName) -> Arc<RwLock<()>> {
        let mut gates = self.0.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(pool.clone()).or_default().clone()
    }

    /// Never across an await: it is locked while it is written.
    fn book<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        work(&mut self.0.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Found {
    fn into_hold(self) -> schema::Hold {
        let Self { hold: zfs::Hold { snapshot, tag, since }, note, .. } = self;
        let Note { destination, last_used, .. } = note;
        // It is noted a moment before it is put.
        let last_used = last_used.max(since);
        schema::Hold { place: None, snapshot, tag, destination, since, last_used }
    }
}

/// Now, in Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn late(pool: &PoolName, deadline: Duration) -> Failure {
    let reason = format!("it has not answered for {} s", deadline.as_secs());
    Failure::new(Code::Offline, "list the holds in", pool, reason, "Look at: zpool status")
}

fn unnoted(subject: impl std::fmt::Display, error: &BookError) -> Failure {
    let remedy = "See to it that the agent can write its state folder.";
    Failure::new(Code::Failed, "note the holds on", subject, chain(error), remedy)
}

#[cfg(test)]
mod tests;
