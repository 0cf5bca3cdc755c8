//! Names, durations and rates from the command line; a wrong one is a usage error that shows it escaped.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use schema::{Code, Failure, Place};
use transfer::options::Options;
use zfs::{DatasetPath, Escaped, SnapshotLabel};

use crate::args::{self, Props};
use crate::duration;

/// Parses an argument.
pub(crate) fn parse<T: FromStr<Err: Display>>(what: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| unusable(what, error))
}

/// The usage error of an argument.
pub(crate) fn unusable(what: &str, reason: impl Display) -> Failure {
    Failure::new(Code::Usage, format!("use the {what}"), "", reason, "See: cli --help")
}

/// What is to be transferred, and how.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// The dataset.
    pub(crate) dataset: DatasetPath,
    /// The source to use and no other.
    pub(crate) from: Option<Place>,
    /// The snapshot to use and no other.
    pub(crate) snapshot: Option<SnapshotLabel>,
    /// Plan, and do nothing.
    pub(crate) dry_run: bool,
    /// How it is to be done.
    pub(crate) options: Options,
    /// How long to look for the tracker when a dataset is begun with.
    pub(crate) patience: Duration,
}

impl Wanted {
    /// Parses what both commands take; whether it becomes read-only depends on the command.
    pub(crate) fn parse(dataset: &str, wish: &args::Wish, readonly: bool) -> Result<Self, Failure> {
        let time = |what, text: &str| duration::parse(text).map_err(|error| unusable(what, error));
        let stall = time("argument of --stall", &wish.stall)?;
        if stall.is_zero() {
            return Err(unusable("argument of --stall", "a source needs some time to send"));
        }
        let timeout = time("argument of --timeout", &wish.timeout)?;
        Ok(Self {
            dataset: parse("dataset", dataset)?,
            // Of several, the first has shown that the tracker can be reached at all.
            patience: if wish.recursion.recursive { timeout } else { Duration::ZERO },
            from: wish.from.as_deref().map(|text| parse("argument of --from", text)).transpose()?,
            snapshot: wish
                .snapshot
                .as_deref()
                .map(|text| parse("argument of --snapshot", text))
                .transpose()?,
            dry_run: wish.dry_run,
            options: Options {
                all_snapshots: wish.all_snapshots,
                restart: wish.restart,
                rollback: wish.rollback,
                adopt: wish.adopt,
                decrypt: wish.decrypt,
                wait: wish.wait,
                readonly,
                settings: wish.props == Some(Props::Local),
                timeout,
                stall,
                limit_rate: wish
                    .limit_rate
                    .as_deref()
                    .map(|text| {
                        let what = format!("argument of --limit-rate, '{}'", Escaped(text));
                        parse(&what, text)
                    })
                    .transpose()?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use transfer::Rate;

    use super::*;
    use crate::args::{Args, Command};

    fn options(flags: &[&str]) -> Result<Options, Failure> {
        let line = [&["cli", "copy", "data", "dc/m/tank"], flags].concat();
        let Command::Copy(copy) = Args::try_parse_from(line).unwrap().command else {
            panic!("a copy was asked for")
        };
        Wanted::parse(&copy.dataset, &copy.wish, !copy.writable).map(|wanted| wanted.options)
    }

    #[test]
    fn each_flag_is_its_option() {
        let default = Options { readonly: true, ..Options::default() };
        assert_eq!(options(&[]), Ok(default));
        for (flag, wanted) in [
            ("--all-snapshots", Options { all_snapshots: true, ..default }),
            ("--restart", Options { restart: true, ..default }),
            ("--rollback", Options { rollback: true, ..default }),
            ("--adopt", Options { adopt: true, ..default }),
            ("--decrypt", Options { decrypt: true, ..default }),
            ("--wait", Options { wait: true, ..default }),
            ("--writable", Options { readonly: false, ..default }),
            ("--props=local", Options { settings: true, ..default }),
            ("--timeout=2h", Options { timeout: duration::parse("120m").unwrap(), ..default }),
            ("--timeout=0s", Options { timeout: Duration::ZERO, ..default }),
            ("--limit-rate=10M", Options { limit_rate: Rate::per_second(10 << 20), ..default }),
            ("--stall=90s", Options { stall: duration::parse("90s").unwrap(), ..default }),
        ] {
            assert_eq!(options(&[flag]), Ok(wanted), "{flag}");
        }
    }

    #[test]
    fn a_wrong_duration_or_rate_is_a_usage_error() {
        for flag in
            ["--timeout=soon", "--stall=soon", "--stall=0s", "--limit-rate=fast", "--limit-rate=9"]
        {
            assert_eq!(options(&[flag]).unwrap_err().exit_status(), 2, "{flag}");
        }
    }
}
