//! A two-party network that knows object ids and bounds, wrapped around capnp-rpc's own.
//!
//! capnp-rpc neither sends nor honours `Bootstrap.deprecatedObjectId`, reads without end, and has one limit
//! for the size of a message and the work to go over it. So this network reads the frames itself, sees each
//! message pass in both directions, gives streams windows that follow the path, and leaves writing to the network
//! that it wraps.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use capnp::capability::{Client, Promise};
use capnp::message::{Builder, HeapAllocator, ReaderOptions};
use capnp::{Error, any_pointer};
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{
    Connection, FlowController, IncomingMessage, OutgoingMessage, RpcSystem, VatNetwork, rpc_capnp,
    twoparty,
};
use futures::channel::oneshot;
use futures::io::{AsyncBufReadExt, BufReader, Empty, empty};
use futures::{FutureExt, TryFutureExt};

use crate::bootstrap::BootstrapCap;
use crate::congestion::Bulk;
use crate::flow::Flow;
use crate::frame::{Frame, Meaning, read_frame, write_exception};
use crate::gather::Gather;
use crate::limits::Limits;
use crate::meter::Meter;
use crate::object_id::ObjectId;
use crate::transport::{SharedTransport, Transport};

/// Decides what a peer gets for the ids that it asks for.
pub(crate) trait Door {
    /// The capability behind `id`.
    fn open(&self, id: &ObjectId) -> Result<Client, Error>;

    /// Whether the peer has proved that it holds a sturdyref.
    fn proved(&self) -> bool;
}

/// What an RPC system and those around it share about one connection.
pub(crate) struct Link {
    door: Box<dyn Door>,
    /// Taken while a frame is being read.
    input: RefCell<Option<Input>>,
    meter: Meter,
    limits: Limits,
    /// If streams of this side's are to be as fast as they can.
    bulk: Option<Rc<Bulk>>,
    /// What the Bootstrap that is being handled restored.
    restored: RefCell<Option<Client>>,
    /// Why the Bootstrap that is being handled restored nothing.
    refused: RefCell<Option<Error>>,
    /// The Bootstrap that is being sent.
    wanted: RefCell<Option<Wanted>>,
    /// Bootstraps that were sent and not answered, by question.
    pending: RefCell<HashMap<u32, oneshot::Sender<Result<(), Error>>>>,
    closed: Cell<bool>,
    fault: RefCell<Option<Fault>>,
}

struct Wanted {
    id: ObjectId,
    answered: oneshot::Sender<Result<(), Error>>,
}

/// How a peer broke the protocol.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It speaks TLS where none was agreed.
    SpeaksTls,
    /// What it sent is no Cap'n Proto, or too large.
    Garbage(Error),
}

struct Input {
    /// The frame that was read before there was an RPC system.
    first: Option<Frame>,
    /// Whether the peer has sent nothing yet.
    fresh: bool,
    stream: BufReader<SharedTransport>,
}

/// An RPC system, ready to be driven.
pub(crate) struct Vat {
    pub(crate) system: RpcSystem<Side>,
    pub(crate) link: Rc<Link>,
    pub(crate) transport: SharedTransport,
}

/// Speaks RPC on `transport`. `first` is a frame that was read from it already.
pub(crate) fn speak(
    transport: Transport,
    side: Side,
    first: Option<Frame>,
    door: Box<dyn Door>,
    limits: &Limits,
) -> Vat {
    let transport = SharedTransport::new(transport);
    let stream = BufReader::with_capacity(BUFFER, transport.clone());
    let link = Rc::new(Link {
        door,
        input: RefCell::new(Some(Input { fresh: first.is_none(), first, stream })),
        meter: Meter::new(limits.unanswered + limits.window, limits.open_questions),
        limits: limits.clone(),
        bulk: if limits.bulk { Bulk::over(transport.handle()) } else { None },
        restored: RefCell::default(),
        refused: RefCell::default(),
        wanted: RefCell::default(),
        pending: RefCell::default(),
        closed: Cell::new(false),
        fault: RefCell::default(),
    });
    let output = Gather::new(transport.clone());
    let inner = twoparty::VatNetwork::new(empty(), output, side, ReaderOptions::new());
    let network = Network { inner, link: link.clone() };
    let bootstrap = BootstrapCap::client(link.clone());
    let system = RpcSystem::new(Box::new(network), Some(bootstrap));
    Vat { system, link, transport }
}

/// Bytes read ahead.
const BUFFER: usize = 64 << 10;

impl Link {
    /// What the Bootstrap that is being handled restored.
    pub(crate) fn restored(&self) -> Option<Client> {
        self.restored.borrow().clone()
    }

