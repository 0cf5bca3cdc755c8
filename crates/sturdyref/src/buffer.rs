//! Memory that messages are read into. Each thread keeps what large ones leave behind for the next: new
//! memory has to be cleared first, which cost a stream's receiver a sixth of its time.

use std::cell::RefCell;
use std::mem;
use std::ops::{Deref, DerefMut};

use capnp::Word;

const WORD: usize = size_of::<Word>();
/// Smaller ones aren't kept: clearing them costs next to nothing.
const LEAST_KEPT: usize = (16 << 10) / WORD;
/// Larger ones aren't kept: they are no stream's, whose largest messages hold a MiB of it and what is around that.
const MOST_KEPT: usize = (2 << 20) / WORD;
/// So many are kept by a thread. One is read into while one waits and one is written to a process.
const KEPT: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Vec<Word>>> = const { RefCell::new(Vec::new()) };
}

/// Whole words, which is how a message has to lie in memory.
pub(crate) struct Buffer {
    memory: Vec<Word>,
    bytes: usize,
}

impl Buffer {
    /// Room for so many words. What it holds is of no meaning: it may be left of another message.
    pub(crate) fn of(words: usize) -> Self {
        let memory = kept(words).unwrap_or_else(|| Word::allocate_zeroed_vec(words));
        Self { memory, bytes: words * WORD }
    }

    /// The bytes that it takes, used or not: at most a quarter more than were asked for.
    pub(crate) fn capacity(&self) -> usize {
        self.memory.len() * WORD
    }
}

/// Kept memory of this size, or of some more: small messages must not hold on to large memory.
fn kept(words: usize) -> Option<Vec<Word>> {
    SPARE.with_borrow_mut(|spare| {
        let fits = |memory: &Vec<Word>| (words..=words + words / 4).contains(&memory.len());
        let found = spare.iter().rposition(fits)?;
        Some(spare.remove(found))
    })
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = mem::take(&mut self.memory);
        if !(LEAST_KEPT..=MOST_KEPT).contains(&memory.len()) {
            return;
        }
        // A thread that is ending keeps nothing.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() == KEPT {
                // The oldest is the least likely to fit what comes now.
                spare.remove(0);
            }
            spare.push(memory);
        });
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &Word::words_to_bytes(&self.memory)[..self.bytes]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut Word::words_to_bytes_mut(&mut self.memory)[..self.bytes]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spare() -> usize {
        SPARE.with_borrow(Vec::len)
    }

    #[test]
    fn a_large_one_is_used_again_and_is_no_longer_than_was_asked() {
        let mut first = Buffer::of(LEAST_KEPT + 5);
        first.fill(7);
        drop(first);
        let second = Buffer::of(LEAST_KEPT);
        assert_eq!((second.len(), spare()), (LEAST_KEPT * WORD, 0));
        assert_eq!(second.capacity(), (LEAST_KEPT + 5) * WORD);
        assert_eq!(second[0], 7, "it wasn't cleared");
    }

    #[test]
    fn memory_that_is_too_small_or_a_good_deal_larger_is_left_alone() {
        drop(Buffer::of(5 * LEAST_KEPT));
        for words in [LEAST_KEPT, 4 * LEAST_KEPT - 1, 5 * LEAST_KEPT + 1] {
            let buffer = Buffer::of(words);
            assert_eq!((buffer.len(), buffer.capacity()), (words * WORD, words * WORD));
            assert_eq!(spare(), 1);
            std::mem::forget(buffer);
        }
        assert_eq!(Buffer::of(4 * LEAST_KEPT).capacity(), 5 * LEAST_KEPT * WORD);
    }

    #[test]
    fn what_the_largest_message_of_a_stream_leaves_is_kept() {
        drop(Buffer::of((1 << 20) / WORD + 100));
        assert_eq!(spare(), 1);
    }

    #[test]
    fn the_last_few_are_kept_and_neither_small_nor_huge_ones() {
        let all: Vec<_> = (0..KEPT + 3).map(|more| Buffer::of(LEAST_KEPT + more)).collect();
        drop(all);
        assert_eq!(spare(), KEPT);
        assert!(SPARE.with_borrow(|spare| spare.iter().all(|it| it.len() >= LEAST_KEPT + 3)));
        SPARE.take();
        drop((Buffer::of(LEAST_KEPT - 1), Buffer::of(MOST_KEPT + 1)));
        assert_eq!(spare(), 0);
    }
}
