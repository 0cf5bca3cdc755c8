//! What a process has for the windows of its streams beyond what each begins with, shared evenly by those that
//! there are. What a window begins with is always there, however many streams there are: without it none would move.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes by which windows may grow; clones share them.
#[derive(Debug, Clone)]
pub struct Memory {
    bytes: usize,
    streams: Arc<AtomicUsize>,
}

impl Memory {
    /// So many bytes for all streams together.
    pub fn of(bytes: usize) -> Self {
        Self { bytes, streams: Arc::default() }
    }

    /// One more stream takes its part, until this is dropped.
    pub(crate) fn share(&self) -> Share {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Share(self.clone())
    }
}

/// A stream's part.
#[derive(Debug)]
pub(crate) struct Share(Memory);

impl Share {
    /// As much as each stream has now.
    pub(crate) fn bytes(&self) -> usize {
        let Memory { bytes, streams } = &self.0;
        bytes / streams.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_share_evenly_and_give_back_what_they_had() {
        let memory = Memory::of(60);
        let one = memory.share();
        assert_eq!(one.bytes(), 60);
        let (two, three) = (memory.clone().share(), memory.share());
        assert_eq!([one.bytes(), two.bytes(), three.bytes()], [20; 3]);
        drop(two);
        assert_eq!(three.bytes(), 30);
    }
}
