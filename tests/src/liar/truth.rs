//! What an honest source sends: a tale's steps by a real `zfs send`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::tale::{Asked, Step, Tale};
use crate::machine::Machine;
use crate::programs::zfs_program;
use crate::stream::Stream;

/// A dataset of a machine, from which whatever is asked for can be sent.
#[derive(Clone)]
pub struct Truth {
    dataset: String,
    sim_root: PathBuf,
}

impl Truth {
    /// Of this dataset.
    pub fn of(machine: &Machine, dataset: &str) -> Self {
        Self { dataset: dataset.to_owned(), sim_root: machine.sim_root() }
    }

    /// The tale of an honest source, of increments and resumed streams too.
    pub fn tale(&self) -> Tale {
        let truth = self.clone();
        Tale::by(move |asked| vec![Step::Write(truth.sent(asked).bytes().to_vec()), Step::End])
    }

    /// What `zfs send` writes for it.
    pub fn sent(&self, asked: &Asked) -> Stream {
        let mut words = vec!["send".to_owned()];
        if let Some(token) = &asked.token {
            words.extend(["-t".to_owned(), token.clone()]);
        } else {
            words.extend(asked.raw.then(|| "-w".to_owned()));
            words.extend(asked.large_blocks.then(|| "-L".to_owned()));
            if let Some(base) = asked.base {
                words.extend(["-i".to_owned(), self.named(base)]);
            }
            words.push(self.named(asked.snapshot));
        }
        Stream::from_bytes(self.run(&words))
    }

    /// The snapshot, or else the bookmark, with this GUID.
    fn named(&self, guid: u64) -> String {
        let list = "list -Hp -t snapshot,bookmark -d 1 -o name,guid";
        let mut words: Vec<String> = list.split(' ').map(str::to_owned).collect();
        words.push(self.dataset.clone());
        let listed = String::from_utf8(self.run(&words)).expect("names");
        let guid = guid.to_string();
        let names = listed.lines().filter_map(|line| line.split_once('\t'));
        let mut names: Vec<&str> =
            names.filter(|(_, of)| *of == guid).map(|(name, _)| name).collect();
        names.sort_by_key(|name| name.contains('#'));
        (*names.first().unwrap_or_else(|| panic!("{guid} is not in\n{listed}"))).to_owned()
    }

    fn run(&self, words: &[String]) -> Vec<u8> {
        let mut zfs = Command::new(zfs_program("zfs"));
        zfs.args(words).env("ZFS_SIM_ROOT", &self.sim_root).stdin(Stdio::null());
        let output = zfs.output().expect("zfs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "zfs {words:?}: {message}");
        output.stdout
    }
}
