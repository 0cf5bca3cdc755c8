//! `zpool create`.

use std::fs;

use anyhow::Result;

use super::options;
use crate::commands::mount_all;
use crate::events::Event;
use crate::failure::Failure;
use crate::name;
use crate::property::{assignment, check};
use crate::state::{Dataset, Node, Pool, Properties, Root, new_guid, now};
use crate::usage;

/// The size of a vdev that is no file here: room enough for any test.
const DEFAULT_SIZE: u64 = 1 << 40;

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("create", arguments, "fndR:m:o:O:t:")?;
    let Some((name, vdevs)) = options.operands.split_first() else {
        return Err(usage::zpool("create", "missing pool name argument"));
    };
    if vdevs.is_empty() {
        return Err(usage::zpool("create", "missing vdev specification"));
    }
    let cannot = |why: String| Failure::error(format!("cannot create '{name}': {why}"));
    if let Some(complaint) = name::pool_complaint(name) {
        return Err(cannot(complaint));
    }
    let mut properties = Properties::new();
    for argument in options.values('O') {
        let (property, value) = assignment(argument)
            .ok_or_else(|| usage::zpool("create", "missing '=' for property=value argument"))?;
        properties.insert(property.to_owned(), check(property, value, 'f').map_err(cannot)?);
    }
    if let Some(path) = options.value('m') {
        properties.insert("mountpoint".to_owned(), check("mountpoint", path, 'f').map_err(cannot)?);
    }
    let sizes = vdevs.iter().map(|vdev| {
        let file = fs::metadata(vdev).ok().filter(fs::Metadata::is_file);
        file.map_or(DEFAULT_SIZE, |file| file.len().max(1))
    });
    // The labels, and the part of a metaslab that is left over, are lost: 960 MiB of a file of 1 GiB are usable.
    let size = sizes.sum::<u64>() / 16 * 15;

    let root = Root::open()?;
    let _lock = root.lock()?;
    if root.pool_dir(name).exists() {
        return Err(cannot("pool already exists".to_owned()));
    }
    let guid = new_guid()?;
    let mut pool = Pool::create(&root, name, size, |id| {
        Node::Dataset(Dataset {
            id,
            guid,
            createtxg: 1,
            creation: now(),
            volsize: None,
            mounted: false,
            properties,
            receiving: None,
            becomes: None,
        })
    })?;
    pool.event(Event::pool("sysevent.fs.zfs.pool_create", 0));
    pool.event(Event::pool("sysevent.fs.zfs.config_sync", 0));
    pool.commit()?;
    mount_all(&root, name)
}
