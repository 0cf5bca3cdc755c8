//! A socket over which TLS was agreed.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::incoming::{Incoming, poll_read};
use super::key::MOST_DATA;
use super::records::Records;
use crate::socket::Socket;

/// The most that is sealed before it is written to the socket. A whole message would be out of the processor's
/// cache by then; less makes more system calls of it.
const UNSENT: usize = 256 << 10;
/// The most that is read before it is opened, for the same reason.
const UNOPENED: usize = 128 << 10;
/// Whoever takes so much at a time has records opened in memory of their own.
const LARGE: usize = 32 << 10;

/// Takes and gives data. A peer that dies doesn't say goodbye in TLS: so the end of the socket is the end of the data,
/// and whoever reads has to know by its form whether it is whole.
pub(crate) struct TlsStream {
    socket: Socket,
    records: Records,
    incoming: Incoming,
    /// What came after all that was read.
    failed: Option<Error>,
    /// Sealed, and how much of it is written.
    outgoing: Vec<u8>,
    written: usize,
}

impl TlsStream {
    /// `incoming` holds what came behind the handshake.
    pub(super) fn new(socket: Socket, records: Records, incoming: Incoming) -> Self {
        Self { socket, records, incoming, failed: None, outgoing: Vec::new(), written: 0 }
    }

    /// The socket beneath.
    pub(crate) fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    #[cfg(test)]
    pub(super) fn records(&mut self) -> &mut Records {
        &mut self.records
    }

    fn state(&self) -> io::Result<()> {
        match &self.failed {
            Some(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.clone())),
            None => Ok(()),
        }
    }

    /// Gives up after this, if there is an error, and tells the peer if that can be done at once: unless somebody waits to
    /// write, who is to be woken, and to hear of it.
    fn give_up_after(&mut self, error: Option<Error>, cx: &mut Context<'_>) {
        let Some(error) = error else { return };
        let idle = self.outgoing.is_empty();
        if self.records.give_up(&error, &mut self.outgoing).is_ok() && idle {
            let _ = self.poll_drain(cx);
        }
        self.failed = Some(error);
    }

    /// Reads records into `memory`, behind what came of the next one, and opens those that are whole. Tells how much
    /// data is at its start now; `None` at the end of the socket.
    fn poll_open_into(
        &mut self,
        cx: &mut Context<'_>,
        memory: &mut [u8],
    ) -> Poll<io::Result<Option<usize>>> {
        let begun = self.incoming.sealed();
        let (held, most) = (begun.len(), memory.len().min(begun.len() + UNOPENED));
        memory[..held].copy_from_slice(begun);
        let count = ready!(poll_read(cx, &mut self.socket, &mut memory[held..most]))?;
        if count == 0 {
            return Poll::Ready(Ok(None));
        }
        let memory = &mut memory[..held + count];
        let opened = self.records.open(memory);
        self.incoming.hold(&memory[opened.rest..]);
        self.give_up_after(opened.error, cx);
        Poll::Ready(Ok(Some(opened.data)))
    }

    /// Writes all that is sealed.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.outgoing.len() {
            let sealed = &self.outgoing[self.written..];
            match ready!(Pin::new(&mut self.socket).poll_write(cx, sealed))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.outgoing.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while buf.remaining() > 0 {
            let data = this.incoming.data();
            if !data.is_empty() {
                let count = data.len().min(buf.remaining());
                buf.put_slice(&data[..count]);
                this.incoming.take_data(count);
                break;
            }
            this.state()?;
            if this.records.received_close_notify() {
                break;
            }
            if this.incoming.can_be_opened() {
                let error = this.incoming.open(&mut this.records);
                this.give_up_after(error, cx);
            } else if buf.remaining() >= LARGE {
                match ready!(this.poll_open_into(cx, buf.initialize_unfilled()))? {
                    Some(0) => {}
                    Some(count) => {
                        buf.advance(count);
                        break;
                    }
                    None => break,
                }
            } else if ready!(this.incoming.poll_fill(cx, &mut this.socket))? == 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.state()?;
        ready!(this.poll_drain(cx))?;
        let mut taken = 0;
        for data in bufs.iter().flat_map(|buf| buf.chunks(MOST_DATA)) {
            if this.outgoing.len() >= UNSENT {
                break;
            }
            match this.records.seal(data, &mut this.outgoing) {
                Ok(()) => taken += data.len(),
                // What was sealed before will be sent; the next call fails again.
                Err(_) if taken > 0 => break,
                Err(error) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        // What the socket doesn't take now, it takes before anything else.
        match this.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.records.close_notify(&mut this.outgoing).map_err(io::Error::other)?;
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}
