//! In which order: a dataset after the one that it is below, so many at once.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use schema::Failure;
use tokio_util::sync::CancellationToken;
use zfs::DatasetPath;

use super::{Ended, Outcome};
use crate::command::Item;

/// Runs each item to its end, at most `jobs` at once; gives them in the order in which they ended.
///
/// An item begins when the nearest one above it has ended well, and is skipped if that has not.
/// Once cancelled, none begins; those that run are to end by themselves.
pub(super) async fn in_order<T>(
    items: Vec<Item>,
    jobs: usize,
    cancel: &CancellationToken,
    run: impl AsyncFn(Item) -> Result<T, Failure>,
) -> Vec<Ended<T>> {
    let mut queue = Queue::new(items);
    let mut running = FuturesUnordered::new();
    let mut ended = Vec::new();
    loop {
        while running.len() < jobs {
            match queue.next(cancel) {
                Next::Run(item) => running.push(async {
                    let outcome = run(item.clone()).await;
                    (item, outcome)
                }),
                Next::Skip(item, why) => ended.push(Ended { item, outcome: Outcome::Skipped(why) }),
                Next::Wait => break,
            }
        }
        let Some((item, outcome)) = running.next().await else { return ended };
        queue.ended(&item.dataset, outcome.is_ok());
        let outcome = match outcome {
            Ok(done) => Outcome::Done(done),
            Err(failure) => Outcome::Failed(failure),
        };
        ended.push(Ended { item, outcome });
    }
}

/// What waits for its turn, and what others have to know of the rest.
struct Queue {
    waiting: Vec<Item>,
    states: BTreeMap<DatasetPath, State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It waits or runs.
    Open,
    Done,
    /// It failed, or was skipped.
    NotDone,
}

enum Next {
    Run(Item),
    Skip(Item, String),
    /// Nothing can begin before something ends.
    Wait,
}

impl Queue {
    fn new(waiting: Vec<Item>) -> Self {
        let states = waiting.iter().map(|item| (item.dataset.clone(), State::Open)).collect();
        Self { waiting, states }
    }

    fn ended(&mut self, dataset: &DatasetPath, done: bool) {
        let state = if done { State::Done } else { State::NotDone };
        self.states.insert(dataset.clone(), state);
    }

    fn next(&mut self, cancel: &CancellationToken) -> Next {
        if cancel.is_cancelled() {
            return match self.waiting.pop() {
                Some(item) => Next::Skip(item, "interrupted before it was begun".to_owned()),
                None => Next::Wait,
            };
        }
        let ready = self.waiting.iter().position(|item| {
            self.above(&item.dataset).is_none_or(|(_, state)| state != State::Open)
        });
        let Some(index) = ready else { return Next::Wait };
        let item = self.waiting.remove(index);
        match self.above(&item.dataset) {
            Some((above, State::NotDone)) => {
                let why = format!("{above}, which it is below, was not transferred");
                self.ended(&item.dataset, false);
                Next::Skip(item, why)
            }
            _ => Next::Run(item),
        }
    }

    /// The nearest dataset above that is an item, too.
    fn above(&self, dataset: &DatasetPath) -> Option<(DatasetPath, State)> {
        let mut above = std::iter::successors(dataset.parent(), DatasetPath::parent);
        above.find_map(|above| Some((above.clone(), *self.states.get(&above)?)))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use schema::Code;
    use tokio::task::yield_now;

    use super::*;

    fn items(names: &[&str]) -> Vec<Item> {
        let path = |name: &str| name.parse::<DatasetPath>().unwrap();
        names.iter().map(|name| Item { dataset: path(name), target: path(name) }).collect()
    }

    /// Takes a few turns with each; one called `bad` fails, and at the end of `last` all is
    /// cancelled.
    struct Fake {
        log: RefCell<Vec<String>>,
        running: Cell<usize>,
        most: Cell<usize>,
        cancel: CancellationToken,
    }

    impl Fake {
        fn new() -> Self {
            Self {
                log: RefCell::default(),
                running: Cell::default(),
                most: Cell::default(),
                cancel: CancellationToken::new(),
            }
        }

        async fn run(&self, item: Item) -> Result<(), Failure> {
            self.log.borrow_mut().push(format!("+{}", item.dataset));
            self.running.set(self.running.get() + 1);
            self.most.set(self.most.get().max(self.running.get()));
            for _ in 0..3 {
                yield_now().await;
            }
            self.running.set(self.running.get() - 1);
            self.log.borrow_mut().push(format!("-{}", item.dataset));
            match item.dataset.as_str().rsplit('/').next() {
                Some("bad") => Err(Failure::new(Code::Refused, "receive", "x", "it broke", "")),
                Some("last") => {
                    self.cancel.cancel();
                    Ok(())
                }
                _ => Ok(()),
            }
        }

        async fn in_order(&self, names: &[&str], jobs: usize) -> Vec<String> {
            let ended =
                in_order(items(names), jobs, &self.cancel, async |item| self.run(item).await).await;
            let tell = |ended: Ended<()>| match ended.outcome {
                Outcome::Done(()) => format!("{} done", ended.item.dataset),
                Outcome::Failed(failure) => {
                    format!("{} failed: {}", ended.item.dataset, failure.reason)
                }
                Outcome::Skipped(why) => format!("{} skipped: {why}", ended.item.dataset),
            };
            ended.into_iter().map(tell).collect()
        }
    }

    #[tokio::test]
    async fn a_child_begins_when_its_parent_has_ended_and_others_go_on_beside_it() {
        let fake = Fake::new();
        fake.in_order(&["a", "a/b", "a/b/c/d", "e", "f"], 2).await;
        let log = fake.log.take();
        let at = |entry: &str| log.iter().position(|told| told == entry).unwrap();
        for (first, then) in [("-a", "+a/b"), ("-a/b", "+a/b/c/d"), ("+e", "-a")] {
            assert!(at(first) < at(then), "{first} before {then}: {log:?}");
        }
        assert_eq!(fake.most.get(), 2);
        assert_eq!(log.len(), 10);
    }

    #[tokio::test]
    async fn one_job_is_one_at_a_time() {
        let fake = Fake::new();
        assert_eq!(fake.in_order(&["a", "b", "c"], 1).await, ["a done", "b done", "c done"]);
        assert_eq!(fake.most.get(), 1);
    }

    #[tokio::test]
    async fn what_is_below_a_failed_one_is_skipped_and_the_rest_is_done() {
        assert_eq!(
            Fake::new().in_order(&["a", "a/bad", "a/bad/b", "a/bad/b/c", "a/good"], 1).await,
            [
                "a done",
                "a/bad failed: it broke",
                "a/bad/b skipped: a/bad, which it is below, was not transferred",
                "a/bad/b/c skipped: a/bad/b, which it is below, was not transferred",
                "a/good done",
            ]
        );
    }

    #[tokio::test]
    async fn once_cancelled_nothing_begins() {
        assert_eq!(
            Fake::new().in_order(&["a", "last", "never"], 1).await,
            ["a done", "last done", "never skipped: interrupted before it was begun"]
        );
    }
}
