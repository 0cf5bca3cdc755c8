//! `cargo xtask lab`: drives `tests/lab/build.sh` and `tests/lab/run.sh`, which know how.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::install::{self, Package};
use crate::process;

/// What the machine needs to build the lab and to boot it.
pub(crate) const PACKAGES: [Package; 3] = [
    Package { name: "gcc", proof: "gcc" },
    Package { name: "make", proof: "make" },
    Package { name: "qemu-system-x86", proof: "qemu-system-x86_64" },
];

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Build it, unless it is built; minutes the first time
    Build,
    /// Boot it, run SCRIPT there in /lab, and exit with the script's status
    Run(Run),
}

#[derive(Args)]
pub(crate) struct Run {
    /// The guest's memory in MiB (6144)
    #[arg(long)]
    memory: Option<u32>,
    /// Seconds until the guest is stopped, with status 124 (900)
    #[arg(long)]
    timeout: Option<u32>,
    /// A bash script
    script: PathBuf,
    /// FILE or FILE=NAME: put beside the script as /lab/NAME, its shared libraries too
    files: Vec<OsString>,
}

pub(crate) fn main(task: &Task) -> Result<ExitCode> {
    match task {
        Task::Build => {
            install::packages(&PACKAGES)?;
            build()?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Run(options) => {
            let mut command = run(&options.script, &options.files);
            for (name, value) in [("LAB_MEM", options.memory), ("LAB_TIMEOUT", options.timeout)] {
                if let Some(value) = value {
                    command.env(name, value.to_string());
                }
            }
            let status = command.status().context("cannot start the lab")?;
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
        }
    }
}

/// Builds the lab unless its newest build exists.
pub(crate) fn build() -> Result<()> {
    process::run(shell("build.sh").stdin(Stdio::null()))
}

/// The command that boots the lab and runs `script` there with `files`, each FILE or FILE=NAME.
pub(crate) fn run(script: &Path, files: &[OsString]) -> Command {
    let mut command = shell("run.sh");
    command.arg(script).args(files).stdin(Stdio::null());
    command
}

fn shell(name: &str) -> Command {
    Command::new(crate::root().join("tests/lab").join(name))
}
