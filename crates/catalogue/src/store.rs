//! The catalogue on disk: one redb file, written by a thread of its own.
//!
//! Everything queued while a transaction is being written goes into the next one. The file is
//! never made anew over one that can't be read.

mod file;
mod tables;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;
use std::{io, thread};

use futures::channel::oneshot;
use redb::Database;

use crate::change::Change;
use crate::model::Catalogue;

/// The newest format of the file that this version writes and reads.
const FORMAT: u32 = 1;

/// Why the catalogue can't be had from disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refused.
    #[error("cannot open the catalogue {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "the catalogue {} is in use by another process\nStop the other tracker first.",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error(
        "the catalogue {} has format {format}, and this version of zatlas knows {FORMAT} at most\n\
         Install the release that wrote it, or a later one.",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// It is no catalogue, or was damaged.
    #[error(
        "the catalogue {} is damaged: {why}\n\
         Restore it from a backup, or move it away: agents fill a new one as they connect, but \
         machines that are off are then unknown, and every capability that was ever reissued has \
         to be reissued again.",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
}

/// A change could not be made durable. No later one is written either.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot write the catalogue {}", path.display())]
pub struct WriteError {
    path: PathBuf,
    source: Arc<redb::Error>,
}

/// Writes changes to the file. Dropping it waits until all that was queued is written.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    queue: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

struct Job {
    changes: Vec<Change>,
    written: oneshot::Sender<Result<(), WriteError>>,
}

/// Resolves when a change is durable. Dropping it changes nothing.
#[derive(Debug)]
pub struct Written {
    path: PathBuf,
    answer: oneshot::Receiver<Result<(), WriteError>>,
}

impl Future for Written {
    type Output = Result<(), WriteError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        // The writer answers every job, unless it panicked.
        Poll::Ready(answer.unwrap_or_else(|_| {
            let source = io::Error::other("the thread that writes it has stopped");
            Err(WriteError { path: self.path.clone(), source: Arc::new(source.into()) })
        }))
    }
}

impl Store {
    /// Opens the file, or makes it if there is none, and reads the catalogue from it.
    ///
    /// # Errors
    /// There is a file that can't be read. It is left as it is.
    pub fn open(path: &Path) -> Result<(Self, Catalogue), OpenError> {
        let database = file::open(path)?;
        let catalogue = tables::load(&database, path)?;
        let (queue, jobs) = mpsc::channel();
        let writer = thread::Builder::new()
            .name("catalogue".to_owned())
            .spawn({
                let path = path.to_owned();
                move || write_jobs(&database, &path, &jobs)
            })
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        let path = path.to_owned();
        Ok((Self { path, queue: Some(queue), writer: Some(writer) }, catalogue))
    }

    /// Queues changes, to be written all or none, in the order of the calls.
    pub fn write(&self, changes: Vec<Change>) -> Written {
        let (written, answer) = oneshot::channel();
        if changes.is_empty() {
            // The receiver is at hand, so this can't fail.
            let _ = written.send(Ok(()));
        } else if let Some(queue) = &self.queue {
            // Should the writer be gone, the answer says so.
            let _ = queue.send(Job { changes, written });
        }
        Written { path: self.path.clone(), answer }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            // A panic there has been reported by then.
            let _ = writer.join();
        }
    }
}

fn write_jobs(database: &Database, path: &Path, jobs: &mpsc::Receiver<Job>) {
    let mut failed: Option<WriteError> = None;
    while let Ok(first) = jobs.recv() {
        let batch: Vec<Job> = std::iter::once(first).chain(jobs.try_iter()).collect();
        if failed.is_none() {
            let changes = batch.iter().flat_map(|job| &job.changes);
            failed = tables::write(database, changes)
                .inspect_err(|error| tracing::error!(%error, "writing the catalogue failed"))
                .err()
                .map(|source| WriteError { path: path.to_owned(), source: Arc::new(source) });
        }
        for job in batch {
            // Nobody may be waiting.
            let _ = job.written.send(failed.clone().map_or(Ok(()), Err));
        }
    }
}

#[cfg(test)]
mod tests;
