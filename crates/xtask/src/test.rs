//! `cargo xtask test`: everything that has to hold, stage by stage; the first failure ends it.

use std::env;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::cargo::{EVERYTHING, Executables, cargo};
use crate::needs::Machine;
use crate::{instructions, lab, process, suites};

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
    /// What it takes to carry a stream, in instructions: no more than is committed
    Instructions,
    /// Build the lab, unless it is built
    Lab,
    /// The suites that run on real OpenZFS too
    Suites,
}

impl Stage {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether what it needs is there. If not, that has been told.
    fn can_run(self, machine: &Machine) -> bool {
        match self {
            Self::Instructions => machine.callgrind,
            Self::Lab | Self::Suites => machine.lab,
            _ => true,
        }
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
            Self::Instructions => instructions::run(&instructions::Options::default()).map(drop),
            Self::Lab => lab::build(),
            Self::Suites => suites::run(),
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
        if !stage.can_run(&machine) {
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
