//! `cargo xtask test`: everything that has to hold, stage by stage; the first failure ends it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::cargo::{EVERYTHING, Executables, cargo};
use crate::needs::Machine;
use crate::{lab, process};

/// Integration tests that run in the lab, by package and name.
type Suites = &'static [(&'static str, &'static str)];
const CONFORMANCE: Suites = &[("zfs-sim", "conformance")];
const END_TO_END: Suites = &[
    ("tests", "hostile_peers"),
    ("tests", "killed_in_transfer"),
    ("tests", "lying_senders"),
    ("tests", "other_versions"),
    ("tests", "refusals"),
    ("tests", "secrets"),
    ("tests", "show"),
    ("tests", "transfers"),
];

/// What the suites start, found through `ZATLAS_BIN_DIR`.
const PROGRAMS: [&str; 3] = ["tracker", "agent", "cli"];

/// Seconds that one suite in the lab may take. Emulation is slow, and a busy machine makes it slower.
const SUITE_LIMIT: u32 = 900;

#[derive(Args)]
pub(crate) struct Options {
    /// Only this stage; can be given several times
    #[arg(long, value_name = "STAGE")]
    only: Vec<Stage>,
    /// Leave out the stages on real OpenZFS
    #[arg(long)]
    no_lab: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Install what the others need and the machine lacks
    Install,
    /// The sources' format
    Fmt,
    /// Lints, warnings denied
    Clippy,
    /// Build all programs and tests
    Build,
    /// Unit, property, interoperability and end-to-end tests, on this machine
    Test,
    /// Build the lab, unless it is built
    Lab,
    /// The conformance suite of zfs-sim, on real OpenZFS
    Conformance,
    /// The end-to-end suite, on real OpenZFS
    EndToEnd,
}

impl Stage {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn in_lab(self) -> bool {
        matches!(self, Self::Lab | Self::Conformance | Self::EndToEnd)
    }

    fn run(self, options: &Options, machine: &mut Machine) -> Result<()> {
        match self {
            Self::Install => {
                machine.prepare_for_tests();
                if !options.no_lab {
                    machine.prepare_for_lab();
                }
                Ok(())
            }
            Self::Fmt => process::run(&mut cargo(&["fmt", "--all", "--check"])),
            Self::Clippy => {
                let mut command = cargo(&["clippy"]);
                process::run(command.args(EVERYTHING).args(["--", "-D", "warnings"]))
            }
            Self::Build => Executables::build().map(drop),
            Self::Test => process::run(&mut tests(machine)),
            Self::Lab => lab::build(),
            Self::Conformance => in_lab(CONFORMANCE),
            Self::EndToEnd => in_lab(END_TO_END),
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut machine = Machine::default();
    let mut times = Vec::new();
    let chosen = |stage: &Stage| {
        // Which tests can run is known only after Install.
        *stage == Stage::Install || options.only.is_empty() || options.only.contains(stage)
    };
    let mut outcome = Ok(());
    for stage in Stage::value_variants().iter().copied().filter(chosen) {
        if stage.in_lab() && !machine.lab {
            continue;
        }
        println!("\n==> {}", stage.name());
        let start = Instant::now();
        outcome = stage.run(options, &mut machine);
        times.push((stage, start.elapsed()));
        if outcome.is_err() {
            break;
        }
    }
    if options.no_lab {
        machine.left_out.push("all tests on real OpenZFS: --no-lab".into());
    }
    report(&times, &machine.left_out);
    if let Err(error) = outcome {
        let stage = times.last().map(|(stage, _)| stage.name()).unwrap_or_default();
        return Err(error.context(format!("stage {stage} failed")));
    }
    if !machine.left_out.is_empty() && env::var("CI").is_ok_and(|value| value == "true") {
        bail!("nothing may be left out where CI=true");
    }
    Ok(ExitCode::SUCCESS)
}

fn report(times: &[(Stage, Duration)], left_out: &[String]) {
    println!();
    for (stage, time) in times {
        println!("{:<12} {:>7.1} s", stage.name(), time.as_secs_f64());
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    println!("{:<12} {:>7.1} s", "total", total.as_secs_f64());
    if !left_out.is_empty() {
        println!("\nleft out:");
    }
    for line in left_out {
        println!("- {line}");
    }
}

/// The tests on this machine, but for those that lack what they need.
fn tests(machine: &Machine) -> Command {
    let mut command = cargo(&["test", "--workspace", "--"]);
    for part in &machine.skipped {
        command.args(["--skip", part]);
    }
    if let Some(python) = &machine.python {
        command.env("ZATLAS_PYTHON", python);
    }
    command
}

/// Runs the suites, one after the other, on a freshly booted machine.
fn in_lab(suites: Suites) -> Result<()> {
    let built = Executables::build()?;
    let mut files = Vec::new();
    for name in PROGRAMS {
        files.push(built.program(name)?.into());
    }
    // Pools and network namespaces are the whole machine's, so one test at a time.
    let mut script =
        String::from("set -eu\nexport ZATLAS_REAL_ZFS=1 ZATLAS_BIN_DIR=/lab RUST_TEST_THREADS=1\n");
    for (package, name) in suites {
        let mut file = OsString::from(built.test(package, name)?);
        file.push(format!("=suites/{package}-{name}"));
        files.push(file);
        script += &format!(
            "echo 'Running {package}, {name}'\ntimeout {SUITE_LIMIT} ./suites/{package}-{name}\n"
        );
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let path = folder.path().join("suites.sh");
    fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
    let limit = SUITE_LIMIT * u32::try_from(suites.len())?;
    process::run(lab::run(&path, &files).env("LAB_TIMEOUT", limit.to_string()))
}
