//! One message of Cap'n Proto RPC, as it goes over a connection without TLS.

use std::io::{self, Read};

use capnp::message::ReaderOptions;
use capnp::serialize::read_message_from_flat_slice;
use capnp::traits::HasTypeId;
use capnp_rpc::rpc_capnp::message::{self, Bootstrap, Call, Return};
use schema::broker_capnp::broker;
use schema::byte_stream_capnp::byte_stream;
use schema::dataset_capnp::replica_sink;
use schema::hold_capnp::hold_sink;
use schema::source_capnp::source;
use schema::transfer_capnp::{observer, transfer};
use schema::user_capnp::{fleet, user};

/// Each interface's methods, in the order of their numbers.
const METHODS: [(u64, &[&str]); 9] = [
    (user::Client::TYPE_ID, &["open"]),
    (fleet::Client::TYPE_ID, &["list", "dataset", "copy", "attach", "holds", "release"]),
    (broker::Client::TYPE_ID, &["replicas", "reach", "release"]),
    (replica_sink::Client::TYPE_ID, &["write", "done"]),
    (hold_sink::Client::TYPE_ID, &["write", "done"]),
    (
        source::Client::TYPE_ID,
        &["open", "takeSnapshot", "estimate", "send", "hold", "finish", "settings", "turn", "sent"],
    ),
    (byte_stream::Client::TYPE_ID, &["write", "end"]),
    (transfer::Client::TYPE_ID, &["observe", "cancel"]),
    (observer::Client::TYPE_ID, &["event"]),
];

/// The methods that are `-> stream`.
const STREAMS: [&str; 2] = ["write", "event"];

/// What a message is to those who count.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Something is asked for, under this number.
    Question(u32, &'static str),
    /// The other side's question of this number is answered.
    Answer(u32),
    /// A stream's next piece; or what follows an answer.
    Other,
}

/// Reads one message; `None` at the end of what comes.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut frame = vec![0; 4];
    match from.read_exact(&mut frame) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("4 bytes")) as usize;
    let segments = number(&frame) + 1;
    // The table is filled up to whole words.
    frame.resize((4 + 4 * segments).next_multiple_of(8), 0);
    from.read_exact(&mut frame[4..])?;
    let words: usize = frame[4..].chunks(4).take(segments).map(number).sum();
    let head = frame.len();
    frame.resize(head + 8 * words, 0);
    from.read_exact(&mut frame[head..])?;
    Ok(Some(frame))
}

/// What a message that was read means.
pub(crate) fn meaning(mut frame: &[u8]) -> Meaning {
    let message =
        read_message_from_flat_slice(&mut frame, ReaderOptions::new()).expect("a message");
    let message: message::Reader<'_> = message.get_root().expect("a message of RPC");
    match message.which() {
        Ok(Bootstrap(asked)) => Meaning::Question(asked.unwrap().get_question_id(), "bootstrap"),
        Ok(Call(call)) => {
            let call = call.unwrap();
            match name(call.get_interface_id(), call.get_method_id()) {
                name if STREAMS.contains(&name) => Meaning::Other,
                name => Meaning::Question(call.get_question_id(), name),
            }
        }
        Ok(Return(answer)) => Meaning::Answer(answer.unwrap().get_answer_id()),
        _ => Meaning::Other,
    }
}

fn name(interface: u64, method: u16) -> &'static str {
    let methods = METHODS.iter().find(|(id, _)| *id == interface);
    let name = methods.and_then(|(_, names)| names.get(usize::from(method)));
    name.unwrap_or(&"something that isn't known here")
}
