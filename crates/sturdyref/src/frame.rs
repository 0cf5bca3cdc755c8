//! One message off the wire, never larger than allowed, and what of it matters before RPC sees it.

use capnp::message::{Reader, ReaderOptions};
use capnp::serialize::BufferSegments;
use capnp_rpc::rpc_capnp;
use capnp_rpc::rpc_capnp::exception::Type;
use futures::io::{AsyncRead, AsyncReadExt};

use crate::buffer::Buffer;
use crate::object_id::ObjectId;

/// A whole message. It may change threads.
pub(crate) struct Frame {
    message: Reader<BufferSegments<Buffer>>,
    /// The bytes of memory that it takes.
    pub(crate) held: usize,
}

/// How often a receiver may go over the bytes of a message; it bounds what a message with pointers
/// that overlap can cost.
const TRAVERSALS: usize = 8;

const WORD: usize = 8;

/// The most segments of a message, as in Cap'n Proto's own libraries.
const SEGMENTS: u64 = 511;

/// Reads one frame of at most `limit` bytes; `None` at the end of the stream.
///
/// An error of kind `Failed` is the peer's fault: what it sent is no Cap'n Proto, or too large.
/// Any other means that the connection is gone.
pub(crate) async fn read_frame(
    mut input: impl AsyncRead + Unpin,
    limit: usize,
) -> capnp::Result<Option<Frame>> {
    let Some(table) = read_segment_table(&mut input).await? else { return Ok(None) };
    let words: u64 = sizes(&table).map(u64::from).sum();
    let words = usize::try_from(words)
        .ok()
        .filter(|words| *words <= limit / WORD)
        .ok_or_else(|| capnp::Error::failed(format!("a message of {words} words is too large")))?;
    let mut buffer = Buffer::of(table.len() / WORD + words);
    let held = buffer.capacity();
    let (head, body) = buffer.split_at_mut(table.len());
    head.copy_from_slice(&table);
    input.read_exact(body).await.map_err(gone)?;
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(Some(limit / WORD * TRAVERSALS));
    let segments = BufferSegments::new(buffer, options)?;
    Ok(Some(Frame { message: Reader::new(segments, options), held }))
}

/// Reads the number of segments (less one) and the size of each, in words, all of 32 bits: whole words,
/// padded. `None` at the end of the stream. (Cap'n Proto, "Serialization Over a Stream")
async fn read_segment_table(
    input: &mut (impl AsyncRead + Unpin),
) -> capnp::Result<Option<Vec<u8>>> {
    let mut table = vec![0; WORD];
    let count = input.read(&mut table).await.map_err(gone)?;
    if count == 0 {
        return Ok(None);
    }
    input.read_exact(&mut table[count..]).await.map_err(gone)?;
    if segments(&table) > SEGMENTS {
        return Err(capnp::Error::failed(format!("a message of {} segments", segments(&table))));
    }
    table.resize((segments(&table) as usize / 2 + 1) * WORD, 0);
    input.read_exact(&mut table[WORD..]).await.map_err(gone)?;
    Ok(Some(table))
}

fn segments(table: &[u8]) -> u64 {
    u64::from(number(&table[..4])) + 1
}

/// The sizes of the segments in a table, in words.
fn sizes(table: &[u8]) -> impl Iterator<Item = u32> {
    table[4..].chunks_exact(4).take(segments(table) as usize).map(number)
}

/// Of four bytes, the lowest first.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn gone(error: std::io::Error) -> capnp::Error {
    capnp::Error::disconnected(error.to_string())
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

#[cfg(test)]
mod tests {
    use capnp::message::Builder;
    use futures::FutureExt;

    use super::*;

    fn read(bytes: &[u8], limit: usize) -> capnp::Result<Option<Frame>> {
        read_frame(bytes, limit).now_or_never().unwrap()
    }

    /// A message of so many segments, on the wire.
    fn message(segments: usize) -> Vec<u8> {
        let allocator = capnp::message::HeapAllocator::new()
            .first_segment_words(1)
            .allocation_strategy(capnp::message::AllocationStrategy::FixedSize);
        let mut message = Builder::new(allocator);
        let mut list = message.initn_root::<capnp::text_list::Builder<'_>>(segments as u32);
        for index in 0..list.len() {
            list.set(index, "twelve bytes");
        }
        capnp::serialize::write_message_to_words(&message)
    }

    #[test]
    fn a_message_is_read_whatever_the_number_of_its_segments() {
        for texts in 0..12 {
            let wire = message(texts);
            let frame = read(&wire, wire.len()).unwrap().unwrap();
            let list = frame.body().unwrap().get_as::<capnp::text_list::Reader<'_>>().unwrap();
            assert_eq!(list.len() as usize, texts);
            assert!(list.iter().all(|text| text.unwrap() == "twelve bytes"));
        }
    }

    #[test]
    fn a_message_may_be_as_large_as_the_limit_and_no_larger() {
        let wire = message(40);
        let body: usize = sizes(&wire).map(|words| words as usize * WORD).sum();
        assert!(read(&wire, body).is_ok());
        assert_eq!(read(&wire, body - 1).err().unwrap().kind, capnp::ErrorKind::Failed);
    }

    #[test]
    fn a_message_is_gone_over_a_few_times_and_not_without_end() {
        let wire = message(40);
        let body: usize = sizes(&wire).map(|words| words as usize * WORD).sum();
        let frame = read(&wire, body).unwrap().unwrap();
        let go_over = || {
            let list = frame.body()?.get_as::<capnp::text_list::Reader<'_>>()?;
            list.iter().try_for_each(|text| text.map(drop))
        };
        let times = (0..1000).take_while(|_| go_over().is_ok()).count();
        assert!((TRAVERSALS..2 * TRAVERSALS).contains(&times), "{times} times");
    }

    #[test]
    fn the_end_of_the_stream_is_one_only_between_messages() {
        let wire = message(3);
        assert!(read(&[], 1000).unwrap().is_none());
        for length in 1..wire.len() {
            let error = read(&wire[..length], 1000).err().unwrap();
            assert_eq!(error.kind, capnp::ErrorKind::Disconnected, "{length} bytes");
        }
    }

    #[test]
    fn too_many_segments_are_refused_before_their_sizes_are_read() {
        for count in [511_u32, u32::MAX] {
            let head = [count.to_le_bytes(), [0; 4]].concat();
            assert_eq!(read(&head, 1000).err().unwrap().kind, capnp::ErrorKind::Failed);
        }
    }
}
