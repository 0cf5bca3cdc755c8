//! Which copies hold the same data.
//!
//! Same name is not same data: copies belong together if they share a snapshot's GUID, directly
//! or through others. A dataset's own GUID tells nothing, since each receive makes a new one.

use std::collections::HashMap;

use schema::Replica;
use zfs::Guid;

/// Groups replicas that share a snapshot or bookmark GUID. One without any stands in no group.
///
/// Each group lists indices into `replicas` in rising order; groups come in the order of their
/// first members.
pub fn lineages(replicas: &[Replica]) -> Vec<Vec<usize>> {
    let mut groups = Groups((0..replicas.len()).collect());
    let mut seen: HashMap<Guid, usize> = HashMap::new();
    for (index, replica) in replicas.iter().enumerate() {
        for snapshot in replica.snapshots.iter().chain(&replica.bookmarks) {
            let other = *seen.entry(snapshot.guid).or_insert(index);
            groups.join(index, other);
        }
    }
    let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, replica) in replicas.iter().enumerate() {
        if !(replica.snapshots.is_empty() && replica.bookmarks.is_empty()) {
            members.entry(groups.root(index)).or_default().push(index);
        }
    }
    let mut lineages: Vec<Vec<usize>> = members.into_values().collect();
    lineages.sort();
    lineages
}

/// Disjoint sets: each entry points towards its set's representative.
struct Groups(Vec<usize>);

impl Groups {
    fn root(&mut self, mut index: usize) -> usize {
        while self.0[index] != index {
            self.0[index] = self.0[self.0[index]];
            index = self.0[index];
        }
        index
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one] = other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::examples::replica;
    use proptest::prelude::*;

    #[test]
    fn replicas_belong_together_through_others() {
        let replicas = [
            replica("a", &[(1, 1)]),
            replica("b", &[(9, 9)]),
            replica("c", &[(1, 1), (2, 2)]),
            replica("d", &[]),
            replica("e", &[(2, 2)]),
        ];
        assert_eq!(lineages(&replicas), [vec![0, 2, 4], vec![1]]);
    }

    proptest! {
        #[test]
        fn two_that_share_a_guid_are_in_one_group_and_each_is_in_one(
            guids in proptest::collection::vec(proptest::collection::vec(0u64..12, 0..4), 0..9)
        ) {
            let replicas: Vec<_> = guids
                .iter()
                .map(|guids| replica("m", &guids.iter().map(|g| (*g, 0)).collect::<Vec<_>>()))
                .collect();
            let lineages = lineages(&replicas);
            let of = |index: usize| lineages.iter().filter(|l| l.contains(&index)).count();
            for (one, a) in guids.iter().enumerate() {
                prop_assert_eq!(of(one), usize::from(!a.is_empty()));
                for (other, b) in guids.iter().enumerate() {
                    if a.iter().any(|guid| b.contains(guid)) {
                        prop_assert!(lineages.iter().any(|l| l.contains(&one) && l.contains(&other)));
                    }
                }
            }
        }
    }
}
