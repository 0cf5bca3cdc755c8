//! One pool's index: read whole under a lock, changed by appending to its log.
//!
//! A line that a killed process left unfinished is as if it had never been. Changes are seen by others
//! at `commit`, all of them or none; what they made superfluous is removed afterwards.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::busy::{self, Progress};
use super::node::{Dataset, Node};
use super::{Root, remove_all};
use crate::events::{self, Event};

/// What a command will do to a pool: readers share it, a writer has it alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// What a pool is, apart from what it holds.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Header {
    guid: u64,
    /// Bytes.
    size: u64,
    /// The last transaction group.
    txg: u64,
    /// The last ID given to data.
    id: u64,
}

/// A line of the log.
#[derive(Serialize, Deserialize)]
enum Line {
    Header(Header),
    Put(String, Node),
    Remove(String),
    /// The end of a change: what came since the last one counts now.
    Commit,
}

/// An open pool; locked until dropped.
pub(crate) struct Pool {
    pub(crate) name: String,
    dir: PathBuf,
    events_log: PathBuf,
    header: Header,
    pub(super) nodes: BTreeMap<String, Node>,
    /// Lines in the log, to tell when it is worth writing anew.
    logged: usize,
    /// Bytes of the log that count.
    valid: u64,
    changes: Vec<Line>,
    /// The IDs of what was removed.
    removed: Vec<u64>,
    events: Vec<Event>,
    _lock: File,
}

impl Pool {
    /// Makes a pool with its root dataset, which `root` describes by its ID.
    pub(crate) fn create(
        state: &Root,
        name: &str,
        size: u64,
        root: impl FnOnce(u64) -> Node,
    ) -> Result<Self> {
        let dir = state.pool_dir(name);
        fs::create_dir_all(dir.join("data"))?;
        let header = Header { guid: super::new_guid()?, size, txg: 4, id: 53 };
        let lock = lock(&dir, Access::Write)?.context("the pool vanished")?;
        let mut pool = Self {
            name: name.to_owned(),
            dir,
            events_log: state.events(),
            header,
            nodes: BTreeMap::new(),
            logged: 0,
            valid: 0,
            changes: Vec::new(),
            removed: Vec::new(),
            events: Vec::new(),
            _lock: lock,
        };
        let id = pool.next_id()?;
        pool.put(name, root(id));
        Ok(pool)
    }

