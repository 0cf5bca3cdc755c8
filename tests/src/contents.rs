//! Files to be sent, and what arrived, to be compared.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;

use ring::digest::{Context, SHA256};

/// Makes files of seeded content.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// The same seed makes the same content.
    pub seed: u64,
    /// Bytes of incompressible data in all.
    pub bytes: u64,
}

/// Every file, folder and link below a folder, or all bytes of a volume: path to kind, mode and
/// content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents(pub BTreeMap<String, String>);

impl Tree {
    /// Some files in folders, links, an empty file and one with a hole.
    pub fn write(self, folder: &Path) {
        let mut random = fastrand::Rng::with_seed(self.seed);
        fs::create_dir_all(folder.join("a folder/below")).unwrap();
        for (name, share) in [("big", 2), ("a folder/half", 4), ("a folder/below/rest", 4)] {
            let mut left = usize::try_from(self.bytes / share).unwrap();
            let mut file = File::create(folder.join(name)).unwrap();
            while left > 0 {
                let mut block = vec![0; left.min(1 << 20)];
                random.fill(&mut block);
                std::io::Write::write_all(&mut file, &block).unwrap();
                left -= block.len();
            }
        }
        File::create(folder.join("empty")).unwrap();
        let sparse = File::create(folder.join("sparse")).unwrap();
        sparse.set_len(8 << 20).unwrap();
        sparse.write_all_at(b"in the middle", 4 << 20).unwrap();
        symlink("a folder/half", folder.join("link")).unwrap();
        symlink("/nowhere", folder.join("a folder/dangling")).unwrap();
    }

    /// Bytes from the beginning of a volume on.
    pub fn write_volume(self, device: &Path) {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let volume = File::options().write(true).open(device).unwrap();
        let mut block = vec![0; 1 << 20];
        for at in (0..self.bytes).step_by(block.len()) {
            random.fill(&mut block);
            volume.write_all_at(&block, at).unwrap();
        }
        volume.sync_all().unwrap();
    }
}

impl Contents {
    /// Of a folder with all below it, or of a volume.
    pub fn of(path: &Path) -> Self {
        let mut contents = BTreeMap::new();
        if fs::metadata(path).unwrap().is_dir() {
            walk(path, "", &mut contents);
        } else {
            contents.insert(String::new(), digest(path));
        }
        Self(contents)
    }
}

fn walk(root: &Path, below: &str, contents: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = Path::new(below).join(entry.file_name()).to_str().unwrap().to_owned();
        let metadata = entry.metadata().unwrap();
        let mode = metadata.mode();
        let content = if metadata.is_symlink() {
            format!("link to {}", fs::read_link(entry.path()).unwrap().display())
        } else if metadata.is_dir() {
            walk(root, &name, contents);
            format!("folder, mode {mode:o}")
        } else {
            let (size, time) = (metadata.len(), metadata.mtime());
            format!("{size} bytes of {time}, mode {mode:o}, {}", digest(&entry.path()))
        };
        contents.insert(name, content);
    }
}

fn digest(path: &Path) -> String {
    let mut file = File::open(path).unwrap();
    let mut hash = Context::new(&SHA256);
    let mut block = vec![0; 1 << 20];
    loop {
        let length = file.read(&mut block).unwrap();
        if length == 0 {
            break;
        }
        hash.update(&block[..length]);
    }
    hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
