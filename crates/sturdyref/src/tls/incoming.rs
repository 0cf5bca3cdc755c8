//! What came off a socket and nobody could take yet.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::Error;
use tokio::io::{AsyncRead, ReadBuf};

use super::key::LONGEST;
use super::records::{Records, whole_record};

/// Room for a record and what was read with it. The messages of a handshake must find room in it, too: a
/// certificate that stands for a key has some 300 bytes.
const ROOM: usize = 2 * LONGEST;

/// Data that was opened, and behind it records that weren't.
pub(super) struct Incoming {
    memory: Box<[u8]>,
    data: Range<usize>,
    sealed: Range<usize>,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self { memory: vec![0; ROOM].into(), data: 0..0, sealed: 0..0 }
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.memory[self.data.clone()]
    }

    pub(super) fn sealed(&mut self) -> &mut [u8] {
        &mut self.memory[self.sealed.clone()]
    }

    /// Forgets so much of the data.
    pub(super) fn take_data(&mut self, count: usize) {
        self.data.start += count;
    }

    /// Forgets so many sealed bytes.
    pub(super) fn take_sealed(&mut self, count: usize) {
        self.sealed.start += count;
    }

    /// Whether there is something to open (or to find wrong).
    pub(super) fn can_be_opened(&mut self) -> bool {
        !matches!(whole_record(self.sealed()), Ok(None))
    }

    /// Opens what is whole. There must be no data left.
    pub(super) fn open(&mut self, records: &mut Records) -> Option<Error> {
        let opened = records.open(self.sealed());
        self.data = self.sealed.start..self.sealed.start + opened.data;
        self.sealed.start += opened.rest;
        opened.error
    }

    /// Puts sealed bytes in the place of all that there was: less than a record.
    pub(super) fn hold(&mut self, sealed: &[u8]) {
        self.memory[..sealed.len()].copy_from_slice(sealed);
        self.data = 0..0;
        self.sealed = 0..sealed.len();
    }

    /// Reads what there is room for, and tells how much came; nothing at the end of the socket. There must be no data
    /// left.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        self.memory.copy_within(self.sealed.clone(), 0);
        self.sealed = 0..self.sealed.len();
        let room = &mut self.memory[self.sealed.end..];
        if room.is_empty() {
            let error = "a message of the TLS handshake is too large";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        let count = ready!(poll_read(cx, socket, room))?;
        self.sealed.end += count;
        Poll::Ready(Ok(count))
    }
}

/// Reads into `memory`, and tells how much.
pub(super) fn poll_read(
    cx: &mut Context<'_>,
    socket: &mut (impl AsyncRead + Unpin),
    memory: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut memory = ReadBuf::new(memory);
    ready!(Pin::new(socket).poll_read(cx, &mut memory))?;
    Poll::Ready(Ok(memory.filled().len()))
}
