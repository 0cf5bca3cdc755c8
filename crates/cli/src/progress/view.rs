//! What is shown of one transfer.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use program::say;
use schema::Failure;
use schema::text::Bytes;
use transfer::report::{Action, Origin, Plan, Progress, Summary};
use zfs::DatasetPath;

use super::event::Event;
use super::meter::Meter;
use super::pace::Pace;
use super::voice::Voice;
use super::{Console, How};
use crate::output::Destination;
use crate::output::text::{next_plan_lines, plan_lines, summary_lines};

/// The time between two lines of progress, and between those that bring nothing new.
const LINE_EVERY: Duration = Duration::from_secs(10);
const LINE_AT_LEAST_EVERY: Duration = Duration::from_secs(600);

/// The time between two objects of progress.
const OBJECT_EVERY: Duration = Duration::from_secs(1);

/// The bar's length: it stands for a share, since the bytes expected may change on the way.
const FULL: u64 = 10_000;

/// One transfer, shown while it runs and when it has ended.
pub(crate) struct View {
    voice: Voice,
    /// The plan is all that is wanted.
    dry_run: bool,
    destination: Destination,
    /// What the command's transfers make, below the destination's pool.
    targets: Rc<BTreeSet<DatasetPath>>,
    /// From the first plan on: what was waited for before that says nothing of the rate.
    running: Option<(Meter, Pace)>,
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
        let voice = Voice { how: console.how.clone(), labelled: console.labelled, dataset };
        Self {
            voice,
            dry_run: console.dry_run,
            destination,
            targets,
            running: None,
            bar: None,
            source: None,
        }
    }

    /// What tells of the same transfer, beside this.
    pub(crate) fn voice(&self) -> Voice {
        self.voice.clone()
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
        self.running(Instant::now());
        let before = self.source.replace(plan.source.clone());
        let Voice { how, dataset, .. } = &self.voice;
        match (how, &before) {
            (How::Json, _) => {
                self.voice.event(&Event::plan(dataset.as_str(), plan));
                if before.as_ref() != Some(&plan.source) {
                    self.voice.event(&Event::source(dataset.as_str(), &plan.source));
                }
            }
            (_, Some(_)) => self.voice.lines(next_plan_lines(plan)),
            (_, None) => {
                self.voice.lines(plan_lines(plan, dataset, &self.destination, self.dry_run));
            }
        }
    }

    fn running(&mut self, now: Instant) -> &mut (Meter, Pace) {
        let (least, most) = match self.voice.how {
            How::Json => (OBJECT_EVERY, OBJECT_EVERY),
            How::Bars(_) | How::Lines | How::Nothing => (LINE_EVERY, LINE_AT_LEAST_EVERY),
        };
        self.running.get_or_insert_with(|| (Meter::new(now), Pace::new(least, most, now)))
    }

    /// Tells of a decision taken on the way.
    pub(crate) fn note(&self, note: &str) {
        self.voice.note(note);
    }

    /// Shows how far it is.
    pub(crate) fn progress(&mut self, progress: Progress) {
        let now = Instant::now();
        let (meter, pace) = self.running(now);
        let (reading, due) = (meter.read(progress, now), pace.is_due(progress.bytes, now));
        let Voice { how, labelled, dataset } = &self.voice;
        match how {
            How::Bars(bars) if progress.bytes > 0 => {
                let prefix = if *labelled { dataset.as_str() } else { "" };
                let bar = self.bar.get_or_insert_with(|| new_bar(bars, *labelled, prefix));
                show(bar, reading.share, reading.to_string());
            }
            How::Lines if due => self.voice.lines([reading.to_string()]),
            How::Json if due => self.voice.event(&Event::progress(dataset.as_str(), &reading)),
            _ => {}
        }
    }

    /// Tells how it ended; a failure is told by whoever takes it from here.
    pub(crate) fn end(&mut self, outcome: &Result<Summary, Failure>) {
        if let Some(bar) = self.bar.take() {
            finish(&bar, outcome.as_ref().ok().map(|summary| summary.bytes));
            if self.voice.labelled {
                // Among others, what has ended is told by its lines.
                bar.finish_and_clear();
            } else {
                // The bar stays, and what is printed next stands below it.
                bar.abandon();
                say("");
                self.voice.how = How::Nothing;
            }
        }
        let done = outcome.as_ref().ok().filter(|summary| summary.bytes > 0).map(|summary| {
            let now = Instant::now();
            self.running(now).0.done(summary.bytes, now)
        });
        let Voice { how, dataset, .. } = &self.voice;
        match (how, outcome) {
            (How::Json, _) => {
                if let Some(done) = done {
                    self.voice.event(&Event::progress(dataset.as_str(), &done));
                }
                let ended = Event::outcome(dataset.as_str(), outcome.as_ref(), self.dry_run);
                self.voice.event(&ended);
            }
            (_, Ok(summary)) => {
                let lines = summary_lines(summary, dataset, &self.destination, self.dry_run);
                self.voice.lines(lines);
            }
            (_, Err(_)) => {}
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
    fn the_clock_starts_with_the_first_plan() {
        let console = Console { how: How::Nothing, labelled: false, dry_run: false };
        let mut view = View::new(&console, "x".parse().unwrap(), Destination::Here, Rc::default());
        view.note("waiting for another transfer");
        assert!(view.running.is_none(), "it waits");
        view.plan(&plan(vec![send("one", None)]));
        assert!(view.running.is_some());
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
