//! Reading and writing `Outcome(T)`: a value or a failure.

use capnp::capability::{FromClientHook, Promise, RemotePromise, Request, Response};
use capnp::traits::{Owned, Pipelined};

use crate::failure::Failure;
use crate::outcome_capnp::{hello, outcome};
use crate::{Code, PROTOCOL};

/// The value of an answer, or its failure.
pub fn read<T: Owned>(
    answer: outcome::Reader<'_, T>,
) -> capnp::Result<Result<T::Reader<'_>, Failure>> {
    Ok(match answer.which()? {
        outcome::Ok(value) => Ok(value?),
        outcome::Failure(failure) => Err(Failure::read(failure?)?),
    })
}

/// Sends a call that answers with an outcome whose value begins with a capability: `Opened`,
/// `Brokered`.
///
/// Gives the answer, and that capability, which can be called at once: the calls go out without
/// waiting for the answer, and fail where that is a failure.
pub fn send_for<Params, Results, C>(
    request: Request<Params, Results>,
) -> (Promise<Response<Results>, capnp::Error>, C)
where
    Results: Pipelined + Owned + 'static,
    C: FromClientHook,
{
    let RemotePromise { promise, pipeline } = request.hook.send();
    // The code that is made for a generic struct knows no way into it: it is the first pointer of
    // the results, of the outcome, and of its value.
    let value = pipeline.get_pointer_field(0).get_pointer_field(0);
    let capability = C::new(value.get_pointer_field(0).as_cap());
    let answer = async move { Ok(Response::new(promise.await?.hook)) };
    (Promise::from_future(answer), capability)
}

/// Answers with `result`, whose value `write` puts into the message.
pub fn write<T: Owned, V>(
    answer: outcome::Builder<'_, T>,
    result: Result<V, Failure>,
    write: impl FnOnce(T::Builder<'_>, V) -> capnp::Result<()>,
) -> capnp::Result<()> {
    match result {
        Ok(value) => write(answer.init_ok(), value),
        Err(failure) => {
            failure.write(answer.init_failure());
            Ok(())
        }
    }
}

/// Answers with success or failure, where there is nothing to tell.
pub fn write_nothing(
    answer: outcome::Builder<'_, crate::outcome_capnp::nothing::Owned>,
    result: Result<(), Failure>,
) -> capnp::Result<()> {
    write(answer, result, |_, ()| Ok(()))
}

/// Fills in who speaks; `program` is "cli", say.
pub fn write_hello(mut hello: hello::Builder<'_>, program: &str) {
    hello.set_protocol(PROTOCOL);
    hello.set_software(format!("zatlas {program} {}", env!("CARGO_PKG_VERSION")));
}

/// Refuses a peer that speaks another version of the protocol.
pub fn check_hello(hello: hello::Reader<'_>, program: &str) -> capnp::Result<Result<(), Failure>> {
    let theirs = hello.get_protocol();
    if theirs == PROTOCOL {
        return Ok(Ok(()));
    }
    let software = String::from_utf8_lossy(hello.get_software()?.as_bytes()).into_owned();
    Ok(Err(Failure::new(
        Code::OtherProtocol,
        format!("talk to this {program} as"),
        software,
        format!("it speaks version {theirs} of the protocol, the {program} version {PROTOCOL}"),
        "Install the same release of zatlas on both machines.",
    )))
}
