//! `zfs hold`, `zfs holds` and `zfs release`.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{existing, options};
use crate::failure::Failure;
use crate::name::Kinds;
use crate::options::Options;
use crate::property::date;
use crate::state::{Access, Node, Pool, Root, now};
use crate::table::{self, Column};
use crate::usage;

pub(super) fn hold(arguments: &[String]) -> Result<()> {
    let (options, tag) = tagged("hold", arguments)?;
    let mut complaints = Vec::new();
    for operand in &options.operands {
        let done = each(&options, operand, "cannot hold snapshot", |pool, name| {
            let Some(Node::Snapshot(mut snapshot)) = pool.get(name).cloned() else {
                return Err("dataset does not exist");
            };
            if snapshot.holds.insert(tag.clone(), now()).is_some() {
                return Err("tag already exists on this dataset");
            }
            let (id, detail) =
                (snapshot.id, format!("tag={tag} temp=0 refs={}", snapshot.holds.len()));
            pool.history(name, id, "hold", &detail);
            pool.put(name, Node::Snapshot(snapshot));
            Ok(())
        });
        complaints.extend(done.err().map(|complaint| complaint.to_string()));
    }
    refused(&complaints)
}

pub(super) fn release(arguments: &[String]) -> Result<()> {
    let (options, tag) = tagged("release", arguments)?;
    let mut complaints = Vec::new();
    for operand in &options.operands {
        let done = each(&options, operand, "cannot release hold from snapshot", |pool, name| {
            let Some(Node::Snapshot(mut snapshot)) = pool.get(name).cloned() else {
                return Err("dataset does not exist");
            };
            if snapshot.holds.remove(&tag).is_none() {
                return Err("no such tag on this dataset");
            }
            let (id, detail) = (snapshot.id, format!("tag={tag} refs={}", snapshot.holds.len()));
            pool.history(name, id, "release", &detail);
            pool.put(name, Node::Snapshot(snapshot));
            Ok(())
        });
        complaints.extend(done.err().map(|complaint| complaint.to_string()));
    }
    refused(&complaints)
}

/// One that can't be held or released keeps none of the others from it.
fn refused(complaints: &[String]) -> Result<()> {
    if complaints.is_empty() { Ok(()) } else { Err(Failure::error(complaints.join("\n"))) }
}

/// Reads `[-r] TAG SNAPSHOT...`.
fn tagged(command: &str, arguments: &[String]) -> Result<(Options, String)> {
    let mut options = options(command, arguments, "r")?;
    if options.operands.len() < 2 {
        return Err(usage::zfs(command, ""));
    }
    let tag = options.operands.remove(0);
    Ok((options, tag))
}

/// Does something to a snapshot, with `-r` to those of the same name below: all of them or none.
fn each(
    options: &Options,
    operand: &str,
    cannot: &str,
    mut change: impl FnMut(&mut Pool, &str) -> Result<(), &'static str>,
) -> Result<()> {
    let Some((dataset, snapshot)) = operand.split_once('@') else {
        return Err(Failure::error(format!("'{operand}' is not a snapshot")));
    };
    let mut pool = existing(&Root::open()?, dataset, Kinds::DATASET, Access::Write)?;
    pool.next_txg();
    let names = match options.has('r') {
        false => vec![operand.to_owned()],
        true => {
            let below =
                pool.subtree(dataset).into_iter().map(|dataset| format!("{dataset}@{snapshot}"));
            below.filter(|name| pool.get(name).is_some()).collect()
        }
    };
    if names.is_empty() {
        return Err(Failure::error(format!("{cannot} '{operand}': dataset does not exist")));
    }
    for name in &names {
        change(&mut pool, name)
            .map_err(|why| Failure::error(format!("{cannot} '{name}': {why}")))?;
    }
    pool.commit()
}

pub(super) fn holds(arguments: &[String]) -> Result<()> {
    let options = options("holds", arguments, "rHp")?;
    if options.operands.is_empty() {
        return Err(usage::zfs("holds", ""));
    }
    let root = Root::open()?;
    let mut rows = Vec::new();
    let mut failed = false;
    for operand in &options.operands {
        let Some((dataset, snapshot)) = operand.split_once('@') else {
            eprintln!("'{operand}' is not a snapshot");
            failed = true;
            continue;
        };
        let pool = match existing(&root, operand, Kinds::SNAPSHOT, Access::Read) {
            Ok(pool) => pool,
            Err(error) => {
                eprintln!("{error}");
                failed = true;
                continue;
            }
        };
        let datasets =
            if options.has('r') { pool.subtree(dataset) } else { vec![dataset.to_owned()] };
        let names: BTreeSet<_> =
            datasets.into_iter().map(|dataset| format!("{dataset}@{snapshot}")).collect();
        for name in names {
            for (tag, time) in pool
                .get(&name)
                .and_then(Node::as_snapshot)
                .into_iter()
                .flat_map(|found| &found.holds)
            {
                let time = if options.has('p') { time.to_string() } else { date(*time) };
                rows.push(vec![name.clone(), tag.clone(), time]);
            }
        }
    }
    let columns =
        ["NAME", "TAG", "TIMESTAMP"].map(|title| Column { title: title.to_owned(), right: false });
    table::print(&columns, &rows, options.has('H'))?;
    match failed {
        true if rows.is_empty() => Err(Failure::error("no datasets available")),
        true => Err(Failure::silent()),
        false => Ok(()),
    }
}
