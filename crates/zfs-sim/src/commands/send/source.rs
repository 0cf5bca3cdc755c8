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
        let full = full_name(of, given);
        let is_bookmark = full.contains('#');
        if !is_bookmark {
            must_exist(pool, &full)?;
        }
        let Some(node) = pool.get(&full).filter(|_| name::dataset(&full) == name::dataset(of))
        else {
            return Err(match (is_bookmark, dry_run) {
                (false, _) => warning(of, "not an earlier snapshot from the same fs"),
                (true, false) => {
                    warning(of, &format!("incremental source ({full}) does not exist"))
                }
                (true, true) => warning(of, "No such process"),
            });
        };
        Self::new(&full, node).filter(|_| node.createtxg() < snapshot.createtxg).ok_or_else(|| {
            match is_bookmark && dry_run {
                true => warning(of, "Invalid cross-device link"),
                false => warning(of, "not an earlier snapshot from the same fs"),
            }
        })
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

/// What `-i` means: a snapshot unless it says otherwise, of the same dataset unless it names one.
fn full_name(of: &str, given: &str) -> String {
    let mut full = given.to_owned();
    if !given.contains(['@', '#']) {
        eprintln!(
            "Warning: incremental source didn't specify type, assuming snapshot. Use '@' or '#' prefix to avoid ambiguity."
        );
        full.insert(0, '@');
    }
    if full.starts_with(['@', '#']) {
        full.insert_str(0, name::dataset(of));
    }
    full
}

/// A snapshot to start from must exist, even where it can't serve.
fn must_exist(pool: &Pool, name: &str) -> Result<()> {
    if name::pool(name) != pool.name {
        return existing(&Root::open()?, name, Kinds::SNAPSHOT, Access::Read).map(drop);
    }
    match name::complaint(name, Kinds::SNAPSHOT) {
        Some(complaint) => Err(Failure::error(format!("cannot open '{name}': {complaint}"))),
        None if pool.get(name).is_none() => {
            Err(Failure::error(format!("cannot open '{name}': dataset does not exist")))
        }
        None => Ok(()),
    }
}
