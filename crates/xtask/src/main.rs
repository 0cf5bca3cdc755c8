//! The project's own tasks: `cargo xtask COMMAND`.
//!
//! Never part of the product: nothing else depends on this crate.

mod bench;
mod cargo;
mod demo;
mod install;
mod instructions;
mod lab;
mod needs;
mod process;
mod schema;
mod suites;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The project's own tasks")]
enum Task {
    /// See it work: a fleet on this machine, on plain files; shows each command and its output
    Demo,
    /// Check everything: format, lints, all tests, and those that need real OpenZFS in the lab
    Test(test::Options),
    /// Measure whole pipelines, ours and others', from zfs send to zfs receive
    Bench(bench::Options),
    /// Count the instructions that carrying a GiB takes, and compare them with the committed figures
    Instructions(instructions::Options),
    /// The loop of reads and writes that `bench` compares us with
    #[command(subcommand, hide = true)]
    Pump(bench::pump::End),
    /// Make the checked-in Rust from the Cap'n Proto schemas
    Schema(schema::Options),
    /// Real OpenZFS in a virtual machine
    #[command(subcommand)]
    Lab(lab::Task),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Demo => demo::run(),
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Instructions(options) => instructions::run(&options),
        Task::Pump(end) => bench::pump::run(&end),
        Task::Schema(options) => schema::run(&options),
        Task::Lab(task) => lab::main(&task),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The repository's root.
#[expect(clippy::expect_used, reason = "this crate lies two folders below the root")]
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/xtask").to_owned()
}
