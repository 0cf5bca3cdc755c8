//! Text from users, peers and processes, made safe for a terminal.

use std::fmt;

/// Displays a text with its control characters escaped (`\u{1b}`, `\n`), all else as it is.
///
/// Names that a peer sent may hold escape sequences; whatever prints them goes through here.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

/// The text, escaped and cut to a length that fits a message.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}...", Escaped(&text[..cut])),
        None => Escaped(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_nothing_else() {
        assert_eq!(Escaped("a\x1b[2Jb\nc\u{9b}").to_string(), r"a\u{1b}[2Jb\nc\u{9b}");
        assert_eq!(Escaped("zwei Wörter \"x\" \\").to_string(), "zwei Wörter \"x\" \\");
    }
}
