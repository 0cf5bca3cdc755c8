//! Which snapshot, from where.
//!
//! The newest among the online replicas that hold the same data; never data that merely has the
//! same name. A snapshot is to be taken only if no replica, online or off, has one.

use schema::{Code, Failure, Location, Place, Replica};
use zfs::{DatasetPath, Snapshot, SnapshotLabel};

use super::lineage::lineages;

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The dataset's path below its pool.
    pub dataset: &'a DatasetPath,
    /// The source to use and no other.
    pub from: Option<&'a Place>,
    /// The snapshot to use and no other.
    pub snapshot: Option<&'a SnapshotLabel>,
    /// Where the receiver is, if it is at a location: of several sources one there is taken.
    pub near: Option<&'a Location>,
}

/// The snapshot to transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One that the source has.
    Existing(Snapshot),
    /// One that the source is to take first.
    New,
}

/// A snapshot and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The source.
    pub source: Place,
    /// The snapshot.
    pub snapshot: Wanted,
    /// What the user should know of it.
    pub warnings: Vec<String>,
}

const SHOW: &str = "See where datasets are with: cli --connect user.cap show";

/// Chooses among all known replicas of the dataset, or refuses and says why.
pub fn choose(replicas: &[Replica], wish: Wish<'_>) -> Result<Choice, Failure> {
    let refuse = |code, reason: String, remedy: &str| {
        Failure::new(code, "transfer", wish.dataset, reason, remedy)
    };
    if replicas.is_empty() {
        return Err(refuse(
            Code::NoSuchDataset,
            "no machine has a dataset of this name".into(),
            SHOW,
        ));
    }
    let pinned = wish.from.map(|from| pinned(replicas, wish, from)).transpose()?;
    let lineages = lineages(replicas);
    if lineages.is_empty() {
        return without_snapshots(replicas, wish, pinned);
    }
    let lineage: Vec<&Replica> = match pinned {
        Some(pinned) => match lineages.iter().find(|lineage| lineage.contains(&pinned)) {
            Some(lineage) => lineage.iter().map(|index| &replicas[*index]).collect(),
            None => {
                let reason =
                    format!("{} has no snapshot of it, and others do", replicas[pinned].place);
                return Err(refuse(
                    Code::Refused,
                    reason,
                    "Take a snapshot there, or leave --from away.",
                ));
            }
        },
        None => match lineages.as_slice() {
            [only] => only.iter().map(|index| &replicas[*index]).collect(),
            several => {
                let firsts = several
                    .iter()
                    .map(|lineage| places(lineage.iter().map(|index| &replicas[*index])));
                let reason = format!(
                    "there are {} different datasets of this name: {}",
                    several.len(),
                    firsts.collect::<Vec<_>>().join("; or ")
                );
                return Err(refuse(
                    Code::Ambiguous,
                    reason,
                    r"Say which with --from 'LOCATION\MACHINE\POOL'.",
                ));
            }
        },
    };
    let usable: Vec<&Replica> = match pinned {
        Some(pinned) => vec![&replicas[pinned]],
        None => lineage.iter().copied().filter(|replica| replica.online).collect(),
    };
    match wish.snapshot {
        Some(label) => by_label(&lineage, &usable, wish, label),
        None => newest(&lineage, &usable, wish),
    }
}

/// The replica at the place that `--from` names.
fn pinned(replicas: &[Replica], wish: Wish<'_>, from: &Place) -> Result<usize, Failure> {
    let Some(index) = replicas.iter().position(|replica| replica.place == *from) else {
        return Err(Failure::new(
            Code::NoSuchPlace,
            "transfer",
            wish.dataset,
            format!("it is not at {from}; it is at {}", places(replicas)),
            "Give --from one of those places, or leave it away.",
        ));
    };
    if !replicas[index].online {
        return Err(offline(wish, &[&replicas[index]]));
    }
    Ok(index)
}

/// No replica has a snapshot: one is to be taken, if it is clear of what.
fn without_snapshots(
    replicas: &[Replica],
    wish: Wish<'_>,
    pinned: Option<usize>,
) -> Result<Choice, Failure> {
    if let Some(label) = wish.snapshot {
        return Err(no_such_snapshot(wish, label, &[]));
    }
    let replica = match (pinned, replicas) {
        (Some(pinned), _) => &replicas[pinned],
        (None, [only]) => only,
        (None, several) => {
            return Err(Failure::new(
                Code::Ambiguous,
                "transfer",
                wish.dataset,
                format!(
                    "none of its copies has a snapshot to tell whether they are the same: {}",
                    places(several)
                ),
                r"Say which with --from 'LOCATION\MACHINE\POOL'.",
            ));
        }
    };
    if !replica.online {
        return Err(offline(wish, &[replica]));
    }
    Ok(Choice { source: replica.place.clone(), snapshot: Wanted::New, warnings: Vec::new() })
}

