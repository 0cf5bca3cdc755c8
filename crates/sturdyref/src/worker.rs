//! Threads for connections whose bulk must not delay anything else.

use std::{fmt, io, thread};

use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// A handle to a thread with its own single-threaded runtime and local tasks.
///
/// The thread ends once all handles are gone and the tasks that were started on it are done. (A task that
/// holds a handle to its own worker therefore keeps it alive.)
#[derive(Clone)]
pub struct Worker {
    jobs: mpsc::UnboundedSender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Worker {
    /// Starts a thread called `name` (the system shows the first 15 bytes).
    ///
    /// # Errors
    /// The system has no room for another thread or for its reactor.
    pub fn spawn(name: &str) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let tasks = LocalSet::new();
            tasks.spawn_local(async move {
                while let Some(job) = queue.recv().await {
                    job();
                }
            });
            // Awaiting the set, not the loop: it waits for the tasks that jobs started, too.
            runtime.block_on(tasks);
        })?;
        Ok(Self { jobs })
    }

    /// Makes a future on the worker's thread and runs it there.
    ///
    /// The future need not be `Send`, and may spawn local tasks of its own.
    pub fn run<F, Fut>(&self, make: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let job = Box::new(move || drop(tokio::task::spawn_local(make())));
        // The loop at the other end goes on for as long as there is a handle, such as this one.
        let _ = self.jobs.send(job);
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn futures_run_on_the_named_thread() {
        let worker = Worker::spawn("bulk-1").unwrap();
        let (tell, told) = oneshot::channel();
        worker.run(move || async move {
            let name = std::rc::Rc::new(thread::current().name().map(str::to_owned));
            let _ = tell.send(name.as_ref().clone());
        });
        assert_eq!(told.await.unwrap().as_deref(), Some("bulk-1"));
    }

    #[tokio::test]
    async fn the_thread_outlives_its_handles_until_its_tasks_are_done() {
        let (go, wait) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let (held, ended) = oneshot::channel::<()>();
        let worker = Worker::spawn("bulk-2").unwrap();
        worker.run(move || async move {
            thread_local!(static HELD: std::cell::Cell<Option<oneshot::Sender<()>>> = const { std::cell::Cell::new(None) });
            HELD.set(Some(held));
            tokio::task::spawn_local(async move {
                let _ = wait.await;
                let _ = tell.send(());
            });
        });
        drop(worker);
        go.send(()).unwrap();
        told.await.unwrap();
        // The thread's own variables are dropped when it ends, and the other end notices.
        let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;
        assert!(ended.expect("the thread still runs").is_err());
    }
}
