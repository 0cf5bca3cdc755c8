//! What the demo prints beside its programs: remarks, commands as one types them, exit statuses.
//! All of it goes to standard output, unbuffered, because the programs write there too.

use std::env;
use std::io::{self, IsTerminal, Write};

/// Standard output, in colour if it is a terminal.
pub(super) struct Screen {
    coloured: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";

impl Screen {
    pub(super) fn new() -> Self {
        // https://no-color.org
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { coloured: wanted && io::stdout().is_terminal() }
    }

    /// Says what comes next and why.
    pub(super) fn remark(&self, text: &str) -> io::Result<()> {
        write_out("\n")?;
        text.lines().try_for_each(|line| self.line(DIM, &format!("# {line}")))
    }

    /// Shows a command that runs on `machine`.
    pub(super) fn command(&self, machine: &str, words: &[&str], suffix: &str) -> io::Result<()> {
        self.line(DIM, &format!("# on {machine}:"))?;
        self.line(BOLD, &format!("$ {}{suffix}", typed(words)))
    }

    /// Shows what a program wrote elsewhere than to standard output.
    pub(super) fn output(&self, text: &str) -> io::Result<()> {
        write_out(text)
    }

    /// Shows a failed command's exit status.
    pub(super) fn status(&self, status: i32) -> io::Result<()> {
        self.line(RED, &format!("(exit status {status})"))
    }

    fn line(&self, colour: &str, text: &str) -> io::Result<()> {
        if self.coloured {
            write_out(&format!("\x1b[{colour}m{text}\x1b[0m\n"))
        } else {
            write_out(&format!("{text}\n"))
        }
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The words as one types them into a shell.
fn typed(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        let words = ["cli", "--connect", "user.cap", r"a\b\c", "two words", "it's", ""];
        assert_eq!(typed(&words), r"cli --connect user.cap 'a\b\c' 'two words' 'it'\''s' ''");
    }

    #[test]
    fn a_shell_reads_back_what_was_typed() {
        let words = ["printf", r"%s\n", r"a\b", "it's", "$HOME `x` *", "", "#"];
        let output = std::process::Command::new("sh").arg("-c").arg(typed(&words)).output();
        let output = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(output.lines().collect::<Vec<_>>(), words[2..]);
    }
}
