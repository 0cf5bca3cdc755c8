//! Sending replicas into a `ReplicaSink`.

use capnp::Error;
use capnp::any_pointer;
use capnp::capability::Request;
use capnp::traits::HasTypeId;
use schema::batch;
use schema::dataset_capnp::replica_sink;
use schema::{Replica, wire};

/// Sends replicas, in messages of bounded size, with the snapshots that they hold.
pub(crate) async fn send(sink: &replica_sink::Client, replicas: &[Replica]) -> Result<(), Error> {
    let parts = replicas.iter().flat_map(|replica| {
        let parts = batch::parts(&replica.snapshots, &replica.bookmarks);
        parts.into_iter().map(move |part| (replica, part))
    });
    for message in
        batch::messages(parts, |(replica, part)| batch::entry_size(&replica.properties, part))
    {
        let mut request = sink.write_request();
        let mut list = request.get().init_replicas(wire::length(&message));
        for (index, (replica, part)) in (0..).zip(message) {
            wire::write_replica(list.reborrow().get(index), replica, part);
        }
        request.send().await?;
    }
    Ok(())
}

/// Waits until the sink has taken all that was sent, or failed to.
///
/// A streamed message returns as soon as there is room for the next, and the interface has no
/// call of its own to end with. So this writes an empty message as an ordinary call: it is answered
/// after all before it, and fails if one of them did.
pub(crate) async fn flush(sink: &replica_sink::Client) -> Result<(), Error> {
    let request: Request<replica_sink::write_params::Owned, any_pointer::Owned> =
        sink.client.new_call(replica_sink::Client::TYPE_ID, 0, None);
    request.send().promise.await?;
    Ok(())
}
