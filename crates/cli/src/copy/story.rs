//! What is told of a copy over all its runs. When the destination has begun the transfer anew, that
//! run knows nothing of those before it; to the user it is one transfer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ::transfer::report::{Origin, Plan, Progress, Status, Summary, Used};
use ::transfer::wire::{Event, read_event};
use schema::Failure;
use schema::transfer_capnp::observer;
use tokio::sync::watch;
use tokio::time::Instant;

/// Gathers what is told, run after run, in a status for who watches.
#[derive(Default)]
pub(super) struct Story {
    status: watch::Sender<Status>,
    past: RefCell<Past>,
    run: RefCell<Run>,
}

/// The runs before this one.
#[derive(Default)]
struct Past {
    runs: u32,
    /// As it was planned at first.
    plan: Option<Plan>,
    bytes: u64,
    elapsed: Duration,
    sources: Vec<Used>,
}

/// A run, from its start at the destination to its end.
#[derive(Default)]
struct Run {
    /// How many notes it has told.
    notes: usize,
    bytes: u64,
    /// When its first plan and the latest news came.
    seen: Option<(Instant, Instant)>,
    /// Where its bytes came from, as far as they were seen.
    sources: Vec<(Origin, u64)>,
}

impl Story {
    pub(super) fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Tells of what is seen from here.
    pub(super) fn note(&self, text: String) {
        self.status.send_modify(|status| status.notes.push(text));
    }

    /// Whether there was a plan for the transfer, in any run.
    pub(super) fn was_planned(&self) -> bool {
        self.status.borrow().plan.is_some()
    }

    /// Takes what a run tells: all from its beginning, at each observation.
    pub(super) fn observer(self: &Rc<Self>) -> Observer {
        Observer { story: self.clone(), notes: Cell::new(0) }
    }

    /// The destination has begun the transfer anew: what follows is of another run.
    pub(super) fn next_run(&self) {
        let run = self.run.take();
        let mut past = self.past.borrow_mut();
        past.runs += 1;
        past.bytes += run.bytes;
        past.elapsed += run.seen.map_or(Duration::ZERO, |(first, last)| last - first);
        for (origin, bytes) in run.sources.into_iter().filter(|(_, bytes)| *bytes > 0) {
            let left = Some("the destination's agent has begun the transfer anew".to_owned());
            add(&mut past.sources, Used { origin, bytes, left });
        }
    }

    /// The transfer has ended; the last run knows only of itself.
    pub(super) fn end(&self, outcome: Result<Summary, Failure>) {
        let past = self.past.take();
        let outcome = outcome.map(|last| {
            let mut sources = past.sources;
            last.sources.into_iter().for_each(|used| add(&mut sources, used));
            // Another snapshot may be the newest by now.
            let same = |plan: &Plan| past.runs > 0 && plan.snapshot == last.plan.snapshot;
            Summary {
                plan: past.plan.filter(same).unwrap_or(last.plan),
                bytes: past.bytes + last.bytes,
                elapsed: past.elapsed + last.elapsed,
                sources,
                retries: past.runs + last.retries,
                ..last
            }
        });
        self.status.send_modify(|status| status.outcome = Some(outcome));
    }

    fn planned(&self, plan: Plan) {
        let now = Instant::now();
        self.past.borrow_mut().plan.get_or_insert_with(|| plan.clone());
        let mut run = self.run.borrow_mut();
        run.seen = Some((run.seen.map_or(now, |(first, _)| first), now));
        if run.sources.last().is_none_or(|(origin, _)| *origin != plan.source) {
            run.sources.push((plan.source.clone(), 0));
        }
        self.status.send_modify(|status| status.plan = Some(plan));
    }

    fn moved(&self, Progress { bytes, total }: Progress) {
        let mut run = self.run.borrow_mut();
        let more = bytes.saturating_sub(run.bytes);
        run.bytes += more;
        if let Some((_, last)) = &mut run.seen {
            *last = Instant::now();
        }
        if let Some((_, bytes)) = run.sources.last_mut() {
            *bytes += more;
        }
        let before = self.past.borrow().bytes;
        let progress =
            Progress { bytes: before + run.bytes, total: total.map(|total| before + total) };
        self.status.send_modify(|status| status.progress = progress);
    }
}

/// Adds a source that was used; one that was used before moves to the end.
fn add(sources: &mut Vec<Used>, mut used: Used) {
    if let Some(index) = sources.iter().position(|before| before.origin == used.origin) {
        used.bytes += sources.remove(index).bytes;
    }
    sources.push(used);
}

/// Takes what is told in one observation.
pub(super) struct Observer {
    story: Rc<Story>,
    notes: Cell<usize>,
}

impl Observer {
    fn tell(&self, event: Event) {
        match event {
            Event::Plan(plan) => self.story.planned(*plan),
            Event::Progress(progress) => self.story.moved(progress),
            Event::Note(note) => {
                self.notes.set(self.notes.get() + 1);
                let known = self.story.run.borrow().notes;
                if self.notes.get() > known {
                    self.story.run.borrow_mut().notes = self.notes.get();
                    self.story.note(note);
                }
            }
        }
    }
}

impl observer::Server for Observer {
    async fn event(self: Rc<Self>, params: observer::EventParams) -> capnp::Result<()> {
        self.tell(read_event(params.get()?.get_event()?)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::examples::{self, plan, send};

    fn note(text: &str) -> Event {
        Event::Note(text.to_owned())
    }

    fn progress(bytes: u64, total: u64) -> Event {
        Event::Progress(Progress { bytes, total: Some(total) })
    }

    #[test]
    fn what_a_run_tells_again_is_told_once() {
        let story = Rc::new(Story::default());
        for told in [&["one", "two"][..], &["one"], &["one", "two", "three"]] {
            let observer = story.observer();
            told.iter().for_each(|text| observer.tell(note(text)));
        }
        story.next_run();
        story.observer().tell(note("one"));
        assert_eq!(story.watch().borrow().notes, ["one", "two", "three", "one"]);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_time_and_sources_are_those_of_all_runs() {
        let story = Rc::new(Story::default());
        let first = plan(vec![send("one", None)]);
        let observer = story.observer();
        observer.tell(Event::Plan(first.clone().into()));
        for bytes in [100, 300] {
            tokio::time::advance(Duration::from_secs(2)).await;
            observer.tell(progress(bytes, 1000));
        }
        story.next_run();
        assert_eq!(story.watch().borrow().progress.bytes, 300);
        let observer = story.observer();
        let source = examples::summary().sources[1].origin.clone();
        observer.tell(Event::Plan(Plan { source, ..first.clone() }.into()));
        observer.tell(progress(0, 700));
        let told = story.watch().borrow().progress;
        assert_eq!(told, Progress { bytes: 300, total: Some(1000) }, "it jumps");

        let last = Summary { plan: plan(Vec::new()), ..examples::summary() };
        story.end(Ok(last.clone()));
        let whole = story.watch().borrow().outcome.clone().unwrap().unwrap();
        assert_eq!(whole.plan, first);
        assert_eq!(whole.bytes, 300 + last.bytes);
        assert_eq!(whole.elapsed, Duration::from_secs(4) + last.elapsed);
        assert_eq!(whole.retries, 1 + last.retries);
        let bytes: Vec<u64> = whole.sources.iter().map(|used| used.bytes).collect();
        assert_eq!(bytes, [300 + last.sources[0].bytes, last.sources[1].bytes]);
    }
}
