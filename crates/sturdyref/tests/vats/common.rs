//! What the tests of connections share: a service, a restorer that hands it out, and a vat to dial.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use sturdyref::*;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

use crate::greeter_capnp::greeter;

/// Longer than any test should take; only a test that fails waits for it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a test the way vats run: one thread, local tasks, and an end.
pub(crate) fn local<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(4 * DEADLINE, test).await.expect("the test hangs");
    });
}

/// A service that knows its name.
pub(crate) struct Greeter {
    name: String,
    uploaded: Cell<u64>,
    swallowing: Rc<Swallowing>,
}

/// What a test sees and holds of calls to `swallow`.
pub(crate) struct Swallowing {
    /// Lets calls through.
    pub(crate) gate: Semaphore,
    /// Calls that began and did not end.
    pub(crate) now: watch::Sender<usize>,
    /// The most there ever were of them.
    pub(crate) most: Cell<usize>,
}

impl Swallowing {
    pub(crate) fn behind_a_gate(open: usize) -> Rc<Self> {
        let (now, most) = (watch::Sender::new(0), Cell::new(0));
        Rc::new(Self { gate: Semaphore::new(open), now, most })
    }
}

pub(crate) fn greeter(name: &str) -> greeter::Client {
    swallower(name, Swallowing::behind_a_gate(Semaphore::MAX_PERMITS))
}

pub(crate) fn swallower(name: &str, swallowing: Rc<Swallowing>) -> greeter::Client {
    capnp_rpc::new_client(Greeter { name: name.to_owned(), uploaded: Cell::new(0), swallowing })
}

impl greeter::Server for Greeter {
    async fn greet(
        self: Rc<Self>,
        params: greeter::GreetParams,
        mut results: greeter::GreetResults,
    ) -> Result<(), capnp::Error> {
        let name = params.get()?.get_name()?.to_str()?;
        results.get().set_greeting(format!("Hello {name}, this is {}", self.name));
        Ok(())
    }

    async fn hang(
        self: Rc<Self>,
        _: greeter::HangParams,
        _: greeter::HangResults,
    ) -> Result<(), capnp::Error> {
        std::future::pending().await
    }

    async fn swallow(
        self: Rc<Self>,
        params: greeter::SwallowParams,
        mut results: greeter::SwallowResults,
    ) -> Result<(), capnp::Error> {
        let Swallowing { gate, now, most } = &*self.swallowing;
        now.send_modify(|now| *now += 1);
        most.set(most.get().max(*now.borrow()));
        gate.acquire().await.unwrap().forget();
        now.send_modify(|now| *now -= 1);
        results.get().set_count(params.get()?.get_bytes()?.len() as u64);
        Ok(())
    }

    async fn upload(self: Rc<Self>, params: greeter::UploadParams) -> Result<(), capnp::Error> {
        self.swallowing.gate.acquire().await.unwrap().forget();
        let count = params.get()?.get_bytes()?.len() as u64;
        self.uploaded.set(self.uploaded.get() + count);
        Ok(())
    }

    async fn uploaded(
        self: Rc<Self>,
        _: greeter::UploadedParams,
        mut results: greeter::UploadedResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_count(self.uploaded.get());
        Ok(())
    }

    async fn thread(
        self: Rc<Self>,
        _: greeter::ThreadParams,
        mut results: greeter::ThreadResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_name(std::thread::current().name().unwrap_or_default());
        Ok(())
    }
}

pub(crate) async fn swallow(greeter: &greeter::Client, bytes: usize) -> Result<u64, capnp::Error> {
    let mut request = greeter.swallow_request();
    request.get().init_bytes(bytes as u32);
    Ok(request.send().promise.await?.get()?.get_count())
}

pub(crate) async fn thread_of(greeter: &greeter::Client) -> String {
    let response = greeter.thread_request().send().promise.await.unwrap();
    response.get().unwrap().get_name().unwrap().to_string().unwrap()
}

