//! The book of holds: a file that tells what each hold is for, and when it was last asked for.
//!
//! It is JSON, a list of holds. A hold is known by its snapshot's GUID, since names change. Losing
//! the book lets go of nothing: what it doesn't tell of counts as used when it is first seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use schema::TransferId;
use serde::{Deserialize, Serialize};
use zfs::{Guid, PoolName};

/// More holds than this aren't kept in mind, nor put: each rewrites the file.
const MOST: usize = 10_000;
/// A destination is told in so many characters; it comes from a peer.
const LONGEST_DESTINATION: usize = 600;

/// Why the book can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The file can't be read.
    #[error("cannot read the book of holds {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file isn't a book.
    #[error(
        "the book of holds {} is damaged: move it away, and what is held counts as used now",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file can't be written.
    #[error("cannot write the book of holds {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no room for another.
    #[error("there are {MOST} holds already")]
    Full,
}

/// A hold: a snapshot, and the transfer that may need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) guid: Guid,
    pub(super) transfer: TransferId,
}

/// What is remembered of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// Where the snapshot was when it was asked for; `None` where an earlier version noted it.
    pub(super) pool: Option<PoolName>,
    /// What the transfer makes, for people; empty if that isn't known.
    pub(super) destination: String,
    /// Unix time in seconds.
    pub(super) last_used: i64,
}

impl Note {
    /// Of a hold that was found without one.
    pub(super) fn first_seen(pool: PoolName, now: i64) -> Self {
        Self { pool: Some(pool), destination: String::new(), last_used: now }
    }
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    guid: Guid,
    transfer: TransferId,
    #[serde(default)]
    pool: Option<PoolName>,
    destination: String,
    last_used: i64,
}

/// The book: what is in memory is on disk.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    notes: BTreeMap<Key, Note>,
}

impl Book {
    /// Reads a book; one that isn't there is empty.
    pub(super) fn open(path: PathBuf) -> Result<Self, BookError> {
        let lines: Vec<Line> = match fs::read(&path) {
            Ok(content) => serde_json::from_slice(&content)
                .map_err(|source| BookError::Damaged { path: path.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(BookError::Read { path, source }),
        };
        let note = |Line { guid, transfer, pool, destination, last_used }| {
            (Key { guid, transfer }, Note { pool, destination, last_used })
        };
        Ok(Self { path, notes: lines.into_iter().map(note).collect() })
    }

    /// Whether anything is noted for a transfer.
    pub(super) fn mentions(&self, transfer: TransferId) -> bool {
        self.notes.keys().any(|key| key.transfer == transfer)
    }

    pub(super) fn find(&self, key: &Key) -> Option<Note> {
        self.notes.get(key).cloned()
    }

    /// A transfer asks for a hold.
    pub(super) fn used(
        &mut self,
        key: Key,
        pool: &PoolName,
        destination: &str,
        now: i64,
    ) -> Result<(), BookError> {
        if self.notes.len() >= MOST && !self.notes.contains_key(&key) {
            return Err(BookError::Full);
        }
        let destination = destination.chars().take(LONGEST_DESTINATION).collect();
        let mut notes = self.notes.clone();
        let pool = Some(pool.clone());
        notes.insert(key, Note { pool, destination, last_used: now });
        self.replace(notes)
    }

    /// These are held no more.
    pub(super) fn let_go(&mut self, keys: &[Key]) -> Result<(), BookError> {
        let mut notes = self.notes.clone();
        notes.retain(|key, _| !keys.contains(key));
        self.replace(notes)
    }

    /// Enters the holds that were found in `pools` and aren't in the book, as used now. They are all
    /// that there are in these pools: what the book has there beside them leaves it, but for those
    /// that were asked for since, which may be about to be put.
    pub(super) fn reconcile(
        &mut self,
        found: &BTreeMap<Key, PoolName>,
        pools: &BTreeSet<PoolName>,
        now: i64,
    ) -> Result<(), BookError> {
        let mut notes = self.notes.clone();
        notes.retain(|key, note| {
            let elsewhere = note.pool.as_ref().is_some_and(|pool| !pools.contains(pool));
            found.contains_key(key) || note.last_used >= now || elsewhere
        });
        for (key, pool) in found {
            notes.entry(*key).or_insert_with(|| Note::first_seen(pool.clone(), now));
        }
        self.replace(notes)
    }

    fn replace(&mut self, notes: BTreeMap<Key, Note>) -> Result<(), BookError> {
        if notes != self.notes {
            let line = |(key, note): (&Key, &Note)| Line {
                guid: key.guid,
                transfer: key.transfer,
                pool: note.pool.clone(),
                destination: note.destination.clone(),
                last_used: note.last_used,
            };
            let lines: Vec<Line> = notes.iter().map(line).collect();
            write(&self.path, &lines)
                .map_err(|source| BookError::Write { path: self.path.clone(), source })?;
            self.notes = notes;
        }
        Ok(())
    }
}

/// Writes the file, whole or not at all, and so that it survives a crash of the machine.
fn write(path: &Path, lines: &[Line]) -> io::Result<()> {
    let temporary = path.with_added_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{}", serde_json::to_string_pretty(lines)?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
