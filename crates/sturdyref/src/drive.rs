//! Keeps one connection going, from its RPC system to its goodbye.

use std::time::Duration;

use capnp::capability::Client;
use futures::channel::oneshot;
use futures::stream::{Stream, StreamExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::network::Vat;
use crate::object_id::ObjectId;

/// Somebody on this side wants another object of the peer's.
pub(crate) struct Wish {
    pub(crate) id: ObjectId,
    pub(crate) granted: oneshot::Sender<Client>,
}

/// Drives a connection until the peer leaves, or until it is told to close; then closes it.
pub(crate) async fn drive(
    mut vat: Vat,
    mut wishes: impl Stream<Item = Wish> + Unpin,
    closing: CancellationToken,
    grace: Duration,
) {
    let disconnect = vat.system.get_disconnector();
    loop {
        tokio::select! {
            _ = &mut vat.system => break,
            Some(wish) = wishes.next() => {
                // Whoever wished may have lost interest.
                let _ = wish.granted.send(vat.restore(wish.id).0);
            }
            () = closing.cancelled() => {
                // What is queued is still sent, unless the peer is slow to take it.
                let _ = timeout(grace, futures::future::join(disconnect, &mut vat.system)).await;
                break;
            }
        }
    }
    let Vat { system, transport, .. } = vat;
    drop(system);
    let _ = timeout(grace, transport.close()).await;
}
