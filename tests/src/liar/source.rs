//! A source that tells a tale.

use std::rc::Rc;
use std::sync::Arc;

use capnp::Error;
use schema::byte_stream_capnp::byte_stream;
use schema::source_capnp::source;
use schema::{batch, outcome, wire};

use super::tale::{Open, Step, Then};
use super::{Event, Shared, properties};

/// Bytes in a message of usual size.
const CHUNK: usize = 64 << 10;

pub(super) fn serve(shared: Arc<Shared>) -> source::Client {
    capnp_rpc::new_client(Source(shared))
}

struct Source(Arc<Shared>);

impl source::Server for Source {
    async fn open(
        self: Rc<Self>,
        _: source::OpenParams,
        mut results: source::OpenResults,
    ) -> Result<(), Error> {
        let open = self.0.tale.lock().expect("a tale").open.clone();
        let answer = match open {
            Open::Dataset { kind, encrypted } => Ok(properties(kind, encrypted)),
            Open::Refuse(failure) => Err(failure),
            Open::Throw(text) => return Err(Error::failed(text)),
            Open::Hang => std::future::pending().await,
        };
        outcome::write(results.get().init_outcome(), answer, |builder, properties| {
            let name = "a".parse().expect("a name");
            let none = batch::Part { continues: false, snapshots: &[], bookmarks: &[] };
            wire::write_dataset(builder, &name, &properties, none);
            Ok(())
        })
    }

    async fn estimate(
        self: Rc<Self>,
        _: source::EstimateParams,
        mut results: source::EstimateResults,
    ) -> Result<(), Error> {
        let bytes = self.0.tale.lock().expect("a tale").estimate;
        outcome::write(results.get().init_outcome(), Ok(bytes), |mut builder, bytes| {
            builder.set_bytes(bytes);
            Ok(())
        })
    }

    async fn send(
        self: Rc<Self>,
        params: source::SendParams,
        mut results: source::SendResults,
    ) -> Result<(), Error> {
        let (steps, then) = {
            let mut tale = self.0.tale.lock().expect("a tale");
            (std::mem::take(&mut tale.steps), tale.then.clone())
        };
        let sink = params.get()?.get_sink()?;
        drop(params);
        for step in steps {
            // A receiver that takes no more has heard enough; the tale goes on all the same.
            let _ = take(step, &sink).await;
        }
        let _ = self.0.events.send(Event::Told);
        match then {
            Then::Answer => outcome::write(results.get().init_outcome(), Ok(()), |_, ()| Ok(())),
            Then::Refuse(failure) => {
                outcome::write(results.get().init_outcome(), Err::<(), _>(failure), |_, ()| Ok(()))
            }
            Then::Throw(text) => Err(Error::failed(text)),
            Then::Hang => std::future::pending().await,
            Then::DropSink => {
                drop(sink);
                std::future::pending().await
            }
        }
    }
}

async fn take(step: Step, sink: &byte_stream::Client) -> Result<(), Error> {
    match step {
        Step::Write(bytes) => write(sink, &bytes).await,
        Step::Message(length) => {
            let mut request = sink.write_request();
            request.get().init_bytes(u32::try_from(length).expect("a message's size"));
            request.send().await
        }
        Step::Forever(mut next) => loop {
            write(sink, &next()).await?;
        },
        Step::End => sink.end_request().send().promise.await.map(drop),
    }
}

async fn write(sink: &byte_stream::Client, bytes: &[u8]) -> Result<(), Error> {
    for chunk in bytes.chunks(CHUNK) {
        let mut request = sink.write_request();
        request.get().set_bytes(chunk);
        request.send().await?;
    }
    Ok(())
}
