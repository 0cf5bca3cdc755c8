//! The bytes of a connection, with or without TLS around its socket.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio_rustls::TlsStream;

use crate::socket::Socket;

/// An open connection before anyone speaks RPC on it. It may change threads.
pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Ahead>>),
}

/// A socket that is read ahead: rustls asks for 4 KiB at a time.
pub(crate) type Ahead = BufReader<Socket>;

/// Reads ahead what goes into TLS.
pub(crate) fn read_ahead(socket: Socket) -> Ahead {
    BufReader::with_capacity(AHEAD, socket)
}

/// A few records.
const AHEAD: usize = 64 << 10;

/// The most that TLS encrypts before it is written to the socket. A whole message would be out of the processor's
/// cache by then; less, as the 64 KiB that rustls begins with, makes more system calls of it.
const UNSENT: usize = 256 << 10;

impl Transport {
    /// Around a socket over which TLS was agreed.
    pub(crate) fn over_tls(stream: impl Into<TlsStream<Ahead>>) -> Self {
        let mut stream = stream.into();
        match &mut stream {
            TlsStream::Client(stream) => stream.get_mut().1.set_buffer_limit(Some(UNSENT)),
            TlsStream::Server(stream) => stream.get_mut().1.set_buffer_limit(Some(UNSENT)),
        }
        Self::Tls(Box::new(stream))
    }

    /// The socket beneath.
    pub(crate) fn socket_mut(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0.get_mut(),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            // A peer that dies doesn't say goodbye in TLS. Frames have lengths, so nothing can be
            // cut unnoticed, and the end of the socket is the end of the stream.
            Self::Tls(stream) => match ready!(Pin::new(stream).poll_read(cx, buf)) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                result => Poll::Ready(result),
            },
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// One transport in the hands of its reader, its writer and whoever closes it, all on one thread.
#[derive(Clone)]
pub(crate) struct SharedTransport(Rc<RefCell<Transport>>);

impl SharedTransport {
    pub(crate) fn new(transport: Transport) -> Self {
        Self(Rc::new(RefCell::new(transport)))
    }

    /// Its socket, for as long as it is open.
    pub(crate) fn handle(&self) -> Handle {
        Handle(Rc::downgrade(&self.0))
    }

    /// Says goodbye (in TLS) and ends the sending direction.
    pub(crate) async fn close(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(cx)).await
    }
}

/// The socket of a transport, which this doesn't keep open.
#[derive(Default)]
pub(crate) struct Handle(Weak<RefCell<Transport>>);

impl Handle {
    /// See [`Socket::congestion_control`].
    pub(crate) fn congestion_control(&self) -> Option<Vec<u8>> {
        self.0.upgrade()?.borrow_mut().socket_mut().congestion_control()
    }

    /// See [`Socket::set_congestion_control`].
    pub(crate) fn set_congestion_control(&self, name: &[u8]) -> io::Result<()> {
        let transport = self.0.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        transport.borrow_mut().socket_mut().set_congestion_control(name)
    }
}

impl futures::io::AsyncRead for SharedTransport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl futures::io::AsyncWrite for SharedTransport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncWriteExt, duplex};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;
    use crate::identity::Identity;
    use crate::tls::{PinnedServer, client_config, server_config};

    #[tokio::test]
    async fn either_end_encrypts_so_much_before_the_socket_has_taken_any() {
        let identity = Identity::ephemeral().unwrap();
        let pin = Arc::new(PinnedServer::new(identity.fingerprint()));
        let client = TlsConnector::from(Arc::new(client_config(&identity, pin).unwrap()));
        let server = TlsAcceptor::from(Arc::new(server_config(&identity).unwrap()));
        let (here, there) = duplex(16 << 10);
        let [here, there] = [here, there].map(|end| read_ahead(Socket::Memory(end)));
        let name = ServerName::IpAddress(Ipv4Addr::UNSPECIFIED.into());
        let (client, server) = tokio::join!(client.connect(name, here), server.accept(there));
        let mut ends = [Transport::over_tls(client.unwrap()), Transport::over_tls(server.unwrap())];
        for end in &mut ends {
            // Nobody reads.
            assert_eq!(end.write(&vec![0; 4 * UNSENT]).await.unwrap(), UNSENT);
        }
    }
}
