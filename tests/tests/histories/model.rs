//! What there is, and what a transfer must come to because of it: success with one of these
//! snapshots, or a refusal for one of these causes.
//!
//! Written from what the commands promise, and from nothing that the product says.

use std::collections::BTreeSet;

use tests::Properties;

use crate::world::Node;

/// A dataset somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) node: usize,
    pub(crate) has_agent: bool,
    /// Below its pool.
    pub(crate) path: String,
    /// Oldest first.
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) bookmarks: Vec<Snapshot>,
    ours: bool,
    /// An interrupted receive is in it.
    interrupted: bool,
    /// And was its first.
    pub(crate) unfinished: bool,
}

/// A snapshot or bookmark.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Snapshot {
    /// Orders those of a pool.
    txg: u64,
    pub(crate) guid: u64,
    pub(crate) label: String,
}

/// What a transfer is asked for, of one dataset.
pub(crate) struct Wish<'a> {
    /// Below its pool.
    pub(crate) path: &'a str,
    /// The machine's number, and the path there.
    pub(crate) target: (usize, &'a str),
    pub(crate) snapshot: Option<&'a str>,
    pub(crate) from: Option<usize>,
    pub(crate) adopt: bool,
    /// The target was written to since its newest snapshot.
    pub(crate) written: bool,
}

/// What it must come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// GUIDs of snapshots, one of which must be there after it; none: it must be refused.
    pub(crate) goals: BTreeSet<u64>,
    /// For one of which it must be refused; none: it must succeed.
    pub(crate) causes: BTreeSet<Cause>,
}

/// Why a transfer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    Ambiguous,
    NoSuchPlace,
    OnlyTheTarget,
    NoSuchSnapshot,
    OnlyBookmarks,
    NothingInCommon,
    Ahead,
    NotOurs,
    Diverged,
    Changed,
    Interrupted,
}

impl Cause {
    /// The exit status, and words that the message must have.
    pub(crate) fn told(self) -> (i32, &'static str) {
        match self {
            Self::Ambiguous => (4, "different datasets of this name"),
            Self::NoSuchPlace => (3, "it is not at "),
            Self::OnlyTheTarget => (3, "is the destination itself"),
            Self::NoSuchSnapshot => (3, "have a snapshot '"),
            Self::OnlyBookmarks => (3, "only bookmarks are left of its snapshots"),
            Self::NothingInCommon => (6, "no snapshot in common with the source"),
            Self::Ahead => (6, "the destination is ahead"),
            Self::NotOurs => (6, "was not made by zatlas"),
            Self::Diverged => (6, "it has snapshots that the source lacks"),
            Self::Changed => (6, "it was changed since"),
            Self::Interrupted => (6, "interrupted receive"),
        }
    }
}

/// All datasets of all machines.
pub(crate) fn replicas(nodes: &[Node], all: &[Properties]) -> Vec<Replica> {
    let each = nodes.iter().zip(all).enumerate();
    each.flat_map(|(number, (node, properties))| read(number, node.agent.is_some(), properties))
        .collect()
}

/// The datasets of one.
pub(crate) fn read(node: usize, has_agent: bool, properties: &Properties) -> Vec<Replica> {
    let names = properties.names();
    let datasets = names.iter().filter(|name| !name.contains(['@', '#']) && name.contains('/'));
    let entries = |dataset: &str, mark: char| {
        let mut entries: Vec<Snapshot> = names
            .iter()
            .filter_map(|name| {
                let (of, label) = name.split_once(mark).filter(|(of, _)| *of == dataset)?;
                let number = |property| properties.value(name, property)?.parse().ok();
                debug_assert!(!of.is_empty());
                Some(Snapshot {
                    txg: number("createtxg")?,
                    guid: number("guid")?,
                    label: label.to_owned(),
                })
            })
            .collect();
        entries.sort();
        entries
    };
    let has = |dataset: &str, property, not: &str| {
        properties.value(dataset, property).is_some_and(|value| value != not)
    };
    datasets
        .map(|dataset| {
            let snapshots = entries(dataset, '@');
            let interrupted = has(dataset, "receive_resume_token", "-");
            Replica {
                node,
                has_agent,
                path: dataset.split_once('/').expect("a path").1.to_owned(),
                bookmarks: entries(dataset, '#'),
                ours: has(dataset, "zatlas:transfer", "-"),
                interrupted,
                unfinished: interrupted && snapshots.is_empty(),
                snapshots,
            }
        })
        .collect()
}

