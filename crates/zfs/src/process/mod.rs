//! Runs `zfs` and `zpool`: the one place that does.
//!
//! Never by a shell, never by force (`-F`), never with a name that isn't full (so none can pass
//! for an option). What they print is parsed as it comes, and their own words are kept.
//!
//! A future that is dropped kills the process that it waits for; the runtime then reaps it. None
//! of this module's futures has a deadline: a command on a suspended pool can hang for ever.

mod child;
mod command;
mod error;
mod events;
mod hold;
pub mod launcher;
mod list;
mod manage;
mod pipe;
mod property;
mod receive;
mod send;

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

pub use child::Ended;
pub use error::{
    AbortError, BookmarkError, CommandError, CreateError, DestroyError, EstimateError, EventsError,
    HoldError, HoldsError, ListError, OperationError, PropertyError, ReceiveError, ReleaseError,
    RollbackError, SendError, SetPropertyError, SnapshotError,
};
pub use events::Events;
pub use list::Depth;
pub use property::Space;
pub use receive::{ReceiveOptions, ReceiveProcess};
pub use send::{SendFlags, SendProcess, Stream};

/// Where `zfs` and `zpool` are looked for besides `PATH`, which often lacks these for a user.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The two programs, and how to start them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Zfs {
    zfs: Arc<Path>,
    zpool: Arc<Path>,
    launcher: bool,
}

impl Default for Zfs {
    /// `zfs` and `zpool` on `PATH`.
    fn default() -> Self {
        Self::new("zfs".into(), "zpool".into())
    }
}

impl Zfs {
    /// The programs at these paths; a name without a slash is looked for on `PATH`, then in
    /// `/usr/sbin` and `/sbin`. One that isn't found fails when it is first run.
    pub fn new(zfs: PathBuf, zpool: PathBuf) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self { zfs: find(zfs, &path).into(), zpool: find(zpool, &path).into(), launcher: false }
    }

    /// Starts the long-lived processes (`send`, `receive`, `events`) by way of [`launcher`], so
    /// that they die with this process. Only for programs whose `main` begins with
    /// [`launcher::run_if_asked`].
    #[must_use]
    pub fn with_launcher(self) -> Self {
        Self { launcher: true, ..self }
    }

    /// A command that ends by itself, soon.
    fn zfs(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        prepare(Command::new(&*self.zfs), arguments)
    }

    /// As [`Self::zfs`], for `zpool`.
    fn zpool(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        prepare(Command::new(&*self.zpool), arguments)
    }

    /// A command that lives until it is done with a stream or stopped.
    fn long_lived(&self, program: &Path, arguments: &[impl AsRef<OsStr>]) -> Command {
        let command =
            if self.launcher { launcher::command(program) } else { Command::new(program) };
        prepare(command, arguments)
    }
}

/// Gives the command a process group of its own: Ctrl-C in a terminal is for us, who then stop it
/// in the right order, and a long-lived wrapper script is killed with all that it started.
fn prepare(mut command: Command, arguments: &[impl AsRef<OsStr>]) -> Command {
    command
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// The first executable of this name in the folders of `path` or the system's, else the name.
fn find(program: PathBuf, path: &OsStr) -> PathBuf {
    if program.components().count() != 1 || program.is_absolute() {
        return program;
    }
    let system = SYSTEM_FOLDERS.map(OsString::from).map(PathBuf::from);
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .chain(system)
        .map(|folder| folder.join(&program))
        .find(|candidate| is_executable(candidate))
        .unwrap_or(program)
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_bare_name_is_the_first_executable_on_the_path_and_a_path_is_itself() {
        let folder = tempfile::tempdir().unwrap();
        let folders = ["without", "data", "program", "later"].map(|name| folder.path().join(name));
        for (path, mode) in folders.iter().zip([0, 0o644, 0o755, 0o755]) {
            fs::create_dir(path).unwrap();
            if mode != 0 {
                fs::write(path.join("zfs-x"), "").unwrap();
                fs::set_permissions(path.join("zfs-x"), fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        let path = std::env::join_paths(&folders).unwrap();
        assert_eq!(find("zfs-x".into(), &path), folders[2].join("zfs-x"));
        assert_eq!(find("zfs-y".into(), &path), Path::new("zfs-y"));
        assert_eq!(find("./zfs-x".into(), &path), Path::new("./zfs-x"));
        assert_eq!(find("/a/zfs-x".into(), &path), Path::new("/a/zfs-x"));
    }
}
