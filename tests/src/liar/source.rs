//! A source that tells a tale.

use std::rc::Rc;
use std::sync::Arc;

use capnp::Error;
use schema::byte_stream_capnp::byte_stream;
use schema::source_capnp::{send_request, source};
use schema::{batch, outcome, wire};

use super::tale::{Asked, Open, Step, Then};
use super::{Shared, properties};

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
            Open::Dataset { kind, encrypted } => Ok(properties(self.0.guid, kind, encrypted)),
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
        let asked = asked(params.get()?.get_request()?)?;
        let sink = params.get()?.get_sink()?;
        drop(params);
        self.0.asked.lock().expect("questions").push(asked.clone());
        let (steps, then) = {
            let tale = self.0.tale.lock().expect("a tale");
            ((tale.steps)(&asked), tale.then.clone())
        };
        for step in steps {
            // A receiver that takes no more has heard enough; the tale goes on all the same.
            let _ = take(step, &sink).await;
        }
        let _ = self.0.told.send(());
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

    async fn hold(
        self: Rc<Self>,
        _: source::HoldParams,
        mut results: source::HoldResults,
    ) -> Result<(), Error> {
        outcome::write_nothing(results.get().init_outcome(), Ok(()))
    }

    async fn finish(
        self: Rc<Self>,
        _: source::FinishParams,
        mut results: source::FinishResults,
    ) -> Result<(), Error> {
        outcome::write_nothing(results.get().init_outcome(), Ok(()))
    }

    async fn settings(
        self: Rc<Self>,
        _: source::SettingsParams,
        mut results: source::SettingsResults,
    ) -> Result<(), Error> {
        let settings = self.0.tale.lock().expect("a tale").settings.clone();
        outcome::write(results.get().init_outcome(), Ok(settings), |builder, settings| {
            let mut list = builder.init_list(wire::length(&settings));
            for (index, (name, value)) in (0..).zip(&settings) {
                let mut setting = list.reborrow().get(index);
                setting.set_name(name);
                setting.set_value(value);
            }
            Ok(())
        })
    }

    async fn sent(
        self: Rc<Self>,
        _: source::SentParams,
        mut results: source::SentResults,
    ) -> Result<(), Error> {
        let sent = self.0.tale.lock().expect("a tale").sent;
        let sent = sent.ok_or_else(|| Error::unimplemented("no such method".into()))?;
        outcome::write(results.get().init_outcome(), Ok(sent), |mut builder, bytes| {
            builder.set_bytes(bytes);
            Ok(())
        })
    }
}

fn asked(request: send_request::Reader<'_>) -> Result<Asked, Error> {
    let text = request.get_token()?.to_string()?;
    Ok(Asked {
        snapshot: request.get_snapshot()?.get_guid(),
        base: request.has_base().then(|| request.get_base()).transpose()?.map(|it| it.get_guid()),
        token: Some(text).filter(|text| !text.is_empty()),
        raw: request.get_raw(),
        large_blocks: request.get_large_blocks(),
    })
}

async fn take(step: Step, sink: &byte_stream::Client) -> Result<(), Error> {
    match step {
        Step::Write(bytes) => write(sink, &bytes).await,
        Step::Message(length) => {
            let mut request = sink.write_request();
            request.get().init_bytes(u32::try_from(length).expect("a message's size"));
            request.send().await
        }
        Step::Forever(chunks) => {
            let mut next = chunks();
            loop {
                write(sink, &next()).await?;
            }
        }
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
