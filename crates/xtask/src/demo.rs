//! `cargo xtask demo`: a fleet of the real programs on this machine, and what people do with it.
//!
//! Its pools are folders of plain files (zfs-sim), so it needs neither ZFS nor root, and it listens
//! on loopback alone. Nothing of it stays: processes and files are gone at the end, also after
//! Ctrl-C or a failure.

mod screen;
mod stage;
mod story;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::cargo::Executables;
use stage::Stage;

/// What the programs of the demo are built from.
const PACKAGES: [&str; 4] = ["tracker", "agent", "cli", "zfs-sim"];

/// As shells report a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

pub(crate) fn run() -> Result<ExitCode> {
    let programs = Executables::build_programs(&PACKAGES)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(perform(&programs))
}

async fn perform(programs: &Executables) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut stage = Stage::set_up(programs).context("cannot set up the demo")?;
    let told = tokio::select! {
        told = story::tell(&mut stage) => Some(told),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        _ = hangup.recv() => None,
    };
    let logs = stage.clear().await?;
    match told {
        Some(Ok(())) => Ok(ExitCode::SUCCESS),
        Some(Err(error)) if nobody_reads(&error) => Ok(ExitCode::SUCCESS),
        Some(Err(error)) => Err(error.context(format!("the demo failed; its logs:\n{logs}"))),
        None => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// Whether standard output was closed, as by `| head`.
fn nobody_reads(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
