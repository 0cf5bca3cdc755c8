//! Follows what changes in the pools.
//!
//! `zpool events` is a hint of what to list again, never a log: it drops on overflow and tells old
//! events at its start. Where it can't be had (it needs root), the pools are listed again and
//! again; a slow full listing is behind both.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use schema::text::chain;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use zfs::{DatasetName, DatasetPath, Event, PoolName, Zfs};

use crate::inventory::Inventory;

/// Changes come in bursts (a `destroy -r`, say): how long to gather before listing.
const GATHER: Duration = Duration::from_millis(100);
/// With more changed datasets than this, one listing of the pool is cheaper.
const MANY: usize = 20;
/// A full listing comes at the latest after this time, or after twenty times as long as one takes.
const FULL_LISTING: Duration = Duration::from_secs(600);
/// The same where there are no events.
const POLL: Duration = Duration::from_secs(2);
/// When a command takes longer than this the pool is looked at, and again after as long.
const HUNG: Duration = Duration::from_secs(60);
/// How long a pool that is well may take to say so.
const ANSWER: Duration = Duration::from_secs(10);
/// A listing that failed on a pool that is well is tried so often again, after this time.
const LISTING_TRIES: u32 = 20;
const LISTING_AGAIN: Duration = Duration::from_millis(500);
/// When to look again for a pool that couldn't be listed, should no event tell of it.
const UNAVAILABLE: Duration = Duration::from_secs(10);
/// How long to wait before `zpool events` is tried again.
const EVENTS_AGAIN: Duration = Duration::from_secs(60);

/// What to list again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hint {
    /// Everything in the pool.
    Pool,
    /// The same, if the last listing is old in comparison to the time it took.
    Poll,
    /// One dataset.
    Dataset(DatasetPath),
}

/// Follows all pools for ever, once each has been listed (or could not be).
pub(crate) async fn follow(zfs: Zfs, inventory: Rc<Inventory>) {
    let mut hints = BTreeMap::new();
    for pool in inventory.names() {
        let (sender, queue) = mpsc::unbounded_channel();
        let watcher =
            Watcher { zfs: zfs.clone(), inventory: inventory.clone(), pool: pool.clone() };
        tokio::task::spawn_local(watcher.run(queue));
        hints.insert(pool, sender);
    }
    loop {
        listen(&zfs, &hints).await;
        poll_for(EVENTS_AGAIN, &hints).await;
    }
}

/// Passes events on as hints until there are no more.
async fn listen(zfs: &Zfs, hints: &BTreeMap<PoolName, mpsc::UnboundedSender<Hint>>) {
    let mut events = match zfs.events() {
        Ok(events) => events,
        Err(error) => {
            return tracing::warn!(error = chain(&error), "listing the pools again and again");
        }
    };
    while let Some(event) = events.next().await {
        let Ok(pool) = event.pool.parse::<PoolName>() else { continue };
        if let (Some(sender), Some(hint)) = (hints.get(&pool), hint(&event)) {
            tracing::debug!(%pool, operation = %event.operation, "changed");
            // The watcher runs as long as this does.
            let _ = sender.send(hint);
        }
    }
    let error = events.ended().await;
    tracing::warn!(error = chain(&error), "no events; listing the pools again and again");
}

async fn poll_for(time: Duration, hints: &BTreeMap<PoolName, mpsc::UnboundedSender<Hint>>) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        for sender in hints.values() {
            let _ = sender.send(Hint::Poll);
        }
        sleep(POLL).await;
    }
}

/// What an event says is to be listed.
fn hint(event: &Event) -> Option<Hint> {
    let Some(name) = &event.dataset else {
        // A pool that can't be written to any more is suspended without another word.
        let pool_changed = event.operation.starts_with("pool_") || event.operation == "io_failure";
        return pool_changed.then_some(Hint::Pool);
    };
    // Of what a rename or promotion touches, one name alone is told.
    if matches!(event.operation.as_str(), "rename" | "promote") {
        return Some(Hint::Pool);
    }
    let name = name.split(['@', '#']).next().unwrap_or_default();
    let name = name.strip_suffix("/%recv").unwrap_or(name);
    match name.parse::<DatasetName>() {
        // The root isn't announced, so what happens to it alone changes nothing.
        Ok(name) => name.path().cloned().map(Hint::Dataset),
        Err(_) => Some(Hint::Pool),
    }
}

/// The last full listing.
struct Listed {
    at: Instant,
    took: Duration,
    /// It gave the pool's content.
    complete: bool,
}

impl Listed {
    /// When the next is due, whatever has happened.
    fn next(&self) -> Instant {
        let pause = if self.complete { FULL_LISTING } else { UNAVAILABLE };
        self.at + pause.max(self.took * 20)
    }

    /// Listing must not be all that the machine does.
    fn is_old(&self) -> bool {
        self.at.elapsed() >= self.took * 4
    }
}

