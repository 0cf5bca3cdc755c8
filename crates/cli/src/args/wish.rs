//! What `download` and `copy` have in common.

use clap::ValueEnum;

/// What is to be transferred, and how.
#[derive(clap::Args, Debug)]
pub(crate) struct Wish {
    /// The source to use and no other
    #[arg(long, value_name = r"LOCATION\MACHINE\POOL")]
    pub(crate) from: Option<String>,

    /// The snapshot to transfer, instead of the newest
    #[arg(long, value_name = "NAME")]
    pub(crate) snapshot: Option<String>,

    /// Transfer each snapshot up to that one which the destination lacks, and not that one alone
    #[arg(long)]
    pub(crate) all_snapshots: bool,

    /// Throw away what an interrupted transfer has left at the destination, and begin anew. Touches
    /// nothing that another tool has left
    #[arg(long)]
    pub(crate) restart: bool,

    /// Destroy what the destination has and the source lacks: newer snapshots and changes, which
    /// are listed first. An agent must allow it, too (agent --allow-rollback)
    #[arg(long)]
    pub(crate) rollback: bool,

    /// Take over a dataset at the destination that another tool made, if it has a snapshot of the
    /// source
    #[arg(long)]
    pub(crate) adopt: bool,

    /// Send encrypted data in the clear: whoever stores it can then read it
    #[arg(long)]
    pub(crate) decrypt: bool,

    /// Have the first receive set properties, too: `local` are those set on the source itself, as
    /// far as they are harmless at another machine
    #[arg(long, value_name = "WHICH")]
    pub(crate) props: Option<Props>,

    /// Wait for another transfer into the same dataset, instead of being refused
    #[arg(long)]
    pub(crate) wait: bool,

    /// How long to wait for a source that has gone, and for the destination of a copy: 90s, 15m,
    /// 2h, 7d; with 0s, the first failure is the last. A wait for a turn doesn't count
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    pub(crate) timeout: String,

    /// How long a source may send nothing before another is tried
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub(crate) stall: String,

    /// How fast it may be, in bytes per second: 500K, 10M, 1G (powers of 1024), 1K at least; with -r,
    /// all of it together (a copy gives each of the --jobs an equal part)
    #[arg(long, value_name = "RATE")]
    pub(crate) limit_rate: Option<String>,

    #[command(flatten)]
    pub(crate) recursion: Recursion,

    /// Print the plan, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print what was done, or with --dry-run the plan, as a JSON document
    #[arg(long)]
    pub(crate) json: bool,

    /// Show no progress
    #[arg(long, conflicts_with = "progress")]
    pub(crate) quiet: bool,

    /// How to show progress on standard error [default: bar; with --json: none]
    #[arg(long, value_name = "HOW")]
    pub(crate) progress: Option<Progress>,
}

/// Two at once keep the pools busy while one begins or ends.
const DEFAULT_JOBS: u16 = 2;

impl Wish {
    /// How many datasets are transferred at once, at the most.
    pub(crate) fn at_once(&self) -> usize {
        let Recursion { recursive, jobs, .. } = &self.recursion;
        if *recursive { jobs.unwrap_or(DEFAULT_JOBS).into() } else { 1 }
    }
}

/// Several datasets at once.
#[derive(clap::Args, Debug)]
pub(crate) struct Recursion {
    /// Transfer all datasets below it, too, each by itself
    #[arg(short, long)]
    pub(crate) recursive: bool,

    /// With -r: only datasets whose whole name matches this or another --include; * ? [ ] {a,b}
    /// are wildcards, and * matches / too
    #[arg(long, value_name = "GLOB", requires = "recursive")]
    pub(crate) include: Vec<String>,

    /// With -r: no dataset whose whole name matches this
    #[arg(long, value_name = "GLOB", requires = "recursive")]
    pub(crate) exclude: Vec<String>,

    /// With -r: how many datasets to transfer at once, 1 to 64 [default: 2]
    #[arg(long, value_name = "N", requires = "recursive",
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: Option<u16>,
}

/// Which properties travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Props {
    /// Those that are set on the source itself
    Local,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// A bar, where standard error is a terminal that can show one, and lines elsewhere
    Bar,
    /// A line every 10 seconds, and ever more seldom while nothing new comes
    Lines,
    /// A JSON object on each line, for programs: its `event` is plan, source, progress (every
    /// second, and when all has come), note, summary or failure. Lines that don't begin with {
    /// are for people
    Json,
    /// Not at all
    None,
}
