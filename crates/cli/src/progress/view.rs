//! What is shown of one transfer.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use program::say;
use schema::Failure;
use schema::text::Bytes;
use transfer::report::{Action, Origin, Plan, Progress, Summary};
use zfs::{DatasetPath, Escaped};

use super::event::Event;
use super::meter::Meter;
use super::{Console, How};
use crate::output::Destination;
use crate::output::text::{next_plan_lines, plan_lines, summary_lines};

/// The time between two lines of progress.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The time between two objects of progress.
const OBJECT_EVERY: Duration = Duration::from_secs(1);

/// The bar's length: it stands for a share, since the bytes expected may change on the way.
const FULL: u64 = 10_000;

/// One transfer, shown while it runs and when it has ended.
pub(crate) struct View {
    how: How,
    labelled: bool,
    /// The plan is all that is wanted.
    dry_run: bool,
    dataset: DatasetPath,
    destination: Destination,
    /// What the command's transfers make, below the destination's pool.
    targets: Rc<BTreeSet<DatasetPath>>,
    meter: Meter,
    /// When the last line of progress was printed.
    printed: Instant,
    /// From the first byte on.
    bar: Option<ProgressBar>,
    /// Where it comes from, by the plan told last.
    source: Option<Origin>,
}

impl View {
    pub(super) fn new(
        console: &Console,
        dataset: DatasetPath,
        destination: Destination,
        targets: Rc<BTreeSet<DatasetPath>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            how: console.how.clone(),
            labelled: console.labelled,
            dry_run: console.dry_run,
            dataset,
            destination,
            targets,
            meter: Meter::new(now),
            printed: now,
            bar: None,
            source: None,
        }
    }

    /// Takes from a plan what another transfer of the command will have done by then: in a dry run
    /// a parent is still missing which the transfer before makes.
    pub(crate) fn adapt(&self, plan: &mut Plan) {
        plan.steps.retain(|step| match &step.action {
            Action::CreateParent(parent) => {
                parent.path().is_none_or(|path| !self.targets.contains(path))
            }
            _ => true,
        });
    }

    /// Tells the plan, or how the transfer goes on.
    pub(crate) fn plan(&mut self, plan: &Plan) {
        let before = self.source.replace(plan.source.clone());
        match (&self.how, &before) {
            (How::Json, _) => {
                self.event(&Event::plan(self.dataset.as_str(), plan));
                if before.as_ref() != Some(&plan.source) {
                    self.event(&Event::source(self.dataset.as_str(), &plan.source));
                }
            }
            (_, Some(_)) => self.lines(next_plan_lines(plan)),
            (_, None) => {
                self.lines(plan_lines(plan, &self.dataset, &self.destination, self.dry_run));
            }
        }
    }

    /// Tells of a decision taken on the way.
    pub(crate) fn note(&self, note: &str) {
        if let How::Json = self.how {
            self.event(&Event::note(self.dataset.as_str(), note));
        } else {
            self.lines([Escaped(note).to_string()]);
        }
    }

    /// Shows how far it is.
    pub(crate) fn progress(&mut self, progress: Progress) {
        let now = Instant::now();
        let reading = self.meter.read(progress, now);
        let is_due = |every| now.duration_since(self.printed) >= every;
        match &self.how {
            How::Bars(bars) if progress.bytes > 0 => {
                let prefix = if self.labelled { self.dataset.as_str() } else { "" };
                let bar = self.bar.get_or_insert_with(|| new_bar(bars, self.labelled, prefix));
                show(bar, reading.share, reading.to_string());
            }
            How::Lines if is_due(LINE_EVERY) => {
                self.printed = now;
                self.lines([reading.to_string()]);
            }
            How::Json if is_due(OBJECT_EVERY) => {
                self.printed = now;
                self.event(&Event::progress(self.dataset.as_str(), &reading));
            }
            _ => {}
        }
    }

    /// Tells how it ended; a failure is told by whoever takes it from here.
    pub(crate) fn end(&mut self, outcome: &Result<Summary, Failure>) {
        if let Some(bar) = self.bar.take() {
            finish(&bar, outcome.as_ref().ok().map(|summary| summary.bytes));
            if self.labelled {
                // Among others, what has ended is told by its lines.
                bar.finish_and_clear();
            } else {
                // The bar stays, and what is printed next stands below it.
                bar.abandon();
                say("");
                self.how = How::Nothing;
            }
        }
        match (&self.how, outcome) {
            (How::Json, _) => {
                if let Some(summary) = outcome.as_ref().ok().filter(|summary| summary.bytes > 0) {
                    let done = self.meter.done(summary.bytes, Instant::now());
                    self.event(&Event::progress(self.dataset.as_str(), &done));
                }
                self.event(&Event::outcome(self.dataset.as_str(), outcome.as_ref(), self.dry_run));
            }
            (_, Ok(summary)) => {
                self.lines(summary_lines(summary, &self.dataset, &self.destination, self.dry_run));
            }
            (_, Err(_)) => {}
        }
    }

    fn lines(&self, lines: impl IntoIterator<Item = String>) {
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

    fn event(&self, event: &Event<'_>) {
        match event.line() {
            Ok(line) => say(line),
            Err(error) => tracing::error!(%error, "an event can't be told"),
        }
    }
}

