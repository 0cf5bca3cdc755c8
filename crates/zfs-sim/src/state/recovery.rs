//! What opening and committing a pool put right: receives whose process is gone, and data that is to become
//! a copy of a snapshot's. A process killed at any moment leaves what the next one finishes here.

use std::fs;
use std::io::ErrorKind;

use anyhow::Result;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Pool, remove_all};
use crate::tree;

impl Pool {
    /// A receive whose process is gone leaves nothing, unless it was to be kept and had begun.
    pub(super) fn drop_abandoned_receives(&mut self) -> Result<()> {
        let mut abandoned = Vec::new();
        for (name, node) in &self.nodes {
            let Some((dataset, receiving)) =
                node.as_dataset().and_then(|dataset| Some((dataset, dataset.receiving.as_ref()?)))
            else {
                continue;
            };
            let kept = receiving.resumable && self.progress(receiving.id).object > 0;
            if !kept && !self.is_busy(receiving.id)? {
                abandoned.push((name.clone(), dataset.is_inconsistent()));
            }
        }
        for (name, inconsistent) in abandoned {
            if inconsistent {
                self.remove(&name);
            } else {
                self.drop_partial(&name);
            }
        }
        Ok(())
    }

    /// Drops what an increment brought so far; the dataset itself stays as it is.
    pub(crate) fn drop_partial(&mut self, name: &str) {
        let partial = self.dataset(name).and_then(|dataset| dataset.receiving.as_ref());
        if let Some(id) = partial.map(|receiving| receiving.id) {
            self.discard(id);
            self.change(name, |dataset| dataset.receiving = None);
        }
    }

    /// Whether a killed process left something to finish.
    pub(super) fn is_unfinished(&self) -> bool {
        self.nodes.values().any(|node| node.as_dataset().is_some_and(|d| d.becomes.is_some()))
    }

    /// Gives datasets the contents that they are to have. Whoever looks at their files sees the old ones
    /// or the new, under the same path. Tells whether anything was to do.
    pub(super) fn finish(&mut self) -> Result<bool> {
        let unfinished: Vec<_> = self
            .nodes
            .iter()
            .filter_map(|(name, node)| {
                let dataset = node.as_dataset()?;
                Some((name.clone(), dataset.id, dataset.becomes?, dataset.volsize.is_none()))
            })
            .collect();
        for (name, id, snapshot, is_filesystem) in &unfinished {
            let (live, fresh) = (self.data(*id), self.dir().join("data").join(format!("{id}.new")));
            remove_all(&fresh)?;
            tree::copy(&self.data(*snapshot), &fresh)?;
            if *is_filesystem {
                match fs::create_dir(&fresh) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error)?,
                    _ => {}
                }
            }
            match (fresh.exists(), live.exists()) {
                (true, true) => {
                    renameat_with(CWD, &fresh, CWD, &live, RenameFlags::EXCHANGE)?;
                    remove_all(&fresh)?;
                }
                (true, false) => fs::rename(&fresh, &live)?,
                (false, _) => remove_all(&live)?,
            }
            self.change(name, |dataset| dataset.becomes = None);
        }
        Ok(!unfinished.is_empty())
    }
}
