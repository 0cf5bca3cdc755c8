//! `-r`: which datasets, in which order, and how it went with all of them. What is done with each is
//! the caller's.

mod again;
mod order;
mod report;
mod selection;

use schema::Failure;
use transfer::report::Summary;

use crate::command::Item;

pub(crate) use again::in_two_passes;
pub(crate) use report::{document, result, summary_lines};
pub(crate) use selection::Selection;

/// How it ended with one dataset.
#[derive(Debug)]
pub(crate) struct Ended<T = Summary> {
    pub(crate) item: Item,
    pub(crate) outcome: Outcome<T>,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome<T = Summary> {
    Done(T),
    Failed(Failure),
    /// Not begun, for this reason.
    Skipped(String),
}
