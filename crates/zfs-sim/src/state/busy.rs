//! Who is sending or receiving what. A lock, so that it ends with its process however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};

/// How far a receive has come; what its resume token tells.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The object that was written last; 0 before the first.
    pub(crate) object: u64,
    /// Where in that object the next byte belongs.
    pub(crate) offset: u64,
    /// Bytes of payload received.
    pub(crate) bytes: u64,
}

/// A lock on the data of one ID, held until dropped.
pub(crate) struct Busy(File);

impl Busy {
    /// Marks data as being received; none if it is already.
    pub(crate) fn receiving(pool: &Path, id: u64) -> Result<Option<Self>> {
        let file = open(pool, id)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Marks a snapshot as being sent, by any number of processes.
    pub(crate) fn sending(pool: &Path, id: u64) -> Result<Self> {
        let file = open(pool, id)?;
        file.lock_shared()?;
        Ok(Self(file))
    }

    /// Notes how far the receive has come.
    pub(crate) fn note(&self, progress: Progress) -> Result<()> {
        let mut bytes = [0; 24];
        for (place, value) in
            bytes.chunks_exact_mut(8).zip([progress.object, progress.offset, progress.bytes])
        {
            place.copy_from_slice(&value.to_le_bytes());
        }
        Ok(self.0.write_all_at(&bytes, 0)?)
    }
}

/// Whether anyone sends or receives this data now.
pub(crate) fn is_busy(pool: &Path, id: u64) -> Result<bool> {
    let Ok(file) = File::open(path(pool, id)) else { return Ok(false) };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// How far the receive into this data has come.
pub(crate) fn progress(pool: &Path, id: u64) -> Progress {
    let mut bytes = [0; 24];
    let read = File::open(path(pool, id)).and_then(|file| file.read_exact_at(&mut bytes, 0));
    let word = |at: usize| {
        bytes[at..at + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    match read {
        Ok(()) => Progress { object: word(0), offset: word(8), bytes: word(16) },
        Err(_) => Progress::default(),
    }
}

/// Forgets about data that is gone.
pub(crate) fn forget(pool: &Path, id: u64) -> Result<()> {
    super::remove_all(&path(pool, id))
}

fn path(pool: &Path, id: u64) -> std::path::PathBuf {
    pool.join("busy").join(id.to_string())
}

fn open(pool: &Path, id: u64) -> Result<File> {
    let path = path(pool, id);
    fs::create_dir_all(pool.join("busy"))?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))
}
