//! The end of a stream of messages into a sink.

use capnp::capability::{Client, Request};
use capnp::{Error, any_pointer};

/// Waits until a sink has taken all that was sent, or failed to. `interface` is the sink's, whose
/// first method is its `write`.
///
/// A streamed message returns as soon as there is room for the next, and these interfaces have no
/// call of their own to end with. So this writes an empty message as an ordinary call: it is
/// answered after all before it, and fails if one of them did.
pub(crate) async fn flush(sink: &Client, interface: u64) -> Result<(), Error> {
    let request: Request<any_pointer::Owned, any_pointer::Owned> =
        sink.new_call(interface, 0, None);
    request.send().promise.await?;
    Ok(())
}
