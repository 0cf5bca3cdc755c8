//! The command-line client: shows the fleet, downloads to this machine, copies between others, and shows
//! what is held for that.

mod args;
mod capability;
mod command;
mod copy;
mod download;
mod duration;
mod holds;
mod names;
mod output;
mod progress;
mod recursive;
mod show;
#[cfg(test)]
mod testing;
mod tracker;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use program::{exit, log, shutdown};
use schema::{Code, Failure};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use zfs::process::launcher;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    launcher::run_if_asked();
    let args = Args::parse();
    log::init("error");
    exit::report(start(args))
}

fn start(args: Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = LocalSet::new().block_on(&runtime, run(args));
    // A name that is being looked up on the blocking pool isn't waited for.
    runtime.shutdown_background();
    result
}

async fn run(args: Args) -> Result<()> {
    let capability = capability::read(args.connect)?;
    let cancel = shutdown::token()?;
    match args.command {
        Command::Show(args) => unless_interrupted(&cancel, show::show(&capability, args)).await,
        Command::Download(args) => download::download(&capability, args, cancel).await,
        Command::Copy(args) => copy::copy(&capability, args, cancel).await,
        Command::Holds(args) => unless_interrupted(&cancel, holds::holds(&capability, args)).await,
    }
}

/// Runs what may be dropped anywhere, until it is done or the user wants no more of it.
async fn unless_interrupted<T, E: From<Failure>>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::select! {
        done = work => done,
        () = cancel.cancelled() => Err(Failure::new(
            Code::Interrupted,
            "go on",
            "",
            "interrupted before anything was done",
            "",
        )
        .into()),
    }
}
