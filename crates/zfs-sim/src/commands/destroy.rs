//! `zfs destroy`.

use anyhow::Result;

use super::{existing, options};
use crate::failure::Failure;
use crate::name::{self, Kinds};
use crate::options::Options;
use crate::state::{Access, Node, Pool, Root};
use crate::usage;

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("destroy", arguments, "vpndfrR")?;
    let name = match options.operands.as_slice() {
        [] => return Err(usage::zfs("destroy", "missing dataset argument")),
        [name] => name.as_str(),
        _ => return Err(usage::zfs("destroy", "too many arguments")),
    };
    let root = Root::open()?;
    if name.contains('@') {
        snapshots(&root, name, &options)
    } else if name.contains('#') {
        bookmark(&root, name)
    } else {
        dataset(&root, name, &options)
    }
}

fn snapshots(root: &Root, name: &str, options: &Options) -> Result<()> {
    let dataset = name::dataset(name);
    let mut pool = existing(root, dataset, Kinds::DATASET, Access::Write)?;
    let shorts: Vec<_> = name[dataset.len() + 1..].split(',').collect();
    let datasets = if options.has('r') { pool.subtree(dataset) } else { vec![dataset.to_owned()] };
    let wanted = datasets
        .iter()
        .flat_map(|dataset| shorts.iter().map(move |short| format!("{dataset}@{short}")));
    let wanted: Vec<_> = wanted.filter(|name| pool.get(name).is_some()).collect();
    if wanted.is_empty() {
        return Err(Failure::error(
            "could not find any snapshots to destroy; check snapshot names.",
        ));
    }
    if options.has('n') {
        if options.has('v') {
            tell(&wanted, options.has('p'));
        }
        return Ok(());
    }
    destroy(&mut pool, &wanted)?;
    pool.commit()
}

/// What `-nv` would destroy, and the bytes that only these hold.
fn tell(wanted: &[String], parsable: bool) {
    for name in wanted {
        println!("{}{name}", if parsable { "destroy\t" } else { "would destroy " });
    }
    println!("{}", if parsable { "reclaim\t0" } else { "would reclaim 0B" });
}

fn bookmark(root: &Root, name: &str) -> Result<()> {
    let missing = || Failure::error(format!("bookmark '{name}' does not exist."));
    let mut pool = root.pool(name::pool(name), Access::Write)?.ok_or_else(missing)?;
    pool.get(name).ok_or_else(missing)?;
    pool.next_txg();
    let dataset = name::dataset(name);
    let id = pool.dataset(dataset).map_or(0, |dataset| dataset.id);
    pool.history(dataset, id, "remove bookmark", &format!("name={}", &name[dataset.len() + 1..]));
    pool.remove(name);
    pool.commit()
}

fn dataset(root: &Root, name: &str, options: &Options) -> Result<()> {
    let mut pool = existing(root, name, Kinds::DATASET, Access::Write)?;
    if name == pool.name && !options.has('r') {
        return Err(Failure::error(format!(
            "cannot destroy '{name}': operation does not apply to pools
use 'zfs destroy -r {name}' to destroy all datasets in the pool
use 'zpool destroy {name}' to destroy the pool itself"
        )));
    }
    let dependents = dependents(&pool, name);
    if !options.has('r') && !dependents.is_empty() {
        let is_volume = pool.dataset(name).is_some_and(|dataset| dataset.volsize.is_some());
        let kind = if is_volume { "volume" } else { "filesystem" };
        let others: String = dependents.into_iter().map(|other| format!("\n{other}")).collect();
        return Err(Failure::error(format!(
            "cannot destroy '{name}': {kind} has children\nuse '-r' to destroy the following datasets:{others}"
        )));
    }
    if let Some(refusal) = receiving(&pool, name)? {
        return Err(refusal);
    }
    // Children first, each after its snapshots: what goes before something that can't go is gone.
    let mut outcome = Ok(());
    for dataset in pool.subtree(name).into_iter().rev() {
        if partial(&pool, &dataset).is_some() {
            pool.drop_partial(&dataset);
        }
        let snapshots = pool.snapshots(&dataset);
        outcome = destroy(&mut pool, &snapshots);
        if outcome.is_ok() && dataset != pool.name {
            outcome = destroy(&mut pool, &[dataset]);
        }
        if outcome.is_err() {
            break;
        }
    }
    pool.commit()?;
    outcome
}

