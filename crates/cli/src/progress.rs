//! How a running transfer is shown: a bar on a terminal, else a line every 10 s, or nothing.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use schema::text::Bytes;
use transfer::report::Progress;

/// The time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

const WITH_TOTAL: &str = "{percent:>3}% [{wide_bar}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta}";
const WITHOUT_TOTAL: &str = "{binary_bytes}, {binary_bytes_per_sec}";

/// Shows progress.
pub(crate) enum Display {
    Bar(ProgressBar),
    Lines { started: Instant, printed: Instant },
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
            Self::Lines { started: Instant::now(), printed: Instant::now() }
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
            Self::Lines { started, printed } => {
                if printed.elapsed() >= LINE_EVERY {
                    eprintln!("{}", line(progress, started.elapsed()));
                    *printed = Instant::now();
                }
            }
            Self::Nothing => {}
        }
    }

    /// Prints a line without disturbing the bar.
    pub(crate) fn say(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.suspend(|| eprintln!("{line}")),
            Self::Lines { .. } | Self::Nothing => eprintln!("{line}"),
        }
    }

    /// Ends the display; full, if all has arrived.
    pub(crate) fn finish(self, bytes: Option<u64>) {
        match (self, bytes) {
            (Self::Bar(bar), Some(bytes)) => {
                bar.set_length(bytes);
                bar.set_position(bytes);
                bar.finish();
            }
            (Self::Bar(bar), None) => bar.abandon(),
            (Self::Lines { .. } | Self::Nothing, _) => {}
        }
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
fn line(Progress { bytes, total }: Progress, elapsed: Duration) -> String {
    let rate = bytes as f64 / elapsed.as_secs_f64().max(0.001);
    let rate_text = Bytes(rate as u64);
    match total {
        Some(total) if bytes <= total && bytes > 0 => {
            let left = (total - bytes) as f64 / rate;
            format!("{} of {}, {rate_text}/s, {left:.0} s left", Bytes(bytes), Bytes(total))
        }
        _ => format!("{}, {rate_text}/s", Bytes(bytes)),
    }
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
            assert_eq!(line(progress, ten), text);
        }
    }
}
