//! The suites that run in the lab: each on a machine of its own, freshly booted, two side by side.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Seek};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::cargo::Executables;
use crate::{lab, process};

/// A suite, and which of its tests run in the lab.
#[derive(Clone, Copy)]
struct Suite {
    package: &'static str,
    name: &'static str,
    /// Those whose names begin so; all, where it is empty. What zfs-sim shows as well isn't shown
    /// again where that would take long; what it can't show is.
    only: &'static [&'static str],
}

const fn whole(package: &'static str, name: &'static str) -> Suite {
    Suite { package, name, only: &[] }
}

/// Those that take longest first.
const SUITES: [Suite; 15] = [
    Suite {
        package: "tests",
        name: "failover",
        only: &[
            "completing::a_copy_of_256_mib",
            "completing::an_encrypted_dataset",
            "completing::large_blocks",
            "encryption::",
            "large_blocks::",
            "resuming::a_link_that_swallows_everything",
            "restarting::",
        ],
    },
    whole("zfs-sim", "conformance"),
    Suite {
        package: "tests",
        name: "destinations",
        only: &["clones::", "encrypted::", "settings::", "telling::"],
    },
    Suite {
        package: "tests",
        name: "lying_senders",
        only: &["increments::", "resumed::", "words::", "streams::a_stream_that_w"],
    },
    whole("tests", "increments"),
    Suite { package: "tests", name: "killed_in_transfer", only: &["by_itself::"] },
    whole("tests", "complaints"),
    whole("tests", "histories"),
    whole("tests", "transfers"),
    whole("tests", "hostile_peers"),
    Suite {
        package: "tests",
        name: "limits",
        only: &["rates::a_download", "leaving::who_is_killed_at_work"],
    },
    whole("tests", "show"),
    whole("tests", "refusals"),
    whole("tests", "secrets"),
    whole("tests", "other_versions"),
];

/// What the suites start, found through `ZATLAS_BIN_DIR`.
const PROGRAMS: [&str; 3] = ["tracker", "agent", "cli"];

/// Seconds that one suite may take. Emulation is slow, and a busy machine makes it slower.
const LIMIT: u32 = 2400;

/// Each takes 6 GiB, and a core: two emulated ones would wait for each other.
const SIDE_BY_SIDE: usize = 2;
const CPUS_OF_EACH: &str = "1";

/// Runs all suites on the programs as they are released, which emulation slows down less. The first
/// that fails is the last that is begun.
pub(crate) fn run() -> Result<()> {
    let programs = Executables::build_release(&PROGRAMS)?;
    let tests = Executables::build()?;
    let left: Mutex<VecDeque<_>> = Mutex::new(SUITES.into());
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some(suite) = next(&left) {
            if let Err(error) = suite.run(&programs, &tests) {
                lock(&left).clear();
                lock(&failed).push(format!("{}, {}: {error:#}", suite.package, suite.name));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(work);
        }
    });
    let failed = lock(&failed);
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("; ")) }
}

fn next(left: &Mutex<VecDeque<Suite>>) -> Option<Suite> {
    lock(left).pop_front()
}

/// What one of the threads left behind in panic is still good.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Suite {
    fn run(self, programs: &Executables, tests: &Executables) -> Result<()> {
        let Self { package, name, only } = self;
        let mut files: Vec<OsString> = Vec::new();
        for program in PROGRAMS {
            files.push(programs.program(program)?.into());
        }
        let mut suite = OsString::from(tests.test(package, name)?);
        suite.push(format!("={name}"));
        files.push(suite);
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let script = folder.path().join(format!("{name}.sh"));
        // Pools and network namespaces are the whole machine's, so one test at a time.
        let text = format!(
            "set -eu\nexport ZATLAS_REAL_ZFS=1 ZATLAS_BIN_DIR=/lab RUST_TEST_THREADS=1\n./{name} {}\n",
            only.join(" ")
        );
        fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
        let mut output = tempfile::tempfile().context("cannot make a temporary file")?;
        let mut command = lab::run(&script, &files);
        let both = |file: &File| file.try_clone().context("cannot share a file");
        command.stdout(both(&output)?).stderr(both(&output)?);
        let start = Instant::now();
        command.env("LAB_TIMEOUT", LIMIT.to_string()).env("LAB_CPUS", CPUS_OF_EACH);
        let ran = process::run(&mut command);
        // In one piece, whatever the other machine is doing.
        let mut out = io::stdout().lock();
        let seconds = start.elapsed().as_secs();
        io::Write::write_fmt(
            &mut out,
            format_args!("\n--- {package}, {name}: {seconds} s in the lab\n"),
        )?;
        output.rewind()?;
        io::copy(&mut output, &mut out)?;
        ran
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The Python peer needs what the lab's machine lacks; what operations cost is no matter of ZFS's.
    const NOT_IN_THE_LAB: [&str; 2] = ["costs", "python_peer"];

    /// Of a suite's source: the tests that end at once on zfs-sim, as they are named when run.
    fn need_the_lab(module: &str, source: &str) -> Vec<String> {
        let tests = source.split("#[test]\n").skip(1);
        let named = tests.filter_map(|test| {
            let (head, body) = test.split_once("() {\n")?;
            let skips = body.trim_start().starts_with("if !is_real() {\n        return;");
            skips.then(|| format!("{module}::{}", head.trim_start_matches("fn ")))
        });
        named.collect()
    }

    #[test]
    fn what_zfs_sim_cannot_show_runs_in_the_lab() {
        let mut seen = 0;
        for suite in SUITES.iter().filter(|suite| !suite.only.is_empty()) {
            let folder = crate::root().join("tests/tests").join(suite.name);
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let module = path.file_stem().unwrap().to_str().unwrap();
                for test in need_the_lab(module, &fs::read_to_string(&path).unwrap()) {
                    seen += 1;
                    let runs = suite.only.iter().any(|begin| test.starts_with(begin));
                    assert!(runs, "{test} of {} runs nowhere", suite.name);
                }
            }
        }
        assert!(seen > 5, "only {seen} were found");
    }

    #[test]
    fn each_end_to_end_suite_runs_in_the_lab() {
        let listed = SUITES.iter().filter(|suite| suite.package == "tests");
        let listed = listed.map(|suite| suite.name);
        let listed: BTreeSet<String> = listed.chain(NOT_IN_THE_LAB).map(str::to_owned).collect();
        let found = fs::read_dir(crate::root().join("tests/tests")).unwrap();
        let found: BTreeSet<String> = found
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(listed, found);
    }
}