/// What stands in the way of destroying a dataset, in the order in which ZFS tells it.
fn dependents(pool: &Pool, name: &str) -> Vec<String> {
    let prefix = format!("{name}/");
    let children = pool
        .with_prefix(&prefix)
        .filter(|(other, node)| node.as_dataset().is_some() && name::parent(other) == Some(name));
    let mut found = Vec::new();
    for (child, _) in children {
        found.extend(dependents(pool, child));
        found.push(child.to_owned());
    }
    if let Some(partial) = partial(pool, name) {
        found.push(partial);
    }
    found.extend(pool.snapshots(name));
    found
}

/// What an interrupted increment is called.
fn partial(pool: &Pool, name: &str) -> Option<String> {
    let dataset = pool.dataset(name)?;
    (dataset.receiving.is_some() && !dataset.is_inconsistent()).then(|| format!("{name}/%recv"))
}

/// A running increment keeps all of its dataset.
fn receiving(pool: &Pool, name: &str) -> Result<Option<anyhow::Error>> {
    let mut complaints = Vec::new();
    for dataset in pool.subtree(name) {
        let incoming = pool.dataset(&dataset).and_then(|found| found.receiving.as_ref());
        let Some((partial, incoming)) = partial(pool, &dataset).zip(incoming) else { continue };
        if pool.is_busy(incoming.id)? {
            complaints.push(format!("cannot destroy '{partial}': dataset is busy"));
            let base = pool.snapshots(&dataset).into_iter().find(|snapshot| {
                pool.get(snapshot).is_some_and(|found| found.guid() == incoming.fromguid)
            });
            complaints.extend(
                base.map(|base| format!("cannot destroy snapshot {base}: snapshot is cloned")),
            );
        }
    }
    Ok((!complaints.is_empty()).then(|| Failure::error(complaints.join("\n"))))
}

/// What depends on a snapshot: the increment that builds on it.
pub(super) fn clone(pool: &Pool, name: &str, guid: u64) -> Option<String> {
    let on = name::dataset(name);
    let base = pool.dataset(on)?.receiving.as_ref()?.fromguid;
    partial(pool, on).filter(|_| base == guid)
}

/// Destroys datasets or snapshots: all of these or, if one can't be, none.
fn destroy(pool: &mut Pool, wanted: &[String]) -> Result<()> {
    let mut complaints = Vec::new();
    for name in wanted {
        match pool.get(name) {
            Some(Node::Snapshot(snapshot)) if !snapshot.holds.is_empty() => complaints.push(format!(
                "cannot destroy snapshot {name}: it's being held. Run 'zfs holds -r {name}' to see holders."
            )),
            Some(Node::Snapshot(snapshot)) if pool.is_busy(snapshot.id)? => {
                complaints.push(format!("cannot destroy snapshot {name}: dataset is busy"));
            }
            Some(Node::Snapshot(snapshot)) => {
                complaints.extend(clone(pool, name, snapshot.guid).map(|partial| format!(
                    "cannot destroy '{name}': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n{partial}"
                )));
            }
            Some(Node::Dataset(dataset)) if pool.is_busy(dataset.id)? => {
                complaints.push(format!("cannot destroy '{name}': dataset is busy"));
            }
            _ => {}
        }
    }
    if !complaints.is_empty() {
        return Err(Failure::error(complaints.join("\n")));
    }
    pool.next_txg();
    for name in wanted {
        remove(pool, name);
    }
    Ok(())
}

/// Removes a snapshot, or a dataset with its bookmarks.
pub(super) fn remove(pool: &mut Pool, name: &str) {
    let bookmarks: Vec<_> =
        pool.with_prefix(&format!("{name}#")).map(|(bookmark, _)| bookmark.to_owned()).collect();
    for bookmark in bookmarks {
        pool.remove(&bookmark);
    }
    match pool.remove(name) {
        Some(Node::Dataset(dataset)) => {
            pool.history(name, dataset.id, "destroy", "(bptree, mintxg=1)")
        }
        Some(Node::Snapshot(snapshot)) => pool.history(name, snapshot.id, "destroy", ""),
        _ => {}
    }
}
