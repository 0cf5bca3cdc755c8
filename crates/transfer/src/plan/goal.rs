//! Which snapshot is wanted.
//!
//! The newest that can be had among the replicas of the wished name that hold the same data; never
//! data that merely has the same name. Datasets of other names that hold some of the same snapshots
//! may serve one, but have no say in which. A snapshot is to be taken only if no replica, online or
//! off, has one. Knows nothing of what the destination has.

use std::collections::{BTreeSet, HashSet};

use schema::{Code, Failure, Place, Replica};
use zfs::{DatasetPath, Guid, Snapshot, SnapshotLabel};

use super::lineage::lineages;

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The dataset's path below its pool.
    pub dataset: &'a DatasetPath,
    /// The place to take it from and no other.
    pub from: Option<&'a Place>,
    /// The snapshot to use and no other.
    pub snapshot: Option<&'a SnapshotLabel>,
    /// The own GUID of the dataset that is the destination: it has no say, and serves nothing.
    pub except: Option<Guid>,
}

/// The snapshot to transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// One that is there, under its name at a replica of the wished name.
    Existing(Snapshot),
    /// One that is to be taken first.
    New {
        /// Where.
        at: Place,
    },
}

/// What is to be transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The snapshot.
    pub goal: Goal,
    /// What the user should know of it.
    pub warnings: Vec<String>,
}

const SHOW: &str = "See where datasets are with: cli --connect user.cap show";
const SAY_WHICH: &str = r"Say which with --from 'LOCATION\MACHINE\POOL'.";

/// Chooses among all known replicas: those of the wished name, and those of other names that share
/// a snapshot with one of these. Or refuses and says why.
pub fn choose(replicas: &[Replica], wish: Wish<'_>) -> Result<Chosen, Failure> {
    let named: Vec<&Replica> = replicas.iter().filter(|replica| wish.names(replica)).collect();
    if named.is_empty() {
        let reason = if replicas.iter().any(|replica| replica.name == *wish.dataset) {
            "the only dataset of this name is the destination itself"
        } else {
            "no machine has a dataset of this name"
        };
        return Err(wish.refuse(Code::NoSuchDataset, reason.into(), SHOW));
    }
    let pinned = wish.from.map(|from| pinned(replicas, wish, from)).transpose()?;
    let lineages: Vec<Vec<&Replica>> = lineages(replicas)
        .into_iter()
        .map(|lineage| lineage.into_iter().map(|index| &replicas[index]).collect())
        .filter(|lineage: &Vec<&Replica>| lineage.iter().any(|replica| wish.names(replica)))
        .collect();
    if lineages.is_empty() {
        return without_snapshots(&named, wish, pinned);
    }
    let lineage = lineage(&lineages, wish, pinned)?;
    let named: Vec<&Replica> = lineage.iter().copied().filter(|it| wish.names(it)).collect();
    let choosing = Choosing {
        wish,
        naming: match pinned.filter(|pinned| wish.names(pinned)) {
            Some(pinned) => vec![pinned],
            None => named.clone(),
        },
        named,
        available: match pinned {
            Some(pinned) => guids(pinned).collect(),
            None => {
                let serving = lineage.iter().filter(|it| it.online && wish.admits(it));
                serving.flat_map(|replica| guids(replica)).collect()
            }
        },
    };
    match wish.snapshot {
        Some(label) => choosing.by_label(label),
        None => choosing.newest(),
    }
}

impl Wish<'_> {
    /// Whether it isn't the destination itself.
    fn admits(&self, replica: &Replica) -> bool {
        self.except != Some(replica.properties.guid)
    }

    /// Whether it has a say in which snapshot.
    fn names(&self, replica: &Replica) -> bool {
        replica.name == *self.dataset && self.admits(replica)
    }

    fn refuse(&self, code: Code, reason: String, remedy: &str) -> Failure {
        Failure::new(code, "transfer", self.dataset, reason, remedy)
    }

    fn offline(&self, replicas: &[&Replica]) -> Failure {
        let places: BTreeSet<String> = replicas
            .iter()
            .map(|replica| {
                format!("{} (last seen {})", replica.place, schema::text::utc(replica.last_seen))
            })
            .collect();
        let places = places.into_iter().collect::<Vec<_>>().join(", ");
        let (reason, remedy) = match self.from {
            Some(_) => (
                format!("the place that --from names is offline: {places}"),
                "Bring it online: start its agent, import its pool. Or leave --from away.",
            ),
            None => (
                format!("it is only on what is offline: {places}"),
                "Bring one of these online: start its agent, import its pool.",
            ),
        };
        self.refuse(Code::Offline, reason, remedy)
    }

    fn no_such_snapshot(&self, label: &SnapshotLabel, mut known: Vec<&Snapshot>) -> Failure {
        const SHOWN: usize = 10;
        known.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.creation, snapshot.createtxg)));
        let mut labels: Vec<&str> = Vec::new();
        for snapshot in known {
            if !labels.contains(&snapshot.label.as_str()) && labels.len() < SHOWN {
                labels.push(snapshot.label.as_str());
            }
        }
        let known = if labels.is_empty() {
            "it has none".to_owned()
        } else {
            format!("the newest are {}", labels.join(", "))
        };
        let who = match self.from {
            Some(from) => format!("{from} does not have a snapshot '{label}'"),
            None => format!("no replica has a snapshot '{label}'"),
        };
        let remedy = match labels.is_empty() {
            true => "Take one there, or leave --snapshot away.",
            false => "Name one of them, or leave --snapshot away for the newest.",
        };
        self.refuse(Code::NoSuchDataset, format!("{who}; {known}"), remedy)
    }
}

