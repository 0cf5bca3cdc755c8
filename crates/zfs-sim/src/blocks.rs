//! Which blocks of a file differ from an older state of it. Blocks lie on multiples of 128 KiB and zeroes count
//! as holes, so that the answer follows from contents alone, however they are stored.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

use crate::stream::{MAX_BLOCK, SECTOR};
use crate::tree;

/// A file, and what it is compared with: nothing but zeroes where there is no older file.
pub(crate) struct Blocks {
    now: Option<File>,
    before: Option<File>,
    /// Offsets of the blocks of which either has data, in order.
    candidates: std::collections::btree_set::IntoIter<u64>,
    length: u64,
}

impl Blocks {
    /// Compares up to `length`; files that don't exist are empty.
    pub(crate) fn new(now: &Path, before: Option<&Path>, length: u64) -> Result<Self> {
        let (now, before) = (open(now)?, before.map_or(Ok(None), open)?);
        let mut candidates = BTreeSet::new();
        for file in [&now, &before].into_iter().flatten() {
            for (start, end) in tree::extents(file, file.metadata()?.len().min(length))? {
                let first = start / MAX_BLOCK as u64 * MAX_BLOCK as u64;
                candidates.extend((first..end).step_by(MAX_BLOCK));
            }
        }
        Ok(Self { now, before, candidates: candidates.into_iter(), length })
    }

    /// Leaves out what lies before an offset.
    pub(crate) fn starting_at(mut self, offset: u64) -> Self {
        let rest: BTreeSet<_> = self.candidates.filter(|at| *at >= offset).collect();
        self.candidates = rest.into_iter();
        self
    }

    fn block(&self, offset: u64) -> Result<Option<(u64, Vec<u8>)>> {
        let size = (self.length - offset).next_multiple_of(SECTOR).min(MAX_BLOCK as u64);
        let read = |file: &Option<File>| {
            let mut block = vec![0; usize::try_from(size)?];
            if let Some(file) = file {
                tree::read_block(file, offset, &mut block)?;
            }
            Ok::<_, anyhow::Error>(block)
        };
        let now = read(&self.now)?;
        Ok((now != read(&self.before)?).then_some((offset, now)))
    }
}

impl Iterator for Blocks {
    /// An offset and the whole sectors that belong there.
    type Item = Result<(u64, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let offset = self.candidates.next()?;
            if let Some(block) = self.block(offset).transpose() {
                return Some(block);
            }
        }
    }
}

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
