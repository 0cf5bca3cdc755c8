//! The tracker: knows which dataset is where, and brings those together who send and receive.
//!
//! Thin: arguments, wiring, messages. What is known of the fleet is in the crate `catalogue`.
//! Never touches ZFS, and never sees a stream but where it has to relay one.

mod admin;
mod args;
mod chores;
mod clock;
mod failures;
mod issuer;
mod last_start;
mod line;
mod meeting;
mod relays;
mod releases;
mod restorer;
mod run;
mod serve;
mod tracker;
mod updates;
mod whereabouts;

use std::process::ExitCode;

use crate::args::{Action, Args};

fn main() -> ExitCode {
    let args: Args = program::config::parse();
    program::log::init("info");
    program::exit::report(act(args))
}

fn act(args: Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    let result = match args.action {
        Some(Action::Forget { machine, state }) => {
            tasks.block_on(&runtime, admin::forget(&machine, &state.folder()?))
        }
        Some(Action::Reissue { name, state }) => {
            tasks.block_on(&runtime, admin::reissue(&name, &state.folder()?))
        }
        None => tasks.block_on(&runtime, run::run(run::Settings::check(args.run)?)),
    };
    // A name that is being looked up on the blocking pool isn't waited for.
    drop(tasks);
    runtime.shutdown_background();
    result
}
