//! Listening sockets, and the connections that come in on them before anything is said.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::SockRef;

use crate::address::Address;
use crate::socket::Socket;
use crate::unpaced::Unpaced;

/// A listening socket that belongs to no runtime yet.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(std::net::TcpListener, Option<Unpaced>),
    Unix(UnixListener),
}

/// Listens on `address`, and tells where that turned out to be.
pub(crate) fn bind(address: &Address) -> io::Result<(Bound, Address)> {
    match address {
        Address::Tcp { host, port } => {
            let socket = std::net::TcpListener::bind((host.as_str(), *port))?;
            socket.set_nonblocking(true)?;
            let local = socket.local_addr()?.into();
            let unpaced = Unpaced::begin(&SockRef::from(&socket));
            Ok((Bound::Tcp(socket, unpaced), local))
        }
        Address::Unix(path) => {
            let taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
            let socket = match UnixListener::bind(path) {
                Err(error) if taken(&error) && is_left_behind(path) => {
                    std::fs::remove_file(path)?;
                    UnixListener::bind(path)
                }
                other => other,
            }?;
            socket.set_nonblocking(true)?;
            Ok((Bound::Unix(socket), address.clone()))
        }
    }
}

/// Whether this is a socket whose owner died. Connecting to a file of another kind is refused, too, and
/// such a file is somebody's data.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).is_err_and(refused)
}

/// A listening socket on its runtime. The file of a Unix socket is removed when this is dropped.
pub(crate) enum Accepting {
    Tcp(tokio::net::TcpListener, Option<Unpaced>),
    Unix(tokio::net::UnixListener, PathBuf),
}

impl Accepting {
    pub(crate) fn new(socket: Bound) -> io::Result<Self> {
        Ok(match socket {
            Bound::Tcp(socket, unpaced) => {
                Self::Tcp(tokio::net::TcpListener::from_std(socket)?, unpaced)
            }
            Bound::Unix(socket) => {
                let path = socket.local_addr()?.as_pathname().map(Into::into).unwrap_or_default();
                Self::Unix(tokio::net::UnixListener::from_std(socket)?, path)
            }
        })
    }

    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(socket, unpaced) => {
                let (stream, peer) = socket.accept().await?;
                if let (Some(unpaced), Ok(local)) = (unpaced, stream.local_addr()) {
                    unpaced.give_back(&SockRef::from(&stream), local, peer);
                }
                Accepted::Tcp(stream, peer)
            }
            Self::Unix(socket, path) => Accepted::Unix(socket.accept().await?.0, path.clone()),
        })
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A connection that just came in.
pub(crate) enum Accepted {
    Tcp(tokio::net::TcpStream, SocketAddr),
    /// With the path that it was accepted on.
    Unix(tokio::net::UnixStream, PathBuf),
}

impl Accepted {
    /// Where it comes from, for messages.
    pub(crate) fn peer(&self) -> String {
        match self {
            Self::Tcp(_, peer) => Address::from(*peer).to_string(),
            Self::Unix(_, path) => Address::Unix(path.clone()).to_string(),
        }
    }

    pub(crate) fn into_socket(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream, _) => Socket::tcp(stream),
            Self::Unix(stream, _) => Ok(Socket::Unix(stream)),
        }
    }
}

/// How long to wait before accepting again.
///
/// When there are no file descriptors left, trying again at once would only burn the time in which some are
/// given back.
#[derive(Debug, Default)]
pub(crate) struct Pause(Duration);

impl Pause {
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);

    /// The pause after this error came of accepting.
    pub(crate) fn after(&self, error: &io::Error) -> Self {
        match error.kind() {
            // The client's doing, and at its expense only.
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => Self::default(),
            _ => Self((self.0 * 2).clamp(Self::SHORTEST, Self::LONGEST)),
        }
    }

    pub(crate) async fn over(&self) {
        if !self.0.is_zero() {
            tokio::time::sleep(self.0).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_file_descriptors_slows_accepting_down() {
        let none_left = io::Error::from(rustix::io::Errno::MFILE);
        let mut pause = Pause::default();
        let pauses = std::iter::repeat_with(|| {
            pause = pause.after(&none_left);
            pause.0.as_millis()
        });
        assert_eq!(pauses.take(9).collect::<Vec<_>>(), [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn only_a_socket_that_nobody_listens_on_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vat.sock");
        let address = Address::Unix(path.clone());
        std::fs::write(&path, "precious").unwrap();
        assert!(bind(&address).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();
        let link = Address::Unix(folder.path().join("link"));
        drop(bind(&address).unwrap());
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert!(bind(&link).is_err());
        let (_listening, _) = bind(&address).unwrap();
        assert!(bind(&address).is_err());
    }

    #[test]
    fn clients_that_hang_up_slow_nobody_down() {
        let hung_up = io::Error::from(rustix::io::Errno::CONNABORTED);
        assert!(Pause::default().after(&hung_up).0.is_zero());
    }
}