    /// How the peer broke the protocol, if it did.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.borrow().clone()
    }

    async fn receive(&self) -> Result<Option<Box<dyn IncomingMessage>>, Error> {
        self.meter.room().await;
        let Some(frame) = self.next_frame().await? else { return Ok(None) };
        match frame.meaning()? {
            Meaning::Bootstrap { question, id } => {
                self.meter.asked(question, frame.held)?;
                let restored = self.door.open(&id).unwrap_or_else(|error| {
                    *self.refused.borrow_mut() = Some(error.clone());
                    capnp_rpc::new_broken_cap(error)
                });
                *self.restored.borrow_mut() = Some(restored);
            }
            Meaning::Return { question } => {
                if let Some(answered) = self.pending.borrow_mut().remove(&question) {
                    // Whoever asked may have lost interest.
                    let _ = answered.send(frame.exception().map_or(Ok(()), Err));
                }
            }
            Meaning::Call { question } => self.meter.asked(question, frame.held)?,
            Meaning::Finish { question } => self.meter.finished(question),
            Meaning::Other => {}
        }
        Ok(Some(Box::new(frame)))
    }

    async fn next_frame(&self) -> Result<Option<Frame>, Error> {
        let taken = self.input.borrow_mut().take();
        let mut input = taken.ok_or_else(connection_lost)?;
        if let Some(first) = input.first.take() {
            *self.input.borrow_mut() = Some(input);
            return Ok(Some(first));
        }
        if input.fresh {
            let head = input.stream.fill_buf().await;
            let head = head.map_err(|error| Error::disconnected(error.to_string()))?;
            if looks_like_tls(head) {
                *self.fault.borrow_mut() = Some(Fault::SpeaksTls);
                return Err(Error::failed("the peer speaks TLS".to_owned()));
            }
            input.fresh = false;
        }
        let proved = self.door.proved();
        let limit = if proved { self.limits.message } else { self.limits.unproved_message };
        let frame = read_frame(&mut input.stream, limit).await.inspect_err(|error| {
            if error.kind == capnp::ErrorKind::Failed {
                *self.fault.borrow_mut() = Some(Fault::Garbage(error.clone()));
            }
        })?;
        *self.input.borrow_mut() = Some(input);
        Ok(frame)
    }
}

/// Whether these are the first bytes of a TLS alert or handshake record. As Cap'n Proto they would announce
/// a message of over 768 segments, which nobody accepts.
fn looks_like_tls(head: &[u8]) -> bool {
    matches!(head, [0x15 | 0x16, 3, ..])
}

impl Vat {
    /// Asks the peer for the object with this id. It can be called at once; the receiver tells when the peer
    /// has answered. Must not be called while the system is being polled.
    pub(crate) fn restore(&mut self, id: ObjectId) -> (Client, Answered) {
        let (answered, answer) = oneshot::channel();
        // The wrapped network panics when it is asked to connect again after it was closed.
        if self.link.closed.get() {
            return (capnp_rpc::new_broken_cap(connection_lost()), answer);
        }
        *self.link.wanted.borrow_mut() = Some(Wanted { id, answered });
        (self.system.bootstrap(Side::Server), answer)
    }
}

/// Resolves when the peer has answered a Bootstrap; cancelled when the connection ends before that.
pub(crate) type Answered = oneshot::Receiver<Result<(), Error>>;

/// What becomes of requests on a connection that is no more.
pub(crate) fn connection_lost() -> Error {
    Error::disconnected("connection lost".to_owned())
}

impl IncomingMessage for Frame {
    fn get_body(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        self.body()
    }
}

struct Network {
    inner: twoparty::VatNetwork<Empty>,
    link: Rc<Link>,
}

impl Network {
    fn wrap(link: Rc<Link>, inner: Box<dyn Connection<Side>>) -> Box<dyn Connection<Side>> {
        Box::new(Wire { inner, link })
    }
}

impl VatNetwork<Side> for Network {
    fn connect(&mut self, host: Side) -> Option<Box<dyn Connection<Side>>> {
        self.inner.connect(host).map(|inner| Self::wrap(self.link.clone(), inner))
    }

    fn accept(&mut self) -> Promise<Box<dyn Connection<Side>>, Error> {
        let link = self.link.clone();
        Promise::from_future(self.inner.accept().map_ok(|inner| Self::wrap(link, inner)))
    }

    fn drive_until_shutdown(&mut self) -> Promise<(), Error> {
        self.inner.drive_until_shutdown()
    }
}

struct Wire {
    inner: Box<dyn Connection<Side>>,
    link: Rc<Link>,
}

