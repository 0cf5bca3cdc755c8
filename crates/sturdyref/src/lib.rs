//! Capabilities that outlive their connections: sturdyrefs for Cap'n Proto in Rust.
//!
//! A [`SturdyRef`] says who serves an object (the fingerprint of a key), where (an [`Address`]), and which
//! object it is (a secret [`ObjectId`]). As text it is a `capnp://` URI, in a file a capability file
//! ([`capfile`]), both wire-compatible with OCaml's capnp-rpc-unix. Whoever has it may use the object.
//!
//! On the serving side a vat has a [`SecretKey`], from which it derives the ids of its objects, a [`Listener`],
//! and a [`Restorer`] that turns ids into capabilities. On the other side, [`connect`] dials, checks the key,
//! and restores. Connections are mutually authenticated TLS in which keys stand for themselves; no names,
//! no certificate authorities. `insecure` URIs do without.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(
//! #     tokio::task::LocalSet::new().run_until(run()))?;
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{rc::Rc, time::Duration};
//! use sturdyref::*;
//!
//! /// Serves one object, whatever it is.
//! struct One { id: IdDigest, object: capnp::capability::Client }
//!
//! impl Restorer for One {
//!     fn restore(&self, id: &[u8], _peer: &Peer) -> Result<Restored, RestoreError> {
//!         if IdDigest::of(id) != self.id {
//!             return Err(RestoreError::Unknown);
//!         }
//!         Ok(Restored::Here(self.object.clone()))
//!     }
//! }
//! # let object = capnp_rpc::new_broken_cap(capnp::Error::failed("a stand-in".to_owned()));
//!
//! // The vat: a key, a socket, a capability for others to use.
//! let key = SecretKey::generate()?;
//! let identity = Identity::new(&key)?;
//! let listener = Listener::bind(&"tcp:127.0.0.1:0".parse()?, Security::Tls(identity))?;
//! let user = SturdyRef {
//!     auth: Auth::Tls(key.fingerprint()),
//!     address: listener.local_address().clone(),
//!     id: key.derive_id("user"),
//! };
//! let restorer = Rc::new(One { id: user.id.digest(), object });
//! let closing = tokio_util::sync::CancellationToken::new();
//! let serving = tokio::task::spawn_local(listener.serve(restorer, closing.clone()));
//!
//! // Whoever was given the capability.
//! let me = Security::Tls(Identity::ephemeral()?);
//! let connection = connect(&user, &me, Duration::from_secs(3)).await?;
//! let object: capnp::capability::Client = connection.target();
//! # drop(object);
//!
//! connection.close().await;
//! closing.cancel();
//! serving.await??;
//! # Ok(()) }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it adds to capnp-rpc
//! - Object ids in Bootstrap, sent and honoured; for peers whose libraries can't send them, a null id restores
//!   a Gateway ([`GatewayClient`]), through which ids are restored by a call.
//! - Connections that carry bulk can be moved to a [`Worker`], a thread of their own ([`Restored::On`]).
//! - [`Limits`]: whatever a peer sends or doesn't send, a vat holds a bounded amount of memory, connections
//!   and threads for it, and no thread before the peer has proved that it holds a sturdyref.
//! - Errors that say whether another path may be tried ([`ConnectError::is_final`]), and a [`Backoff`]
//!   for trying again. Connections don't come back by themselves: what to restore anew is the application's.
//!
//! Everything about a connection lives on one thread, in a [`tokio::task::LocalSet`], since capnp-rpc is
//! `!Send`. Object ids, keys and URIs appear in no log, error or `Debug`.

mod accept;
mod address;
mod backoff;
mod bootstrap;
mod buffer;
pub mod capfile;
mod congestion;
mod connect_error;
mod connection;
mod counter;
mod drive;
mod fingerprint;
mod flow;
mod frame;
mod gateway;
mod gather;
mod generated;
mod identity;
mod in_memory;
mod key;
mod limits;
mod listener;
mod memory;
mod meter;
mod network;
mod object_id;
mod restore;
mod session;
mod socket;
mod strangers;
mod tls;
mod transport;
mod unpaced;
mod uri;
mod window;
mod worker;

pub use address::{Address, ParseAddressError};
pub use backoff::Backoff;
pub use connect_error::ConnectError;
pub use connection::{Connection, Dialled, connect, connect_with, dial};
pub use fingerprint::{Fingerprint, ParseFingerprintError};
pub use gateway::GatewayClient;
pub use identity::{Identity, IdentityError, Security};
pub use in_memory::connect_in_memory;
pub use key::{KeyError, SecretKey};
pub use limits::{Limits, raise_nofile_limit};
pub use listener::{ListenError, Listener};
pub use memory::Memory;
pub use object_id::{IdDigest, NoRandomness, ObjectId};
pub use restore::{OnWorker, Peer, RestoreError, Restored, Restorer};
pub use uri::{Auth, ParseUriError, SturdyRef};
pub use worker::Worker;
