//! `zfs bookmark`.

use anyhow::Result;

use super::{existing, options};
use crate::failure::Failure;
use crate::name::{self, Kinds};
use crate::state::{Access, Bookmark, Node, Root};
use crate::usage;

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("bookmark", arguments, "")?;
    let (source, bookmark) = match options.operands.as_slice() {
        [] => return Err(usage::zfs("bookmark", "missing source argument")),
        [_] => return Err(usage::zfs("bookmark", "missing bookmark argument")),
        [source, bookmark] => (source, bookmark),
        _ => return Err(usage::zfs("bookmark", "too many arguments")),
    };
    if !source.contains(['@', '#']) {
        return Err(usage::zfs(
            "bookmark",
            &format!("invalid source name '{source}': must contain a '@' or '#'"),
        ));
    }
    if !bookmark.contains('#') {
        return Err(usage::zfs(
            "bookmark",
            &format!("invalid bookmark name '{bookmark}': must contain a '#'"),
        ));
    }
    let source = expand(source, bookmark);
    let bookmark = expand(bookmark, &source);
    let mut pool = existing(&Root::open()?, &source, Kinds::ANY, Access::Write)
        .map_err(|error| usage::zfs("bookmark", &error.to_string()))?;
    let cannot = |why: &str| Failure::error(format!("cannot create bookmark '{bookmark}': {why}"));
    if let Some(complaint) = name::new_complaint(&bookmark, Kinds::ANY) {
        return Err(cannot(&complaint));
    }
    let (made_of, target) = match pool.get(&source) {
        Some(Node::Snapshot(snapshot)) => {
            let made_of = Bookmark {
                guid: snapshot.guid,
                createtxg: snapshot.createtxg,
                creation: snapshot.creation,
                referenced: snapshot.referenced,
            };
            (made_of, snapshot.id)
        }
        Some(Node::Bookmark(bookmark)) => (bookmark.clone(), 0),
        _ => return Err(cannot("dataset does not exist")),
    };
    if name::dataset(&bookmark) != name::dataset(&source) {
        return Err(cannot("source is not an ancestor of the new bookmark's dataset"));
    }
    if pool.get(&bookmark).is_some() {
        return Err(cannot("bookmark exists"));
    }
    pool.next_txg();
    let short = bookmark.split_once('#').map_or("", |(_, short)| short);
    let detail = format!(
        "name={short} creation_txg={} target_snap={target} redact_obj=0",
        made_of.createtxg
    );
    let dataset = name::dataset(&bookmark);
    let id = pool.dataset(dataset).map_or(0, |dataset| dataset.id);
    pool.history(dataset, id, "bookmark", &detail);
    pool.put(&bookmark, Node::Bookmark(made_of));
    pool.commit()
}

/// Puts the other name's dataset before a name that has none.
fn expand(name: &str, other: &str) -> String {
    if name.starts_with(['@', '#']) {
        format!("{}{name}", name::dataset(other))
    } else {
        name.to_owned()
    }
}
