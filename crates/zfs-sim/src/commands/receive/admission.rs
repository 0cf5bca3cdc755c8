//! What stands against receiving a stream somewhere, in ZFS's words and order; else what it will be there.

use anyhow::Result;

use super::arguments::Destination;
use super::cannot;
use crate::failure::Failure;
use crate::name;
use crate::property::View;
use crate::state::{Access, Dataset, Node, Pool, Root};
use crate::stream::{Begin, Position};
use crate::tree;

/// What a stream will be to its destination.
pub(super) enum Admission {
    /// A new dataset.
    New,
    /// What changed since the snapshot whose data goes by this ID.
    Increment(u64),
    /// The rest of what was interrupted, whose data goes by this ID.
    Rest(u64),
    /// Nothing: its snapshot is there already.
    Ignored,
    /// The rest of something else; without `-s`, that costs what was interrupted.
    Unfit,
}

/// The destination's pool, and what the stream will be there.
pub(super) fn admit(
    root: &Root,
    destination: &Destination,
    resumable: bool,
    begin: &Begin,
) -> Result<(Pool, Admission)> {
    let on = destination.dataset.as_str();
    let pool = root.pool(name::pool(on), Access::Write)?;
    if begin.resume.is_none() && begin.fromguid == 0 {
        return Ok((new(pool, on, begin)?, Admission::New));
    }
    let (pool, dataset) = pool
        .and_then(|pool| pool.dataset(on).cloned().map(|dataset| (pool, dataset)))
        .ok_or_else(|| refuse(begin, &format!("destination '{on}' does not exist")))?;
    let admission = match begin.resume {
        Some(position) => rest(&pool, on, &dataset, position, resumable, begin)?,
        None => increment(&pool, destination, &dataset, begin)?,
    };
    Ok((pool, admission))
}

fn refuse(begin: &Begin, why: &str) -> anyhow::Error {
    Failure::error(format!("{}: {why}", cannot(begin)))
}

fn new(pool: Option<Pool>, on: &str, begin: &Begin) -> Result<Pool> {
    let no_parent = || match name::parent(on) {
        Some(parent) => Failure::error(format!(
            "cannot open '{parent}': dataset does not exist\n{}: unable to restore to destination",
            cannot(begin)
        )),
        None => refuse(begin, &format!("destination '{on}' does not exist")),
    };
    let pool = pool.ok_or_else(no_parent)?;
    if pool.get(on).is_some() {
        let why = format!("destination '{on}' exists\nmust specify -F to overwrite it");
        return Err(refuse(begin, &why));
    }
    let parent = name::parent(on).ok_or_else(no_parent)?;
    if pool.dataset(parent).ok_or_else(no_parent)?.volsize.is_some() {
        return Err(refuse(begin, &format!("parent '{parent}' is not a filesystem")));
    }
    Ok(pool)
}

fn increment(
    pool: &Pool,
    destination: &Destination,
    dataset: &Dataset,
    begin: &Begin,
) -> Result<Admission> {
    let on = destination.dataset.as_str();
    if dataset.receiving.is_some() {
        return Err(busy(pool, on, begin));
    }
    let snapshot = format!("{on}@{}", destination.snapshot);
    match pool.get(&snapshot).map(Node::guid) {
        Some(guid) if guid == begin.toguid => return Ok(Admission::Ignored),
        Some(_) => return Err(exists(&snapshot)),
        None => {}
    }
    base(pool, on, begin).map(Admission::Increment)
}

/// The data of the snapshot that an increment builds on, from which the dataset must not differ.
pub(super) fn base(pool: &Pool, on: &str, begin: &Begin) -> Result<u64> {
    let prefix = format!("{on}@");
    let snapshot = pool
        .with_prefix(&prefix)
        .find_map(|(_, node)| node.as_snapshot().filter(|found| found.guid == begin.fromguid));
    let Some((snapshot, dataset)) = snapshot.zip(pool.dataset(on)) else {
        let why = format!("most recent snapshot of {on} does not\nmatch incremental source");
        return Err(refuse(begin, &why));
    };
    if tree::difference(&pool.data(snapshot.id), &pool.data(dataset.id))? > 0 {
        let why = format!("destination {on} has been modified\nsince most recent snapshot");
        return Err(refuse(begin, &why));
    }
    Ok(snapshot.id)
}

pub(super) fn exists(snapshot: &str) -> anyhow::Error {
    Failure::error(format!("cannot restore to {snapshot}: destination already exists"))
}

/// Another receive into it runs, or was interrupted.
pub(super) fn busy(pool: &Pool, on: &str, begin: &Begin) -> anyhow::Error {
    let token = pool.get(on).map(|node| View::new(pool).value(on, node, "receive_resume_token"));
    match token {
        Some(Ok(Some(_))) => refuse(
            begin,
            &format!("destination {on} contains partially-complete state from \"zfs receive -s\"."),
        ),
        _ => refuse(begin, "dataset is busy"),
    }
}

fn rest(
    pool: &Pool,
    on: &str,
    dataset: &Dataset,
    position: Position,
    resumable: bool,
    begin: &Begin,
) -> Result<Admission> {
    if begin.fromguid == 0 && !dataset.is_inconsistent() {
        let why = format!("Resuming recv on existing destination '{on}'");
        return Err(refuse(begin, &format!("{why}\nmust specify -F to overwrite it")));
    }
    if let Some(receiving) = &dataset.receiving
        && pool.is_busy(receiving.id)?
    {
        return Err(busy(pool, on, begin));
    }
    let fits = |receiving: &&crate::state::Receiving| {
        let progress = pool.progress(receiving.id);
        receiving.resumable
            && (receiving.toguid, receiving.fromguid) == (begin.toguid, begin.fromguid)
            && (progress.object, progress.offset) == (position.object, position.offset)
    };
    match dataset.receiving.as_ref().filter(fits) {
        Some(receiving) => Ok(Admission::Rest(receiving.id)),
        None if resumable => {
            Err(refuse(begin, "kernel modules must be upgraded to receive this stream."))
        }
        None => Ok(Admission::Unfit),
    }
}
