//! Sending replicas into a `ReplicaSink`.

use capnp::Error;
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
