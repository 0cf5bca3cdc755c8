//! `zfs mount` and `zfs unmount`: who counts as mounted. Nothing is really mounted.

use anyhow::Result;

use super::{existing, options, snapshot};
use crate::failure::Failure;
use crate::name::Kinds;
use crate::property::View;
use crate::state::{Access, Node, Pool, Root};
use crate::usage;

pub(super) fn mount(arguments: &[String]) -> Result<()> {
    let options = options("mount", arguments, "aflo:OvR")?;
    let root = Root::open()?;
    if options.has('a') {
        for name in root.pools()? {
            mount_all(&root, &name)?;
        }
        return Ok(());
    }
    match options.operands.as_slice() {
        [] => list(&root),
        [name] => mount_one(&root, name),
        _ => Err(usage::zfs("mount", "too many arguments")),
    }
}

fn list(root: &Root) -> Result<()> {
    for name in root.pools()? {
        let Some(pool) = root.pool(&name, Access::Read)? else { continue };
        let view = View::new(&pool);
        for (on, node) in
            pool.iter().filter(|(_, node)| node.as_dataset().is_some_and(|dataset| dataset.mounted))
        {
            if let Some((path, _)) = view.value(on, node, "mountpoint")? {
                println!("{on:<30}  {path}");
            }
        }
    }
    Ok(())
}

/// Mounts all of a pool that wants to be.
pub(crate) fn mount_all(root: &Root, name: &str) -> Result<()> {
    let Some(mut pool) = root.pool(name, Access::Write)? else { return Ok(()) };
    for on in pool.subtree(name) {
        snapshot::mount_if_wanted(&mut pool, &on)?;
    }
    pool.commit()
}

fn mount_one(root: &Root, name: &str) -> Result<()> {
    let (mut pool, node) = filesystem(root, name)?;
    let cannot = |why: &str| Failure::error(format!("cannot mount '{name}': {why}"));
    let value = |property| {
        Ok::<_, anyhow::Error>(
            View::new(&pool).value(name, &node, property)?.map(|(value, _)| value),
        )
    };
    if value("canmount")?.as_deref() == Some("off") {
        return Err(cannot("'canmount' property is set to 'off'"));
    }
    match value("mountpoint")?.as_deref() {
        Some("none") => return Err(cannot("no mountpoint set")),
        Some("legacy") => {
            return Err(cannot("legacy mountpoint\nuse mount(8) to mount this filesystem"));
        }
        _ => {}
    }
    match node.as_dataset() {
        Some(dataset) if dataset.mounted => return Err(cannot("filesystem already mounted")),
        Some(dataset) if dataset.is_inconsistent() => return Err(cannot("dataset is busy")),
        _ => {}
    }
    pool.change(name, |dataset| dataset.mounted = true);
    pool.commit()
}

pub(super) fn unmount(arguments: &[String]) -> Result<()> {
    let options = options("unmount", arguments, "afu")?;
    let root = Root::open()?;
    let name = match options.operands.as_slice() {
        [] => return Err(usage::zfs("unmount", "missing filesystem argument")),
        [name] => name,
        _ => return Err(usage::zfs("unmount", "too many arguments")),
    };
    let (mut pool, node) = filesystem(&root, name)?;
    if node.as_dataset().is_some_and(|dataset| !dataset.mounted) {
        return Err(Failure::error(format!("cannot unmount '{name}': not currently mounted")));
    }
    for on in pool.subtree(name) {
        pool.change(&on, |dataset| dataset.mounted = false);
    }
    pool.commit()
}

fn filesystem(root: &Root, name: &str) -> Result<(Pool, Node)> {
    let pool = existing(root, name, Kinds::DATASET, Access::Write)?;
    match pool.get(name).cloned() {
        Some(node) if node.kind() == "filesystem" => Ok((pool, node)),
        _ => Err(Failure::error(format!(
            "cannot open '{name}': operation not applicable to datasets of this type"
        ))),
    }
}
