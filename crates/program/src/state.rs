//! The folder in which a program keeps what must survive it, locked by one process.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Whose process has ended lets go of its folder within this time.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);
/// How often it is tried until then.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The folder to use where `--state-dir` names none: `$STATE_DIRECTORY` (systemd's), else
/// `/var/lib/zatlas/NAME` for root, else `zatlas/NAME` in the user's XDG state home.
pub fn default_folder(name: &str) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("STATE_DIRECTORY") {
        return Ok(PathBuf::from(folder));
    }
    if rustix::process::geteuid().is_root() {
        return Ok(Path::new("/var/lib/zatlas").join(name));
    }
    let home = match (std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME")) {
        (Some(state), _) => PathBuf::from(state),
        (None, Some(home)) => Path::new(&home).join(".local/state"),
        (None, None) => bail!("neither XDG_STATE_HOME nor HOME is set\nGive --state-dir."),
    };
    Ok(home.join("zatlas").join(name))
}

/// A state folder that is ours alone, until this is dropped or the process ends.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    _lock: File,
}

impl StateFolder {
    /// Makes the folder where it is missing (mode 0700) and locks it; `None` where another process
    /// holds it.
    pub fn try_open(path: &Path) -> Result<Option<Self>> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| unusable(path))?;
        let file = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&file)
            .with_context(|| unusable(path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", file.display()))
            }
        }
    }

    /// The same, where another process's hold is an error.
    pub fn open(path: &Path) -> Result<Self> {
        // One that was killed just now may have left a child that isn't another program yet, and
        // holds the lock until it is.
        let end = Instant::now() + LET_GO_WITHIN;
        loop {
            if let Some(folder) = Self::try_open(path)? {
                return Ok(folder);
            }
            if Instant::now() >= end {
                bail!(
                    "the state folder {} is in use by another process\n\
                     Stop that one first, or give this one its own --state-dir.",
                    path.display()
                );
            }
            sleep(LOOK_EVERY);
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What is said before the reason.
fn unusable(path: &Path) -> String {
    format!(
        "cannot use the state folder {}, which this user must be able to write (or give another: --state-dir)",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let held = StateFolder::open(&path).unwrap();
        assert!(StateFolder::try_open(&path).unwrap().is_none());
        let error = StateFolder::open(&path).unwrap_err().to_string();
        assert!(error.contains("in use by another process"), "{error}");
        let dropping = std::thread::spawn(move || drop(held));
        StateFolder::open(&path).unwrap();
        dropping.join().unwrap();
    }
}
