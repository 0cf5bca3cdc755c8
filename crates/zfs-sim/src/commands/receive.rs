//! `zfs receive`: a whole snapshot into a dataset that doesn't exist yet, and `zfs receive -A`.

mod arguments;
mod restore;

use std::io;

use anyhow::{Context, Result};

use self::arguments::{Destination, Overrides};
use self::restore::Restore;
use super::{destroy, existing, options, snapshot};
use crate::failure::Failure;
use crate::name::{self, Kinds};
use crate::options::Options;
use crate::state::{Access, Busy, Dataset, Node, Pool, Receiving, Root, new_guid, now};
use crate::stream::{Begin, Broken, Reader};
use crate::usage;

const CANNOT: &str = "cannot receive new filesystem stream";

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("receive", arguments, "o:x:dehMnuvFsA")?;
    let overrides = Overrides::read(&options)?;
    let name = match options.operands.as_slice() {
        [] => return Err(usage::zfs("receive", "missing snapshot argument")),
        [name] => name,
        _ => return Err(usage::zfs("receive", "too many arguments")),
    };
    let root = Root::open()?;
    if options.has('A') {
        return abort(&root, name);
    }
    if let Some(letter) = "dehMnF".chars().find(|letter| options.has(*letter)) {
        return Err(Failure::with_status(
            2,
            format!("zfs-sim: receive -{letter} is not simulated"),
        ));
    }
    let (reader, begin) =
        Reader::begin(io::BufReader::with_capacity(256 << 10, io::stdin().lock())).map_err(
            |broken| {
                Failure::error(match broken {
                    Broken::Incomplete => "cannot receive: failed to read from stream",
                    Broken::BadMagic => "cannot receive: invalid stream (bad magic number)",
                    _ => "cannot receive: invalid stream (malformed or not a full stream)",
                })
            },
        )?;
    let destination = Destination::read(name, &begin)?;
    receive(&root, &destination, &overrides, &options, reader, &begin)
}

fn receive(
    root: &Root,
    destination: &Destination,
    overrides: &Overrides,
    options: &Options,
    reader: Reader<impl io::Read>,
    begin: &Begin,
) -> Result<()> {
    let mut pool = open(root, &destination.dataset)?;
    let properties = overrides.properties(&destination.dataset, begin.is_volume)?;
    let resumable = options.has('s');
    let createtxg = pool.next_txg();
    let id = pool.next_id();
    let dir = pool.dir().to_owned();
    let data = pool.data(id);
    let busy = Busy::receiving(&dir, id)?;
    pool.history(&destination.dataset, id, "receive", "");
    for (property, value) in &properties {
        pool.history(&destination.dataset, id, "set", &format!("{property}={value}"));
    }
    let receiving = Receiving {
        toguid: begin.toguid,
        toname: begin.toname.clone(),
        features: begin.features,
        resumable,
    };
    let dataset = Dataset {
        id,
        guid: new_guid()?,
        createtxg,
        creation: now(),
        volsize: begin.is_volume.then_some(0),
        mounted: false,
        properties,
        receiving: Some(receiving),
    };
    pool.put(&destination.dataset, Node::Dataset(dataset));
    pool.commit()?;

    let restored = Restore::new(&data, begin, &busy)?.run(reader);
    let (mut pool, dataset) = find(root, &destination.dataset, id)?;
    match restored {
        Ok(volsize) => {
            pool.change(&dataset, |dataset| dataset.volsize = volsize);
            snapshot::received(
                &mut pool,
                &dataset,
                &destination.snapshot,
                begin.toguid,
                begin.creation,
            )?;
            if !options.has('u') {
                snapshot::mount_if_wanted(&mut pool, &dataset)?;
            }
            pool.commit()
        }
        Err(restore::Stopped::Local(error)) => Err(error),
        Err(restore::Stopped::Stream(broken)) => interrupted(pool, &dataset, resumable, &broken),
    }
}

/// The destination's pool, unless something stands against receiving there.
fn open(root: &Root, dataset: &str) -> Result<Pool> {
    let no_parent = || {
        Failure::error(match name::parent(dataset) {
            Some(parent) => {
                let missing = format!("cannot open '{parent}': dataset does not exist");
                format!("{missing}\n{CANNOT}: unable to restore to destination")
            }
            None => format!("{CANNOT}: destination '{dataset}' does not exist"),
        })
    };
    let pool = root.pool(name::pool(dataset), Access::Write)?.ok_or_else(no_parent)?;
    if pool.get(dataset).is_some() {
        return Err(Failure::error(format!(
            "{CANNOT}: destination '{dataset}' exists\nmust specify -F to overwrite it"
        )));
    }
    let parent = name::parent(dataset).ok_or_else(no_parent)?;
    if pool.dataset(parent).ok_or_else(no_parent)?.volsize.is_some() {
        return Err(Failure::error(format!("{CANNOT}: parent '{parent}' is not a filesystem")));
    }
    Ok(pool)
}

/// Finds the dataset again, under whatever name it has by now.
fn find(root: &Root, name: &str, id: u64) -> Result<(Pool, String)> {
    let pool = root.pool(name::pool(name), Access::Write)?.context("the pool vanished")?;
    let found =
        pool.iter().find(|(_, node)| node.as_dataset().is_some_and(|dataset| dataset.id == id));
    let name = found.map(|(name, _)| name.to_owned()).context("the dataset vanished")?;
    Ok((pool, name))
}

/// Says how it ended, and keeps what came if that was asked for and anything did.
fn interrupted(mut pool: Pool, dataset: &str, resumable: bool, broken: &Broken) -> Result<()> {
    let begun = pool.dataset(dataset).is_some_and(|found| pool.progress(found.id).object > 0);
    if resumable && begun {
        let view = crate::property::View::new(&pool);
        let node = pool.get(dataset).context("the dataset vanished")?;
        let token = view
            .value(dataset, node, "receive_resume_token")?
            .map(|(token, _)| token)
            .unwrap_or_default();
        return Err(Failure::error(format!(
            "{CANNOT}: checksum mismatch or incomplete stream.
Partially received snapshot is saved.
A resuming stream can be generated on the sending system by running:
    zfs send -t {token}"
        )));
    }
    destroy::remove(&mut pool, dataset);
    pool.commit()?;
    Err(Failure::error(match broken {
        _ if resumable => format!(
            "cannot open '{dataset}': dataset does not exist\n{CANNOT}: invalid backup stream"
        ),
        Broken::Incomplete => format!("{CANNOT}: incomplete stream"),
        Broken::Checksum => format!("{CANNOT}: checksum mismatch"),
        _ => format!("{CANNOT}: invalid backup stream"),
    }))
}

/// `-A`: destroys what an interrupted receive left.
fn abort(root: &Root, name: &str) -> Result<()> {
    let mut pool = existing(root, name, Kinds::DATASET, Access::Write)
        .map_err(|error| usage::zfs("receive", &error.to_string()))?;
    let Some(dataset) = pool.dataset(name).filter(|dataset| dataset.receiving.is_some()).cloned()
    else {
        return Err(Failure::error(format!(
            "'{name}' does not have any resumable receive state to abort"
        )));
    };
    let cannot = |why: &str| Err(Failure::error(format!("cannot destroy '{name}': {why}")));
    if pool.is_busy(dataset.id)? {
        return cannot("dataset is busy");
    }
    if pool.subtree(name).len() > 1 {
        return cannot("dataset already exists");
    }
    pool.next_txg();
    destroy::remove(&mut pool, name);
    pool.commit()
}
