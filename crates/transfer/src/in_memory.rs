//! Whole streams on one thread: from the pump over a connection in memory into a receive. It is all
//! of the way but the processes and sockets at its ends, and tokio's clock stands still, so it goes
//! the same way each time. `cargo xtask instructions` counts what that takes.

use std::cell::Cell;
use std::env;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek};
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;

// For its allocator, which is the binaries' own.
use program as _;
use schema::byte_stream_capnp::byte_stream;
use schema::source_capnp::source;
use sturdyref::{
    Auth, Identity, ObjectId, Peer, RestoreError, Restored, Restorer, Security, SturdyRef,
    connect_in_memory,
};
use tokio::runtime;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use zfs::process::{Ended as ProcessEnded, ReceiveError};
use zfs::stream::Follower;
use zfs::{Guid, Kind};

use crate::ends::{Giver, Taker};
use crate::guard::Expected;
use crate::incoming::{Ended, Incoming, Reception, channel, receive};
use crate::outgoing::pump::pump;
use crate::traffic::throttle::Limits;

const GUID: Guid = Guid(7);

/// A stream in a file, sent to each who asks for it.
struct Source(File);

/// The file from its beginning. As with a pipe, the kernel does the copying.
struct Sent {
    file: File,
    left: Cell<usize>,
}

impl Source {
    async fn send_into(&self, sink: byte_stream::Client) -> capnp::Result<u64> {
        let mut file = self.0.try_clone()?;
        file.rewind()?;
        let left = Cell::new(usize::try_from(file.metadata()?.len()).unwrap());
        let throttle = Limits::default().throttle(None);
        let sent = Cell::new(0);
        pump(&Sent { file, left }, &sink, &sent, &throttle).await?;
        sink.end_request().send().promise.await?;
        Ok(sent.get())
    }
}

impl source::Server for Source {
    async fn send(
        self: Rc<Self>,
        params: source::SendParams,
        mut results: source::SendResults,
    ) -> capnp::Result<()> {
        let sent = self.send_into(params.get()?.get_sink()?).await?;
        results.get().init_outcome().init_ok().set_bytes(sent);
        Ok(())
    }
}

impl Giver for Sent {
    async fn ready(&self) -> io::Result<usize> {
        Ok(self.left.get())
    }

    fn take(&self, buffer: &mut [u8]) -> io::Result<()> {
        self.left.set(self.left.get() - buffer.len());
        (&self.file).read_exact(buffer)
    }
}

/// The one object of a vat.
struct Only(source::Client);

impl Restorer for Only {
    fn restore(&self, _: &[u8], _: &Peer) -> Result<Restored, RestoreError> {
        Ok(Restored::Here(self.0.clone().client))
    }
}

impl Taker for tokio::io::Sink {
    async fn finish(self) -> Result<String, ReceiveError> {
        Ok(String::new())
    }

    async fn stop(self) -> Result<ProcessEnded, ReceiveError> {
        Ok(ProcessEnded { status: ExitStatus::default(), message: String::new() })
    }
}

async fn ask(source: &source::Client, sink: byte_stream::Client) {
    let mut request = source.send_request();
    request.get().set_sink(sink);
    request.send().promise.await.unwrap();
}

async fn take(incoming: Incoming, announced: u64) -> u64 {
    let expected = Expected {
        guid: GUID,
        base: None,
        kind: Kind::Filesystem,
        raw: false,
        resumed: None,
        announced,
        room: announced,
    };
    let reception = Reception {
        target: &"pool/synthetic".parse().unwrap(),
        expected: &expected,
        stall: Duration::from_secs(60),
        busy: &Cell::new(None),
        throttle: &Limits::default().throttle(None),
        cancel: &CancellationToken::new(),
    };
    let (mut follower, mut taken) = (Follower::new(0), 0);
    let start = async |_: &_| Ok(tokio::io::sink());
    let count = |bytes: usize| taken += bytes as u64;
    let ended = receive(incoming, &mut follower, start, reception, count).await;
    assert!(matches!(ended, Ended::Complete(_)), "{ended:?}");
    assert!(follower.ended());
    taken
}

/// `streams` streams of `bytes` bytes of data, one after the other over one connection.
async fn carry(auth: Auth, security: Security, streams: u64, bytes: u64) {
    let file = tempfile::tempfile().unwrap();
    zfs_sim::synthetic_stream(BufWriter::new(&file), GUID.0, bytes).unwrap();
    let length = file.metadata().unwrap().len();
    let target =
        SturdyRef { auth, address: "tcp:memory:1".parse().unwrap(), id: ObjectId::new(*b"source") };
    let restorer = Rc::new(Only(capnp_rpc::new_client(Source(file))));
    let connection = connect_in_memory(&target, &security, restorer).await.unwrap();
    for _ in 0..streams {
        let (sink, incoming) = channel();
        let source = connection.target();
        let ((), taken) = tokio::join!(ask(&source, sink), take(incoming, length));
        assert_eq!(taken, length);
    }
    connection.close().await;
}

fn on_one_thread(auth: Auth, security: Security) {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let streams = number("ZATLAS_STREAMS").unwrap_or(2);
    let bytes = number("ZATLAS_STREAM_BYTES").unwrap_or(12 << 20);
    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let all = carry(auth, security, streams, bytes);
    LocalSet::new().block_on(&runtime.unwrap(), all);
}

#[test]
fn streams_arrive_whole_in_the_clear() {
    on_one_thread(Auth::Insecure, Security::Insecure);
}

#[test]
fn streams_arrive_whole_over_tls() {
    let identity = Identity::ephemeral().unwrap();
    on_one_thread(Auth::Tls(identity.fingerprint()), Security::Tls(identity));
}
