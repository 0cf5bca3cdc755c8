//! `zfs receive`: a whole snapshot into a dataset that doesn't exist yet, an increment into one that does, the
//! rest of either.

mod abort;
mod admission;
mod arguments;
mod finish;
mod restore;

use std::io::{self, BufRead};

use anyhow::{Context, Result};

use self::admission::Admission;
use self::arguments::{Destination, Overrides};
use self::restore::Restore;
use super::options;
use crate::failure::Failure;
use crate::faults::Faulty;
use crate::options::Options;
use crate::state::{Busy, Dataset, Node, Pool, Properties, Receiving, Root, new_guid, now};
use crate::stream::{Begin, Broken, Reader};
use crate::{tree, usage};

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
        return abort::run(&root, name);
    }
    if let Some(letter) = "dehMnF".chars().find(|letter| options.has(*letter)) {
        return Err(Failure::with_status(
            2,
            format!("zfs-sim: receive -{letter} is not simulated"),
        ));
    }
    let input = Faulty::new("RECEIVE", io::stdin().lock())?;
    let begun = Reader::begin(io::BufReader::with_capacity(256 << 10, input));
    let (reader, begin) = begun.map_err(|broken| {
        Failure::error(match broken {
            Broken::Incomplete => "cannot receive: failed to read from stream",
            Broken::BadMagic => "cannot receive: invalid stream (bad magic number)",
            Broken::Device => "cannot receive: I/O error",
            _ => "cannot receive: invalid stream (malformed or of several snapshots)",
        })
    })?;
    let destination = Destination::read(name, &begin)?;
    receive(&root, &destination, &overrides, &options, reader, &begin)
}

/// How a complaint begins, by the kind of stream.
fn cannot(begin: &Begin) -> &'static str {
    match (begin.resume, begin.fromguid) {
        (Some(_), _) => "cannot receive resume stream",
        (None, 0) => "cannot receive new filesystem stream",
        (None, _) => "cannot receive incremental stream",
    }
}

fn receive(
    root: &Root,
    destination: &Destination,
    overrides: &Overrides,
    options: &Options,
    mut reader: Reader<impl BufRead>,
    begin: &Begin,
) -> Result<()> {
    let resumable = options.has('s');
    let (mut pool, admission) = admission::admit(root, destination, resumable, begin)?;
    let on = destination.dataset.as_str();
    let properties = overrides.properties(on, begin)?;
    let id = match &admission {
        Admission::Ignored => {
            drop(pool);
            return Ok(reader.skip()?);
        }
        Admission::Unfit => return finish::unfit(pool, on, begin),
        Admission::Rest(id) => *id,
        Admission::New | Admission::Increment(_) => pool.next_id()?,
    };
    let Some(busy) = Busy::receiving(pool.dir(), id)? else {
        return Err(admission::busy(&pool, on, begin));
    };
    let data = pool.data(id);
    let receiving = Receiving {
        id,
        toguid: begin.toguid,
        fromguid: begin.fromguid,
        toname: begin.toname.clone(),
        features: begin.features,
        resumable,
    };
    match admission {
        Admission::New => make(&mut pool, on, receiving, begin.is_volume, properties.clone())?,
        Admission::Increment(base) => {
            tree::copy(&pool.data(base), &data)?;
            pool.next_txg();
            pool.history(&format!("{on}/%recv"), id, "receive", "");
            pool.change(on, |dataset| dataset.receiving = Some(receiving));
        }
        // The token goes on naming the first sender's snapshot.
        _ => pool.change(on, |dataset| {
            dataset.receiving.iter_mut().for_each(|partial| partial.resumable = resumable);
        }),
    }
    let owner = pool.dataset(on).context("the dataset vanished")?.id;
    let space = restore::Space::of(&pool, on)?;
    let progress = pool.progress(id);
    pool.commit()?;

    let restored = match std::env::var("ZFS_SIM_RECEIVE_DISCARD").as_deref() {
        Ok("verify") => reader.verify().map_err(Into::into),
        Ok(_) => reader.discard().map_err(Into::into),
        Err(_) => Restore::new(&data, begin, &busy, progress, space)?.run(reader),
    };
    let (pool, dataset) = finish::find(root, on, owner)?;
    match restored {
        Ok(volsize) => {
            let arrived = finish::Arrived { begin, label: &destination.snapshot, volsize };
            finish::complete(pool, &dataset, &arrived, properties, !options.has('u'))
        }
        Err(restore::Stopped::Local(error)) => Err(error),
        Err(stopped) => finish::interrupted(pool, &dataset, resumable, begin, &stopped),
    }
}

/// Makes the dataset that a first receive fills.
fn make(
    pool: &mut Pool,
    name: &str,
    receiving: Receiving,
    is_volume: bool,
    properties: Properties,
) -> Result<()> {
    let createtxg = pool.next_txg();
    let id = receiving.id;
    pool.history(name, id, "receive", "");
    for (property, value) in &properties {
        pool.history(name, id, "set", &format!("{property}={value}"));
    }
    let dataset = Dataset {
        id,
        guid: new_guid()?,
        createtxg,
        creation: now(),
        volsize: is_volume.then_some(0),
        mounted: false,
        properties,
        receiving: Some(receiving),
        becomes: None,
    };
    pool.put(name, Node::Dataset(dataset));
    Ok(())
}
