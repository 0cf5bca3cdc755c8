//! Scripts in place of `zfs` and `zpool`, and ways to wait for what they do.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use zfs::Zfs;

/// Long enough for a machine with much else to do; a test that waits as long has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// A folder with a `zfs` and a `zpool` that run scripts, in which `$here` is the folder.
pub(crate) struct Fake {
    folder: TempDir,
}

impl Fake {
    /// Both programs run `script`.
    pub(crate) fn new(script: &str) -> Self {
        let fake = Self { folder: tempfile::tempdir().unwrap() };
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake/program");
        for name in ["zfs", "zpool"] {
            symlink(program, fake.path(name)).unwrap();
            let script = format!("here={}\n{script}", fake.path("").display());
            fs::write(fake.path(&format!("{name}.sh")), script).unwrap();
        }
        fake
    }

    /// As `new`, and each run adds a line to the log: its environment's `LC_ALL`, its arguments
    /// in brackets.
    pub(crate) fn logging(script: &str) -> Self {
        let log = r#"{ printf %s "$LC_ALL"; printf ' [%s]' "${0##*/}" "$@"; echo; } >>$here/log"#;
        Self::new(&format!("{log}\n{script}"))
    }

    pub(crate) fn zfs(&self) -> Zfs {
        Zfs::new(self.path("zfs"), self.path("zpool"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// A named pipe that the script holds open for writing for as long as it lives:
    /// `exec 9>$here/alive`.
    pub(crate) fn alive(&self) -> Alive {
        let path = self.path("alive");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Alive { path }
    }
}

/// The reading end of the named pipe.
pub(crate) struct Alive {
    path: PathBuf,
}

impl Alive {
    /// Waits until the script has begun, then until all that has the pipe open is gone.
    pub(crate) async fn begun(self) -> Gone {
        Gone { pipe: blocking(|| fs::File::open(self.path).unwrap()).await }
    }
}

/// What tells that the script has ended.
pub(crate) struct Gone {
    pipe: fs::File,
}

impl Gone {
    pub(crate) async fn wait(mut self) {
        blocking(move || self.pipe.read_to_end(&mut Vec::new()).unwrap()).await;
    }
}

/// What the future gives, which must be in time.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("nothing happened in time")
}

/// What `work` gives, in time. On a thread that a runtime would not wait for at its end.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || sender.send(work()));
    within(receiver).await.unwrap()
}

/// Parses a name.
pub(crate) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// `tank/fs@s`.
pub(crate) fn snapshot() -> zfs::SnapshotName {
    name::<zfs::DatasetName>("tank/fs").at(name("s")).unwrap()
}
