//! `zpool destroy`, `zpool export` and `zpool import`: pools that come and go.

use std::fs;

use anyhow::Result;

use super::{existing, options};
use crate::commands::mount_all;
use crate::events::Event;
use crate::failure::Failure;
use crate::state::{Access, Node, Pool, Root, remove_all};
use crate::usage;

pub(super) fn destroy(arguments: &[String]) -> Result<()> {
    let options = options("destroy", arguments, "f")?;
    let name = one(&options.operands, "destroy")?;
    let root = Root::open()?;
    let _lock = root.lock()?;
    let mut pool = existing(&root, name, Access::Write)?;
    refuse_if_busy(&pool, "destroy")?;
    pool.event(Event::pool("sysevent.fs.zfs.pool_destroy", 2));
    let dir = pool.dir().to_owned();
    pool.commit()?;
    remove_all(&dir)
}

pub(super) fn export(arguments: &[String]) -> Result<()> {
    let options = options("export", arguments, "af")?;
    let name = one(&options.operands, "export")?;
    let root = Root::open()?;
    let _lock = root.lock()?;
    let mut pool = existing(&root, name, Access::Write)?;
    refuse_if_busy(&pool, "export")?;
    for on in pool.subtree(name) {
        if pool.dataset(&on).is_some_and(|dataset| dataset.mounted) {
            pool.change(&on, |dataset| dataset.mounted = false);
        }
    }
    pool.event(Event::pool("sysevent.fs.zfs.pool_export", 1));
    pool.commit()?;
    Ok(fs::rename(root.pool_dir(name), root.exported_dir(name))?)
}

pub(super) fn import(arguments: &[String]) -> Result<()> {
    let options = options("import", arguments, "aCc:d:DEfFlmnNo:R:tT:VX")?;
    let name = one(&options.operands, "import")?;
    let root = Root::open()?;
    let _lock = root.lock()?;
    if root.pool_dir(name).exists() {
        return Err(Failure::error(format!(
            "cannot import '{name}': a pool with that name already exists
use the form 'zpool import <pool | id> <newpool>' to give it a new name"
        )));
    }
    if !root.exported_dir(name).exists() {
        return Err(Failure::error(format!("cannot import '{name}': no such pool available")));
    }
    fs::rename(root.exported_dir(name), root.pool_dir(name))?;
    let mut pool = existing(&root, name, Access::Write)?;
    pool.event(Event::pool("sysevent.fs.zfs.config_sync", 0));
    pool.event(Event::pool("sysevent.fs.zfs.pool_import", 0));
    pool.commit()?;
    if options.has('N') { Ok(()) } else { mount_all(&root, name) }
}

fn one<'a>(operands: &'a [String], command: &str) -> Result<&'a str> {
    operands
        .first()
        .map(String::as_str)
        .ok_or_else(|| usage::zpool(command, "missing pool argument"))
}

fn refuse_if_busy(pool: &Pool, action: &str) -> Result<()> {
    for id in pool.iter().flat_map(|(_, node)| Node::data(node)) {
        if pool.is_busy(id)? {
            return Err(Failure::error(format!("cannot {action} '{}': pool is busy", pool.name)));
        }
    }
    Ok(())
}
