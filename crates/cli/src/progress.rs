//! How running transfers are shown on standard error: bars on a terminal, else lines, or JSON
//! objects for programs, or nothing but what is worth a word.

mod event;
mod meter;
mod pace;
mod rate;
mod view;
mod voice;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::rc::Rc;

use indicatif::{MultiProgress, ProgressDrawTarget};
use program::say;
use zfs::DatasetPath;

use crate::args::{self, Wish};
use crate::output::Destination;

pub(crate) use view::View;

/// Where all transfers of a command are shown.
pub(crate) struct Console {
    how: How,
    /// Whether each line has to tell of which dataset it is.
    labelled: bool,
    /// Plans are all that is wanted.
    dry_run: bool,
}

#[derive(Clone)]
enum How {
    Bars(MultiProgress),
    Lines,
    Json,
    Nothing,
}

impl Console {
    /// As it is wished for and fits standard error.
    pub(crate) fn new(wish: &Wish) -> Self {
        // A dumb terminal can't go back to the beginning of a line.
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let terminal = io::stderr().is_terminal() && !dumb;
        Self {
            how: How::choose(wish, terminal),
            labelled: wish.recursion.recursive,
            dry_run: wish.dry_run,
        }
    }

    /// Shows one transfer of those that make `targets` below the destination's pool.
    pub(crate) fn view(
        &self,
        dataset: DatasetPath,
        destination: Destination,
        targets: &Rc<BTreeSet<DatasetPath>>,
    ) -> View {
        View::new(self, dataset, destination, targets.clone())
    }

    /// Prints a line about all transfers without disturbing their bars.
    pub(crate) fn say(&self, line: &str) {
        match &self.how {
            How::Bars(bars) => bars.suspend(|| say(line)),
            How::Lines | How::Json | How::Nothing => say(line),
        }
    }
}

impl How {
    fn choose(wish: &Wish, terminal: bool) -> Self {
        let wished = match wish.progress {
            Some(wished) => wished,
            None if wish.quiet || wish.json => args::Progress::None,
            None => args::Progress::Bar,
        };
        match wished {
            args::Progress::Bar if terminal => {
                Self::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(5)))
            }
            args::Progress::Bar | args::Progress::Lines => Self::Lines,
            args::Progress::Json => Self::Json,
            args::Progress::None => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    #[test]
    fn progress_is_shown_as_wished_and_as_the_terminal_can() {
        for (flags, terminal, expected) in [
            (&[][..], true, "bars"),
            (&[], false, "lines"),
            (&["--json"], true, "nothing"),
            (&["--quiet"], true, "nothing"),
            (&["--json", "--progress=bar"], true, "bars"),
            (&["--progress=bar"], false, "lines"),
            (&["--progress=lines"], true, "lines"),
            (&["--progress=json"], true, "json"),
            (&["--progress=none"], true, "nothing"),
        ] {
            let line = [&["cli", "download", "data"], flags].concat();
            let Command::Download(download) = Args::try_parse_from(line).unwrap().command else {
                panic!("a download was asked for")
            };
            let how = match How::choose(&download.wish, terminal) {
                How::Bars(_) => "bars",
                How::Lines => "lines",
                How::Json => "json",
                How::Nothing => "nothing",
            };
            assert_eq!(how, expected, "{flags:?}, terminal: {terminal}");
        }
    }
}
