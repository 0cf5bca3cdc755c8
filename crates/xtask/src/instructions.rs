//! `cargo xtask instructions`: how many instructions of ours it takes to carry a GiB of a stream, as
//! callgrind counts them, compared with the committed figures. It runs on one thread, without
//! processes, sockets or a clock, so neither the machine nor what else runs on it makes a difference.
//!
//! The counted program is the unit tests of `transfer`, as they are when released, with one of the
//! tests of `in_memory.rs`. What it takes to start is left out: the figure is the difference between
//! more and fewer streams.

mod callgrind;
mod figures;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use self::callgrind::count;
use self::figures::{Figures, Verdict, judge};
use crate::cargo::Executables;

/// What is counted: its name in the file of figures, and the test.
const WAYS: [(&str, &str); 2] = [
    ("plain", "in_memory::streams_arrive_whole_in_the_clear"),
    ("tls", "in_memory::streams_arrive_whole_over_tls"),
];

/// Bytes of data in a stream: an eighth of them go until its messages are as large as may be.
const STREAM: u64 = 64 << 20;
/// How many streams are carried.
const FEWER: u64 = 1;
const MORE: u64 = 3;
const GIB: u64 = 1 << 30;

#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Write the figures down as those to compare with
    #[arg(long)]
    commit: bool,
    /// Keep callgrind's profiles in this folder, for callgrind_annotate
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let committed = if options.commit { None } else { Some(Figures::read()?) };
    let program = Executables::build_release_tests("transfer")?;
    let program = program.test("transfer", "transfer")?;
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let folder = match &options.profiles {
        Some(folder) => {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            folder.canonicalize()?
        }
        None => scratch.path().to_owned(),
    };
    let mut measured = Figures::default();
    for (way, test) in WAYS {
        let counted = |streams: u64| {
            let profile = folder.join(format!("callgrind.{way}.{streams}"));
            count(program, test, STREAM, streams, &profile)
        };
        let more = counted(MORE)?.checked_sub(counted(FEWER)?);
        let more = more.context("more streams took fewer instructions")?;
        measured.set(way, more * (GIB / STREAM) / (MORE - FEWER));
    }
    match committed {
        Some(committed) => compare(&committed, &measured)?,
        None => measured.write()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints each figure beside the committed one; any that is 10% over it is an error.
fn compare(committed: &Figures, measured: &Figures) -> Result<()> {
    let mut worse = Vec::new();
    println!("{:<8} {:>15} {:>15}", "per GiB", "committed", "measured");
    for (way, _) in WAYS {
        let (was, is) = (committed.get(way)?, measured.get(way)?);
        println!("{way:<8} {was:>15} {is:>15} {:>+7.2}%", figures::change(was, is));
        match judge(was, is) {
            Verdict::Same => {}
            Verdict::Better => {
                println!("{way}: commit that with: cargo xtask instructions --commit")
            }
            Verdict::Worse => worse.push(format!(
                "{way}: {is} instructions per GiB, where {was} are committed ({:+.1}%)",
                figures::change(was, is)
            )),
        }
    }
    if worse.is_empty() {
        return Ok(());
    }
    bail!(
        "{}\nFind out where they go: cargo xtask instructions --profiles DIR, and \
         callgrind_annotate. If they are worth it: cargo xtask instructions --commit",
        worse.join("\n")
    )
}