fn new_bar(bars: &MultiProgress, labelled: bool, prefix: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    bar.set_style(style(if labelled { "{prefix}: {msg}" } else { "{msg}" }));
    bar.set_prefix(prefix.to_owned());
    bars.add(bar)
}

/// The share is shown once there is an estimate.
fn show(bar: &ProgressBar, share: Option<f64>, text: String) {
    if let Some(share) = share {
        if bar.length().is_none() {
            bar.set_length(FULL);
            let label = if bar.prefix().is_empty() { "" } else { "{prefix}: " };
            bar.set_style(style(&format!("{label}{{percent:>3}}% [{{wide_bar}}] {{msg}}")));
        }
        bar.set_position(position(share));
    }
    bar.set_message(text);
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is between 0 and 1"
)]
fn position(share: f64) -> u64 {
    (share * FULL as f64) as u64
}

/// Full, if all is done.
fn finish(bar: &ProgressBar, done: Option<u64>) {
    if let Some(bytes) = done {
        bar.set_length(FULL);
        bar.set_position(FULL);
        bar.set_message(Bytes(bytes).to_string());
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are literals; were one wrong, the default style would show.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::examples::{doing, plan, send};

    #[test]
    fn a_parent_that_another_transfer_makes_is_not_missing() {
        let console = Console { how: How::Nothing, labelled: true, dry_run: true };
        let targets = ["a", "a/b/c"].map(|target| target.parse().unwrap());
        let here = Destination::Here;
        let view = View::new(&console, "x".parse().unwrap(), here, Rc::new(targets.into()));
        let create = |name: &str| doing(Action::CreateParent(name.parse().unwrap()));
        let mut plan = plan(vec![create("home/a"), create("home/a/b"), send("one", None)]);
        view.adapt(&mut plan);
        assert_eq!(plan.steps, [create("home/a/b"), send("one", None)]);
    }

    #[test]
    fn a_bar_shows_the_share_and_is_full_only_when_all_is_done() {
        let bar =
            new_bar(&MultiProgress::with_draw_target(ProgressDrawTarget::hidden()), false, "");
        show(&bar, None, "1 B".to_owned());
        assert_eq!((bar.length(), bar.message().as_str()), (None, "1 B"));
        show(&bar, Some(0.99), "9 B".to_owned());
        assert_eq!((bar.position(), bar.length()), (FULL / 100 * 99, Some(FULL)));
        finish(&bar, None);
        assert!(bar.position() < FULL, "it has failed");
        finish(&bar, Some(1024));
        assert_eq!((bar.position(), bar.message().as_str()), (FULL, "1.0 KiB"));
    }
}
