//! Names from the command line; a wrong one is a usage error that shows it escaped.

use std::fmt::Display;
use std::str::FromStr;

use schema::{Code, Failure, Place};
use zfs::{DatasetPath, SnapshotLabel};

use crate::args;

/// Parses an argument.
pub(crate) fn parse<T: FromStr<Err: Display>>(what: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| unusable(what, error))
}

/// The usage error of an argument.
pub(crate) fn unusable(what: &str, reason: impl Display) -> Failure {
    Failure::new(Code::Usage, format!("use the {what}"), "", reason, "See: cli --help")
}

/// What is to be transferred.
pub(crate) struct Wanted {
    /// The dataset.
    pub(crate) dataset: DatasetPath,
    /// The source to use and no other.
    pub(crate) from: Option<Place>,
    /// The snapshot to use and no other.
    pub(crate) snapshot: Option<SnapshotLabel>,
}

impl Wanted {
    pub(crate) fn parse(dataset: &str, wish: &args::Wish) -> Result<Self, Failure> {
        Ok(Self {
            dataset: parse("dataset", dataset)?,
            from: wish.from.as_deref().map(|text| parse("argument of --from", text)).transpose()?,
            snapshot: wish
                .snapshot
                .as_deref()
                .map(|text| parse("argument of --snapshot", text))
                .transpose()?,
        })
    }
}
