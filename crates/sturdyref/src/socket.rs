//! A stream socket, TCP, Unix or a pipe in memory, that can leave one runtime's reactor and join another's.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::address::Address;
use crate::unpaced::{congestion_control, same_machine};

/// How long a TCP connection is silent before the kernel asks whether the peer is still there, and again.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// A peer that doesn't answer these is gone: a machine without power says no goodbye. With the silence before
/// them that makes 15 s.
const PROBES: u32 = 2;
/// The same where there is something to send. In 15 s the kernel sends it half a dozen times, at growing
/// intervals: a route has time to mend, and nobody waits longer than for a heartbeat.
///
/// A peer that acknowledges and takes nothing counts as gone, too (Linux 5.11): so what may be on its way must
/// find room at the peer even when that is busy, see [`Limits::most_window`](crate::Limits::most_window).
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// An open stream socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// One end of a pipe within this process. It belongs to no runtime.
    Memory(DuplexStream),
    /// Between two runtimes.
    Parked(Parked),
    /// Broken on the way between two runtimes.
    Lost,
}

/// A socket that belongs to no runtime.
#[derive(Debug)]
pub(crate) enum Parked {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    /// Takes over a connected TCP stream: small messages leave at once, and a dead peer is noticed.
    pub(crate) fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(PROBE_EVERY)
            .with_interval(PROBE_EVERY)
            .with_retries(PROBES);
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        Ok(Self::Tcp(stream))
    }

    /// How the system keeps this socket from flooding the path to another machine; `None` if there is none.
    pub(crate) fn congestion_control(&self) -> Option<Vec<u8>> {
        let Self::Tcp(stream) = self else { return None };
        if same_machine(stream.local_addr().ok()?, stream.peer_addr().ok()?) {
            return None;
        }
        congestion_control(&SockRef::from(stream)).ok()
    }

    /// Chooses another one, if the system has it and we may use it.
    pub(crate) fn set_congestion_control(&self, name: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream).set_tcp_congestion(name),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Dials `address`.
    pub(crate) async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => {
                Self::tcp(TcpStream::connect((host.as_str(), *port)).await?)
            }
            Address::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
        }
    }

    /// The address of this end.
    pub(crate) fn local_address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(stream) => Ok(stream.local_addr()?.into()),
            Self::Unix(stream) => {
                let path = stream.local_addr()?.as_pathname().map(Into::into);
                Ok(Address::Unix(path.unwrap_or_default()))
            }
            // As of a Unix socket that has no path.
            Self::Memory(_) => Ok(Address::Unix(PathBuf::new())),
            Self::Parked(_) | Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Leaves the runtime that drives this socket.
    pub(crate) fn park(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Tcp(stream) => Self::Parked(Parked::Tcp(stream.into_std()?)),
            Self::Unix(stream) => Self::Parked(Parked::Unix(stream.into_std()?)),
            other => other,
        };
        Ok(())
    }

    /// Joins the runtime that the caller runs on.
    pub(crate) fn unpark(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Parked(Parked::Tcp(stream)) => Self::Tcp(TcpStream::from_std(stream)?),
            Self::Parked(Parked::Unix(stream)) => Self::Unix(UnixStream::from_std(stream)?),
            other => other,
        };
        Ok(())
    }
}

fn nowhere<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Memory(pipe) => Pin::new(pipe).poll_read(cx, buf),
            Self::Parked(_) | Self::Lost => nowhere(),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Memory(pipe) => Pin::new(pipe).poll_write(cx, buf),
            Self::Parked(_) | Self::Lost => nowhere(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Memory(pipe) => Pin::new(pipe).poll_write_vectored(cx, bufs),
            Self::Parked(_) | Self::Lost => nowhere(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Memory(pipe) => Pin::new(pipe).poll_flush(cx),
            Self::Parked(_) | Self::Lost => nowhere(),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Memory(pipe) => Pin::new(pipe).poll_shutdown(cx),
            Self::Parked(_) | Self::Lost => nowhere(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_link_is_noticed_within_15_s_whether_there_is_something_to_send_or_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().into();
        let Socket::Tcp(stream) = Socket::connect(&address).await.unwrap() else { panic!() };
        let socket = SockRef::from(&stream);
        let silent = socket.tcp_keepalive_time().unwrap();
        let probed =
            socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
        assert!(socket.keepalive().unwrap());
        assert_eq!(silent + probed, Duration::from_secs(15));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(15)));
    }

    #[tokio::test]
    async fn within_a_machine_there_is_no_congestion() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().into();
        assert_eq!(Socket::connect(&address).await.unwrap().congestion_control(), None);
    }
}
