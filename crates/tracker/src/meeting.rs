//! Where the two ends of a relay meet: on a thread of their own, one relay on each.
//!
//! The sender brings its `Source`; the receiver holds the promise of it, which passes every call
//! on. The streams are never looked into.

use std::cell::Cell;
use std::rc::Rc;

use capnp::Error;
use capnp::capability::Client;
use futures::TryFutureExt;
use schema::broker_capnp::meeting;
use schema::source_capnp::source;
use tokio::sync::oneshot;

thread_local! {
    /// What this thread's relay still waits for.
    static HALVES: Halves = Halves::default();
}

struct Halves {
    sender: Cell<Option<oneshot::Sender<source::Client>>>,
    receiver: Cell<Option<oneshot::Receiver<source::Client>>>,
}

impl Default for Halves {
    fn default() -> Self {
        let (sender, receiver) = oneshot::channel();
        Self { sender: Cell::new(Some(sender)), receiver: Cell::new(Some(receiver)) }
    }
}

/// The sender's end.
pub(crate) fn meeting() -> Client {
    let sender = HALVES.with(|halves| halves.sender.take());
    capnp_rpc::new_client::<meeting::Client, _>(Meeting(Cell::new(sender))).client
}

/// The receiver's end: a promise until the sender has brought its source.
pub(crate) fn source() -> Client {
    let receiver = HALVES.with(|halves| halves.receiver.take());
    let left = || Error::disconnected("the sender has not come to the relay".to_owned());
    let source = async move {
        match receiver {
            Some(receiver) => receiver.map_err(|_| left()).await,
            None => Err(left()),
        }
    };
    capnp_rpc::new_future_client::<source::Client>(source).client
}

/// Whoever has not come yet won't come any more; the other is told.
pub(crate) fn give_up() {
    HALVES.with(|halves| drop((halves.sender.take(), halves.receiver.take())));
}

struct Meeting(Cell<Option<oneshot::Sender<source::Client>>>);

impl meeting::Server for Meeting {
    async fn bring(
        self: Rc<Self>,
        params: meeting::BringParams,
        _: meeting::BringResults,
    ) -> Result<(), Error> {
        let source = params.get()?.get_source()?;
        let sent = self.0.take().map(|sender| sender.send(source));
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(Error::disconnected("the receiver has left the relay".to_owned())),
            None => Err(Error::failed("the source was brought already".to_owned())),
        }
    }
}
