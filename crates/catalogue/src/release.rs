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
const MOST: usize = 10_000;

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
    /// Remembers that a place is to be told of a release, `since` when, in Unix seconds; unless
    /// there are too many by now. What has become pointless until then is forgotten.
    pub fn owe(&mut self, release: Release, since: i64) -> Vec<Change> {
        let old = self.owed.iter().filter(|(_, before)| since.saturating_sub(**before) > LIFE);
        let mut changes: Vec<_> = old.map(|(old, _)| Change::Released(old.clone())).collect();
        if self.pools.contains_key(&release.place) && self.owed.len() < MOST {
            changes.push(Change::Owed(release, since));
        }
        self.apply_all(&changes);
        changes
    }

    /// What a place is still to be told.
    pub fn owed(&self, place: &Place) -> Vec<Release> {
        self.owed.keys().filter(|release| *release.place == *place).cloned().collect()
    }

    /// A place is being told: nobody else is to. Since when it was to be, and what is to be written
    /// once it was; `None` if somebody else does it.
    pub fn take_owed(&mut self, release: &Release) -> Option<(i64, Vec<Change>)> {
        let since = self.owed.remove(release)?;
        Some((since, vec![Change::Released(release.clone())]))
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
        let (since, changes) = catalogue.take_owed(&here).unwrap();
        assert_eq!((since, changes), (100, vec![Change::Released(here.clone())]));
        assert_eq!(catalogue.take_owed(&here), None);
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
