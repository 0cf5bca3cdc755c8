//! What every parser of ZFS's output answers to a line that it does not understand.

use crate::escape::shorten;

/// A line that ZFS printed and that isn't what it is known to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unexpected output '{}': expected {expected}", shorten(.line))]
pub struct UnexpectedLine {
    line: String,
    expected: String,
}

impl UnexpectedLine {
    /// `expected` completes the sentence "expected ...".
    pub(crate) fn new(line: &str, expected: impl Into<String>) -> Self {
        Self { line: line.to_owned(), expected: expected.into() }
    }
}

/// Splits a line of `-H` output at its tabs into exactly `N` fields.
pub(crate) fn fields<'a, const N: usize>(
    line: &'a str,
    columns: &[&str; N],
) -> Result<[&'a str; N], UnexpectedLine> {
    let mut fields = [""; N];
    let mut parts = line.split('\t');
    for field in &mut fields {
        *field = parts.next().ok_or_else(|| wrong_count(line, columns))?;
    }
    if parts.next().is_some() { Err(wrong_count(line, columns)) } else { Ok(fields) }
}

fn wrong_count(line: &str, columns: &[&str]) -> UnexpectedLine {
    let (count, names) = (columns.len(), columns.join(", "));
    UnexpectedLine::new(line, format!("{count} fields between tabs: {names}"))
}