    pub(super) fn open(state: &Root, name: &str, access: Access) -> Result<Option<Self>> {
        let dir = state.pool_dir(name);
        let Some(lock) = lock(&dir, access)? else { return Ok(None) };
        let text = match fs::read_to_string(dir.join("index")) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read the index of {name}"));
            }
        };
        let mut pool = Self {
            name: name.to_owned(),
            dir,
            events_log: state.events(),
            header: Header { guid: 0, size: 0, txg: 0, id: 0 },
            nodes: BTreeMap::new(),
            logged: 0,
            valid: 0,
            changes: Vec::new(),
            removed: Vec::new(),
            events: Vec::new(),
            _lock: lock,
        };
        pool.replay(&text).with_context(|| format!("the index of {name} is corrupt"))?;
        pool.drop_abandoned_receives()?;
        Ok(Some(pool))
    }

    fn replay(&mut self, text: &str) -> Result<()> {
        let mut pending = Vec::new();
        let mut end = 0;
        for line in text.split_inclusive('\n') {
            end += line.len();
            if !line.ends_with('\n') {
                break;
            }
            self.logged += 1;
            match serde_json::from_str(line)? {
                Line::Commit => {
                    self.valid = end as u64;
                    for line in pending.drain(..) {
                        match line {
                            Line::Header(header) => self.header = header,
                            Line::Put(name, node) => drop(self.nodes.insert(name, node)),
                            Line::Remove(name) => drop(self.nodes.remove(&name)),
                            Line::Commit => {}
                        }
                    }
                }
                line => pending.push(line),
            }
        }
        Ok(())
    }

    pub(crate) fn guid(&self) -> u64 {
        self.header.guid
    }

    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.header.size
    }

    /// The folder that holds all of the pool.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the data of an ID lives, if it isn't empty.
    pub(crate) fn data(&self, id: u64) -> PathBuf {
        self.dir.join("data").join(id.to_string())
    }

    /// Whether anyone sends or receives this data now.
    pub(crate) fn is_busy(&self, id: u64) -> Result<bool> {
        busy::is_busy(&self.dir, id)
    }

    /// How far the receive into this data has come.
    pub(crate) fn progress(&self, id: u64) -> Progress {
        busy::progress(&self.dir, id)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    pub(crate) fn dataset(&self, name: &str) -> Option<&Dataset> {
        self.get(name).and_then(Node::as_dataset)
    }

    /// All that the pool holds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// What has a name that starts with this prefix.
    pub(crate) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Node)> {
        self.nodes
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, node)| (name.as_str(), node))
    }

    /// A dataset's snapshots, oldest first.
    pub(crate) fn snapshots(&self, dataset: &str) -> Vec<String> {
        let mut found: Vec<_> = self
            .with_prefix(&format!("{dataset}@"))
            .map(|(name, node)| (node.createtxg(), name.to_owned()))
            .collect();
        found.sort();
        found.into_iter().map(|(_, name)| name).collect()
    }

    /// The datasets below one, itself first, parents before children.
    pub(crate) fn subtree(&self, dataset: &str) -> Vec<String> {
        let below = format!("{dataset}/");
        let children = self.with_prefix(&below).filter(|(_, node)| node.as_dataset().is_some());
        std::iter::once(dataset).chain(children.map(|(name, _)| name)).map(str::to_owned).collect()
    }

    /// Begins a transaction group; what is made in it carries its number.
    pub(crate) fn next_txg(&mut self) -> u64 {
        self.header.txg += 1;
        self.header.txg
    }

    /// An ID for new data, of which there is nothing: what a process left that was killed before it could
    /// commit is removed.
    pub(crate) fn next_id(&mut self) -> Result<u64> {
        self.header.id += 1;
        remove_all(&self.data(self.header.id))?;
        busy::forget(&self.dir, self.header.id)?;
        Ok(self.header.id)
    }

    /// Adds or replaces what goes by a name.
    pub(crate) fn put(&mut self, name: &str, node: Node) {
        self.changes.push(Line::Put(name.to_owned(), node.clone()));
        self.nodes.insert(name.to_owned(), node);
    }

    /// Removes what goes by a name; its data goes at `commit`.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Node> {
        self.changes.push(Line::Remove(name.to_owned()));
        let node = self.nodes.remove(name);
        self.removed.extend(node.iter().flat_map(Node::data));
        node
    }

    /// Lets go of data that nothing names any more; it goes at `commit`.
    pub(crate) fn discard(&mut self, id: u64) {
        self.removed.push(id);
    }

    /// Changes a dataset, if there is one of that name.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut Dataset)) {
        if let Some(Node::Dataset(dataset)) = self.nodes.get_mut(name) {
            change(dataset);
            self.changes.push(Line::Put(name.to_owned(), Node::Dataset(dataset.clone())));
        }
    }

    /// Notes an event in the pool's history, to be told at `commit`.
    pub(crate) fn history(&mut self, dataset: &str, id: u64, action: &str, detail: &str) {
        self.events.push(Event::history(self.header.txg, dataset, id, action, detail));
    }

    /// Notes another event, to be told at `commit`.
    pub(crate) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Makes the changes last, finishes them, and tells of them.
    pub(crate) fn commit(mut self) -> Result<()> {
        self.write()?;
        if self.finish()? {
            self.write()?;
        }
        self.sweep()?;
        events::append(&self.events_log, &self.name, self.header.guid, &self.events)
    }

    fn write(&mut self) -> Result<()> {
        let path = self.dir.join("index");
        self.changes.push(Line::Header(self.header));
        if self.logged > 2 * self.nodes.len() + 1000 || self.valid == 0 {
            let all = self.nodes.iter().map(|(name, node)| Line::Put(name.clone(), node.clone()));
            let text = lines(all.chain([Line::Header(self.header), Line::Commit]))?;
            let new = self.dir.join("index.new");
            fs::write(&new, &text)?;
            fs::rename(new, path)?;
            self.changes.clear();
            self.valid = text.len() as u64;
        } else {
            self.changes.push(Line::Commit);
            let text = lines(std::mem::take(&mut self.changes))?;
            let mut log = OpenOptions::new().append(true).open(path)?;
            log.set_len(self.valid)?;
            log.write_all(text.as_bytes())?;
            self.valid += text.len() as u64;
        }
        Ok(())
    }

    /// Removes the data of what was removed, unless it lives on under another name.
    fn sweep(&self) -> Result<()> {
        if self.removed.is_empty() {
            return Ok(());
        }
        let live: HashSet<u64> = self.nodes.values().flat_map(Node::data).collect();
        for id in self.removed.iter().filter(|id| !live.contains(id)) {
            remove_all(&self.data(*id))?;
            busy::forget(&self.dir, *id)?;
        }
        Ok(())
    }
}

fn lines(lines: impl IntoIterator<Item = Line>) -> Result<String> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(&line)?);
        text.push('\n');
    }
    Ok(text)
}

/// Locks a pool's folder; none if there is no such folder.
fn lock(dir: &Path, access: Access) -> Result<Option<File>> {
    let file =
        match OpenOptions::new().write(true).create(true).truncate(false).open(dir.join("lock")) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot lock {}", dir.display()));
            }
        };
    match access {
        Access::Read => file.lock_shared()?,
        Access::Write => file.lock()?,
    }
    Ok(Some(file))
}
