//! A machine's ZFS: its pools, what is in them, and how to get at the files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contents::Contents;
use crate::process::Ran;
use crate::programs::{is_real, zfs_program};
use crate::properties::Properties;
use crate::wait::until;

/// The size of a pool's file, of which only what is written takes space.
const POOL_SIZE: u64 = 2 << 30;

/// Pools of one machine; in the lab they are destroyed when this is dropped.
pub(crate) struct Pools {
    folder: PathBuf,
    names: Vec<String>,
}

impl Pools {
    /// No pool yet.
    pub(crate) fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("a machine's folder");
        Self { folder, names: Vec::new() }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The folder that stands for this machine's ZFS.
    pub(crate) fn sim_root(&self) -> PathBuf {
        self.folder.join("zfs-sim")
    }

    /// Creates a pool whose filesystems are mounted below the machine's folder.
    pub(crate) fn create(&mut self, name: &str) {
        let image = self.folder.join(format!("{name}.img"));
        File::create(&image).and_then(|file| file.set_len(POOL_SIZE)).expect("a pool's file");
        let mountpoint = self.folder.join(name);
        let (image, mountpoint) = (image.to_str().unwrap(), mountpoint.to_str().unwrap());
        self.run("zpool", &["create", "-m", mountpoint, name, image]).ok();
        self.names.push(name.to_owned());
    }

    /// Exports a pool, or imports it again.
    pub(crate) fn export(&self, name: &str) {
        self.run("zpool", &["export", name]).ok();
    }

    /// See [`Self::export`].
    pub(crate) fn import(&self, name: &str) {
        let folder = self.folder.to_str().unwrap();
        self.run("zpool", &["import", "-d", folder, name]).ok();
    }

    /// Runs `zfs` or `zpool` to its end.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        let mut command = Command::new(zfs_program(program));
        command.args(arguments).env("LC_ALL", "C").env("ZFS_SIM_ROOT", self.sim_root());
        Ran::of(&mut command, format!("{program} {}", arguments.join(" ")))
    }

    pub(crate) fn zfs(&self, arguments: &[&str]) -> String {
        self.run("zfs", arguments).ok().stdout.trim_end().to_owned()
    }

    pub(crate) fn get(&self, name: &str, property: &str) -> String {
        self.zfs(&["get", "-Hp", "-o", "value", property, name])
    }

    /// Does something with the files of a mounted filesystem or the bytes of a volume.
    pub(crate) fn with_files<T>(&self, dataset: &str, work: impl FnOnce(&Path) -> T) -> T {
        if !is_real() {
            return work(Path::new(&self.zfs(&["path", dataset])));
        }
        if self.get(dataset, "type") == "volume" {
            let device = PathBuf::from("/dev/zvol").join(dataset);
            until(&format!("{}", device.display()), || device.exists().then_some(()));
            return work(&device);
        }
        assert_eq!(self.get(dataset, "mounted"), "yes", "{dataset} isn't mounted");
        work(Path::new(&self.get(dataset, "mountpoint")))
    }

    /// What a snapshot of a filesystem holds, or a volume now.
    pub(crate) fn contents(&self, name: &str) -> Contents {
        if !is_real() || !name.contains('@') {
            return self.with_files(name, Contents::of);
        }
        let folder = self.folder.join("snapshot");
        fs::create_dir_all(&folder).expect("a folder to mount on");
        let mount = |arguments: &[&str]| {
            Ran::of(Command::new(arguments[0]).args(&arguments[1..]), arguments.join(" ")).ok();
        };
        let target = folder.to_str().unwrap();
        mount(&["mount", "-t", "zfs", "-o", "ro", name, target]);
        let contents = Contents::of(&folder);
        mount(&["umount", target]);
        contents
    }

    pub(crate) fn properties(&self) -> Properties {
        let mut properties = Properties::default();
        for pool in &self.names {
            properties.add(&self.zfs(&[
                "get",
                "-Hpr",
                "-t",
                "filesystem,volume,snapshot,bookmark",
                "-o",
                "name,property,value,source",
                "all",
                pool,
            ]));
        }
        let held = properties.held();
        if !held.is_empty() {
            properties.add_holds(&self.zfs(&[&["holds", "-H"], &held[..]].concat()));
        }
        properties
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        if is_real() {
            for name in &self.names {
                // Its processes were killed a moment ago.
                let destroyed = (0..50).any(|_| {
                    let ran = self.run("zpool", &["destroy", "-f", name]);
                    let gone = ran.status == 0 || ran.stderr.contains("no such pool");
                    if !gone {
                        std::thread::sleep(std::time::Duration::from_millis(200));
                    }
                    gone
                });
                if !destroyed {
                    eprintln!("the pool {name} can't be destroyed");
                }
            }
        }
    }
}
