//! Follows a send stream while its bytes pass: where it begins, which objects it is at, and whether
//! it is one that the receiver's kernel can take. Looks at the headers of the records only, keeps
//! no data, and does no I/O.
//!
//! It serves two guards. An interrupted receive may go on with another replica's stream only where
//! that one begins with the same object in blocks of the same size, since ZFS would else free what
//! it has of the object, in silence. And streams that OpenZFS 2.3.2 takes badly must not reach it:
//! one that writes a block twice makes its kernel panic, and what `-e` does to spill blocks and to
//! large ones damages what is received, in silence.

use std::collections::VecDeque;
use std::mem;

use super::begin::{Begin, BeginError};
use super::record::{Action, ByteOrder, Fields, LEN, ObjectHead, Record, RecordError, RecordKind};
use crate::nvlist::{Nvlist, NvlistError};

/// Bytes in the largest block of a stream without large ones (`SPA_OLD_MAXBLOCKSIZE`).
const SMALL_BLOCK: u64 = 128 << 10;
/// Bytes that may follow BEGIN. Real ones: 96 of a resumed stream, 1,100 of a raw one.
const MAX_BEGIN_PAYLOAD: u32 = 64 * 1024;

/// Follows one stream from its first byte on. After an error it is of no further use.
pub struct Follower {
    state: State,
    /// Bytes of the stream that were followed.
    at: u64,
    /// The first bytes of a header, or of the list after BEGIN, whose others are still to come.
    partial: Vec<u8>,
    begin: Option<Begin>,
    order: ByteOrder,
    resume_point: Option<(u64, u64)>,
    first_object: Option<ObjectHead>,
    /// The last objects, in the order in which they came.
    remembered: VecDeque<ObjectHead>,
    max_remembered: usize,
    /// The object of the last write, and the offset behind what was written.
    written: (u64, u64),
}

/// What the next byte belongs to.
#[derive(Clone, Copy)]
enum State {
    Header,
    /// The list after BEGIN, of so many bytes.
    List(usize),
    /// Data, of which so many bytes are still to come.
    Data(u64),
    /// Nothing: the stream is over.
    Ended,
}

/// Why a stream must not reach a receiver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{record} record at byte {at} of the stream: {misfit}")]
pub struct FollowError {
    /// The record's type.
    pub record: RecordKind,
    /// Where it begins.
    pub at: u64,
    /// What is wrong with it.
    pub misfit: Misfit,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The first record is no beginning of a single stream.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// More follows BEGIN than is ever needed; in bytes.
    #[error("{0} bytes follow it, at most {MAX_BEGIN_PAYLOAD} can be right")]
    Payload(u32),
    /// What follows BEGIN in a resumed stream is no list.
    #[error("where the stream goes on can't be read: {0}")]
    List(#[from] NvlistError),
    /// A resumed stream that doesn't say from where on.
    #[error("the stream doesn't say where it goes on")]
    NoResumePoint,
    /// A record that is wrong by itself.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A block of so many bytes in a stream that announced none of that size. OpenZFS 2.3.2 sends
    /// such with `-ec` without `-L`, and receives them with success into other bytes than it sent.
    #[error("it writes a block of {0} bytes, of a size that the stream said it had none of")]
    LargeBlock(u64),
    /// A write that doesn't lie behind all that was written before it.
    #[error("it writes at {offset} of object {object}, though object {} is written up to {}",
        .written.0, .written.1)]
    Backwards {
        /// The object that is written.
        object: u64,
        /// Where, in bytes.
        offset: u64,
        /// The object of the write before, and the offset at which that ended.
        written: (u64, u64),
    },
    /// A write beyond the largest offset that there is.
    #[error("it writes beyond the end of any object")]
    Overflow,
    /// Bytes after END.
    #[error("more bytes follow the stream's end")]
    AfterEnd,
}

impl Follower {
    /// For a stream of which not a byte has passed. `max_remembered`: how many of the last objects
    /// [`Self::block_size`] knows.
    pub fn new(max_remembered: usize) -> Self {
        Self {
            state: State::Header,
            at: 0,
            partial: Vec::new(),
            begin: None,
            order: ByteOrder::Little,
            resume_point: None,
            first_object: None,
            remembered: VecDeque::new(),
            max_remembered,
            written: (0, 0),
        }
    }

    /// The first record, once it has passed.
    pub fn begin(&self) -> Option<&Begin> {
        self.begin.as_ref()
    }

    /// Object and offset that a resumed stream goes on at, once that has passed.
    pub fn resume_point(&self) -> Option<(u64, u64)> {
        self.resume_point
    }

    /// The stream's first object, once its record has passed.
    pub fn first_object(&self) -> Option<ObjectHead> {
        self.first_object
    }

    /// Bytes in a block of `object`, if it is among the last objects that passed.
    ///
    /// Known only in streams that may hold large blocks, since nothing depends on it in others.
    pub fn block_size(&self, object: u64) -> Option<u32> {
        self.remembered.iter().rev().find(|head| head.object == object).map(|head| head.block_size)
    }

