//! Which datasets, snapshots and bookmarks a command means, and in what order: what `zfs list` and
//! `zfs get` share.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use crate::name::{self, Kinds};
use crate::options::Options;
use crate::state::{Access, Dataset, Node, Pool, Root};

/// The kinds of thing to show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types {
    pub(crate) filesystem: bool,
    pub(crate) volume: bool,
    pub(crate) snapshot: bool,
    pub(crate) bookmark: bool,
}

impl Types {
    pub(crate) const NONE: Self =
        Self { filesystem: false, volume: false, snapshot: false, bookmark: false };
    pub(crate) const ALL: Self =
        Self { filesystem: true, volume: true, snapshot: true, bookmark: true };
    pub(crate) const DATASETS: Self = Self { snapshot: false, bookmark: false, ..Self::ALL };

    /// Reads the argument of `-t`; the error is the complaint.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut types = Self::NONE;
        for word in text.split(',') {
            match word {
                "filesystem" | "fs" => types.filesystem = true,
                "volume" | "vol" => types.volume = true,
                "snapshot" | "snap" => types.snapshot = true,
                "bookmark" => types.bookmark = true,
                "all" => types = Self::ALL,
                unknown => return Err(format!("invalid type '{unknown}'")),
            }
        }
        Ok(types)
    }

    fn includes(self, node: &Node) -> bool {
        match node {
            Node::Dataset(Dataset { volsize: None, .. }) => self.filesystem,
            Node::Dataset(_) => self.volume,
            Node::Snapshot(_) => self.snapshot,
            Node::Bookmark(_) => self.bookmark,
        }
    }
}

/// How far below the named datasets to go: not at all, so many levels, or to the end.
#[derive(Clone, Copy)]
pub(crate) struct Depth(usize);

impl Depth {
    /// Reads `-r` and `-d`; the error is the complaint.
    pub(crate) fn read(options: &Options, types: Types) -> Result<Self, String> {
        if let Some(levels) = options.value('d') {
            return levels.parse().map(Self).map_err(|_| format!("{levels} is not an integer"));
        }
        let only = |snapshot, bookmark| types == Types { snapshot, bookmark, ..Types::NONE };
        Ok(Self(match options.has('r') || options.operands.is_empty() {
            true => usize::MAX,
            false if only(true, false) || only(false, true) => 1,
            false => 0,
        }))
    }
}

/// What was selected, pool by pool, with the pools themselves.
pub(crate) struct Selection {
    pub(crate) pools: BTreeMap<String, Pool>,
    /// Full names, each once, in the order of `zfs list`.
    pub(crate) names: Vec<String>,
    /// Whether a name was complained about, on stderr.
    pub(crate) failed: bool,
}

/// Finds what is meant by names; by none, all there is. What is of the types `named` is shown where it is
/// named itself, whatever `types` says of what is found below.
pub(crate) fn select(
    root: &Root,
    names: &[String],
    types: Types,
    depth: Depth,
    named: Types,
) -> Result<Selection> {
    let mut pools = BTreeMap::new();
    let mut found = BTreeSet::new();
    let mut failed = false;
    let all = if names.is_empty() { root.pools()? } else { Vec::new() };
    for name in names.iter().chain(&all) {
        let pool_name = name::pool(name);
        if !pools.contains_key(pool_name)
            && let Some(pool) = root.pool(pool_name, Access::Read)?
        {
            pools.insert(pool_name.to_owned(), pool);
        }
        match find(pools.get(pool_name), name, types, depth, named) {
            Ok(selected) => found.extend(selected),
            Err(complaint) => {
                eprintln!("{complaint}");
                failed = true;
            }
        }
    }
    let mut names: Vec<_> = found.into_iter().collect();
    let txg = |name: &str| {
        pools.get(name::pool(name)).and_then(|pool| pool.get(name)).map(Node::createtxg)
    };
    names.sort_by(|left, right| order(left, right, txg));
    Ok(Selection { pools, names, failed })
}

/// The order of `zfs list`: by name, a dataset's snapshots by age.
pub(crate) fn order(left: &str, right: &str, txg: impl Fn(&str) -> Option<u64>) -> Ordering {
    let (left_dataset, right_dataset) = (before_at(left), before_at(right));
    left_dataset
        .cmp(right_dataset)
        .then_with(|| left.contains('@').cmp(&right.contains('@')))
        .then_with(|| txg(left).cmp(&txg(right)))
        .then_with(|| left.cmp(right))
}

fn before_at(name: &str) -> &str {
    name.split_once('@').map_or(name, |(dataset, _)| dataset)
}

fn find(
    pool: Option<&Pool>,
    name: &str,
    types: Types,
    depth: Depth,
    named: Types,
) -> Result<Vec<String>, String> {
    if name.starts_with('/') {
        return Err(match Path::new(name).exists() {
            true => format!("'{name}': not a ZFS filesystem"),
            false => format!("cannot open '{name}': No such file or directory"),
        });
    }
    let kinds = Kinds { snapshot: named.snapshot, bookmark: named.bookmark, ..Kinds::ANY };
    if let Some(complaint) = name::complaint(name, kinds) {
        return Err(format!("cannot open '{name}': {complaint}"));
    }
    let Some((pool, node)) = pool.and_then(|pool| Some((pool, pool.get(name)?))) else {
        return Err(format!("cannot open '{name}': dataset does not exist"));
    };
    if depth.0 == 0 && !named.includes(node) {
        return Err(format!(
            "cannot open '{name}': operation not applicable to datasets of this type"
        ));
    }
    let mut found = Vec::new();
    if named.includes(node) {
        found.push(name.to_owned());
    }
    let levels = |on: &str| on[name.len()..].matches(['/', '@', '#']).count();
    if depth.0 > 0 && node.as_dataset().is_some() {
        for separator in ["/", "@", "#"] {
            let prefix = format!("{name}{separator}");
            let below = pool
                .with_prefix(&prefix)
                .filter(|(on, node)| types.includes(node) && levels(on) <= depth.0);
            found.extend(below.map(|(on, _)| on.to_owned()));
        }
    }
    Ok(found)
}
