//! The state folder: which pools there are, and the locks that keep processes apart.

mod busy;
mod node;
mod pool;
mod recovery;

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

pub(crate) use busy::{Busy, Progress};
pub(crate) use node::{Bookmark, Dataset, Node, Properties, Receiving, Snapshot};
pub(crate) use pool::{Access, Pool};

/// The folder that `ZFS_SIM_ROOT` names.
pub(crate) struct Root(PathBuf);

impl Root {
    /// Opens the folder, and makes what it lacks.
    pub(crate) fn open() -> Result<Self> {
        let path =
            PathBuf::from(std::env::var_os("ZFS_SIM_ROOT").context("ZFS_SIM_ROOT is not set")?);
        ensure!(path.is_absolute(), "ZFS_SIM_ROOT is not an absolute path: {}", path.display());
        for folder in ["pools", "exported"] {
            fs::create_dir_all(path.join(folder))
                .with_context(|| format!("cannot make {}", path.display()))?;
        }
        Ok(Self(path))
    }

    /// Where an imported pool lives.
    pub(crate) fn pool_dir(&self, pool: &str) -> PathBuf {
        self.0.join("pools").join(pool)
    }

    /// Where an exported pool lives.
    pub(crate) fn exported_dir(&self, pool: &str) -> PathBuf {
        self.0.join("exported").join(pool)
    }

    /// Keeps pools from coming and going, until dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        let file = File::create(self.0.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// Where the log of events lives.
    pub(crate) fn events(&self) -> PathBuf {
        self.0.join("events")
    }

    /// The names of the imported pools, sorted.
    pub(crate) fn pools(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.0.join("pools"))? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens and locks a pool; none if there is no such pool.
    pub(crate) fn pool(&self, name: &str, access: Access) -> Result<Option<Pool>> {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Ok(None);
        }
        match Pool::open(self, name, access)? {
            Some(pool) if pool.is_unfinished() => drop(pool),
            pool => return Ok(pool),
        }
        if let Some(pool) = Pool::open(self, name, Access::Write)? {
            pool.commit()?;
        }
        Pool::open(self, name, access)
    }
}

/// A new GUID, as random as ZFS's own.
pub(crate) fn new_guid() -> Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes).max(1))
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// Removes a file or a folder with all in it; neither need exist.
pub(crate) fn remove_all(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
