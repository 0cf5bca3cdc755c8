//! The least that can stand between two processes on two machines: a loop of reads and writes, over
//! TCP or TLS. Not for use: it proves to nobody who it is.

use std::fs::{self, File};
use std::io::{Read, Write, stdin, stdout};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustix::pipe::fcntl_setpipe_size;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

/// The bytes of one read. Larger ones were no faster.
const CHUNK: usize = 128 << 10;
/// What we let our own pipes hold.
const PIPE: usize = 1 << 20;
const HOST: &str = "localhost";

#[derive(clap::Subcommand)]
pub(crate) enum End {
    /// Dials, and sends standard input
    Send(Options),
    /// Listens, and writes to standard output what comes
    Receive(Options),
}

#[derive(clap::Args)]
pub(crate) struct Options {
    address: SocketAddr,
    /// The folder of the certificate
    #[arg(long)]
    tls: Option<PathBuf>,
}

pub(crate) fn run(end: &End) -> Result<ExitCode> {
    match end {
        End::Send(options) => send(options)?,
        End::Receive(options) => receive(options)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn send(options: &Options) -> Result<()> {
    let input = stdin().lock();
    enlarge(&input);
    let mut socket = TcpStream::connect(options.address)?;
    socket.set_nodelay(true)?;
    match &options.tls {
        None => copy(file(&input)?, &mut socket),
        Some(folder) => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(folder)?)?;
            let config = ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
            let connection = ClientConnection::new(Arc::new(config), HOST.try_into()?)?;
            let mut stream = StreamOwned::new(connection, socket);
            copy(file(&input)?, &mut stream)?;
            stream.conn.send_close_notify();
            stream.flush()?;
            // Closed before the other end has read all, a socket with anything unread would be reset.
            stream.sock.shutdown(Shutdown::Write)?;
            stream.sock.read_to_end(&mut Vec::new())?;
            Ok(())
        }
    }
}

fn receive(options: &Options) -> Result<()> {
    let output = stdout().lock();
    enlarge(&output);
    let (mut socket, _) = TcpListener::bind(options.address)?.accept()?;
    match &options.tls {
        None => copy(socket, file(&output)?),
        Some(folder) => {
            let key = PrivatePkcs8KeyDer::from(fs::read(folder.join("key"))?);
            let mut config = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(vec![certificate(folder)?], PrivateKeyDer::Pkcs8(key))?;
            config.send_tls13_tickets = 0;
            let mut connection = ServerConnection::new(Arc::new(config))?;
            copy(rustls::Stream::new(&mut connection, &mut socket), file(&output)?)
        }
    }
}

fn copy(mut from: impl Read, mut to: impl Write) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => to.write_all(&buffer[..count])?,
        }
    }
}

/// Without the buffer that the standard library puts before it.
fn file(stream: &impl AsFd) -> Result<File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

fn enlarge(pipe: &impl AsFd) {
    // Not a pipe, or no more allowed: it works as it is.
    let _ = fcntl_setpipe_size(pipe, PIPE);
}

/// The one suite that we use ourselves.
fn provider() -> Arc<CryptoProvider> {
    let cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
    Arc::new(CryptoProvider { cipher_suites, ..ring::default_provider() })
}

fn certificate(folder: &Path) -> Result<CertificateDer<'static>> {
    Ok(fs::read(folder.join("certificate")).context("cannot read the certificate")?.into())
}

/// Makes a certificate and its key in `folder`.
pub(super) fn make_certificate(folder: &Path) -> Result<()> {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
    fs::create_dir_all(folder)?;
    fs::write(folder.join("certificate"), made.cert.der())?;
    Ok(fs::write(folder.join("key"), made.signing_key.serialize_der())?)
}
