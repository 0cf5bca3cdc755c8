//! `zfs-sim populate`: many datasets at once, for load tests. The real `zfs` has no such command.

use std::collections::BTreeMap;

use anyhow::Result;

use super::options;
use crate::failure::Failure;
use crate::state::{Access, Dataset, Node, Properties, Root, Snapshot, new_guid, now};

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("populate", arguments, "")?;
    let wrong = || Failure::with_status(2, "usage: zfs-sim populate POOL COUNT");
    let [name, count] = options.operands.as_slice() else { return Err(wrong()) };
    let count: u64 = count.parse().map_err(|_| wrong())?;
    let missing = || Failure::error(format!("cannot open '{name}': no such pool"));
    let mut pool = Root::open()?.pool(name, Access::Write)?.ok_or_else(missing)?;
    let creation = now();
    let createtxg = pool.next_txg();
    let properties = Properties::new;
    for number in 0..count {
        let name = format!("{name}/d{number:06}");
        if pool.get(&name).is_some() {
            continue;
        }
        let (id, guid) = (pool.next_id()?, new_guid()?);
        let dataset = Dataset {
            id,
            guid,
            createtxg,
            creation,
            volsize: None,
            mounted: false,
            properties: properties(),
            receiving: None,
            becomes: None,
        };
        pool.put(&name, Node::Dataset(dataset));
        let (id, guid) = (pool.next_id()?, new_guid()?);
        let snapshot = Snapshot {
            id,
            guid,
            createtxg,
            creation,
            volsize: None,
            referenced: 24_576,
            written: 24_576,
            properties: properties(),
            holds: BTreeMap::new(),
        };
        pool.put(&format!("{name}@s"), Node::Snapshot(snapshot));
    }
    pool.commit()
}
