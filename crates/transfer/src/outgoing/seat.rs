//! A source's place in its machine's queue, kept for as long as use is made of it: a receiver that was
//! stopped, or that only asks, keeps nobody waiting.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::traffic::queue::{Place, Queue};

/// A turn that has come is lost after so long without a call. A receiver that is at work between two
/// streams asks for its turn all the while.
const UNUSED: Duration = Duration::from_secs(2 * 60);

/// Where one source stands.
pub(super) struct Seat {
    queue: Queue,
    place: RefCell<Option<Rc<Place>>>,
    /// Calls that have no answer yet.
    calls: Cell<usize>,
    /// When the last one was answered.
    answered: Cell<Instant>,
}

/// A call on its way.
pub(super) struct InUse(Rc<Seat>);

impl Seat {
    pub(super) fn new(queue: Queue) -> Rc<Self> {
        let (place, calls, answered) =
            (RefCell::default(), Cell::default(), Cell::new(Instant::now()));
        Rc::new(Self { queue, place, calls, answered })
    }

    /// A call has come, and is on its way until the value is dropped.
    pub(super) fn in_use(self: &Rc<Self>) -> InUse {
        self.calls.set(self.calls.get() + 1);
        InUse(self.clone())
    }

    /// Its place: the last in the queue at the first time, and once it was lost.
    pub(super) fn place(self: &Rc<Self>) -> Rc<Place> {
        let mut kept = self.place.borrow_mut();
        let place = kept.get_or_insert_with(|| {
            if self.queue.is_limited() {
                tokio::task::spawn_local(leave_unused(Rc::downgrade(self)));
            }
            Rc::new(self.queue.join())
        });
        place.clone()
    }

    /// Whether others are kept waiting in vain.
    fn is_unused(&self) -> bool {
        let has_turn = self.place.borrow().as_ref().is_some_and(|place| place.ahead() == 0);
        has_turn && self.calls.get() == 0 && self.answered.get().elapsed() >= UNUSED
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let Self(seat) = self;
        seat.calls.set(seat.calls.get() - 1);
        seat.answered.set(Instant::now());
    }
}

/// Ends with the place, or with the seat.
async fn leave_unused(seat: Weak<Seat>) {
    loop {
        sleep(UNUSED / 4).await;
        let Some(seat) = seat.upgrade() else { return };
        if seat.is_unused() {
            tracing::info!("a turn is given to the next: no use was made of it");
            seat.place.take();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use tokio::task::LocalSet;

    use super::*;

    fn two_in_a_queue() -> [Rc<Seat>; 2] {
        let queue = Queue::new(NonZeroUsize::new(1));
        [Seat::new(queue.clone()), Seat::new(queue)]
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_nobody_uses_goes_to_the_next_and_is_waited_for_anew() {
        let test = async {
            let [first, second] = two_in_a_queue();
            drop(first.in_use());
            assert_eq!(first.place().ahead(), 0);
            let place = second.place();
            assert_eq!(place.ahead(), 1);
            let _call = second.in_use();
            place.turn().await;
            assert!(first.answered.get().elapsed() >= UNUSED);
            assert_eq!(first.place().ahead(), 1, "it is the last now");
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_kept_while_a_call_is_on_its_way_and_shortly_after() {
        let test = async {
            let [first, second] = two_in_a_queue();
            first.place();
            let second = second.place();
            let call = first.in_use();
            sleep(UNUSED * 10).await;
            assert_eq!(second.ahead(), 1);
            drop(call);
            sleep(UNUSED / 2).await;
            assert_eq!(second.ahead(), 1);
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_keeps_the_place_and_who_goes_leaves_it() {
        let test = async {
            let [first, second] = two_in_a_queue();
            let call = first.in_use();
            first.place();
            let place = second.place();
            sleep(UNUSED * 10).await;
            assert_eq!(place.ahead(), 1, "there is a call to the first");
            assert!(Rc::ptr_eq(&second.place(), &place), "and the second is still there");
            drop((call, first));
            place.turn().await;
        };
        LocalSet::new().run_until(test).await;
    }
}
