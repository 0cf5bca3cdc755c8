//! A dataset at its source: made, changed, and read at either side.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tests::{Contents, Machine, Tree, is_real};

/// The pool that the data comes from.
pub(crate) const SOURCE: &str = "tank-01";

/// Enough for each kind of block, and little for an emulated machine.
const BYTES: u64 = 2 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Filesystem,
    Volume,
    /// A filesystem under a key that only the source has.
    Encrypted,
}

/// A dataset with a life of its own.
pub(crate) struct Data {
    pub(crate) kind: Kind,
    /// Its path in the source's pool.
    pub(crate) path: &'static str,
    /// What is above it at the destinations.
    below: Option<&'static str>,
    /// How many chapters its life has.
    pub(crate) chapters: usize,
    /// Further arguments of `zfs create`.
    options: Vec<&'static str>,
    changes: u64,
}

impl Data {
    pub(crate) fn new(kind: Kind, path: &'static str) -> Self {
        Self { kind, path, below: None, chapters: usize::MAX, options: Vec::new(), changes: 0 }
    }

    /// Created with these options.
    pub(crate) fn with(self, options: &[&'static str]) -> Self {
        Self { options: options.to_vec(), ..self }
    }

    /// Transferred to below this dataset.
    pub(crate) fn below(self, parent: &'static str) -> Self {
        Self { below: Some(parent), ..self }
    }

    /// With a life of so many chapters.
    pub(crate) fn living(self, chapters: usize) -> Self {
        Self { chapters, ..self }
    }

    /// Its name at the source.
    pub(crate) fn name(&self) -> String {
        format!("{SOURCE}/{}", self.path)
    }

    /// A snapshot's name at the source.
    pub(crate) fn at(&self, label: &str) -> String {
        format!("{}@{label}", self.name())
    }

    /// Takes a snapshot.
    pub(crate) fn take(&self, source: &Machine, label: &str) {
        source.zfs(&["snapshot", &self.at(label)]);
    }

    /// Its path in a destination's pool.
    pub(crate) fn path_there(&self) -> String {
        self.below.map_or(self.path.to_owned(), |parent| format!("{parent}/{}", self.path))
    }

    pub(crate) fn create(&self, source: &Machine) {
        let name = self.name();
        let size = (2 * BYTES).to_string();
        let key = key_location(source);
        let kind: &[&str] = match self.kind {
            Kind::Filesystem => &[],
            Kind::Volume => &["-V", &size],
            Kind::Encrypted => {
                fs::write(source.path("key"), [7; 32]).unwrap();
                &["-o", "encryption=on", "-o", "keyformat=raw", "-o", &key]
            }
        };
        source.zfs(&[&["create"], kind, &self.options, &[&name]].concat());
        let tree = Tree { seed: 1, bytes: BYTES };
        source.with_files(&name, |path| match self.kind {
            Kind::Volume => tree.write_volume(path),
            Kind::Filesystem | Kind::Encrypted => tree.write(path),
        });
    }

    /// Writes to what is there, adds something and takes something away.
    pub(crate) fn change(&mut self, source: &Machine) {
        self.changes += 1;
        let mut random = fastrand::Rng::with_seed(self.changes);
        let mut bytes = vec![0; 256 << 10];
        random.fill(&mut bytes);
        source.with_files(&self.name(), |path| match self.kind {
            Kind::Volume => overwrite(path, &bytes, self.changes * (256 << 10)),
            Kind::Filesystem | Kind::Encrypted => {
                overwrite(&path.join("big"), &bytes, self.changes * (40 << 10));
                let later = |number| path.join(format!("a folder/added {number}"));
                File::create(later(self.changes)).and_then(|mut f| f.write_all(&bytes)).unwrap();
                if self.changes > 1 {
                    fs::remove_file(later(self.changes - 1)).unwrap();
                }
            }
        });
    }

    /// What a snapshot of it holds, at the source or at a destination. Changes nothing that lasts.
    pub(crate) fn contents(&self, source: &Machine, at: &Machine, snapshot: &str) -> Contents {
        let (dataset, _) = snapshot.split_once('@').unwrap();
        match self.kind {
            Kind::Volume if is_real() => {
                // A snapshot's device can't be seen without setting a property.
                let clone = format!("{dataset}-read");
                at.zfs(&["clone", snapshot, &clone]);
                let contents = at.contents(&clone);
                destroy_idle(at, &clone);
                contents
            }
            Kind::Encrypted if at.get(dataset, "keystatus") == "unavailable" => {
                at.zfs(&["load-key", "-L", &key_of(source), dataset]);
                let contents = at.contents(snapshot);
                at.zfs(&["unload-key", dataset]);
                contents
            }
            _ => at.contents(snapshot),
        }
    }
}

/// Where the source's key is, as a property.
fn key_location(source: &Machine) -> String {
    format!("keylocation={}", key_of(source))
}

/// The same as a value.
fn key_of(source: &Machine) -> String {
    format!("file://{}", source.path("key").display())
}

fn overwrite(file: &Path, bytes: &[u8], at: u64) {
    let file = File::options().write(true).open(file).unwrap();
    file.write_all_at(bytes, at).unwrap();
    file.sync_all().unwrap();
}

/// udev, or the kernel, may still have a look at a device that was just closed.
fn destroy_idle(at: &Machine, volume: &str) {
    tests::until("an idle volume", || (at.try_zfs(&["destroy", volume]).status == 0).then_some(()));
}
