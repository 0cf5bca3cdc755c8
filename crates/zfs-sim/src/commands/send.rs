//! `zfs send`: a snapshot, whole.

mod faults;

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;

use self::faults::Faulty;
use super::{existing, options};
use crate::failure::Failure;
use crate::name::Kinds;
use crate::options::Options;
use crate::property::human;
use crate::state::{Access, Busy, Node, Pool, Root, Snapshot};
use crate::stream::{Begin, Content, Entry, MAX_BLOCK, SECTOR, Writer};
use crate::{tree, usage};

/// DMU_BACKUP_FEATURE bits: spill blocks (of filesystems), and what `-e` and `-c` announce.
const SA_SPILL: u64 = 1 << 2;
const EMBED_DATA: u64 = 1 << 16;
const LZ4: u64 = 1 << 17;
const COMPRESSED: u64 = 1 << 22;

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("send", arguments, "i:I:RDpVvnPLeht:cwbdsX:")?;
    if let Some(letter) = "iIRpXtDsbdh".chars().find(|letter| options.has(*letter)) {
        return Err(unsupported(&options, letter));
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
    if options.has('n') {
        return estimate(&pool, name, &snapshot, &options);
    }
    let data = pool.data(snapshot.id);
    let _sending = Busy::sending(pool.dir(), snapshot.id)?;
    drop(pool);
    let begin = Begin {
        creation: snapshot.creation,
        is_volume: snapshot.volsize.is_some(),
        toguid: snapshot.guid,
        fromguid: 0,
        toname: name.clone(),
        features: features(&options, snapshot.volsize.is_some()),
    };
    let out = io::BufWriter::with_capacity(MAX_BLOCK * 2, Faulty::new(io::stdout().lock())?);
    send(Writer::begin(out, begin)?, &data, snapshot.volsize).map_err(|error| {
        match error.downcast_ref::<io::Error>() {
            Some(fault) if fault.kind() == io::ErrorKind::Other => {
                warning(name, "Input/output error")
            }
            _ => error,
        }
    })
}

fn unsupported(options: &Options, letter: char) -> anyhow::Error {
    match options.value('t') {
        Some(token) if token.split('-').count() != 4 => Failure::with_status(
            255,
            "cannot resume send: resume token is corrupt (invalid format)",
        ),
        _ => Failure::with_status(2, format!("zfs-sim: send -{letter} is not simulated")),
    }
}

fn warning(name: &str, why: &str) -> anyhow::Error {
    Failure::error(format!("warning: cannot send '{name}': {why}"))
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

/// `-n`: tells the size without sending. Only data counts, so it falls a little short, as the real one does.
fn estimate(pool: &Pool, name: &str, snapshot: &Snapshot, options: &Options) -> Result<()> {
    const WRITE_HEADER: u64 = 312;
    let mut bytes = 2 * WRITE_HEADER;
    for item in tree::walk(&pool.data(snapshot.id))? {
        if item.metadata.is_file() {
            let length = item
                .metadata
                .blocks()
                .saturating_mul(512)
                .min(item.metadata.len().next_multiple_of(SECTOR));
            bytes += length + length.div_ceil(MAX_BLOCK as u64) * WRITE_HEADER;
        }
    }
    if options.has('P') {
        println!("full\t{name}\t{bytes}\nsize\t{bytes}");
    } else if options.has('v') {
        let size = human("size", &bytes.to_string());
        println!("full send of {name} estimated size is {size}\ntotal estimated size is {size}");
    }
    Ok(())
}

fn send(mut writer: Writer<impl io::Write>, data: &Path, volsize: Option<u64>) -> Result<()> {
    if let (Some(size), false) = (volsize, data.exists()) {
        writer.object(&Entry {
            path: Vec::new(),
            mode: 0o600,
            modified: (0, 0),
            content: Content::File(size),
        })?;
    }
    for item in tree::walk(data)? {
        let path =
            if item.path.as_os_str().is_empty() { data.to_owned() } else { data.join(&item.path) };
        let content = match item.metadata.file_type() {
            kind if kind.is_dir() => Content::Folder,
            kind if kind.is_symlink() => {
                Content::Link(fs::read_link(&path)?.as_os_str().as_bytes().to_vec())
            }
            _ => Content::File(item.metadata.len()),
        };
        let is_file = matches!(content, Content::File(_));
        writer.object(&Entry {
            path: item.path.as_os_str().as_bytes().to_vec(),
            mode: item.metadata.mode() & 0o7777,
            modified: (
                item.metadata.mtime().try_into().unwrap_or(0),
                item.metadata.mtime_nsec().try_into().unwrap_or(0),
            ),
            content,
        })?;
        if is_file {
            send_file(&mut writer, &path, item.metadata.len())?;
        }
    }
    writer.end()
}

/// Sends a file's data in blocks; holes are not sent.
fn send_file(writer: &mut Writer<impl io::Write>, path: &Path, length: u64) -> Result<()> {
    let file = File::open(path)?;
    let mut block = vec![0; MAX_BLOCK];
    let mut sent = 0;
    for (start, end) in tree::extents(&file, length)? {
        let mut at = sent.max(start / SECTOR * SECTOR);
        while at < end {
            let size = (end - at).next_multiple_of(SECTOR).min(MAX_BLOCK as u64);
            let block = &mut block[..usize::try_from(size)?];
            tree::read_block(&file, at, block)?;
            writer.write(at, block)?;
            at += size;
        }
        sent = at;
    }
    Ok(())
}
