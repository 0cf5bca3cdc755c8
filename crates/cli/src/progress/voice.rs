//! The voice in which one transfer is told of.

use program::say;
use zfs::{DatasetPath, Escaped};

use super::How;
use super::event::Event;

/// Prints what is to be told of one transfer, without disturbing bars.
#[derive(Clone)]
pub(crate) struct Voice {
    pub(super) how: How,
    /// Whether each line has to tell of which dataset it is.
    pub(super) labelled: bool,
    pub(super) dataset: DatasetPath,
}

impl Voice {
    /// Tells of a decision taken on the way.
    pub(crate) fn note(&self, note: &str) {
        if let How::Json = self.how {
            self.event(&Event::note(self.dataset.as_str(), note));
        } else {
            self.lines([Escaped(note).to_string()]);
        }
    }

    pub(super) fn lines(&self, lines: impl IntoIterator<Item = String>) {
        let print = || {
            for line in lines {
                if self.labelled {
                    say(format_args!("{}: {line}", self.dataset))
                } else {
                    say(line)
                }
            }
        };
        match &self.how {
            How::Bars(bars) => bars.suspend(print),
            How::Lines | How::Json | How::Nothing => print(),
        }
    }

    pub(super) fn event(&self, event: &Event<'_>) {
        match event.line() {
            Ok(line) => say(line),
            Err(error) => tracing::error!(%error, "an event can't be told"),
        }
    }
}
