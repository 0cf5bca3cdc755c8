//! Listening, with a message for who chose the address.

use schema::text::chain;
use schema::{Code, Failure};
use sturdyref::{Address, Listener, Security};

/// Listens on `--capnp-listen-address`.
pub fn listen(address: &Address, security: Security) -> Result<Listener, Failure> {
    Listener::bind(address, security).map_err(|error| {
        Failure::new(
            Code::Failed,
            "listen on",
            address,
            chain(&error),
            "Give another --capnp-listen-address, or stop what uses this one.",
        )
    })
}
