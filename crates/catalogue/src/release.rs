//! Holds that have outlived their transfers at places that could not be told: each is told once it is
//! back.

use std::sync::Arc;

use schema::{Place, TransferId};
use zfs::DatasetPath;

use crate::change::Change;
use crate::model::Catalogue;

/// By then a hold has ended by itself, as long after its last use.
const LIFE: i64 = 7 * 24 * 3600;
/// More aren't remembered; those holds end by themselves.
const MOST: usize = 100_000;

/// What a transfer may still hold of a dataset at a place, and needs no more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// Where.
    pub place: Arc<Place>,
    /// Below the place's pool.
    pub dataset: Arc<DatasetPath>,
    /// Whose holds.
    pub transfer: TransferId,
}

impl Catalogue {
    /// Remembers that a place is to be told of a release, unless there are too many by now. What
    /// has become pointless meanwhile is forgotten.
    pub fn owe(&mut self, release: Release, now: i64) -> Vec<Change> {
        let old = self.owed.iter().filter(|(_, since)| now.saturating_sub(**since) > LIFE);
        let mut changes: Vec<_> = old.map(|(old, _)| Change::Released(old.clone())).collect();
        if self.pools.contains_key(&release.place) && self.owed.len() < MOST {
            changes.push(Change::Owed(release, now));
        }
        self.apply_all(&changes);
        changes
    }

    /// What a place is still to be told.
    pub fn owed(&self, place: &Place) -> Vec<Release> {
        self.owed.keys().filter(|release| *release.place == *place).cloned().collect()
    }

    /// A place was told.
    pub fn released(&mut self, release: Release) -> Vec<Change> {
        let changes = vec![Change::Released(release)];
        self.apply_all(&changes);
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use crate::{Epoch, Identity};

    const ALICE: Identity = Identity([1; 32]);

    fn fleet() -> (Catalogue, Epoch) {
        let mut catalogue = Catalogue::default();
        let pools = pools(&["tank", "spare"]);
        let epoch = catalogue.register(&machine(r"dc\m"), ALICE, &pools, 100).unwrap().epoch;
        (catalogue, epoch)
    }

    #[test]
    fn a_place_is_told_once_and_another_never() {
        let (mut catalogue, _) = fleet();
        let [here, there] = [r"dc\m\tank", r"dc\m\spare"].map(|at| release(at, "a", 1));
        for release in [&here, &here, &there] {
            catalogue.owe(release.clone(), 100);
        }
        assert_eq!(catalogue.owed(&here.place), std::slice::from_ref(&here));
        catalogue.released(here.clone());
        assert_eq!(catalogue.owed(&here.place), []);
        assert_eq!(catalogue.owed(&there.place), [there]);
    }

    #[test]
    fn what_is_pointless_is_forgotten() {
        let (mut catalogue, _) = fleet();
        let [old, new] = [1, 2].map(|transfer| release(r"dc\m\tank", "a", transfer));
        catalogue.owe(old.clone(), 100);
        catalogue.owe(new.clone(), 100 + LIFE);
        assert_eq!(catalogue.owed(&old.place), [old.clone(), new.clone()]);
        let changes = catalogue.owe(new.clone(), 101 + LIFE);
        assert_eq!(changes, [Change::Released(old), Change::Owed(new.clone(), 101 + LIFE)]);
        // The pool is answered for no more.
        catalogue.register(&machine(r"dc\m"), ALICE, &pools(&["spare"]), 500).unwrap();
        assert_eq!(catalogue.owed(&new.place), []);
        assert_eq!(catalogue.owe(new, 500), []);
    }
}