impl Replica {
    fn guids(&self) -> impl Iterator<Item = u64> + '_ {
        self.snapshots.iter().map(|snapshot| snapshot.guid)
    }

    pub(crate) fn has(&self, guid: u64) -> bool {
        self.guids().any(|held| held == guid)
    }

    /// A snapshot of it, or the bookmark of one.
    fn base(&self, guid: u64) -> Option<&Snapshot> {
        self.snapshots.iter().chain(&self.bookmarks).find(|entry| entry.guid == guid)
    }

    /// Whether the tracker's word on it is the same.
    pub(crate) fn is(&self, known: &schema::Replica, nodes: &[Node]) -> bool {
        let same = |own: &[Snapshot], known: &[zfs::Snapshot]| {
            let mut own: Vec<_> = own.iter().map(|it| (it.guid, it.label.as_str())).collect();
            let mut known: Vec<_> = known.iter().map(|it| (it.guid.0, it.label.as_str())).collect();
            own.sort_unstable();
            known.sort_unstable();
            own == known
        };
        known.online
            && known.place.pool.as_str() == nodes[self.node].pool
            && known.name.as_str() == self.path
            && same(&self.snapshots, &known.snapshots)
            && same(&self.bookmarks, &known.bookmarks)
    }
}

impl Expected {
    fn refused(cause: Cause) -> Self {
        Self { causes: BTreeSet::from([cause]), ..Self::default() }
    }
}

/// What the transfer of one dataset must come to.
pub(crate) fn expect(all: &[Replica], wish: &Wish<'_>) -> Expected {
    let is_target = |replica: &Replica| (replica.node, replica.path.as_str()) == wish.target;
    let target = all.iter().find(|replica| is_target(replica));
    let others: Vec<&Replica> =
        all.iter().filter(|it| it.has_agent && !it.snapshots.is_empty()).collect();
    // Only through the target may it be known that two of the others hold the same data.
    let mut lineages = lineages(&others, wish.path);
    lineages.iter_mut().for_each(|lineage| lineage.retain(|it| !is_target(it)));
    lineages.retain(|lineage| lineage.iter().any(|it| it.path == wish.path));
    let pinned = match wish.from {
        None => None,
        Some(from) => {
            let there = |replica: &&&Replica| replica.node == from;
            let known = lineages.iter().flatten().filter(there);
            match known.min_by_key(|replica| (replica.path != wish.path, &replica.path)) {
                None if from == wish.target.0 && target.is_some() => {
                    return Expected::refused(Cause::OnlyTheTarget);
                }
                None => return Expected::refused(Cause::NoSuchPlace),
                pinned => pinned.copied(),
            }
        }
    };
    let of_pinned = |lineage: &&Vec<&Replica>| {
        pinned.is_none_or(|pinned| lineage.iter().any(|it| std::ptr::eq(*it, pinned)))
    };
    let lineage: Vec<_> = lineages.iter().filter(of_pinned).collect();
    let [lineage] = lineage[..] else { return Expected::refused(Cause::Ambiguous) };

    let serving: Vec<&Replica> = match pinned {
        Some(pinned) => vec![pinned],
        None => lineage.clone(),
    };
    // The place is pinned, not the dataset there.
    let mut senders = lineage.clone();
    senders.retain(|it| wish.from.is_none_or(|from| it.node == from));
    let goals = match wish.snapshot {
        Some(label) => {
            let naming = naming(lineage, wish.path, pinned);
            let named = naming.iter().flat_map(|it| &it.snapshots).filter(|it| it.label == label);
            let can_be_had = |it: &&Snapshot| serving.iter().any(|source| source.has(it.guid));
            named.filter(can_be_had).map(|it| it.guid).collect()
        }
        None => newest(&naming(lineage, wish.path, pinned), &serving),
    };
    if goals.is_empty() {
        let unnamed = wish.snapshot.is_none();
        let cause = if unnamed { Cause::OnlyBookmarks } else { Cause::NoSuchSnapshot };
        return Expected::refused(cause);
    }
    let mut expected = Expected::default();
    for goal in goals {
        let causes = match target {
            Some(target) => refusals(target, goal, &senders, wish),
            None => BTreeSet::new(),
        };
        if causes.is_empty() || causes.contains(&Cause::Interrupted) {
            expected.goals.insert(goal);
        }
        expected.causes.extend(causes);
    }
    expected
}

