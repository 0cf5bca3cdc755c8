//! Whose turn it is: so many at once, the rest in the order in which they came.
//!
//! A machine has two, one for what it sends and one for what it receives. A transfer waits in its
//! destination's first, and only with its turn there in its source's: so who keeps others waiting at
//! a source waits for nobody at a destination, and two machines never wait for each other.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::watch;

/// Can be shared by threads. By default it lets in everyone.
#[derive(Clone, Debug, Default)]
pub struct Queue(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    /// So many at once.
    most: usize,
    line: watch::Sender<Line>,
}

/// Everyone has a number, in the order of their coming.
#[derive(Debug, Default)]
struct Line {
    next: u64,
    /// Those whose turn it is, and behind them those who wait.
    present: BTreeSet<u64>,
}

impl Queue {
    /// Lets in so many at once, or everyone.
    pub fn new(most: Option<NonZeroUsize>) -> Self {
        Self(most.map(|most| Arc::new(Inner { most: most.get(), line: watch::Sender::default() })))
    }

    /// Whether anyone ever has to wait.
    pub(crate) fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// How many wait now.
    pub fn waiting(&self) -> usize {
        let Some(inner) = &self.0 else { return 0 };
        inner.line.borrow().present.len().saturating_sub(inner.most)
    }

    /// Takes the last place.
    pub(crate) fn join(&self) -> Place {
        Place(self.0.as_ref().map(|inner| {
            let mut number = 0;
            inner.line.send_modify(|line| {
                number = line.next;
                line.next += 1;
                line.present.insert(number);
            });
            (inner.clone(), number)
        }))
    }
}

/// A place in a queue, kept through the turn; left when dropped.
#[derive(Debug)]
pub(crate) struct Place(Option<(Arc<Inner>, u64)>);

impl Place {
    /// How many must end before its turn; 0: it has it.
    pub(crate) fn ahead(&self) -> usize {
        self.0.as_ref().map_or(0, |(inner, number)| inner.ahead(&inner.line.borrow(), *number))
    }

    /// Waits until that is another number than `told`, and tells it.
    pub(crate) async fn ahead_but(&self, told: usize) -> usize {
        if let Some((inner, number)) = &self.0 {
            let mut line = inner.line.subscribe();
            // It can't fail: the sender is held by this place.
            let _ = line.wait_for(|line| inner.ahead(line, *number) != told).await;
        }
        self.ahead()
    }

    /// Waits until it is its turn.
    pub(crate) async fn turn(&self) {
        let mut ahead = self.ahead();
        while ahead > 0 {
            ahead = self.ahead_but(ahead).await;
        }
    }
}

impl Inner {
    fn ahead(&self, line: &Line, number: u64) -> usize {
        (line.present.range(..number).count() + 1).saturating_sub(self.most)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((inner, number)) = &self.0 {
            inner.line.send_modify(|line| {
                line.present.remove(number);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn queue(most: usize) -> Queue {
        Queue::new(NonZeroUsize::new(most))
    }

    fn ahead(places: &[Place]) -> Vec<usize> {
        places.iter().map(Place::ahead).collect()
    }

    #[tokio::test]
    async fn without_a_limit_it_is_always_ones_turn() {
        let queue = Queue::default();
        let places: Vec<Place> = (0..100).map(|_| queue.join()).collect();
        assert!(ahead(&places).iter().all(|ahead| *ahead == 0));
        places[99].turn().await;
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn so_many_are_let_in_and_the_rest_in_the_order_of_their_coming() {
        let queue = queue(2);
        let mut places: Vec<Place> = (0..5).map(|_| queue.join()).collect();
        assert_eq!(ahead(&places), [0, 0, 1, 2, 3]);
        assert_eq!(queue.waiting(), 3);
        // Whichever of those at work ends first.
        places.remove(1);
        assert_eq!(ahead(&places), [0, 0, 1, 2]);
        // Who gives up leaves the queue, and who comes anew is the last.
        places.remove(2);
        places.push(queue.join());
        assert_eq!(ahead(&places), [0, 0, 1, 2]);
        places.clear();
        assert_eq!(queue.join().ahead(), 0);
    }

    #[tokio::test]
    async fn each_change_of_a_place_is_heard_of_up_to_its_turn() {
        let queue = queue(1);
        let (first, second, third) = (queue.join(), queue.join(), queue.join());
        assert_eq!(third.ahead_but(0).await, 2, "what is news is told at once");
        let told = async {
            let mut heard = vec![2];
            while heard.last() != Some(&0) {
                heard.push(third.ahead_but(heard[heard.len() - 1]).await);
            }
            heard
        };
        let story = async {
            tokio::task::yield_now().await;
            drop(second);
            tokio::task::yield_now().await;
            drop(first);
        };
        assert_eq!(tokio::join!(told, story).0, [2, 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_heard_while_nothing_changes() {
        let queue = queue(1);
        let (_first, second) = (queue.join(), queue.join());
        let _third = queue.join();
        assert!(timeout(Duration::from_secs(3600), second.ahead_but(1)).await.is_err());
    }

    #[test]
    fn threads_have_their_turns_one_by_one() {
        let queue = queue(3);
        let at_work = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        let place = queue.join();
                        place.turn().await;
                        assert!(at_work.fetch_add(1, Ordering::SeqCst) < 3);
                        thread::yield_now();
                        at_work.fetch_sub(1, Ordering::SeqCst);
                    });
                });
            }
        });
        assert_eq!(queue.waiting(), 0);
    }
}
