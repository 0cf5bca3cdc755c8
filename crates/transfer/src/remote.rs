//! A `Source` elsewhere, with typed calls.

use std::time::Duration;

use capnp::capability::{Promise, Response};
use schema::byte_stream_capnp::byte_stream;
use schema::source_capnp::source;
use schema::{Code, Failure, Place, outcome, wire};
use zfs::{Properties, PropertyName, Snapshot};

use crate::settings::carried;
use crate::stream_request::{self, StreamRequest};

/// How long a source may take to answer where ZFS has little to do.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// How long it may take to answer what it only has to look up, over a way that is in doubt.
const WORD_DEADLINE: Duration = Duration::from_secs(5);
/// How long ZFS may take there to take a snapshot.
const ZFS_DEADLINE: Duration = Duration::from_secs(300);

/// What a source answers first.
pub(crate) struct Opened {
    /// The dataset as it is now.
    pub(crate) dataset: Properties,
    /// Its machine sends only so many streams at once.
    pub(crate) takes_turns: bool,
}

/// The source at a place.
pub(crate) struct Remote<'a> {
    pub(crate) client: &'a source::Client,
    pub(crate) place: &'a Place,
}

/// The first call to a source, on its way: do we speak the same protocol, and what is the dataset
/// now?
pub(crate) struct Opening(Promise<Response<source::open_results::Owned>, capnp::Error>);

impl Opening {
    /// Makes the call; the source need not be known to be there.
    pub(crate) fn begin(source: &source::Client, program: &str) -> Self {
        let mut request = source.open_request();
        outcome::write_hello(request.get().init_hello(), program);
        Self(request.send().promise)
    }
}

impl Remote<'_> {
    /// What the first call is answered with.
    pub(crate) async fn opened(&self, opening: Opening) -> Result<Opened, Failure> {
        let call = async {
            let response = opening.0.await?;
            let answer = response.get()?;
            let takes_turns = answer.get_takes_turns();
            match outcome::read(answer.get_outcome()?)? {
                Ok(dataset) => {
                    let dataset = wire::read_properties(dataset)?;
                    Ok(Ok(Opened { dataset, takes_turns }))
                }
                Err(failure) => Ok(Err(failure)),
            }
        };
        self.within(ANSWER_DEADLINE, self.told("reach", call)).await
    }

    /// Waits for news from its queue: how many must end before it is this transfer's turn, where
    /// that is another number than was `told` last. What was told may come again after a while.
    pub(crate) async fn turn(&self, told: Option<u32>) -> Result<u32, Failure> {
        let call = async {
            let mut request = self.client.turn_request();
            request.get().set_told(told.unwrap_or(u32::MAX));
            let response = request.send().promise.await?;
            let turn = outcome::read(response.get()?.get_outcome()?)?;
            Ok(turn.map(|turn| turn.get_ahead()))
        };
        self.within(ANSWER_DEADLINE, self.told("wait for a turn at", call)).await
    }

    /// Has it take a first snapshot.
    pub(crate) async fn take_snapshot(&self) -> Result<Snapshot, Failure> {
        let call = async {
            let response = self.client.take_snapshot_request().send().promise.await?;
            match outcome::read(response.get()?.get_outcome()?)? {
                Ok(snapshot) => wire::read_snapshot(snapshot).map(Ok),
                Err(failure) => Ok(Err(failure)),
            }
        };
        self.within(ZFS_DEADLINE, self.told("take a snapshot at", call)).await
    }

    /// The size of the stream in bytes, if ZFS has an idea of it. That may take as long as it likes.
    pub(crate) async fn estimate(&self, wanted: &StreamRequest) -> Result<Option<u64>, Failure> {
        let call = async {
            let mut request = self.client.estimate_request();
            stream_request::write(request.get().init_request(), wanted);
            let response = request.send().promise.await?;
            let estimate = outcome::read(response.get()?.get_outcome()?)?;
            Ok(estimate.map(|estimate| Some(estimate.get_bytes()).filter(|bytes| *bytes != 0)))
        };
        self.told("ask for the size at", call).await
    }

    /// Has it write the stream into `sink`; returns the bytes that it says it sent.
    pub(crate) async fn send(
        &self,
        wanted: &StreamRequest,
        sink: byte_stream::Client,
    ) -> Result<u64, Failure> {
        self.told("receive from", async {
            let mut request = self.client.send_request();
            stream_request::write(request.get().init_request(), wanted);
            request.get().set_sink(sink);
            let response = request.send().promise.await?;
            let sent = outcome::read(response.get()?.get_outcome()?)?;
            Ok(sent.map(|sent| sent.get_bytes()))
        })
        .await
    }

    /// How many bytes of the last stream it has given to the connection, says a source that isn't
    /// older than this question.
    pub(crate) async fn sent(&self) -> Result<u64, Failure> {
        let call = async {
            let response = self.client.sent_request().send().promise.await?;
            let sent = outcome::read(response.get()?.get_outcome()?)?;
            Ok(sent.map(|sent| sent.get_bytes()))
        };
        self.within(WORD_DEADLINE, self.told("ask what was sent by", call)).await
    }

    /// Has it keep a snapshot from being destroyed.
    pub(crate) async fn hold(
        &self,
        snapshot: &Snapshot,
        transfer: &str,
        destination: &str,
    ) -> Result<(), Failure> {
        let call = async {
            let mut request = self.client.hold_request();
            wire::write_snapshot(request.get().init_snapshot(), snapshot);
            request.get().set_transfer(transfer);
            request.get().set_destination(destination);
            let response = request.send().promise.await?;
            Ok(outcome::read(response.get()?.get_outcome()?)?.map(drop))
        };
        self.within(ANSWER_DEADLINE, self.told("hold the snapshot at", call)).await
    }

    /// Tells it that a snapshot has arrived.
    pub(crate) async fn finish(&self, snapshot: &Snapshot, transfer: &str) -> Result<(), Failure> {
        let call = async {
            let mut request = self.client.finish_request();
            wire::write_snapshot(request.get().init_snapshot(), snapshot);
            request.get().set_transfer(transfer);
            let response = request.send().promise.await?;
            Ok(outcome::read(response.get()?.get_outcome()?)?.map(drop))
        };
        self.within(ZFS_DEADLINE, self.told("bookmark the snapshot at", call)).await
    }

    /// The properties of its own that may be carried.
    pub(crate) async fn settings(&self) -> Result<Vec<(PropertyName, String)>, Failure> {
        let call = async {
            let response = self.client.settings_request().send().promise.await?;
            let settings = match outcome::read(response.get()?.get_outcome()?)? {
                Ok(settings) => settings,
                Err(failure) => return Ok(Err(failure)),
            };
            let mut given = Vec::new();
            for setting in settings.get_list()? {
                given.push((setting.get_name()?.to_str()?, setting.get_value()?.to_str()?));
            }
            Ok(Ok(carried(given)))
        };
        self.within(ZFS_DEADLINE, self.told("read the properties at", call)).await
    }

    async fn within<T>(
        &self,
        deadline: Duration,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let late = |_| {
            Err(Failure::new(
                Code::Unreachable,
                "reach",
                self.place,
                format!("it has not answered within {} s", deadline.as_secs()),
                "Look at that machine's agent and its log.",
            ))
        };
        tokio::time::timeout(deadline, call).await.unwrap_or_else(late)
    }

    async fn told<T>(
        &self,
        operation: &str,
        call: impl Future<Output = capnp::Result<Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        let exception = |error| Err(Failure::from_exception(operation, self.place, &error));
        call.await.unwrap_or_else(exception)
    }
}
