//! `zfs rollback`.

use anyhow::Result;

use super::{destroy, existing, options};
use crate::failure::Failure;
use crate::name::{self, Kinds};
use crate::state::{Access, Node, Pool, Root, Snapshot};
use crate::usage;

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("rollback", arguments, "rRf")?;
    let name = match options.operands.as_slice() {
        [] => return Err(usage::zfs("rollback", "missing dataset argument")),
        [name] => name.as_str(),
        _ => return Err(usage::zfs("rollback", "too many arguments")),
    };
    if !name.contains('@') {
        return Err(Failure::error(format!(
            "cannot open '{name}': missing '@' delimiter in snapshot name"
        )));
    }
    let mut pool = existing(&Root::open()?, name, Kinds::SNAPSHOT, Access::Write)?;
    let Some(Node::Snapshot(target)) = pool.get(name).cloned() else { return Ok(()) };
    let on = name::dataset(name);
    let (snapshots, bookmarks) = newer(&pool, on, &target);
    let may_discard = options.has('r') || options.has('R');
    if !may_discard && snapshots.len() + bookmarks.len() > 0 {
        let newer: String =
            snapshots.iter().chain(&bookmarks).map(|name| format!("\n{name}")).collect();
        return Err(Failure::error(format!(
            "cannot rollback to '{name}': more recent snapshots or bookmarks exist\nuse '-r' to force deletion of the following snapshots and bookmarks:{newer}"
        )));
    }
    let clones: Vec<_> = snapshots
        .iter()
        .filter_map(|name| destroy::clone(&pool, name, pool.get(name)?.guid()))
        .collect();
    if !clones.is_empty() && !options.has('R') {
        return Err(Failure::error(format!(
            "cannot rollback to '{name}': clones of previous snapshots exist\nuse '-R' to force deletion of the following clones and dependents:\n{}",
            clones.join("\n")
        )));
    }
    if !clones.is_empty() {
        pool.drop_partial(on);
    }
    pool.next_txg();
    let kept = discard(&mut pool, &snapshots, &bookmarks)?;
    if !kept.is_empty() {
        pool.commit()?;
        let busy = |name: &String| format!("cannot destroy '{name}': dataset is busy");
        return Err(Failure::error(kept.iter().map(busy).collect::<Vec<_>>().join("\n")));
    }
    pool.change(on, |dataset| {
        dataset.becomes = Some(target.id);
        dataset.volsize = target.volsize;
    });
    let temporary = format!("{on}/%rollback");
    let short = on.rsplit('/').next().unwrap_or(on);
    pool.history(&temporary, target.id, "clone swap", &format!("parent={short}"));
    pool.history(&temporary, target.id, "destroy", "(bptree, mintxg=1)");
    pool.commit()
}

/// The snapshots and bookmarks that are newer than a snapshot, oldest first.
fn newer(pool: &Pool, on: &str, than: &Snapshot) -> (Vec<String>, Vec<String>) {
    let prefix = format!("{on}#");
    let is_newer = |node: &Node| node.createtxg() > than.createtxg;
    let snapshots = pool.snapshots(on).into_iter();
    let snapshots = snapshots.filter(|name| pool.get(name).is_some_and(is_newer)).collect();
    let bookmarks = pool.with_prefix(&prefix).filter(|(_, node)| is_newer(node));
    (snapshots, bookmarks.map(|(name, _)| name.to_owned()).collect())
}

/// Removes what may go; returns the snapshots that may not.
fn discard(pool: &mut Pool, snapshots: &[String], bookmarks: &[String]) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    for name in snapshots.iter().rev() {
        let Some(Node::Snapshot(snapshot)) = pool.get(name) else { continue };
        if !snapshot.holds.is_empty() || pool.is_busy(snapshot.id)? {
            kept.push(name.clone());
        } else {
            destroy::remove(pool, name);
        }
    }
    bookmarks.iter().for_each(|name| drop(pool.remove(name)));
    Ok(kept)
}
