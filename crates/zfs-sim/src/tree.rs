//! A filesystem's files, or a volume's bytes: walking, copying, comparing. Missing means empty.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A file, folder or link within a tree. The path is relative; empty for a volume.
pub(crate) struct Item {
    pub(crate) path: PathBuf,
    pub(crate) metadata: Metadata,
}

/// All there is in a tree, sorted by path, folders before what they hold. Other kinds of file are left out.
pub(crate) fn walk(root: &Path) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    match fs::symlink_metadata(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", root.display())),
        Ok(metadata) if metadata.is_dir() => descend(root, Path::new(""), &mut items)?,
        Ok(metadata) => items.push(Item { path: PathBuf::new(), metadata }),
    }
    Ok(items)
}

fn descend(root: &Path, below: &Path, items: &mut Vec<Item>) -> Result<()> {
    let mut entries = fs::read_dir(root.join(below))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        // Whoever uses the files may remove one at any time.
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        let kind = metadata.file_type();
        if kind.is_file() || kind.is_dir() || kind.is_symlink() {
            items.push(Item { path: path.clone(), metadata });
        }
        if kind.is_dir() {
            descend(root, &path, items)?;
        }
    }
    Ok(())
}

/// Bytes that a tree's contents take on disk, in whole sectors.
pub(crate) fn size(root: &Path) -> Result<u64> {
    Ok(walk(root)?.iter().map(taken).sum())
}

fn taken(item: &Item) -> u64 {
    if item.metadata.is_dir() {
        512
    } else {
        item.metadata.blocks().saturating_mul(512).min(item.metadata.len().next_multiple_of(512))
    }
}

/// Bytes that differ between a snapshot and what it was taken of, by size and time of each file.
pub(crate) fn difference(snapshot: &Path, now: &Path) -> Result<u64> {
    let stamp = |item: &Item| match item.metadata.is_symlink() {
        true => (item.metadata.len(), 0, 0),
        false => (item.metadata.len(), item.metadata.mtime(), item.metadata.mtime_nsec()),
    };
    let mut before: BTreeMap<PathBuf, _> = walk(snapshot)?
        .into_iter()
        .filter(|item| !item.metadata.is_dir())
        .map(|item| (item.path.clone(), stamp(&item)))
        .collect();
    let mut changed = 0;
    for item in walk(now)?.iter().filter(|item| !item.metadata.is_dir()) {
        if before.remove(&item.path) != Some(stamp(item)) {
            changed += taken(item).max(512);
        }
    }
    Ok(changed + 512 * before.len() as u64)
}

/// Copies a tree with modes and times. Data is shared where the file system can, holes stay holes.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if fs::symlink_metadata(from).is_ok_and(|metadata| metadata.is_dir()) {
        fs::create_dir(to)?;
    }
    let items = walk(from)?;
    for item in &items {
        let (source, target) = if item.path.as_os_str().is_empty() {
            (from.to_owned(), to.to_owned())
        } else {
            (from.join(&item.path), to.join(&item.path))
        };
        if item.metadata.is_dir() {
            fs::create_dir(&target)?;
        } else if item.metadata.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else {
            copy_file(&source, &target, &item.metadata)
                .with_context(|| format!("cannot copy {}", source.display()))?;
        }
    }
    for folder in items.iter().rev().filter(|item| item.metadata.is_dir()) {
        stamp(&to.join(&folder.path), folder.metadata.mode(), &folder.metadata)?;
    }
    Ok(())
}

fn copy_file(source: &Path, target: &Path, metadata: &Metadata) -> Result<()> {
    let (mut source, mut out) = (File::open(source)?, File::create_new(target)?);
    if rustix::fs::ioctl_ficlone(&out, &source).is_err() {
        out.set_len(metadata.len())?;
        for (start, end) in extents(&source, metadata.len())? {
            source.seek(SeekFrom::Start(start))?;
            out.seek(SeekFrom::Start(start))?;
            io::copy(&mut source.by_ref().take(end - start), &mut out)?;
        }
    }
    stamp(target, metadata.mode(), metadata)
}

/// The stretches of a file that hold data, between its holes.
pub(crate) fn extents(file: &File, length: u64) -> Result<Vec<(u64, u64)>> {
    let mut extents = Vec::new();
    let mut at = 0;
    while at < length {
        let start = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(start))?.min(length);
        if start >= length {
            break;
        }
        extents.push((start, end));
        at = end;
    }
    Ok(extents)
}

fn stamp(path: &Path, mode: u32, metadata: &Metadata) -> Result<()> {
    File::open(path)?.set_modified(metadata.modified()?)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))?)
}

/// Fills a buffer from a file at an offset; what lies beyond its end is zeroes.
pub(crate) fn read_block(file: &File, offset: u64, buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    buffer[filled..].fill(0);
    Ok(())
}