pub(crate) async fn greet(greeter: &greeter::Client, name: &str) -> Result<String, capnp::Error> {
    let mut request = greeter.greet_request();
    request.get().set_name(name);
    let response = request.send().promise.await?;
    Ok(response.get()?.get_greeting()?.to_string()?)
}

/// Hands out greeters by name, and remembers who asked for what.
#[derive(Default)]
pub(crate) struct Greeters {
    by_id: RefCell<HashMap<IdDigest, Place>>,
    pub(crate) asked: RefCell<Vec<(IdDigest, Peer)>>,
}

pub(crate) enum Place {
    Here(greeter::Client),
    On(Worker, String),
}

impl Greeters {
    pub(crate) fn with(names: &[&str]) -> Rc<Self> {
        let greeters = Rc::new(Self::default());
        for name in names {
            greeters.add(name, Place::Here(greeter(name)));
        }
        greeters
    }

    pub(crate) fn add(&self, id: impl AsRef<[u8]>, place: Place) {
        self.by_id.borrow_mut().insert(IdDigest::of(id.as_ref()), place);
    }
}

impl Restorer for Greeters {
    fn restore(&self, id: &[u8], peer: &Peer) -> Result<Restored, RestoreError> {
        self.asked.borrow_mut().push((IdDigest::of(id), peer.clone()));
        match self.by_id.borrow().get(&IdDigest::of(id)).ok_or(RestoreError::Unknown)? {
            Place::Here(client) => Ok(Restored::Here(client.client.clone())),
            Place::On(worker, name) => {
                let name = name.clone();
                Ok(Restored::On(worker.clone(), Box::new(move |_| greeter(&name).client)))
            }
        }
    }
}

/// A vat that serves on loopback until it is closed.
pub(crate) struct Vat {
    pub(crate) address: Address,
    pub(crate) auth: Auth,
    pub(crate) closing: CancellationToken,
    pub(crate) served: JoinHandle<std::io::Result<()>>,
}

impl Vat {
    pub(crate) fn serve(security: Security, restorer: Rc<dyn Restorer>) -> Self {
        Self::serve_within(security, restorer, Limits::default())
    }

    pub(crate) fn serve_within(
        security: Security,
        restorer: Rc<dyn Restorer>,
        limits: Limits,
    ) -> Self {
        Self::serve_at("tcp:127.0.0.1:0".parse().unwrap(), security, restorer, limits)
    }

    pub(crate) fn serve_at(
        address: Address,
        security: Security,
        restorer: Rc<dyn Restorer>,
        limits: Limits,
    ) -> Self {
        let auth = match &security {
            Security::Insecure => Auth::Insecure,
            Security::Tls(identity) => Auth::Tls(identity.fingerprint()),
        };
        let listener = Listener::bind(&address, security).unwrap().with_limits(limits);
        let address = listener.local_address().clone();
        let closing = CancellationToken::new();
        let served = spawn_local(listener.serve(restorer, closing.clone()));
        Self { address, auth, closing, served }
    }

    pub(crate) fn sturdyref(&self, id: &str) -> SturdyRef {
        SturdyRef { auth: self.auth, address: self.address.clone(), id: ObjectId::new(id) }
    }

    /// Connects and restores the greeter with this id, over TLS under a new identity if need be.
    pub(crate) async fn connect(&self, id: &str) -> Result<Connection, ConnectError> {
        connect(&self.sturdyref(id), &tls(), DEADLINE).await
    }

    /// A TCP connection on which nobody has said anything.
    pub(crate) async fn raw(&self) -> tokio::net::TcpStream {
        let Address::Tcp { host, port } = &self.address else { panic!("no TCP") };
        tokio::net::TcpStream::connect((host.as_str(), *port)).await.unwrap()
    }
}

pub(crate) fn tls() -> Security {
    Security::Tls(Identity::ephemeral().unwrap())
}

/// Waits until the other end closes, whatever it says before.
pub(crate) async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ =
        tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("still open");
}
