//! The machine that a test runs commands on: simulated or real, with fresh pools, gone when dropped.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The size of a pool's file.
const POOL_SIZE: u64 = 1 << 30;

pub(crate) struct Backend {
    dir: TempDir,
    real: bool,
}

/// What a command printed, and how it ended.
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: i32,
}

impl Backend {
    /// A machine with these pools, nothing in them, mounted nowhere.
    pub(crate) fn with_pools(pools: &[&str]) -> Self {
        let backend = Self {
            dir: TempDir::new().unwrap(),
            real: std::env::var_os("ZATLAS_REAL_ZFS").is_some(),
        };
        let bin = backend.path("bin");
        fs::create_dir(&bin).unwrap();
        if !backend.real {
            symlink(env!("CARGO_BIN_EXE_zfs-sim"), bin.join("zfs")).unwrap();
            symlink(env!("CARGO_BIN_EXE_zpool-sim"), bin.join("zpool")).unwrap();
        }
        backend.script("inside", "");
        backend.script("look", "ro,");
        for image in ["tank.img", "back.img", "third.img"] {
            File::create(backend.path(image)).unwrap().set_len(POOL_SIZE).unwrap();
        }
        for pool in pools {
            backend.ok(&format!("zpool create -O mountpoint=none {pool} $PWD/{pool}.img"));
        }
        backend
    }

    /// Puts a command on PATH that runs another among a filesystem's files: `NAME DATASET COMMAND`.
    fn script(&self, name: &str, options: &str) {
        let script = self.path("bin").join(name);
        let go_there = match self.real {
            true => format!(
                "there=$(mktemp -d $PWD/there.XXXXXX)\nmount -t zfs -o {options}zfsutil \"$1\" $there\n\
                 trap 'umount $there; rmdir $there' EXIT"
            ),
            false => "there=$(zfs path \"$1\")".to_owned(),
        };
        fs::write(
            &script,
            format!("#!/bin/bash\nset -e\n{go_there}\n(cd $there; bash -c \"$2\")\n"),
        )
        .unwrap();
        fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    }

    /// A file in the folder that commands run in.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A shell command in the folder, ready to be started.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-o", "pipefail", "-c", line])
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        let path = std::env::var("PATH").unwrap();
        command.env("LC_ALL", "C").env("TZ", "UTC");
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        if !self.real {
            command.env("ZFS_SIM_ROOT", self.path("state"));
        }
        command
    }

    /// Runs a shell command to its end.
    pub(crate) fn run(&self, line: &str) -> Ran {
        let Output { status, stdout, stderr } = self.command(line).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { stdout: text(stdout), stderr: text(stderr), status: status.code().unwrap_or(-1) }
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub(crate) fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.status, 0, "{line}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Does something with a filesystem's or snapshot's files, wherever the backend has them.
    pub(crate) fn with_files<T>(&self, dataset: &str, work: impl FnOnce(&Path) -> T) -> T {
        self.mounted(dataset, "", work)
    }

    /// Looks at a filesystem's files without changing anything, not even when they were read.
    pub(crate) fn reading<T>(&self, dataset: &str, work: impl FnOnce(&Path) -> T) -> T {
        self.mounted(dataset, "ro,", work)
    }

    /// Where a volume's bytes are, once they are there.
    pub(crate) fn volume(&self, dataset: &str) -> PathBuf {
        if !self.real {
            return self.ok(&format!("zfs path '{dataset}'")).trim_end_matches('\n').into();
        }
        let device = Path::new("/dev/zvol").join(dataset);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !device.exists() {
            assert!(Instant::now() < deadline, "{} never came", device.display());
        }
        device
    }

    fn mounted<T>(&self, dataset: &str, options: &str, work: impl FnOnce(&Path) -> T) -> T {
        if !self.real {
            return work(Path::new(
                self.ok(&format!("zfs path '{dataset}'")).trim_end_matches('\n'),
            ));
        }
        let mounted = self.path("mounted");
        fs::create_dir_all(&mounted).unwrap();
        self.ok(&format!("mount -t zfs -o {options}zfsutil '{dataset}' $PWD/mounted"));
        let result = work(&mounted);
        self.ok("umount $PWD/mounted");
        result
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if self.real {
            self.run("for pool in $(zpool list -H -o name); do zpool destroy -f $pool; done");
        }
    }
}

/// Bytes that don't compress, the same each time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let step = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(1), step).map(|state| (state >> 56) as u8).take(length).collect()
}