/// Those of the wished name, apart where they share nothing, each with those of other names that
/// share something with one of it.
fn lineages<'a>(all: &[&'a Replica], path: &str) -> Vec<Vec<&'a Replica>> {
    let mut rest = all.to_vec();
    let mut lineages = Vec::new();
    while let Some(index) = rest.iter().position(|replica| replica.path == path) {
        let mut lineage = vec![rest.swap_remove(index)];
        let mut next = 0;
        while let Some(&member) = lineage.get(next) {
            let shares = |it: &&Replica| {
                let mut known = it.snapshots.iter().chain(&it.bookmarks);
                known.any(|entry| member.base(entry.guid).is_some())
            };
            lineage.extend(rest.iter().copied().filter(|it| shares(it)));
            rest.retain(|it| !shares(it));
            next += 1;
        }
        lineages.push(lineage);
    }
    lineages
}

/// Whose snapshots may be wished for.
fn naming<'a>(
    lineage: &[&'a Replica],
    path: &str,
    pinned: Option<&'a Replica>,
) -> Vec<&'a Replica> {
    match pinned.filter(|pinned| pinned.path == path) {
        Some(pinned) => vec![pinned],
        None => lineage.iter().copied().filter(|replica| replica.path == path).collect(),
    }
}

/// The last of those that can be had; several where copies have gone different ways.
fn newest(naming: &[&Replica], serving: &[&Replica]) -> BTreeSet<u64> {
    let had = |replica: &Replica| -> Vec<u64> {
        replica.guids().filter(|guid| serving.iter().any(|source| source.has(*guid))).collect()
    };
    let had: Vec<Vec<u64>> = naming.iter().map(|replica| had(replica)).collect();
    let last: BTreeSet<u64> = had.iter().filter_map(|guids| guids.last().copied()).collect();
    let is_outdone =
        |guid: &u64| had.iter().any(|guids| guids.contains(guid) && guids.last() != Some(guid));
    last.into_iter().filter(|guid| !is_outdone(guid)).collect()
}

/// Why no source can bring the snapshot into what is there; empty if one can.
fn refusals(target: &Replica, goal: u64, serving: &[&Replica], wish: &Wish<'_>) -> BTreeSet<Cause> {
    let mut causes = BTreeSet::new();
    if target.has(goal) {
        return causes;
    }
    if target.interrupted {
        causes.insert(Cause::Interrupted);
    }
    if target.unfinished {
        return causes;
    }
    for source in serving {
        let Some(goal) = source.snapshots.iter().find(|it| it.guid == goal) else { continue };
        let known = |it: &Snapshot| source.base(it.guid).is_some();
        let Some(common) = target.snapshots.iter().rposition(known) else {
            causes.insert(Cause::NothingInCommon);
            continue;
        };
        let base = source.base(target.snapshots[common].guid).expect("it is known");
        let diverged = common + 1 < target.snapshots.len();
        let found: Vec<Cause> = [
            (base.txg >= goal.txg, Cause::Ahead),
            (!target.ours && !wish.adopt, Cause::NotOurs),
            (diverged, Cause::Diverged),
            (wish.written, Cause::Changed),
        ]
        .into_iter()
        .filter_map(|(is_so, cause)| is_so.then_some(cause))
        .collect();
        if found.is_empty() {
            causes.retain(|cause| *cause == Cause::Interrupted);
            return causes;
        }
        causes.extend(found);
    }
    causes
}
