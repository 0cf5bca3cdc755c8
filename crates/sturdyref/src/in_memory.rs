//! A vat and its client on one thread, over a pipe in memory: a connection without a socket.
//!
//! All else is as between two machines, TLS included. So tests of what is spoken over a connection depend on no
//! network, and with tokio's clock paused they run the same way each time.

use std::rc::Rc;
use std::sync::Arc;

use tokio::io::duplex;
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;

use crate::connect_error::ConnectError;
use crate::connection::{Connection, connect_over};
use crate::identity::Security;
use crate::limits::Limits;
use crate::restore::Restorer;
use crate::session::House;
use crate::socket::Socket;
use crate::tls::server_config;
use crate::uri::SturdyRef;

/// The most bytes that the pipe holds in either direction.
const PIPE: usize = 64 << 10;

/// Connects to a vat that exists for this connection alone, and restores `target` from what `restorer` says.
///
/// Both ends show themselves by `security`. The address of `target` is only told in errors. Must run within a
/// [`tokio::task::LocalSet`] on a runtime with time; both ends are driven by tasks on it.
///
/// # Errors
/// As for [`connect`](crate::connect), but that none of them is of the network.
pub async fn connect_in_memory(
    target: &SturdyRef,
    security: &Security,
    restorer: Rc<dyn Restorer>,
) -> Result<Connection, ConnectError> {
    let tls = match security {
        Security::Insecure => None,
        Security::Tls(identity) => {
            Some(Arc::new(server_config(identity).map_err(ConnectError::Identity)?))
        }
    };
    let limits = Limits::default();
    let (here, there) = duplex(PIPE);
    let house = House::new(tls, restorer, limits.clone(), CancellationToken::new());
    spawn_local(async move { house.serve(Socket::Memory(there), "memory".to_owned()).await });
    connect_over(Socket::Memory(here), target, security, &limits).await?.restored().await
}
