//! `zfs send`: a snapshot, whole or what changed since an earlier one, or the rest of either.

mod estimate;
mod resume;
mod source;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;

use self::source::{Base, Source};
use super::{existing, options};
use crate::changes::{Change, States};
use crate::failure::Failure;
use crate::faults::Faulty;
use crate::name::{self, Kinds};
use crate::options::Options;
use crate::property::View;
use crate::state::{Access, Busy, Node, Pool, Root};
use crate::stream::{Begin, MAX_BLOCK, Position, Writer, synthetic};
use crate::usage;

/// DMU_BACKUP_FEATURE bits: spill blocks (of filesystems), and what `-e`, `-L` and `-c` announce.
const SA_SPILL: u64 = 1 << 2;
const EMBED_DATA: u64 = 1 << 16;
const LZ4: u64 = 1 << 17;
const LARGE_BLOCKS: u64 = 1 << 19;
const COMPRESSED: u64 = 1 << 22;

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("send", arguments, "i:I:RDpVvnPLeht:cwbdsX:")?;
    if let Some(letter) = "IRpXDsbdh".chars().find(|letter| options.has(*letter)) {
        return Err(Failure::with_status(2, format!("zfs-sim: send -{letter} is not simulated")));
    }
    if options.values('i').count() > 1 {
        return Err(usage::zfs("send", ""));
    }
    if options.has('t') {
        return resume::run(&options);
    }
    let name = match options.operands.as_slice() {
        [] => return Err(usage::zfs("send", "missing snapshot argument")),
        [name] => name,
        _ => return Err(usage::zfs("send", "too many arguments")),
    };
    let pool = existing(&Root::open()?, name, Kinds::SNAPSHOT, Access::Read)?;
    let snapshot = match pool.get(name) {
        Some(Node::Snapshot(snapshot)) => snapshot.clone(),
        Some(Node::Dataset(_)) if !options.has('n') => {
            return Err(warning(name, "target is busy; if a filesystem, it must not be mounted"));
        }
        _ => return Err(warning(name, "Invalid argument")),
    };
    let base = match options.value('i') {
        Some(base) => Some(Base::read(&pool, name, &snapshot, base, options.has('n'))?),
        None => None,
    };
    let mut features = features(&options, snapshot.volsize.is_some());
    if options.has('L') && has_large_blocks(&pool, name)? {
        features |= LARGE_BLOCKS;
    }
    let source = Source { name: name.clone(), snapshot, base, features, resume: None };
    if options.has('n') {
        return estimate::print(&pool, &source, &options);
    }
    send(pool, source)
}

fn warning(name: &str, why: &str) -> anyhow::Error {
    Failure::error(format!("warning: cannot send '{name}': {why}"))
}

/// Whether a real dataset of that record size would have them. Here none has: a stream announces
/// what it may hold.
fn has_large_blocks(pool: &Pool, snapshot: &str) -> Result<bool> {
    let dataset = name::dataset(snapshot);
    let Some(node) = pool.get(dataset) else { return Ok(false) };
    let size = View::new(pool).value(dataset, node, "recordsize")?;
    Ok(size.and_then(|(size, _)| size.parse().ok()).is_some_and(|size: usize| size > MAX_BLOCK))
}

fn features(options: &Options, volume: bool) -> u64 {
    let raw = options.has('w');
    let mut features = if volume { 0 } else { SA_SPILL };
    if options.has('e') || raw {
        features |= EMBED_DATA | LZ4;
    }
    if options.has('c') || raw {
        features |= COMPRESSED | LZ4;
    }
    features
}

/// Writes a stream to stdout.
fn send(pool: Pool, source: Source) -> Result<()> {
    let status = if source.resume.is_some() { 255 } else { 1 };
    let name = source.name.clone();
    write(pool, source).map_err(|error| match error.downcast_ref::<io::Error>() {
        Some(fault) if fault.kind() == io::ErrorKind::Other => Failure::with_status(
            status,
            format!("warning: cannot send '{name}': Input/output error"),
        ),
        _ => error,
    })
}

fn write(pool: Pool, source: Source) -> Result<()> {
    let data = pool.data(source.snapshot.id);
    let before = source.base.as_ref().map(|base| pool.data(base.id));
    let _sending = Busy::sending(pool.dir(), source.snapshot.id)?;
    // The base may be destroyed from here on: what is gone since then is known now.
    let changes = rest(&source, &data, before)?;
    drop(pool);
    let begin = Begin {
        creation: source.snapshot.creation,
        is_volume: source.snapshot.volsize.is_some(),
        toguid: source.snapshot.guid,
        fromguid: source.base.as_ref().map_or(0, |base| base.guid),
        toname: source.name.clone(),
        features: source.features,
        resume: source.resume,
    };
    if let Some(length) = synthetic::asked()? {
        return synthetic::send(io::stdout(), begin, length);
    }
    let out = Faulty::new("SEND", io::stdout().lock())?;
    let out = io::BufWriter::with_capacity(MAX_BLOCK * 2, out);
    let mut writer = Writer::begin(out, begin)?;
    for (object, offset, change) in changes {
        writer.object(object, &change.entry)?;
        for block in change.blocks()?.into_iter().flat_map(|blocks| blocks.starting_at(offset)) {
            let (offset, data) = block?;
            writer.write(offset, &data)?;
        }
    }
    writer.end()
}

/// What is to be sent: each change with its object number and where in it to begin.
fn rest(
    source: &Source,
    data: &Path,
    before: Option<PathBuf>,
) -> Result<impl Iterator<Item = (u64, u64, Change)>> {
    let first = source.resume.unwrap_or(Position { object: 1, offset: 0 });
    let states = States { before: before.as_deref(), now: data, volsize: source.snapshot.volsize };
    Ok((1..).zip(states.changes()?).filter(move |(object, _)| *object >= first.object).map(
        move |(object, change)| {
            (object, if object == first.object { first.offset } else { 0 }, change)
        },
    ))
}
