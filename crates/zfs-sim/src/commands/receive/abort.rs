//! `zfs receive -A`: drops what an interrupted receive left.

use anyhow::Result;

use crate::commands::{destroy, existing};
use crate::failure::Failure;
use crate::name::Kinds;
use crate::state::{Access, Root};
use crate::usage;

pub(super) fn run(root: &Root, name: &str) -> Result<()> {
    let mut pool = existing(root, name, Kinds::DATASET, Access::Write)
        .map_err(|error| usage::zfs("receive", &error.to_string()))?;
    let Some((id, first)) = pool
        .dataset(name)
        .and_then(|dataset| Some((dataset.receiving.as_ref()?.id, dataset.is_inconsistent())))
    else {
        return Err(Failure::error(format!(
            "'{name}' does not have any resumable receive state to abort"
        )));
    };
    let what = if first { name.to_owned() } else { format!("{name}/%recv") };
    let cannot = |why: &str| Err(Failure::error(format!("cannot destroy '{what}': {why}")));
    if pool.is_busy(id)? {
        return cannot("dataset is busy");
    }
    if first && pool.subtree(name).len() > 1 {
        return cannot("dataset already exists");
    }
    pool.next_txg();
    if first {
        destroy::remove(&mut pool, name);
    } else {
        pool.history(&what, id, "destroy", "");
        pool.drop_partial(name);
    }
    pool.commit()
}