/// The replica at the place that `--from` names, preferably of the wished name.
fn pinned<'a>(
    replicas: &'a [Replica],
    wish: Wish<'_>,
    from: &Place,
) -> Result<&'a Replica, Failure> {
    let admitted = || replicas.iter().filter(|replica| wish.admits(replica));
    let there = admitted().filter(|replica| replica.place == *from);
    let Some(pinned) = there.min_by_key(|replica| (!wish.names(replica), &replica.name)) else {
        let (reason, remedy) = if replicas.iter().any(|replica| replica.place == *from) {
            let reason = format!("what is at {from} is the destination itself");
            (reason, "Name another place with --from, or leave it away.")
        } else {
            let reason = format!("it is not at {from}; it is at {}", places(admitted()));
            (reason, "Give --from one of those places, or leave it away.")
        };
        return Err(wish.refuse(Code::NoSuchPlace, reason, remedy));
    };
    if pinned.online { Ok(pinned) } else { Err(wish.offline(&[pinned])) }
}

/// The replicas of the data that is meant.
fn lineage<'a, 'b>(
    lineages: &'b [Vec<&'a Replica>],
    wish: Wish<'_>,
    pinned: Option<&Replica>,
) -> Result<&'b [&'a Replica], Failure> {
    match (pinned, lineages) {
        (Some(pinned), _) => {
            let holds =
                |lineage: &&Vec<&Replica>| lineage.iter().any(|it| std::ptr::eq(*it, pinned));
            lineages.iter().find(holds).map(Vec::as_slice).ok_or_else(|| {
                let at = &pinned.place;
                if pinned.snapshots.is_empty() {
                    let reason = format!("{at} has no snapshot of it, and others do");
                    let remedy = "Take a snapshot there, or leave --from away.";
                    return wish.refuse(Code::Refused, reason, remedy);
                }
                let reason =
                    format!("what is at {at} is the destination itself, and what comes from that");
                let remedy = "Name another place with --from, or leave it away.";
                wish.refuse(Code::NoSuchPlace, reason, remedy)
            })
        }
        (None, [only]) => Ok(only),
        (None, several) => {
            let places = several
                .iter()
                .map(|lineage| places(lineage.iter().copied().filter(|it| wish.names(it))));
            let reason = format!(
                "there are {} different datasets of this name: {}",
                several.len(),
                places.collect::<Vec<_>>().join("; or ")
            );
            Err(wish.refuse(Code::Ambiguous, reason, SAY_WHICH))
        }
    }
}

/// No replica has a snapshot: one is to be taken, if it is clear of what.
fn without_snapshots(
    named: &[&Replica],
    wish: Wish<'_>,
    pinned: Option<&Replica>,
) -> Result<Chosen, Failure> {
    if let Some(label) = wish.snapshot {
        return Err(wish.no_such_snapshot(label, Vec::new()));
    }
    let replica = match (pinned, named) {
        (Some(pinned), _) if wish.names(pinned) => pinned,
        (Some(pinned), _) => {
            let reason = format!("{} does not have it under this name", pinned.place);
            return Err(wish.refuse(Code::Refused, reason, "Leave --from away."));
        }
        (None, [only]) => only,
        (None, several) => {
            let reason = format!(
                "none of its copies has a snapshot to tell whether they are the same: {}",
                places(several.iter().copied())
            );
            return Err(wish.refuse(Code::Ambiguous, reason, SAY_WHICH));
        }
    };
    if !replica.online {
        return Err(wish.offline(&[replica]));
    }
    Ok(Chosen { goal: Goal::New { at: replica.place.clone() }, warnings: Vec::new() })
}

/// The choice within one lineage.
struct Choosing<'a> {
    wish: Wish<'a>,
    /// Whose snapshots may be chosen, and by whose labels.
    naming: Vec<&'a Replica>,
    /// All of the wished name.
    named: Vec<&'a Replica>,
    /// What those have who may serve it.
    available: HashSet<Guid>,
}

impl<'a> Choosing<'a> {
    fn can_be_had(&self, snapshot: &Snapshot) -> bool {
        self.available.contains(&snapshot.guid)
    }

