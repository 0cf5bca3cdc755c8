//! The sources of a transfer: what came from each, why each was left, and which may be asked again.

use std::collections::BTreeMap;

use schema::{Code, Failure, Place, Replica};
use zfs::DatasetPath;

use crate::failure::{Class, Trouble};
use crate::report::{Origin, Used};

/// A source that fails so often in a row, and brings nothing on, is left for good.
const MOST_STRIKES: u32 = 10;

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
    /// Left for good, and why.
    out: BTreeMap<Key, Failure>,
    /// Failures in a row.
    strikes: BTreeMap<Key, u32>,
}

impl Ledger {
    /// Those of the replicas that may be asked, the ones that failed less often lately first.
    pub(super) fn usable<'a>(&self, replicas: Vec<&'a Replica>) -> Vec<&'a Replica> {
        let mut usable = replicas;
        usable.retain(|replica| !self.out.contains_key(&key(replica)));
        usable.sort_by_key(|replica| self.strikes(&key(replica)));
        usable
    }

    /// How often a source has failed in a row.
    pub(super) fn strikes(&self, key: &Key) -> u32 {
        self.strikes.get(key).copied().unwrap_or(0)
    }

    /// From now on bytes come from here.
    pub(super) fn use_source(&mut self, origin: &Origin) {
        let in_use =
            self.used.last().is_some_and(|used| used.left.is_none() && used.origin == *origin);
        if !in_use {
            self.used.push(Used { origin: origin.clone(), bytes: 0, left: None });
        }
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
        // What can't be reached may come back, however late.
        let was_there = !matches!(trouble.failure.code, Code::Offline | Code::Unreachable);
        if trouble.class == Class::NotThisSource || was_there && *strikes >= MOST_STRIKES {
            self.out.insert(key.clone(), trouble.failure.clone());
        }
    }

    /// Why the sources that are out are out: one failure that tells all.
    pub(super) fn out(&self) -> Option<Failure> {
        let (_, first) = self.out.first_key_value()?;
        if self.out.len() == 1 {
            return Some(first.clone());
        }
        let reasons =
            self.out.iter().map(|((place, _), failure)| format!("{place}: {}", failure.reason));
        Some(Failure { reason: reasons.collect::<Vec<_>>().join("\n"), ..first.clone() })
    }

    /// In the order of their use.
    pub(super) fn used(&self) -> &[Used] {
        &self.used
    }
}

#[cfg(test)]
mod tests;
