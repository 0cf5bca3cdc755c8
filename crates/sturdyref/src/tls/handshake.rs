//! The handshake, which is all rustls's. Record by record, so that what comes behind it is still sealed when it ends.

use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, UnbufferedConnectionCommon, UnbufferedStatus,
};
use rustls::{ClientConfig, Error, ExtractedSecrets, HandshakeType, ServerConfig};
use tokio::io::AsyncWriteExt;

use super::incoming::Incoming;
use super::records::{FROM_CLIENT, FROM_SERVER, Keys, Records, whole_record};
use super::stream::TlsStream;
use crate::socket::Socket;

/// Agrees on TLS with a server.
///
/// # Errors
/// Of kind `InvalidData`, with rustls's error, if the server is at fault or finds this end at fault; otherwise what
/// happened to the socket.
pub(crate) async fn connect(config: ClientConfig, socket: Socket) -> io::Result<TlsStream> {
    // No name is sent or checked, but rustls wants one.
    let name = ServerName::IpAddress(Ipv4Addr::UNSPECIFIED.into());
    let client = UnbufferedClientConnection::new(Arc::new(config), name).map_err(broken)?;
    Ok(shake_hands(client, socket).await?.0)
}

/// Agrees on TLS with a client. The certificate is the one that it has proved to be its own.
///
/// # Errors
/// As for [`connect`].
pub(crate) async fn accept(
    config: Arc<ServerConfig>,
    socket: Socket,
) -> io::Result<(TlsStream, Option<CertificateDer<'static>>)> {
    let server = UnbufferedServerConnection::new(config).map_err(broken)?;
    shake_hands(server, socket).await
}

fn broken(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// One end of a handshake.
trait End {
    type Data;

    fn process<'a>(&'a mut self, sealed: &'a mut [u8]) -> UnbufferedStatus<'a, 'a, Self::Data>;

    fn common(&self) -> &UnbufferedConnectionCommon<Self::Data>;

    /// What the other end may say after the handshake.
    const EXPECTED: &[HandshakeType];

    fn into_keys(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Data>), Error>;
}

impl End for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    const EXPECTED: &[HandshakeType] = FROM_SERVER;

    fn process<'a>(&'a mut self, sealed: &'a mut [u8]) -> UnbufferedStatus<'a, 'a, Self::Data> {
        self.process_tls_records(sealed)
    }

    fn common(&self) -> &UnbufferedConnectionCommon<Self::Data> {
        self
    }

    fn into_keys(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Data>), Error> {
        self.dangerous_into_kernel_connection()
    }
}

impl End for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    const EXPECTED: &[HandshakeType] = FROM_CLIENT;

    fn process<'a>(&'a mut self, sealed: &'a mut [u8]) -> UnbufferedStatus<'a, 'a, Self::Data> {
        self.process_tls_records(sealed)
    }

    fn common(&self) -> &UnbufferedConnectionCommon<Self::Data> {
        self
    }

    fn into_keys(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Data>), Error> {
        self.dangerous_into_kernel_connection()
    }
}

/// What comes after a step of the handshake.
enum Next {
    Step,
    Read,
    Done,
    Failed(Error),
}

async fn shake_hands<E>(
    mut end: E,
    mut socket: Socket,
) -> io::Result<(TlsStream, Option<CertificateDer<'static>>)>
where
    E: End,
    KernelConnection<E::Data>: Keys + 'static,
{
    let mut incoming = Incoming::new();
    let mut outgoing = Vec::new();
    // So much of what came has been shown to rustls.
    let mut shown = 0;
    // Why the last of it is no record.
    let mut no_record = None;
    loop {
        let UnbufferedStatus { discard, state } = end.process(&mut incoming.sealed()[..shown]);
        let next = match state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(&mut data, &mut outgoing)?;
                Next::Step
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Next::Step
            }
            Ok(ConnectionState::BlockedHandshake) => Next::Read,
            Ok(ConnectionState::WriteTraffic(_)) => Next::Done,
            Ok(_) => Next::Failed(Error::HandshakeNotComplete),
            Err(error) => Next::Failed(error),
        };
        let next = match (next, no_record.take()) {
            (Next::Failed(error), _) | (_, Some(error)) => Next::Failed(error),
            (next, None) => next,
        };
        incoming.take_sealed(discard);
        shown -= discard;
        match next {
            Next::Step => {}
            Next::Read => {
                write(&mut socket, &mut outgoing).await?;
                (shown, no_record) = one_more(&mut incoming, shown, &mut socket).await?;
            }
            Next::Done => {
                write(&mut socket, &mut outgoing).await?;
                break;
            }
            Next::Failed(error) => {
                complain(&mut end, &mut incoming.sealed()[..shown], &mut outgoing)?;
                // It may be the peer that has gone.
                let _ = write(&mut socket, &mut outgoing).await;
                return Err(broken(error));
            }
        }
    }
    if shown > 0 {
        return Err(broken(Error::HandshakeNotComplete));
    }
    let certificate = end.common().peer_certificates().and_then(|all| all.first());
    let certificate = certificate.map(|certificate| certificate.clone().into_owned());
    let (secrets, keys) = end.into_keys().map_err(broken)?;
    let records = Records::new(secrets, keys, E::EXPECTED).map_err(broken)?;
    Ok((TlsStream::new(socket, records, incoming), certificate))
}

/// Appends what rustls wants to send.
fn encode<D>(data: &mut EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) -> io::Result<()> {
    let start = outgoing.len();
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        outgoing.resize(start + size.required_size, 0);
        data.encode(&mut outgoing[start..]).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Appends what rustls wants to tell the peer after an error. It remembers places in what it was shown.
fn complain(end: &mut impl End, shown: &mut [u8], outgoing: &mut Vec<u8>) -> io::Result<()> {
    while end.common().wants_write() {
        match end.process(shown).state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, outgoing)?,
            _ => break,
        }
    }
    Ok(())
}

async fn write(socket: &mut Socket, outgoing: &mut Vec<u8>) -> io::Result<()> {
    socket.write_all(outgoing).await?;
    outgoing.clear();
    socket.flush().await
}

/// Reads until there is one record more than were shown, and tells how much that makes. If it is no record, rustls
/// gets to see what came of it, to tell the peer; but it is no record even if rustls would wait for the rest, as for
/// one that is a little too long, or one of a version that it knows and no record has.
async fn one_more(
    incoming: &mut Incoming,
    shown: usize,
    socket: &mut Socket,
) -> io::Result<(usize, Option<Error>)> {
    loop {
        let sealed = incoming.sealed();
        match whole_record(&sealed[shown..]) {
            Ok(Some(length)) => return Ok((shown + length, None)),
            Ok(None) => {}
            Err(error) => return Ok((sealed.len(), Some(error))),
        }
        if poll_fn(|cx| incoming.poll_fill(cx, socket)).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof"));
        }
    }
}
