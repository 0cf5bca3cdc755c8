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
use zfs::{DatasetName, Guid, PoolName};

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

/// A snapshot, and the transfer that may need it: held once on each of the snapshot's copies here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) guid: Guid,
    pub(super) transfer: TransferId,
}

/// What is remembered of a snapshot's holds for a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// Where it was held, by the names of then: several, if the transfer went over to another copy.
    pub(super) datasets: BTreeSet<DatasetName>,
    /// What the transfer makes, for people; empty if that isn't known.
    pub(super) destination: String,
    /// Unix time in seconds.
    pub(super) last_used: i64,
}

impl Note {
    /// Of holds that were found without one.
    pub(super) fn first_seen(now: i64) -> Self {
        Self { datasets: BTreeSet::new(), destination: String::new(), last_used: now }
    }
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    guid: Guid,
    transfer: TransferId,
    #[serde(default)]
    datasets: BTreeSet<DatasetName>,
    /// All that an earlier version noted of where it was.
    #[serde(default, skip_serializing)]
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
        let note = |line: Line| {
            let Line { guid, transfer, mut datasets, pool, destination, last_used } = line;
            datasets.extend(pool.map(DatasetName::root));
            (Key { guid, transfer }, Note { datasets, destination, last_used })
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
        dataset: &DatasetName,
        destination: &str,
        now: i64,
    ) -> Result<(), BookError> {
        if self.notes.len() >= MOST && !self.notes.contains_key(&key) {
            return Err(BookError::Full);
        }
        let destination = destination.chars().take(LONGEST_DESTINATION).collect();
        let mut notes = self.notes.clone();
        let mut datasets = notes.remove(&key).map(|note| note.datasets).unwrap_or_default();
        datasets.insert(dataset.clone());
        notes.insert(key, Note { datasets, destination, last_used: now });
        self.replace(notes)
    }

    /// These are held no more at a dataset. Where it went by another name when they were asked for,
    /// they stay here until holds are looked for.
    pub(super) fn let_go(&mut self, dataset: &DatasetName, keys: &[Key]) -> Result<(), BookError> {
        let mut notes = self.notes.clone();
        notes.retain(|key, Note { datasets, .. }| {
            !(keys.contains(key) && datasets.remove(dataset) && datasets.is_empty())
        });
        self.replace(notes)
    }

    /// Enters the holds that were found in `pools`, at these datasets, and aren't in the book, as
    /// used now. They are all that there are in these pools: what the book has there beside them
    /// leaves it, but for those that were asked for since, which may be about to be put.
    pub(super) fn reconcile(
        &mut self,
        found: &BTreeMap<Key, BTreeSet<DatasetName>>,
        pools: &BTreeSet<PoolName>,
        now: i64,
    ) -> Result<(), BookError> {
        let mut notes = self.notes.clone();
        for note in notes.values_mut().filter(|note| note.last_used < now) {
            note.datasets.retain(|dataset| !pools.contains(dataset.pool()));
        }
        for (key, datasets) in found {
            let note = notes.entry(*key).or_insert_with(|| Note::first_seen(now));
            note.datasets.extend(datasets.iter().cloned());
        }
        notes.retain(|_, note| note.last_used >= now || !note.datasets.is_empty());
        self.replace(notes)
    }

    fn replace(&mut self, notes: BTreeMap<Key, Note>) -> Result<(), BookError> {
        if notes != self.notes {
            let line = |(key, note): (&Key, &Note)| Line {
                guid: key.guid,
                transfer: key.transfer,
                datasets: note.datasets.clone(),
                pool: None,
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
