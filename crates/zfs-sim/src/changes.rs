//! What changed between two states of a filesystem or volume, in the order of a stream.
//!
//! It follows from the two contents alone, so every replica comes to the same list, and a stream that one began
//! another can go on with. A folder comes after what it holds: then nothing changes its time any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::blocks::Blocks;
use crate::stream::{Content, Entry};
use crate::tree;

/// Something that was added, changed or removed.
pub(crate) struct Change {
    pub(crate) entry: Entry,
    /// A file, and what it was before if it was one.
    file: Option<(PathBuf, Option<PathBuf>)>,
}

impl Change {
    /// The blocks to send of it.
    pub(crate) fn blocks(&self) -> Result<Option<Blocks>> {
        match (&self.file, &self.entry.content) {
            (Some((now, before)), Content::File(length)) => {
                Blocks::new(now, before.as_deref(), *length).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Two states of a dataset's data; no earlier one, for all there is.
pub(crate) struct States<'a> {
    pub(crate) before: Option<&'a Path>,
    pub(crate) now: &'a Path,
    /// Bytes of a volume.
    pub(crate) volsize: Option<u64>,
}

impl States<'_> {
    /// What changed, in the order of a stream.
    pub(crate) fn changes(&self) -> Result<Vec<Change>> {
        match self.volsize {
            Some(size) => Ok(vec![self.volume(size)]),
            None => self.files(),
        }
    }

    fn volume(&self, size: u64) -> Change {
        let entry =
            Entry { path: Vec::new(), mode: 0o600, modified: (0, 0), content: Content::File(size) };
        Change { entry, file: Some((self.now.to_owned(), self.before.map(Path::to_owned))) }
    }

    fn files(&self) -> Result<Vec<Change>> {
        let mut before = BTreeMap::new();
        if let Some(root) = self.before {
            before = entries(root)?;
        }
        let now = entries(self.now)?;
        let mut changed: BTreeSet<&Path> = BTreeSet::new();
        for path in before.keys().chain(now.keys()) {
            let (old, new) = (before.get(path), now.get(path));
            if self.differs(path, old, new)? {
                changed.insert(path);
            }
            // An entry that comes, goes or becomes something else changes its folder too.
            if old.map(kind) != new.map(kind)
                && let Some(folder) = path.parent().filter(|folder| now.contains_key(*folder))
            {
                changed.insert(folder);
            }
        }
        Ok(changed
            .into_iter()
            .rev()
            .map(|path| {
                let was_file = before.get(path).is_some_and(|entry| kind(entry) == 'f');
                let before = self.before.filter(|_| was_file).map(|root| root.join(path));
                match now.get(path) {
                    Some(entry) if kind(entry) == 'f' => {
                        Change { entry: entry.clone(), file: Some((self.now.join(path), before)) }
                    }
                    Some(entry) => Change { entry: entry.clone(), file: None },
                    None => Change { entry: gone(path), file: None },
                }
            })
            .collect())
    }

    fn differs(&self, path: &Path, before: Option<&Entry>, now: Option<&Entry>) -> Result<bool> {
        let (Some(before), Some(now)) = (before, now) else { return Ok(true) };
        if before.mode != now.mode {
            return Ok(true);
        }
        match (&before.content, &now.content, self.before) {
            // Its own time changes as its entries do.
            (Content::Folder, Content::Folder, _) => Ok(false),
            (Content::Link(before), Content::Link(now), _) => Ok(before != now),
            (Content::File(was), Content::File(is), Some(root)) => {
                if was != is || before.modified != now.modified {
                    return Ok(true);
                }
                let earlier = root.join(path);
                let first = Blocks::new(&self.now.join(path), Some(&earlier), *is)?.next();
                Ok(first.transpose()?.is_some())
            }
            _ => Ok(true),
        }
    }
}

fn kind(entry: &Entry) -> char {
    match entry.content {
        Content::Folder => 'd',
        Content::File(_) => 'f',
        Content::Link(_) => 'l',
        Content::Gone => '-',
    }
}

fn gone(path: &Path) -> Entry {
    Entry {
        path: path.as_os_str().as_bytes().to_vec(),
        mode: 0,
        modified: (0, 0),
        content: Content::Gone,
    }
}

fn entries(root: &Path) -> Result<BTreeMap<PathBuf, Entry>> {
    let mut entries = BTreeMap::new();
    for item in tree::walk(root)? {
        let metadata = &item.metadata;
        let modified = (
            metadata.mtime().try_into().unwrap_or(0),
            metadata.mtime_nsec().try_into().unwrap_or(0),
        );
        let (content, modified) = match metadata.file_type() {
            kind if kind.is_dir() => (Content::Folder, modified),
            kind if kind.is_symlink() => {
                let target = fs::read_link(root.join(&item.path))?;
                // Links are made anew wherever they arrive.
                (Content::Link(target.as_os_str().as_bytes().to_vec()), (0, 0))
            }
            _ => (Content::File(metadata.len()), modified),
        };
        let path = item.path.as_os_str().as_bytes().to_vec();
        let mode = metadata.mode() & 0o7777;
        entries.insert(item.path, Entry { path, mode, modified, content });
    }
    Ok(entries)
}
