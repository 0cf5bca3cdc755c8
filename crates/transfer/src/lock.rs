//! One transfer to a destination at a time, whichever process on the machine runs it.
//!
//! A lock on a file, which the system lets go of with the process. The destination is known by its
//! pool's GUID, so that it is the same under whatever name the pool is imported.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use schema::{Code, Failure};
use tokio::time::sleep;
use zfs::{DatasetName, Guid};

/// The time between two tries of one that waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long one that doesn't wait does so all the same.
const GRACE: Duration = Duration::from_secs(10);
/// Where locks lie: the first of these in which everyone, or root if that is who asks, may make
/// files.
const FOLDERS: [&str; 2] = ["/run/lock", "/tmp"];

/// What a transfer to this destination goes by: the same for each, on whatever day it runs.
pub(crate) fn transfer_id(pool: Guid, target: &DatasetName) -> String {
    let path = target.path().map_or("", |path| path.as_str());
    let digest = ring::digest::digest(
        &ring::digest::SHA256,
        format!("zatlas transfer {pool}/{path}").as_bytes(),
    );
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Held by the one transfer to a destination.
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock of the destination with this id; with `wait`, when it is free, `waiting` being
/// told if it isn't.
pub(crate) async fn take(
    id: &str,
    target: &DatasetName,
    wait: bool,
    waiting: impl FnOnce(),
) -> Result<Lock, Failure> {
    let path = folder().join(format!("zatlas-{id}.lock"));
    let refuse = |code, reason: String, remedy: &str| {
        Failure::new(code, "receive into", target, reason, remedy)
    };
    let cannot = |error: io::Error| {
        refuse(
            Code::Failed,
            format!("cannot lock {}: {error}", path.display()),
            "See to it that the file can be read and made.",
        )
    };
    let file = open(&path).map_err(cannot)?;
    let mut waiting = Some(waiting);
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
            // One that was just cancelled may still wait for its processes.
            Err(TryLockError::WouldBlock) if wait || since.elapsed() < GRACE => {
                waiting.take().filter(|_| wait).into_iter().for_each(|waiting| waiting());
                sleep(LOOK_EVERY).await;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(refuse(
                    Code::Refused,
                    "another transfer into it is under way on this machine".to_owned(),
                    "Wait for it with --wait, or run the command again later.",
                ));
            }
        }
    }
}

/// Whether a transfer has the destination with this id now.
pub(crate) fn is_taken(id: &str) -> bool {
    let file = open(&folder().join(format!("zatlas-{id}.lock")));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn folder() -> PathBuf {
    // Where only root may make files, the agent and cli of root still find each other there: a
    // service can have a folder for temporary files of its own.
    let is_root = rustix::process::geteuid().is_root();
    let is_for_all = |folder: &&str| {
        fs::metadata(folder)
            .is_ok_and(|data| data.is_dir() && (is_root || data.permissions().mode() & 0o002 != 0))
    };
    FOLDERS.into_iter().find(is_for_all).unwrap_or(FOLDERS[1]).into()
}

/// Opens the file, and makes it if it isn't there. Never through a link, which someone else may have
/// put there. One that is there is opened without the wish to make it, which the system refuses of
/// another user's file in a folder for all.
fn open(path: &Path) -> io::Result<File> {
    let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let existing = || OpenOptions::new().read(true).custom_flags(no_link).open(path);
    match existing() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        other => return other,
    }
    let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o644).open(path);
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => existing(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_one_id_whatever_its_pool_is_called() {
        let id = |pool, target: &str| transfer_id(Guid(pool), &target.parse().unwrap());
        assert_eq!(id(1, "tank/a"), id(1, "imported-as/a"));
        assert_ne!(id(1, "tank/a"), id(2, "tank/a"));
        assert_ne!(id(1, "tank/a"), id(1, "tank/b"));
        let id = id(1, "tank/a");
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }

    #[tokio::test]
    async fn the_second_is_refused_or_waits_for_the_first() {
        let target = "tank/a".parse().unwrap();
        let id = transfer_id(Guid(fastrand::u64(..)), &target);
        let never = || panic!("nobody else has it");
        let first = take(&id, &target, false, never).await.unwrap();
        let refused = take(&id, &target, false, || ()).await.err().unwrap();
        assert_eq!(refused.code, Code::Refused);
        let (told, hears) = tokio::sync::oneshot::channel();
        let second = take(&id, &target, true, || told.send(()).unwrap());
        let ended = async {
            hears.await.unwrap();
            drop(first);
        };
        let (second, ()) = tokio::join!(second, ended);
        drop(second.unwrap());
        std::fs::remove_file(folder().join(format!("zatlas-{id}.lock"))).unwrap();
    }
}