/// Keeps the inventory of one pool. Each pool has its own, so that a hung one holds up no other.
struct Watcher {
    zfs: Zfs,
    inventory: Rc<Inventory>,
    pool: PoolName,
}

impl Watcher {
    async fn run(self, mut hints: mpsc::UnboundedReceiver<Hint>) {
        let mut last = self.list_all().await;
        loop {
            let first = tokio::select! {
                hint = hints.recv() => match hint {
                    Some(hint) => hint,
                    None => return,
                },
                () = sleep_until(last.next()) => Hint::Pool,
            };
            sleep(GATHER).await;
            let mut changed = BTreeSet::new();
            let mut full = false;
            let gathered =
                std::iter::once(first).chain(std::iter::from_fn(|| hints.try_recv().ok()));
            for hint in gathered {
                match hint {
                    Hint::Pool => full = true,
                    Hint::Poll => full |= last.is_old(),
                    Hint::Dataset(path) => {
                        changed.insert(path);
                    }
                }
            }
            full |= changed.len() > MANY || !self.patiently(self.list_each(changed)).await;
            if full {
                last = self.list_all().await;
            }
        }
    }

    async fn list_all(&self) -> Listed {
        let started = Instant::now();
        let mut failures = 0;
        let complete = loop {
            let listed = self.patiently(self.zfs.datasets(&self.pool)).await;
            match listed {
                Ok(datasets) => {
                    tracing::debug!(pool = %self.pool, datasets = datasets.len(), "listed");
                    self.inventory.replace(&self.pool, datasets);
                    break true;
                }
                // One busy dataset (a receive just ending, say) makes the whole listing fail; the
                // pool is none the worse for it.
                Err(error) if failures < LISTING_TRIES && self.is_readable().await => {
                    tracing::debug!(pool = %self.pool, error = chain(&error), "listing it again");
                    failures += 1;
                    sleep(LISTING_AGAIN).await;
                }
                Err(error) => {
                    self.offline(&chain(&error));
                    break false;
                }
            }
        };
        Listed { at: Instant::now(), took: started.elapsed(), complete }
    }

    /// Returns whether all could be listed.
    async fn list_each(&self, paths: BTreeSet<DatasetPath>) -> bool {
        for path in paths {
            let Ok(name) = DatasetName::new(self.pool.clone(), path.clone()) else { continue };
            match self.zfs.dataset(&name).await {
                Ok(Some(dataset)) => self.inventory.set_dataset(&self.pool, &path, Some(dataset)),
                // Not there: but a pool that has gone takes nothing with it.
                Ok(None) if self.is_readable().await => {
                    self.inventory.set_dataset(&self.pool, &path, None);
                }
                Ok(None) => return false,
                Err(error) => {
                    tracing::debug!(dataset = %name, error = chain(&error), "listing the pool");
                    return false;
                }
            }
        }
        true
    }

    /// Waits for a command of ZFS's. It can take long on a large pool, and for ever on one that is
    /// suspended: that one is offline until it is done.
    async fn patiently<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = timeout(HUNG, &mut work).await {
                return done;
            }
            if !timeout(ANSWER, self.is_readable()).await.unwrap_or(false) {
                self.offline(&format!("ZFS has not answered for {} s", HUNG.as_secs()));
            }
        }
    }

    /// Whether the pool is imported, and in a state in which its datasets can be read.
    async fn is_readable(&self) -> bool {
        match self.zfs.pool(&self.pool).await {
            Ok(pool) => pool.is_some_and(|pool| pool.is_readable()),
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot look at the pool");
                false
            }
        }
    }

    fn offline(&self, why: &str) {
        if self.inventory.state(&self.pool).is_some_and(|state| state.online) {
            tracing::warn!(pool = %self.pool, why, "offline");
        }
        self.inventory.set_unavailable(&self.pool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_name_what_to_list_again() {
        let dataset = |path: &str| Some(Hint::Dataset(path.parse().unwrap()));
        for (operation, name, expected) in [
            ("create", Some("tank/a/b"), dataset("a/b")),
            ("snapshot", Some("tank/a@s"), dataset("a")),
            ("bookmark", Some("tank/a#s"), dataset("a")),
            ("destroy", Some("tank/two words"), dataset("two words")),
            ("finish receiving", Some("tank/a/%recv"), dataset("a")),
            ("rename", Some("tank/a"), Some(Hint::Pool)),
            ("set", Some("tank"), None),
            ("create", Some("tank/a%b"), Some(Hint::Pool)),
            ("pool_import", None, Some(Hint::Pool)),
            ("pool_export", None, Some(Hint::Pool)),
            ("io_failure", None, Some(Hint::Pool)),
            ("config_sync", None, None),
        ] {
            let event = Event {
                id: 1,
                pool: "tank".into(),
                dataset: name.map(str::to_owned),
                operation: operation.into(),
                detail: None,
            };
            assert_eq!(hint(&event), expected, "{event:?}");
        }
    }
}