impl Connection<Side> for Wire {
    fn get_peer_vat_id(&self) -> Side {
        self.inner.get_peer_vat_id()
    }

    fn new_outgoing_message(&mut self, first_segment_words: u32) -> Box<dyn OutgoingMessage> {
        let inner = self.inner.new_outgoing_message(first_segment_words);
        // RPC answers a Bootstrap before it does anything else, so if one was refused, this is its answer.
        let refusal = self.link.refused.borrow_mut().take();
        let refusal = refusal.map(|error| (self.inner.new_outgoing_message(0), error));
        Box::new(Outgoing { inner, refusal, link: self.link.clone() })
    }

    fn receive_incoming_message(&mut self) -> Promise<Option<Box<dyn IncomingMessage>>, Error> {
        // RPC handles a message before it asks for the next: the last Bootstrap is over.
        *self.link.restored.borrow_mut() = None;
        *self.link.refused.borrow_mut() = None;
        let link = self.link.clone();
        Promise::from_future(async move { link.receive().await })
    }

    fn new_stream(&mut self) -> (Box<dyn FlowController>, Promise<(), Error>) {
        (Box::new(Flow::new(&self.link.limits, self.link.bulk.clone())), Promise::ok(()))
    }

    fn shutdown(&mut self, result: capnp::Result<()>) -> Promise<(), Error> {
        self.link.closed.set(true);
        self.link.pending.borrow_mut().clear();
        self.inner.shutdown(result)
    }
}

struct Outgoing {
    inner: Box<dyn OutgoingMessage>,
    /// What is sent in place of `inner`: RPC answers a refused Bootstrap with a broken capability, from which
    /// the peer would learn only later that it has nothing.
    refusal: Option<(Box<dyn OutgoingMessage>, Error)>,
    link: Rc<Link>,
}

impl Outgoing {
    /// Puts the wanted id into a Bootstrap.
    fn name_object(&mut self) -> capnp::Result<()> {
        if self.link.wanted.borrow().is_none() {
            return Ok(());
        }
        let body = self.inner.get_body()?.get_as::<rpc_capnp::message::Builder<'_>>()?;
        if let rpc_capnp::message::Bootstrap(bootstrap) = body.which()?
            && let Some(wanted) = self.link.wanted.borrow_mut().take()
        {
            let mut bootstrap = bootstrap?;
            let question = bootstrap.reborrow().get_question_id();
            self.link.pending.borrow_mut().insert(question, wanted.answered);
            if !wanted.id.is_empty() {
                let text = capnp::text::Reader(wanted.id.as_bytes());
                bootstrap.init_deprecated_object_id().set_as(text)?;
            }
        }
        Ok(())
    }

    /// The question that a Return answers, and whether the peer need not finish it.
    fn answer(&self) -> capnp::Result<Option<(u32, bool)>> {
        let body = self.inner.get_body_as_reader()?.get_as::<rpc_capnp::message::Reader<'_>>()?;
        Ok(match body.which() {
            Ok(rpc_capnp::message::Return(answer)) => {
                let answer = answer?;
                Some((answer.get_answer_id(), answer.get_no_finish_needed()))
            }
            _ => None,
        })
    }
}

impl OutgoingMessage for Outgoing {
    fn get_body(&mut self) -> capnp::Result<any_pointer::Builder<'_>> {
        self.inner.get_body()
    }

    fn get_body_as_reader(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        self.inner.get_body_as_reader()
    }

    fn send(mut self: Box<Self>) -> (Promise<(), Error>, Rc<Builder<HeapAllocator>>) {
        if let Err(error) = self.name_object() {
            return (Promise::err(error), Rc::new(self.inner.take()));
        }
        let Some((question, no_finish_needed)) = self.answer().ok().flatten() else {
            return self.inner.send();
        };
        let mut message = self.inner;
        if let Some((mut refusal, error)) = self.refusal
            && let Ok(body) = refusal.get_body()
        {
            write_exception(body, question, &error);
            message = refusal;
        }
        let bytes = message.size_in_words() * 8;
        let cost = self.link.meter.answered(question, bytes, no_finish_needed);
        let (written, message) = message.send();
        let written = written.shared();
        let link = self.link;
        // RPC drops its copy, so somebody else has to wait for it.
        tokio::task::spawn_local(written.clone().map(move |_| link.meter.release(cost)));
        (Promise::from_future(written), message)
    }

    fn take(self: Box<Self>) -> Builder<HeapAllocator> {
        self.inner.take()
    }

    fn size_in_words(&self) -> usize {
        self.inner.size_in_words()
    }
}
