//! What all parts of a fleet share: the folder that everything is in, and the network.

use std::cell::Cell;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::network::Network;

pub(crate) struct Site {
    folder: TempDir,
    pub(crate) network: Network,
    processes: Cell<u32>,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, network: Network::new(), processes: Cell::new(0) }
    }

    /// A file or folder of the fleet.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A number that no other process of the fleet has.
    pub(crate) fn number(&self) -> u32 {
        let number = self.processes.get();
        self.processes.set(number + 1);
        number
    }
}
