//! The sending end of a relay: dials out, and brings a source. It reaches no receiver.

use std::rc::Rc;

use capnp::Error;
use schema::broker_capnp::{dialler, meeting};
use schema::source_capnp::source;
use schema::{Code, Failure, outcome};
use sturdyref::{ObjectId, SturdyRef};
use tokio::sync::{mpsc, oneshot};

use super::Asked;
use crate::process::{dial, identity};

/// The chunks that a fake source sends.
pub(crate) const CHUNKS: usize = 40;
pub(crate) const CHUNK: usize = 100_000;

/// Brings a [`FakeSource`], and keeps the connection for as long as that is held.
pub(super) struct FakeDialler(pub(super) mpsc::UnboundedSender<Asked>);

impl dialler::Server for FakeDialler {
    async fn dial(
        self: Rc<Self>,
        params: dialler::DialParams,
        mut results: dialler::DialResults,
    ) -> Result<(), Error> {
        let place: SturdyRef = params.get()?.get_uri()?.to_str()?.parse().unwrap();
        assert_ne!(place.id, ObjectId::new([]));
        let connection = dial(&place, &identity()).await;
        let mut request = connection.target::<meeting::Client>().bring_request();
        let (dropped, wait) = oneshot::channel();
        request.get().set_source(capnp_rpc::new_client(FakeSource { _dropped: dropped }));
        request.send().promise.await?;
        let asked = self.0.clone();
        tokio::task::spawn_local(async move {
            let _ = wait.await;
            connection.close().await;
            let _ = asked.send(Asked::SourceDropped);
        });
        outcome::write_nothing(results.get().init_outcome(), Ok(()))
    }

    async fn dial_receiver(
        self: Rc<Self>,
        params: dialler::DialReceiverParams,
        mut results: dialler::DialReceiverResults,
    ) -> Result<(), Error> {
        let uris = params.get()?.get_uris()?.iter();
        let uris = uris.map(|uri| uri.unwrap().to_string().unwrap()).collect();
        self.0.send(Asked::DialReceiver { uris }).unwrap();
        let failure = Failure::new(Code::Unreachable, "dial", "", "there is nobody", "");
        outcome::write_nothing(results.get().init_outcome(), Err(failure))
    }
}

struct FakeSource {
    _dropped: oneshot::Sender<()>,
}

impl source::Server for FakeSource {
    async fn send(
        self: Rc<Self>,
        params: source::SendParams,
        mut results: source::SendResults,
    ) -> Result<(), Error> {
        let sink = params.get()?.get_sink()?;
        for chunk in 0..CHUNKS {
            let mut request = sink.write_request();
            request.get().init_bytes(CHUNK as u32).fill(chunk as u8);
            request.send().await?;
        }
        sink.end_request().send().promise.await?;
        outcome::write(results.get().init_outcome(), Ok(()), |mut sent, ()| {
            sent.set_bytes((CHUNKS * CHUNK) as u64);
            Ok(())
        })
    }
}
