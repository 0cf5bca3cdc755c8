//! Connections that have proved no sturdyref: there is room for so many, and the oldest makes way.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio_util::sync::CancellationToken;

/// All the connections of a listener that have proved nothing yet, by age.
pub(crate) struct Strangers {
    room: usize,
    arrivals: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, CancellationToken>>,
}

impl Strangers {
    pub(crate) fn new(room: usize) -> Rc<Self> {
        Rc::new(Self { room, arrivals: Cell::new(0), waiting: RefCell::default() })
    }

    /// Lets one more in; the oldest is told to go if there is no room.
    pub(crate) fn admit(self: &Rc<Self>) -> Stranger {
        let number = self.arrivals.get();
        self.arrivals.set(number + 1);
        let evicted = CancellationToken::new();
        let mut waiting = self.waiting.borrow_mut();
        waiting.insert(number, evicted.clone());
        if waiting.len() > self.room
            && let Some((_, oldest)) = waiting.pop_first()
        {
            oldest.cancel();
        }
        Stranger { all: self.clone(), number, evicted }
    }
}

/// One connection's place among the strangers; given up when it proves itself or ends.
pub(crate) struct Stranger {
    all: Rc<Strangers>,
    number: u64,
    evicted: CancellationToken,
}

impl Stranger {
    /// The peer has shown an id that restores something: nobody will be told to go for its sake, nor it.
    pub(crate) fn prove(&self) {
        self.all.waiting.borrow_mut().remove(&self.number);
    }

    pub(crate) fn is_proved(&self) -> bool {
        !self.all.waiting.borrow().contains_key(&self.number)
    }

    /// Cancelled when this connection has to make way.
    pub(crate) fn evicted(&self) -> CancellationToken {
        self.evicted.clone()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.prove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_stranger_makes_way_and_the_proved_stay() {
        let strangers = Strangers::new(2);
        let proved = strangers.admit();
        proved.prove();
        let [first, second] = [strangers.admit(), strangers.admit()];
        assert!(!first.evicted().is_cancelled());
        let third = strangers.admit();
        assert!(first.evicted().is_cancelled());
        drop(second);
        let _fourth = strangers.admit();
        for stays in [&proved, &third] {
            assert!(!stays.evicted().is_cancelled());
        }
    }
}