    /// Whether the last record has passed.
    pub fn ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Follows the next bytes, of whatever number. Those up to a record that is refused must not
    /// reach a receiver either, if they are of the same call.
    pub fn follow(&mut self, mut bytes: &[u8]) -> Result<(), FollowError> {
        while !bytes.is_empty() {
            let passed = self.pass(bytes)?;
            self.at += passed as u64;
            bytes = &bytes[passed..];
        }
        Ok(())
    }

    /// Passes some of the bytes, at least one, and says how many.
    fn pass(&mut self, bytes: &[u8]) -> Result<usize, FollowError> {
        match self.state {
            State::Data(left) => {
                let passed = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.await_data(left - passed as u64);
                Ok(passed)
            }
            State::Header => {
                // Most headers are in one piece, and needn't be copied.
                if let (true, Some(header)) = (self.partial.is_empty(), bytes.first_chunk()) {
                    self.header(header, self.at)?;
                    return Ok(LEN);
                }
                let passed = self.gather(bytes, LEN);
                if let Ok(header) = <[u8; LEN]>::try_from(self.partial.as_slice()) {
                    self.partial.clear();
                    self.header(&header, self.at + passed as u64 - LEN as u64)?;
                }
                Ok(passed)
            }
            State::List(len) => {
                let passed = self.gather(bytes, len);
                if self.partial.len() == len {
                    let resume_point = resume_point(&mem::take(&mut self.partial));
                    let refuse = |misfit| FollowError { record: RecordKind::Begin, at: 0, misfit };
                    self.resume_point = Some(resume_point.map_err(refuse)?);
                    self.state = State::Header;
                }
                Ok(passed)
            }
            State::Ended => {
                let at = self.at - LEN as u64;
                Err(FollowError { record: RecordKind::End, at, misfit: Misfit::AfterEnd })
            }
        }
    }

    /// Copies what is lacking to `len` bytes, or what there is, and says how many bytes that was.
    fn gather(&mut self, bytes: &[u8], len: usize) -> usize {
        let copied = bytes.len().min(len - self.partial.len());
        self.partial.extend(&bytes[..copied]);
        copied
    }

    fn await_data(&mut self, bytes: u64) {
        self.state = if bytes == 0 { State::Header } else { State::Data(bytes) };
    }

    fn header(&mut self, header: &[u8; LEN], at: u64) -> Result<(), FollowError> {
        let fields = Fields { record: header, order: self.order };
        let (record, taken) = match self.begin {
            None => (RecordKind::Begin, self.take_begin(header)),
            Some(_) => (fields.kind(), self.take_record(&fields)),
        };
        taken.map_err(|misfit| FollowError { record, at, misfit })
    }

    fn take_begin(&mut self, header: &[u8; LEN]) -> Result<(), Misfit> {
        self.order = Begin::byte_order(header).ok_or(BeginError::NotAStream)?;
        let begin = Begin::parse(header)?;
        match begin.payload_len {
            0 if begin.features.resuming() => return Err(Misfit::NoResumePoint),
            len if len > MAX_BEGIN_PAYLOAD => return Err(Misfit::Payload(len)),
            len if begin.features.resuming() => self.state = State::List(len as usize),
            len => self.await_data(len.into()),
        }
        self.begin = Some(begin);
        Ok(())
    }

    fn take_record(&mut self, header: &Fields<'_>) -> Result<(), Misfit> {
        let Record { action, payload } = Record::parse(header)?;
        self.await_data(payload);
        match action {
            Action::Object(head) => self.take_object(head),
            Action::Write { object, offset, length } => self.take_write(object, offset, length)?,
            Action::End => self.state = State::Ended,
            Action::Other => {}
        }
        Ok(())
    }

    fn large_blocks(&self) -> bool {
        self.begin.as_ref().is_some_and(|begin| begin.features.large_blocks())
    }

    fn take_object(&mut self, head: ObjectHead) {
        self.first_object.get_or_insert(head);
        if self.large_blocks() {
            self.remembered.push_back(head);
            if self.remembered.len() > self.max_remembered {
                self.remembered.pop_front();
            }
        }
    }

    /// Objects are sent in ascending order, and each from its first block to its last: so
    /// `send_range` and its merging in OpenZFS's `dmu_send.c`, and the receiver relies on it.
    fn take_write(&mut self, object: u64, offset: u64, length: u64) -> Result<(), Misfit> {
        if length > SMALL_BLOCK && !self.large_blocks() {
            return Err(Misfit::LargeBlock(length));
        }
        let written = self.written;
        if object < written.0 || object == written.0 && offset < written.1 {
            return Err(Misfit::Backwards { object, offset, written });
        }
        self.written = (object, offset.checked_add(length).ok_or(Misfit::Overflow)?);
        Ok(())
    }
}

/// Where a stream goes on, by the list after its BEGIN.
fn resume_point(list: &[u8]) -> Result<(u64, u64), Misfit> {
    let list = Nvlist::parse(list)?;
    let number = |name| list.number(name)?.ok_or(Misfit::NoResumePoint);
    Ok((number("resume_object")?, number("resume_offset")?))
}

#[cfg(test)]
mod tests;
