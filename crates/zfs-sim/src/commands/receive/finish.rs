//! The end of a receive: what came becomes a snapshot, is kept for later, or goes.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::restore::Stopped;
use super::{admission, cannot};
use crate::commands::{destroy, snapshot};
use crate::failure::Failure;
use crate::name;
use crate::property::View;
use crate::sizes::Sizes;
use crate::state::{Access, Node, Pool, Properties, Root, Snapshot};
use crate::stream::{Begin, Broken};
use crate::tree;

/// What a stream brought, whole.
pub(super) struct Arrived<'a> {
    pub(super) begin: &'a Begin,
    /// What its snapshot will be called.
    pub(super) label: &'a str,
    pub(super) volsize: Option<u64>,
}

/// Finds a dataset again by its ID, under whatever name it has by now.
pub(super) fn find(root: &Root, name: &str, id: u64) -> Result<(Pool, String)> {
    let pool = root.pool(name::pool(name), Access::Write)?.context("the pool vanished")?;
    let found =
        pool.iter().find(|(_, node)| node.as_dataset().is_some_and(|dataset| dataset.id == id));
    let name = found.map(|(name, _)| name.to_owned()).context("the dataset vanished")?;
    Ok((pool, name))
}

/// Makes the snapshot of what came.
pub(super) fn complete(
    mut pool: Pool,
    on: &str,
    arrived: &Arrived<'_>,
    properties: Properties,
    mount: bool,
) -> Result<()> {
    let dataset = pool.dataset(on).context("the dataset vanished")?.clone();
    let receiving = dataset.receiving.as_ref().context("the partial state vanished")?;
    let (first, begin) = (dataset.is_inconsistent(), arrived.begin);
    let name = format!("{on}@{}", arrived.label);
    let (id, written) = if first {
        let id = pool.next_id()?;
        tree::copy(&pool.data(dataset.id), &pool.data(id))?;
        (id, None)
    } else {
        let refused = match pool.get(&name) {
            Some(_) => Err(admission::exists(&name)),
            None => admission::base(&pool, on, begin),
        };
        let base = match refused {
            Ok(base) => base,
            Err(error) => {
                let kept = receiving.resumable;
                return if kept { Err(error) } else { abandon(pool, on).and(Err(error)) };
            }
        };
        (receiving.id, Some(tree::difference(&pool.data(base), &pool.data(receiving.id))?))
    };
    let createtxg = pool.next_txg();
    let incoming = if first { on.to_owned() } else { format!("{on}/%recv") };
    if !first {
        for (property, value) in &properties {
            pool.history(on, dataset.id, "set", &format!("{property}={value}"));
        }
    }
    let label = arrived.label;
    pool.history(&incoming, receiving.id, "finish receiving", &format!("snap={label}"));
    if !first {
        pool.history(&incoming, receiving.id, "clone swap", &format!("parent={on}"));
    }
    pool.change(on, |dataset| {
        dataset.receiving = None;
        dataset.volsize = arrived.volsize;
        if !first {
            dataset.becomes = Some(id);
            dataset.properties.extend(properties);
        }
    });
    let referenced = Sizes::empty(arrived.volsize.is_some()) + tree::size(&pool.data(id))?;
    let snapshot = Snapshot {
        id,
        guid: begin.toguid,
        createtxg,
        creation: begin.creation,
        volsize: arrived.volsize,
        referenced,
        written: written.unwrap_or(referenced),
        properties: Properties::new(),
        holds: BTreeMap::new(),
    };
    pool.history(&name, id, "snapshot", "");
    pool.put(&name, Node::Snapshot(snapshot));
    if !first {
        pool.history(&incoming, id, "destroy", "(bptree, mintxg=1)");
    }
    if first && mount {
        snapshot::mount_if_wanted(&mut pool, on)?;
    }
    pool.commit()
}

/// Says how it ended, and keeps what came if that was asked for and anything did.
pub(super) fn interrupted(
    pool: Pool,
    on: &str,
    resumable: bool,
    begin: &Begin,
    stopped: &Stopped,
) -> Result<()> {
    let cannot = cannot(begin);
    let node = pool.get(on).context("the dataset vanished")?;
    let first = node.as_dataset().is_some_and(|dataset| dataset.is_inconsistent());
    let token = View::new(&pool).value(on, node, "receive_resume_token")?.map(|(token, _)| token);
    let kept = token.filter(|_| resumable);
    if kept.is_none() {
        abandon(pool, on)?;
    }
    Err(Failure::error(match (stopped, kept) {
        (Stopped::Quota, _) => format!("{cannot}: destination {on} space quota exceeded."),
        (Stopped::Full, _) => format!("{cannot}: out of space"),
        (Stopped::Stream(Broken::Device), _) => format!("{cannot}: I/O error"),
        (_, Some(token)) => format!(
            "{cannot}: checksum mismatch or incomplete stream.
Partially received snapshot is saved.
A resuming stream can be generated on the sending system by running:
    zfs send -t {token}"
        ),
        (_, None) if resumable && first => {
            format!("cannot open '{on}': dataset does not exist\n{cannot}: invalid backup stream")
        }
        (Stopped::Stream(Broken::Incomplete), _) => format!("{cannot}: incomplete stream"),
        (Stopped::Stream(Broken::Checksum), _) => format!("{cannot}: checksum mismatch"),
        _ => format!("{cannot}: invalid backup stream"),
    }))
}

/// Refuses the rest of something else, which costs what was interrupted here.
pub(super) fn unfit(pool: Pool, on: &str, begin: &Begin) -> Result<()> {
    abandon(pool, on)?;
    Err(Failure::error(format!("{}: invalid backup stream", cannot(begin))))
}

/// Lets go of what came.
fn abandon(mut pool: Pool, on: &str) -> Result<()> {
    match pool.dataset(on).map(|dataset| dataset.is_inconsistent()) {
        Some(true) => destroy::remove(&mut pool, on),
        _ => pool.drop_partial(on),
    }
    pool.commit()
}