/// The snapshot of that name; the name must mean one and the same everywhere.
fn by_label(
    lineage: &[&Replica],
    usable: &[&Replica],
    wish: Wish<'_>,
    label: &SnapshotLabel,
) -> Result<Choice, Failure> {
    let find = |replica: &Replica| replica.snapshots.iter().find(|s| s.label == *label).cloned();
    let here: Vec<(&Replica, Snapshot)> =
        usable.iter().filter_map(|replica| Some((*replica, find(replica)?))).collect();
    let Some((_, first)) = here.first() else {
        let elsewhere: Vec<&Replica> =
            lineage.iter().copied().filter(|replica| find(replica).is_some()).collect();
        let all_offline = !elsewhere.is_empty() && elsewhere.iter().all(|replica| !replica.online);
        return Err(if all_offline {
            offline(wish, &elsewhere)
        } else {
            no_such_snapshot(wish, label, lineage)
        });
    };
    if here.iter().any(|(_, snapshot)| snapshot.guid != first.guid) {
        return Err(Failure::new(
            Code::Ambiguous,
            "transfer",
            wish.dataset,
            format!(
                "the snapshot '{label}' is not the same at {}",
                places(here.iter().map(|(replica, _)| *replica))
            ),
            r"Say which with --from 'LOCATION\MACHINE\POOL'.",
        ));
    }
    let snapshot = first.clone();
    let source = nearest(here.iter().map(|(replica, _)| &replica.place), wish)?;
    Ok(Choice { source, snapshot: Wanted::Existing(snapshot), warnings: Vec::new() })
}

/// The newest snapshot that can be had now, with a warning where a newer one is known of.
fn newest(lineage: &[&Replica], usable: &[&Replica], wish: Wish<'_>) -> Result<Choice, Failure> {
    // createtxg orders within a pool, so each replica's own newest is its last; creation across.
    let last = |replica: &Replica| replica.snapshots.iter().max_by_key(|s| s.createtxg).cloned();
    let candidates = || usable.iter().filter_map(|replica| Some((&replica.place, last(replica)?)));
    let Some((_, snapshot)) = candidates().max_by_key(|(_, s)| (s.creation, s.createtxg)) else {
        let off: Vec<&Replica> =
            lineage.iter().copied().filter(|replica| last(replica).is_some()).collect();
        return Err(if off.is_empty() {
            no_snapshot_left(wish, lineage)
        } else {
            offline(wish, &off)
        });
    };
    // Its name may be another elsewhere, so it is the source's own entry that is asked for.
    let entry =
        |replica: &Replica| replica.snapshots.iter().find(|s| s.guid == snapshot.guid).cloned();
    let holders = usable.iter().filter(|replica| entry(replica).is_some());
    let source = nearest(holders.map(|replica| &replica.place), wish)?;
    let of_source = usable.iter().find(|replica| replica.place == source);
    let snapshot = of_source.and_then(|replica| entry(replica)).unwrap_or(snapshot);
    let newer = lineage.iter().filter(|replica| !replica.online).filter_map(|replica| {
        let newer = last(replica).filter(|s| s.creation > snapshot.creation)?;
        Some(format!(
            "{} is offline and has a newer snapshot, {}; this one is {}",
            replica.place, newer.label, snapshot.label
        ))
    });
    Ok(Choice { source, warnings: newer.collect(), snapshot: Wanted::Existing(snapshot) })
}

/// A place at the receiver's own location if there is one, else the first.
fn nearest<'a>(places: impl Iterator<Item = &'a Place>, wish: Wish<'_>) -> Result<Place, Failure> {
    places.min_by_key(|place| (Some(&place.location) != wish.near, *place)).cloned().ok_or_else(
        || Failure::new(Code::NoSuchDataset, "transfer", wish.dataset, "no replica has it", SHOW),
    )
}

fn offline(wish: Wish<'_>, replicas: &[&Replica]) -> Failure {
    let places = replicas.iter().map(|replica| {
        format!("{} (last seen {})", replica.place, schema::text::utc(replica.last_seen))
    });
    Failure::new(
        Code::Offline,
        "transfer",
        wish.dataset,
        format!("it is only on what is offline: {}", places.collect::<Vec<_>>().join(", ")),
        "Bring one of these online: start its agent, import its pool.",
    )
}

fn no_such_snapshot(wish: Wish<'_>, label: &SnapshotLabel, lineage: &[&Replica]) -> Failure {
    const SHOWN: usize = 10;
    let mut known: Vec<&Snapshot> = lineage.iter().flat_map(|replica| &replica.snapshots).collect();
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
    Failure::new(
        Code::NoSuchDataset,
        "transfer",
        wish.dataset,
        format!("no replica has a snapshot '{label}'; {known}"),
        "Name one of them, or leave --snapshot away for the newest.",
    )
}

fn no_snapshot_left(wish: Wish<'_>, lineage: &[&Replica]) -> Failure {
    Failure::new(
        Code::NoSuchDataset,
        "transfer",
        wish.dataset,
        format!("only bookmarks are left of its snapshots at {}", places(lineage.iter().copied())),
        "Take a snapshot there.",
    )
}

fn places<'a>(replicas: impl IntoIterator<Item = &'a Replica>) -> String {
    let places = replicas.into_iter().map(|replica| replica.place.to_string());
    places.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(crate) mod tests;
