//! Work that nobody waits for: begun anywhere, also while something is dropped.

use futures::future::LocalBoxFuture;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Begins chores. They end with the future of [`do_chores`].
#[derive(Clone, Debug)]
pub(crate) struct Chores(mpsc::UnboundedSender<LocalBoxFuture<'static, ()>>);

/// The chores to be done.
#[derive(Debug)]
pub(crate) struct Queue(mpsc::UnboundedReceiver<LocalBoxFuture<'static, ()>>);

/// Both ends.
pub(crate) fn chores() -> (Chores, Queue) {
    let (chores, queue) = mpsc::unbounded_channel();
    (Chores(chores), Queue(queue))
}

impl Chores {
    /// Begins a chore. Unlike `spawn_local` this needs no runtime where it is called, so `drop`
    /// may do it at any time.
    pub(crate) fn begin(&self, chore: impl Future<Output = ()> + 'static) {
        // There is nobody to do it only while the program ends.
        let _ = self.0.send(Box::pin(chore));
    }
}

/// Does chores for ever.
pub(crate) async fn do_chores(mut queue: Queue) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            Some(chore) = queue.0.recv() => drop(running.spawn_local(chore)),
            Some(_) = running.join_next() => {}
            else => return,
        }
    }
}
