//! What stream a receiver asks a source for, and its way to and from the wire.

use capnp::Result;
use schema::source_capnp::send_request;
use schema::wire::{parse, read_snapshot, write_snapshot};
use zfs::process::SendFlags;
use zfs::{ResumeToken, Snapshot};

use crate::plan::Base;
use crate::traffic::rate::Rate;

/// A stream: one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamRequest {
    /// The snapshot; its GUID counts, it may be called otherwise by now.
    pub(crate) snapshot: Snapshot,
    /// Where the stream begins.
    pub(crate) start: Start,
    /// Encrypted data may be sent in the clear: someone has asked for that.
    pub(crate) decrypt: bool,
    /// How fast the receiver will take it.
    pub(crate) limit_rate: Option<Rate>,
}

/// Where a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// At its beginning.
    Fresh {
        /// What an increment starts from; its GUID counts.
        base: Option<Base>,
        /// How it is made.
        flags: SendFlags,
    },
    /// Where an earlier receive was cut; the token says all the rest.
    Resumed(Box<ResumeToken>),
}

/// Reads a request.
pub(crate) fn read(reader: send_request::Reader<'_>) -> Result<StreamRequest> {
    let start = if reader.has_token() {
        Start::Resumed(Box::new(parse(reader.get_token()?)?))
    } else {
        let base = if reader.has_base() {
            let snapshot = read_snapshot(reader.get_base()?)?;
            Some(Base { snapshot, is_bookmark: reader.get_base_is_bookmark() })
        } else {
            None
        };
        let flags = SendFlags {
            raw: reader.get_raw(),
            large_blocks: reader.get_large_blocks(),
            compressed: reader.get_compressed(),
        };
        Start::Fresh { base, flags }
    };
    Ok(StreamRequest {
        snapshot: read_snapshot(reader.get_snapshot()?)?,
        start,
        decrypt: reader.get_decrypt(),
        limit_rate: Rate::per_second(reader.get_limit_rate()),
    })
}

/// Writes a request.
pub(crate) fn write(mut builder: send_request::Builder<'_>, request: &StreamRequest) {
    write_snapshot(builder.reborrow().init_snapshot(), &request.snapshot);
    builder.set_decrypt(request.decrypt);
    builder.set_limit_rate(request.limit_rate.map_or(0, Rate::bytes_per_second));
    match &request.start {
        Start::Resumed(token) => builder.set_token(token.as_str()),
        Start::Fresh { base, flags } => {
            let SendFlags { raw, large_blocks, compressed } = *flags;
            builder.set_raw(raw);
            builder.set_large_blocks(large_blocks);
            builder.set_compressed(compressed);
            if let Some(base) = base {
                write_snapshot(builder.reborrow().init_base(), &base.snapshot);
                builder.set_base_is_bookmark(base.is_bookmark);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::examples::{snapshot, token};

    #[test]
    fn a_request_survives_the_wire() {
        let base = |is_bookmark| Base { snapshot: snapshot("one", 1, 10), is_bookmark };
        let flags = |raw, large_blocks, compressed| SendFlags { raw, large_blocks, compressed };
        // As it is written, for what the token tells is read from its text.
        let token = token(2, None).as_str().parse().unwrap();
        let starts = [
            Start::Fresh { base: None, flags: flags(true, false, false) },
            Start::Fresh { base: Some(base(false)), flags: flags(false, true, false) },
            Start::Fresh { base: Some(base(true)), flags: flags(false, false, true) },
            Start::Resumed(Box::new(token)),
        ];
        for (start, decrypt) in starts.iter().flat_map(|start| [(start, false), (start, true)]) {
            let snapshot = snapshot("two", 2, 20);
            let limit_rate = Rate::per_second(if decrypt { 4096 } else { 0 });
            let request = StreamRequest { snapshot, start: start.clone(), decrypt, limit_rate };
            let mut message = capnp::message::Builder::new_default();
            write(message.init_root(), &request);
            assert_eq!(read(message.get_root_as_reader().unwrap()).unwrap(), request);
        }
    }
}
