//! How a running transfer is shown: a bar on a terminal, else a line every 10 s, or nothing.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use program::say;
use schema::text::Bytes;
use transfer::report::Progress;

/// The time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

const WITH_TOTAL: &str = "{percent:>3}% [{wide_bar}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta}";
const WITHOUT_TOTAL: &str = "{binary_bytes}, {binary_bytes_per_sec}";

/// The time without a byte from which on the line says so.
const STALL: Duration = Duration::from_secs(10);

/// Shows progress.
pub(crate) enum Display {
    Bar(ProgressBar),
    Lines(Lines),
    Nothing,
}

impl Display {
    /// As it fits standard error.
    pub(crate) fn new(quiet: bool) -> Self {
        if quiet {
            Self::Nothing
        } else if io::stderr().is_terminal() {
            // Shown from the first byte on.
            Self::Bar(ProgressBar::hidden().with_style(style(WITHOUT_TOTAL)))
        } else {
            Self::Lines(Lines::new(Instant::now()))
        }
    }

    /// Shows how far it is.
    pub(crate) fn update(&mut self, progress: Progress) {
        match self {
            Self::Bar(bar) => {
                if bar.is_hidden() && progress.bytes > 0 {
                    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
                    bar.reset_eta();
                }
                if let (Some(total), true) = (progress.total, bar.length().is_none()) {
                    bar.set_length(total);
                    bar.set_style(style(WITH_TOTAL));
                }
                // The total is ZFS's estimate: the bar must not be full before it is done.
                let limit = progress.total.map_or(u64::MAX, |total| total - total / 100);
                bar.set_position(progress.bytes.min(limit));
            }
            Self::Lines(lines) => {
                if let Some(line) = lines.next(progress, Instant::now()) {
                    say(line);
                }
            }
            Self::Nothing => {}
        }
    }

    /// Prints a line without disturbing the bar.
    pub(crate) fn say(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.suspend(|| say(line)),
            Self::Lines(_) | Self::Nothing => say(line),
        }
    }

    /// Ends the display; full, if all has arrived.
    pub(crate) fn finish(self, bytes: Option<u64>) {
        match (self, bytes) {
            (Self::Bar(bar), Some(bytes)) => {
                bar.set_length(bytes);
                bar.set_position(bytes);
                bar.finish();
                end_line(&bar);
            }
            (Self::Bar(bar), None) => {
                bar.abandon();
                end_line(&bar);
            }
            (Self::Lines(_) | Self::Nothing, _) => {}
        }
    }
}

/// What is printed next is not to stand beside the bar.
fn end_line(bar: &ProgressBar) {
    if !bar.is_hidden() {
        say("");
    }
}

/// When which line is due.
pub(crate) struct Lines {
    started: Instant,
    printed: Instant,
    /// What had been received when, the last time that there was more than before.
    moved: (u64, Instant),
}

impl Lines {
    fn new(now: Instant) -> Self {
        Self { started: now, printed: now, moved: (0, now) }
    }

    fn next(&mut self, progress: Progress, now: Instant) -> Option<String> {
        if progress.bytes != self.moved.0 {
            self.moved = (progress.bytes, now);
        }
        if now - self.printed < LINE_EVERY {
            return None;
        }
        self.printed = now;
        Some(line(progress, now - self.started, now - self.moved.1))
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are literals; were one wrong, the default style would show.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate and a time left for people"
)]
fn line(Progress { bytes, total }: Progress, elapsed: Duration, still: Duration) -> String {
    let rate = bytes as f64 / elapsed.as_secs_f64().max(0.001);
    let rate_text = Bytes(rate as u64);
    let total = total.filter(|total| bytes <= *total && bytes > 0);
    let of = total.map_or(String::new(), |total| format!(" of {}", Bytes(total)));
    let outlook = match total {
        _ if still > STALL => format!(", no data for {} s", still.as_secs()),
        Some(total) => format!(", {:.0} s left", (total - bytes) as f64 / rate),
        None => String::new(),
    };
    format!("{}{of}, {rate_text}/s{outlook}", Bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_and_time_left() {
        let progress = |bytes: u64, total| Progress { bytes: bytes << 20, total };
        let ten = Duration::from_secs(10);
        for (progress, text) in [
            (progress(50, Some(100 << 20)), "50.0 MiB of 100.0 MiB, 5.0 MiB/s, 10 s left"),
            (progress(50, None), "50.0 MiB, 5.0 MiB/s"),
            (progress(50, Some(1)), "50.0 MiB, 5.0 MiB/s"),
            (progress(0, Some(1)), "0 B, 0 B/s"),
        ] {
            assert_eq!(line(progress, ten, Duration::ZERO), text);
        }
    }

    #[test]
    fn a_line_comes_every_ten_seconds_and_tells_of_a_stall() {
        let start = Instant::now();
        let mut lines = Lines::new(start);
        let received = [(8, 4), (10, 5), (13, 5), (22, 5), (25, 5), (33, 9)];
        let printed: Vec<String> = received
            .into_iter()
            .filter_map(|(second, mib)| {
                let progress = Progress { bytes: mib << 20, total: Some(90 << 20) };
                lines.next(progress, start + Duration::from_secs(second))
            })
            .collect();
        assert_eq!(
            printed,
            [
                "5.0 MiB of 90.0 MiB, 512.0 KiB/s, 170 s left",
                "5.0 MiB of 90.0 MiB, 232.7 KiB/s, no data for 12 s",
                "9.0 MiB of 90.0 MiB, 279.3 KiB/s, 297 s left",
            ]
        );
    }
}
