//! The sources of a transfer: what came from each, why each was left, and which may be asked again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schema::{Failure, Place, Replica};
use zfs::DatasetPath;

use crate::dial::Avoided;
use crate::failure::{Class, Trouble};
use crate::report::{Origin, Route, Used};

/// A source that fails so often in a row, nobody knows why, and brings nothing on, is left for good.
const MOST_UNKNOWN: u32 = 10;
/// One that can't serve is asked again after so long: its pool may be imported, its key loaded.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// A dataset at a place.
pub(super) type Key = (Place, DatasetPath);

/// What a replica is known by here.
pub(super) fn key(replica: &Replica) -> Key {
    (replica.place.clone(), replica.name.clone())
}

/// All that is remembered of the sources.
#[derive(Default)]
pub(super) struct Ledger {
    used: Vec<Used>,
    out: BTreeMap<Key, Out>,
    /// Failures in a row.
    strikes: BTreeMap<Key, u32>,
    /// Of these, those that nobody knows the meaning of.
    unknown: BTreeMap<Key, u32>,
    /// Times in a row that a source sent nothing for too long.
    stalls: BTreeMap<Key, u32>,
    /// The ways over which nothing came, though they could be gone.
    avoided: BTreeMap<Key, Avoided>,
}

/// Why a source is not asked.
struct Out {
    failure: Failure,
    /// When it may be asked again; `None`: never.
    until: Option<Instant>,
}

impl Out {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }
}

impl Ledger {
    /// Those of the replicas that may be asked, the ones that failed less often lately first.
    pub(super) fn usable<'a>(&self, replicas: Vec<&'a Replica>) -> Vec<&'a Replica> {
        let mut usable = replicas;
        usable.retain(|replica| self.out.get(&key(replica)).is_none_or(Out::is_over));
        usable.sort_by_key(|replica| self.strikes(&key(replica)));
        usable
    }

    /// How often a source has failed in a row.
    pub(super) fn strikes(&self, key: &Key) -> u32 {
        self.strikes.get(key).copied().unwrap_or(0)
    }

    /// How often in a row a source has sent nothing for too long.
    pub(super) fn stalls(&self, key: &Key) -> u32 {
        self.stalls.get(key).copied().unwrap_or(0)
    }

    /// A source has sent nothing for too long; `progress`: it had sent something before.
    pub(super) fn stalled(&mut self, key: &Key, progress: bool) {
        let stalls = self.stalls.entry(key.clone()).or_default();
        *stalls = if progress { 1 } else { *stalls + 1 };
    }

    /// From now on bytes come from here.
    pub(super) fn use_source(&mut self, origin: &Origin) {
        // One that is used again moves to the end: over weeks there may be many changes.
        let before = self.used.iter().position(|used| used.origin == *origin);
        let bytes = before.map_or(0, |index| self.used.remove(index).bytes);
        self.used.push(Used { origin: origin.clone(), bytes, left: None });
    }

    /// Bytes have come from the source in use.
    pub(super) fn count(&mut self, bytes: u64) {
        if let Some(used) = self.used.last_mut() {
            used.bytes += bytes;
        }
    }

    /// A source has failed; `progress`: what is there has grown since it was last left.
    pub(super) fn leave(&mut self, key: &Key, trouble: &Trouble, progress: bool) {
        let of_key = |used: &&mut Used| {
            used.left.is_none() && (&used.origin.place, &used.origin.dataset) == (&key.0, &key.1)
        };
        if let Some(used) = self.used.last_mut().filter(of_key) {
            used.left = Some(trouble.failure.reason.clone());
        }
        let strikes = self.strikes.entry(key.clone()).or_default();
        *strikes = if progress { 1 } else { *strikes + 1 };
        let unknown = self.unknown.entry(key.clone()).or_default();
        *unknown = if progress || trouble.class != Class::Unknown { 0 } else { *unknown + 1 };
        let until = match trouble.class {
            Class::NotThisSource => Some(Instant::now() + ASK_AGAIN),
            Class::Distrusted => None,
            Class::Unknown if *unknown >= MOST_UNKNOWN => None,
            Class::Unknown | Class::Transient | Class::Permanent => {
                self.out.remove(key);
                return;
            }
        };
        self.out.insert(key.clone(), Out { failure: trouble.failure.clone(), until });
    }

    /// The ways to a source that are not to be gone in this run.
    pub(super) fn avoided(&self, key: &Key) -> Avoided {
        self.avoided.get(key).cloned().unwrap_or_default()
    }

    /// Nothing came this way, though it could be gone.
    pub(super) fn avoid(&mut self, key: &Key, route: Route) {
        self.avoided.entry(key.clone()).or_default().insert(route);
    }

    /// No other way leads to the source: perhaps it was not the way.
    pub(super) fn avoid_none(&mut self, key: &Key) {
        self.avoided.remove(key);
    }

    /// Whether one of those that are out will be asked again.
    pub(super) fn will_ask(&self) -> bool {
        self.out.values().any(|out| out.until.is_some())
    }

    /// Why the sources that are out are out: one failure that tells all.
    pub(super) fn out(&self) -> Option<Failure> {
        let (_, Out { failure: first, .. }) = self.out.first_key_value()?;
        if self.out.len() == 1 {
            return Some(first.clone());
        }
        let reasons =
            self.out.iter().map(|((place, _), out)| format!("{place}: {}", out.failure.reason));
        Some(Failure { reason: reasons.collect::<Vec<_>>().join("\n"), ..first.clone() })
    }

    /// In the order of their last use.
    pub(super) fn used(&self) -> &[Used] {
        &self.used
    }
}

#[cfg(test)]
mod tests;