    /// The snapshot of that name; the name must mean one and the same everywhere.
    fn by_label(&self, label: &SnapshotLabel) -> Result<Chosen, Failure> {
        let find = |replica: &'a Replica| replica.snapshots.iter().find(|s| s.label == *label);
        let known: Vec<(&Replica, &Snapshot)> =
            self.naming.iter().filter_map(|replica| Some((*replica, find(replica)?))).collect();
        let here = || known.iter().filter(|(_, snapshot)| self.can_be_had(snapshot));
        let Some((_, first)) = here().next() else {
            let off: Vec<&Replica> = known.iter().map(|(replica, _)| *replica).collect();
            return Err(if off.is_empty() || self.wish.from.is_some() {
                let mut known: Vec<_> = self.naming.iter().flat_map(|it| &it.snapshots).collect();
                known.retain(|snapshot| self.wish.from.is_none() || self.can_be_had(snapshot));
                self.wish.no_such_snapshot(label, known)
            } else {
                self.wish.offline(&off)
            });
        };
        if here().any(|(_, snapshot)| snapshot.guid != first.guid) {
            let reason = format!(
                "the snapshot '{label}' is not the same at {}",
                places(here().map(|(replica, _)| *replica))
            );
            return Err(self.wish.refuse(Code::Ambiguous, reason, SAY_WHICH));
        }
        Ok(Chosen { goal: Goal::Existing((*first).clone()), warnings: Vec::new() })
    }

    /// The newest snapshot that can be had now, with a warning where a newer one is known of.
    fn newest(&self) -> Result<Chosen, Failure> {
        let last = |replica: &'a Replica| replica.snapshots.iter().max_by_key(|s| s.createtxg);
        let last_here = |replica: &&'a Replica| {
            let here = replica.snapshots.iter().filter(|snapshot| self.can_be_had(snapshot));
            here.max_by_key(|snapshot| snapshot.createtxg)
        };
        let candidates = self.naming.iter().filter_map(last_here).collect();
        let Some(newest) = self.newest_of(candidates) else {
            let off: Vec<&Replica> =
                self.naming.iter().copied().filter(|replica| last(replica).is_some()).collect();
            return Err(match self.wish.from {
                Some(from) => self.only_bookmarks(from.to_string()),
                None if off.is_empty() => self.only_bookmarks(places(self.naming.iter().copied())),
                None => self.wish.offline(&off),
            });
        };
        let chosen = self.entry(newest.guid).unwrap_or(newest);
        let newer = self.named.iter().filter(|replica| !replica.online).filter_map(|replica| {
            let newer = last(replica).filter(|s| s.creation > newest.creation)?;
            Some(format!(
                "{} is offline and has a newer snapshot, {}; this one is {}",
                replica.place, newer.label, chosen.label
            ))
        });
        Ok(Chosen { warnings: newer.collect(), goal: Goal::Existing(chosen.clone()) })
    }

    /// createtxg orders within a pool: what a replica has before another one is older, whatever the
    /// clocks said. Between those that no replica orders, the clocks decide.
    fn newest_of(&self, candidates: Vec<&'a Snapshot>) -> Option<&'a Snapshot> {
        let guids: HashSet<Guid> = candidates.iter().map(|snapshot| snapshot.guid).collect();
        let mut older = HashSet::new();
        for replica in &self.named {
            let mut both: Vec<&Snapshot> = replica
                .snapshots
                .iter()
                .filter(|snapshot| guids.contains(&snapshot.guid))
                .collect();
            both.sort_by_key(|snapshot| snapshot.createtxg);
            both.pop();
            older.extend(both.into_iter().map(|snapshot| snapshot.guid));
        }
        candidates.into_iter().max_by_key(|it| (!older.contains(&it.guid), it.creation))
    }

    /// The snapshot as it is called where it may well come from: elsewhere it may be renamed.
    fn entry(&self, guid: Guid) -> Option<&'a Snapshot> {
        let holders = self.naming.iter().filter(|it| guids(it).any(|held| held == guid));
        let first = holders.min_by_key(|replica| (!replica.online, &replica.place))?;
        first.snapshots.iter().find(|snapshot| snapshot.guid == guid)
    }

    fn only_bookmarks(&self, places: String) -> Failure {
        let reason = format!("only bookmarks are left of its snapshots at {places}");
        self.wish.refuse(Code::NoSuchDataset, reason, "Take a snapshot there.")
    }
}

fn guids(replica: &Replica) -> impl Iterator<Item = Guid> + '_ {
    replica.snapshots.iter().map(|snapshot| snapshot.guid)
}

fn places<'a>(replicas: impl Iterator<Item = &'a Replica>) -> String {
    // One place may have it under several names.
    let mut places: Vec<String> = Vec::new();
    for place in replicas.map(|replica| replica.place.to_string()) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places.join(", ")
}

#[cfg(test)]
mod tests;
