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
    if source.starts_with(['@', '#']) && bookmark.starts_with('#') {
        // The real one ends this line with the usage's first.
        return Err(Failure::with_status(
            2,
            format!(
                "either source or bookmark must be specified as full dataset paths{}",
                usage::zfs("bookmark", "")
            ),
        ));
    }
    let source = expand(source, bookmark);
    let bookmark = expand(bookmark, &source);
    let mut pool = existing(&Root::open()?, &source, Kinds::ANY, Access::Write)
        .map_err(|error| usage::zfs("bookmark", &error.to_string()))?;
    let cannot = |why: &str| Failure::error(format!("cannot create bookmark '{bookmark}': {why}"));
    if name::new_complaint(&bookmark, Kinds::ANY).is_some() {
        return Err(cannot("invalid argument"));
    }
    if name::pool(&bookmark) != pool.name {
        return Err(cannot("bookmark is in a different pool"));
    }
    if pool.dataset(name::dataset(&bookmark)).is_none() {
        return Err(cannot("dataset does not exist"));
    }
    let (made_of, target) = match pool.get(&source) {
        Some(Node::Snapshot(snapshot)) => {
            let made_of = Bookmark {
                id: snapshot.id,
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
