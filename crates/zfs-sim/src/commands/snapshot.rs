//! `zfs snapshot`.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{existing, options};
use crate::failure::Failure;
use crate::name::{self, Kinds};
use crate::property::{View, assignment, is_user_property};
use crate::sizes::Sizes;
use crate::state::{Access, Node, Pool, Properties, Root, Snapshot, new_guid, now};
use crate::{tree, usage};

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("snapshot", arguments, "ro:")?;
    if options.operands.is_empty() {
        return Err(usage::zfs("snapshot", "missing snapshot argument"));
    }
    let mut properties = Properties::new();
    for argument in options.values('o') {
        match assignment(argument) {
            Some((property, value)) if is_user_property(property) => {
                properties.insert(property.to_owned(), value.to_owned())
            }
            Some((property, _)) => {
                return Err(Failure::error(format!(
                    "cannot create snapshots : invalid property '{property}'"
                )));
            }
            None => return Err(Failure::error("missing '=' for property=value argument")),
        };
    }
    let root = Root::open()?;
    let (first, _) = split(&options.operands[0])?;
    let mut pool = writable(&root, first)?;
    let mut wanted = Vec::new();
    for operand in &options.operands {
        let (dataset, snapshot) = split(operand)?;
        if name::pool(dataset) != pool.name || pool.dataset(dataset).is_none() {
            return Err(missing(dataset));
        }
        let datasets =
            if options.has('r') { pool.subtree(dataset) } else { vec![dataset.to_owned()] };
        wanted.extend(datasets.into_iter().map(|dataset| format!("{dataset}@{snapshot}")));
    }
    for name in &wanted {
        if let Some(complaint) = name::new_complaint(name, Kinds::SNAPSHOT) {
            return Err(Failure::error(format!("cannot create snapshot '{name}': {complaint}")));
        }
    }
    refuse(&pool, &wanted)?;
    take(&mut pool, &wanted, &properties)?;
    pool.commit()
}

/// Splits `dataset@snapshot`; anything else is wrong use.
fn split(operand: &str) -> Result<(&str, &str)> {
    operand.split_once('@').ok_or_else(|| usage::zfs("snapshot", ""))
}

/// The pool of a dataset that must exist; else it is taken for wrong use.
fn writable(root: &Root, dataset: &str) -> Result<Pool> {
    existing(root, dataset, Kinds::DATASET, Access::Write)
        .map_err(|error| usage::zfs("snapshot", &error.to_string()))
}

fn missing(dataset: &str) -> anyhow::Error {
    usage::zfs("snapshot", &format!("cannot open '{dataset}': dataset does not exist"))
}

fn refuse(pool: &Pool, wanted: &[String]) -> Result<()> {
    let receiving = |name: &str| {
        pool.dataset(name::dataset(name)).is_some_and(|dataset| dataset.is_inconsistent())
    };
    let mut complaints: Vec<String> = Vec::new();
    for name in wanted {
        if pool.get(name).is_some() {
            complaints.push(format!("cannot create snapshot '{name}': dataset already exists"));
        } else if receiving(name) {
            complaints.push(format!("cannot create snapshot '{name}': dataset is busy"));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    if wanted.len() > 1 {
        complaints.push("no snapshots were created".to_owned());
    }
    Err(Failure::error(complaints.join("\n")))
}

/// Takes snapshots of datasets of one pool, all in one transaction group.
fn take(pool: &mut Pool, wanted: &[String], properties: &Properties) -> Result<()> {
    let createtxg = pool.next_txg();
    let sizes = Sizes::of(pool)?;
    for name in wanted {
        let on = name::dataset(name);
        let Some(dataset) = pool.dataset(on).cloned() else { return Err(missing(on)) };
        let id = pool.next_id()?;
        tree::copy(&pool.data(dataset.id), &pool.data(id))?;
        let snapshot = Snapshot {
            id,
            guid: new_guid()?,
            createtxg,
            creation: now(),
            volsize: dataset.volsize,
            referenced: sizes.of_dataset(on).unwrap_or_default().referenced,
            written: sizes.written(pool, on, &dataset)?,
            properties: properties.clone(),
            holds: BTreeMap::new(),
        };
        pool.history(name, id, "snapshot", "");
        pool.put(name, Node::Snapshot(snapshot));
    }
    Ok(())
}

/// Mounts a filesystem that nothing keeps from it.
pub(super) fn mount_if_wanted(pool: &mut Pool, name: &str) -> Result<()> {
    let Some(dataset) = pool.dataset(name).cloned() else { return Ok(()) };
    if dataset.volsize.is_none() && View::new(pool).mounts_by_itself(name, &dataset)? {
        pool.change(name, |dataset| dataset.mounted = true);
    }
    Ok(())
}
