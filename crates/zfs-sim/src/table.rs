//! Prints rows: between tabs for programs (`-H`), in columns for people.

use std::io::{self, BufWriter, Write};

/// A column's title, and whether its values are set to the right.
pub(crate) struct Column {
    pub(crate) title: String,
    pub(crate) right: bool,
}

/// Prints rows; `scripted` as with `-H`.
pub(crate) fn print(columns: &[Column], rows: &[Vec<String>], scripted: bool) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if scripted {
        for row in rows {
            writeln!(out, "{}", row.join("\t"))?;
        }
        return out.flush();
    }
    if rows.is_empty() {
        return Ok(());
    }
    let titles: Vec<_> = columns.iter().map(|column| column.title.clone()).collect();
    let width =
        |at: usize| rows.iter().chain([&titles]).map(|row| row[at].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for (at, (value, column)) in row.iter().zip(columns).enumerate() {
            let width = widths[at];
            match (column.right, at + 1 == row.len()) {
                (true, _) => line.push_str(&format!("{value:>width$}")),
                (false, true) => line.push_str(value),
                (false, false) => line.push_str(&format!("{value:<width$}")),
            }
            if at + 1 < row.len() {
                line.push_str("  ");
            }
        }
        writeln!(out, "{line}")?;
    }
    out.flush()
}
