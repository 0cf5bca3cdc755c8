//! One message off the wire, never larger than allowed, and what of it matters before RPC sees it.

use capnp::message::{Reader, ReaderOptions};
use capnp::serialize::OwnedSegments;
use capnp_futures::serialize::try_read_message;
use capnp_rpc::rpc_capnp;
use capnp_rpc::rpc_capnp::exception::Type;
use futures::io::AsyncRead;

use crate::object_id::ObjectId;

/// A whole message. It may change threads.
pub(crate) struct Frame {
    message: Reader<OwnedSegments>,
    /// Its size on the wire, in bytes, without the segment table.
    pub(crate) bytes: usize,
}

/// How often a receiver may go over the bytes of a message; it bounds what a message with pointers
/// that overlap can cost.
const TRAVERSALS: usize = 8;

const WORD: usize = 8;

/// Reads one frame of at most `limit` bytes; `None` at the end of the stream.
///
/// An error of kind `Failed` is the peer's fault: what it sent is no Cap'n Proto, or too large.
/// Any other means that the connection is gone.
pub(crate) async fn read_frame(
    input: impl AsyncRead + Unpin,
    limit: usize,
) -> capnp::Result<Option<Frame>> {
    // Here the traversal limit only bounds the size; see `rpc_options` for what it is otherwise.
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(Some(limit / WORD));
    let message = match try_read_message(input, options).await {
        Ok(message) => message,
        Err(error) if error.kind == capnp::ErrorKind::Failed => return Err(error),
        Err(error) => return Err(capnp::Error::disconnected(error.to_string())),
    };
    Ok(message.map(|message| {
        let segments = message.into_segments();
        let bytes = segments.len();
        let mut options = ReaderOptions::new();
        options.traversal_limit_in_words(Some(limit / WORD * TRAVERSALS));
        Frame { message: Reader::new(segments, options), bytes }
    }))
}

/// What a frame means to the network beneath RPC.
pub(crate) enum Meaning {
    /// The peer asks for the object with this id.
    Bootstrap { question: u32, id: ObjectId },
    /// The peer calls a method.
    Call { question: u32 },
    /// The peer answers a question.
    Return { question: u32 },
    /// The peer is done with a question, whether it was answered or not.
    Finish { question: u32 },
    /// Anything else.
    Other,
}

impl Frame {
    pub(crate) fn body(&self) -> capnp::Result<capnp::any_pointer::Reader<'_>> {
        self.message.get_root()
    }

    /// # Errors
    /// The frame holds no RPC message.
    pub(crate) fn meaning(&self) -> capnp::Result<Meaning> {
        use rpc_capnp::message::{Bootstrap, Call, Finish, Return};
        let message = self.body()?.get_as::<rpc_capnp::message::Reader<'_>>()?;
        Ok(match message.which() {
            Ok(Bootstrap(bootstrap)) => {
                let bootstrap = bootstrap?;
                let id = object_id(bootstrap.get_deprecated_object_id())?;
                Meaning::Bootstrap { question: bootstrap.get_question_id(), id }
            }
            Ok(Call(call)) => Meaning::Call { question: call?.get_question_id() },
            Ok(Return(answer)) => Meaning::Return { question: answer?.get_answer_id() },
            Ok(Finish(finish)) => Meaning::Finish { question: finish?.get_question_id() },
            Ok(_) | Err(capnp::NotInSchema(_)) => Meaning::Other,
        })
    }

    /// Of a Return: the peer's exception, if it is one.
    pub(crate) fn exception(&self) -> Option<capnp::Error> {
        use rpc_capnp::message::Return;
        use rpc_capnp::return_::Exception;
        let message = self.body().ok()?.get_as::<rpc_capnp::message::Reader<'_>>().ok()?;
        let Ok(Return(Ok(answer))) = message.which() else { return None };
        let Ok(Exception(Ok(exception))) = answer.which() else { return None };
        let reason = exception.get_reason().and_then(|reason| Ok(reason.to_string()?));
        let reason = reason.unwrap_or_else(|_| "no readable reason".to_owned());
        Some(match exception.get_type() {
            Ok(Type::Overloaded) => capnp::Error::overloaded(reason),
            Ok(Type::Disconnected) => capnp::Error::disconnected(reason),
            Ok(Type::Unimplemented) => capnp::Error::unimplemented(reason),
            Ok(Type::Failed) | Err(_) => capnp::Error::failed(reason),
        })
    }
}

/// The id in a Bootstrap: a pointer to raw bytes in the shape of a Text, or null.
fn object_id(pointer: capnp::any_pointer::Reader<'_>) -> capnp::Result<ObjectId> {
    if pointer.is_null() {
        return Ok(ObjectId::new([]));
    }
    Ok(ObjectId::new(pointer.get_as::<capnp::text::Reader<'_>>()?.as_bytes()))
}

/// Writes a Return that answers `question` with an exception.
pub(crate) fn write_exception(
    body: capnp::any_pointer::Builder<'_>,
    question: u32,
    error: &capnp::Error,
) {
    let mut answer = body.init_as::<rpc_capnp::message::Builder<'_>>().init_return();
    answer.set_answer_id(question);
    let mut exception = answer.init_exception();
    exception.set_reason(&error.extra);
    exception.set_type(match error.kind {
        capnp::ErrorKind::Overloaded => Type::Overloaded,
        capnp::ErrorKind::Disconnected => Type::Disconnected,
        capnp::ErrorKind::Unimplemented => Type::Unimplemented,
        _ => Type::Failed,
    });
}
