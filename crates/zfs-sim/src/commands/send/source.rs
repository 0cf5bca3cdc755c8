//! What a stream is made of: a snapshot and, for an increment, what it is compared with.

use anyhow::Result;

use super::warning;
use crate::commands::existing;
use crate::failure::Failure;
use crate::name::{self, Kinds};
use crate::state::{Access, Node, Pool, Root, Snapshot};
use crate::stream::Position;

/// All that decides a stream's contents.
pub(super) struct Source {
    /// The snapshot's full name.
    pub(super) name: String,
    pub(super) snapshot: Snapshot,
    pub(super) base: Option<Base>,
    pub(super) features: u64,
    /// Where to go on; none for a stream from its beginning.
    pub(super) resume: Option<Position>,
}

/// An incremental source: an earlier snapshot, or a bookmark of one.
pub(super) struct Base {
    /// Its full name.
    pub(super) name: String,
    pub(super) guid: u64,
    pub(super) id: u64,
}

impl Base {
    /// Reads `-i`: a full name, `@snapshot` or `#bookmark`.
    pub(super) fn read(
        pool: &Pool,
        of: &str,
        snapshot: &Snapshot,
        given: &str,
        dry_run: bool,
    ) -> Result<Self> {
        let mut full = given.to_owned();
        if !given.contains(['@', '#']) {
            eprintln!(
                "Warning: incremental source didn't specify type, assuming snapshot. Use '@' or '#' prefix to avoid ambiguity."
            );
            full = format!("@{given}");
        }
        if full.starts_with(['@', '#']) {
            full = format!("{}{full}", name::dataset(of));
        }
        if full.contains('@') {
            // In another pool, it need only exist.
            drop(
                (name::pool(&full) != pool.name)
                    .then(|| existing(&Root::open()?, &full, Kinds::SNAPSHOT, Access::Read))
                    .transpose()?,
            );
            if let Some(complaint) = name::complaint(&full, Kinds::SNAPSHOT) {
                return Err(Failure::error(format!("cannot open '{full}': {complaint}")));
            }
            if name::pool(&full) == pool.name && pool.get(&full).is_none() {
                return Err(Failure::error(format!(
                    "cannot open '{full}': dataset does not exist"
                )));
            }
        }
        let is_bookmark = full.contains('#');
        let earlier = || match is_bookmark && dry_run {
            true => warning(of, "Invalid cross-device link"),
            false => warning(of, "not an earlier snapshot from the same fs"),
        };
        let missing = || match dry_run {
            true => warning(of, "No such process"),
            false => warning(of, &format!("incremental source ({full}) does not exist")),
        };
        let Some(node) = pool.get(&full) else {
            return Err(if is_bookmark { missing() } else { earlier() });
        };
        Self::new(&full, node)
            .filter(|_| {
                name::dataset(&full) == name::dataset(of) && node.createtxg() < snapshot.createtxg
            })
            .ok_or_else(earlier)
    }

    /// None for what is neither a snapshot nor a bookmark.
    pub(super) fn new(name: &str, node: &Node) -> Option<Self> {
        let id = match node {
            Node::Snapshot(snapshot) => snapshot.id,
            Node::Bookmark(bookmark) => bookmark.id,
            Node::Dataset(_) => return None,
        };
        Some(Self { name: name.to_owned(), guid: node.guid(), id })
    }
}
