//! Finds `zfs` processes by what they work on, to show that none is left.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// A `zfs send` or `zfs receive` that is at work.
#[derive(Clone, Debug)]
pub struct Stray {
    /// Its process id.
    pub pid: u32,
    /// Its arguments, the program first.
    pub arguments: Vec<String>,
}

impl Stray {
    /// All that `belongs` takes, given their environment and arguments.
    pub(crate) fn find(belongs: impl Fn(&str, &[String]) -> bool) -> Vec<Self> {
        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid: u32| {
            let arguments = arguments(pid)?;
            let is_zfs = arguments.iter().take(2).any(|word| {
                let name = Path::new(word).file_name().unwrap_or_default();
                name == "zfs" || name == "zfs-sim" || name == "zfs-wrapped"
            });
            let streams = arguments.iter().any(|word| word == "send" || word == "receive");
            let environment = read(pid, "environ")?;
            (is_zfs && streams && belongs(&environment, &arguments))
                .then_some(Self { pid, arguments })
        })
        .collect()
    }

    /// Whether it is `zfs` itself, not a script in its place, with this command.
    pub fn is(&self, command: &str) -> bool {
        self.arguments.get(1).is_some_and(|word| word == command)
    }

    /// Sends it a signal; that it is gone already is no failure.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("a process id");
        let _ = kill_process(pid, signal);
    }
}

fn arguments(pid: u32) -> Option<Vec<String>> {
    let text = read(pid, "cmdline")?;
    Some(text.split_terminator('\0').map(str::to_owned).collect())
}

/// `None` for a process that has ended meanwhile.
fn read(pid: u32, file: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
