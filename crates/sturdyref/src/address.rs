//! Where a vat listens: a TCP host and port, or a Unix socket. Only words; nothing here resolves or dials.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// A place to listen on or to dial.
///
/// As text: `tcp:HOST:PORT` (an IPv6 address in brackets) or `unix:/absolute/path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// A DNS name or an IP address, IPv6 without brackets.
        host: String,
        /// The port; 0 lets the system choose when listening.
        port: u16,
    },
    /// A Unix stream socket, by its absolute path.
    Unix(PathBuf),
}

impl Address {
    /// Whether this is an address to listen on but not one to dial: `0.0.0.0` or `::`.
    pub fn is_wildcard(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified())
            }
            Self::Unix(_) => false,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        // An IPv4 peer of a dual-stack socket is known to everyone else by its IPv4 address.
        Self::Tcp { host: address.ip().to_canonical().to_string(), port: address.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "tcp:{}", HostPort(host, *port)),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `HOST:PORT`, an IPv6 address in brackets.
pub(crate) struct HostPort<'a>(pub(crate) &'a str, pub(crate) u16);

impl fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(host, port) = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A text that is no [`Address`]. Says nothing of the text: cut from a URI, it can hold the secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseAddressError {
    /// Neither `tcp:` nor `unix:` in front.
    #[error("an address is tcp:HOST:PORT or unix:/PATH")]
    UnknownKind,
    /// No `:PORT` at the end.
    #[error("a TCP address needs a port: tcp:HOST:PORT")]
    NoPort,
    /// What stands for the port is no number up to 65535.
    #[error("what stands for the port is no number up to 65535")]
    BadPort,
    /// What stands for the host is neither a name nor an IP address.
    #[error("what stands for the host is no name or IP address (IPv6 is written in brackets)")]
    BadHost,
    /// A Unix socket's path that is not absolute.
    #[error("the path of a Unix socket must be absolute")]
    RelativePath,
}

/// Parses `HOST:PORT`, the part that addresses and URIs have in common.
pub(crate) fn parse_host_port(text: &str) -> Result<(String, u16), ParseAddressError> {
    let (host, port) = text.rsplit_once(':').ok_or(ParseAddressError::NoPort)?;
    if text.ends_with(']') || port.is_empty() {
        return Err(ParseAddressError::NoPort);
    }
    // `parse` alone would accept a sign.
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseAddressError::BadPort);
    }
    let port = port.parse().map_err(|_| ParseAddressError::BadPort)?;
    Ok((parse_host(host)?, port))
}

fn parse_host(host: &str) -> Result<String, ParseAddressError> {
    let bad = || ParseAddressError::BadHost;
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().map(|ip| ip.to_string()).map_err(|_| bad());
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if host.is_empty() || host.starts_with('-') || !host.bytes().all(legal) {
        return Err(bad());
    }
    Ok(host.to_owned())
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("tcp:") {
            let (host, port) = parse_host_port(rest)?;
            Ok(Self::Tcp { host, port })
        } else if let Some(path) = text.strip_prefix("unix:") {
            if !path.starts_with('/') {
                return Err(ParseAddressError::RelativePath);
            }
            Ok(Self::Unix(path.into()))
        } else {
            Err(ParseAddressError::UnknownKind)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in [
            "tcp:127.0.0.1:1234",
            "tcp:host.example:0",
            "tcp:[::1]:65535",
            "unix:/run/vat.sock",
            "unix:/run/two words",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_addresses_are_told_apart() {
        use ParseAddressError::*;
        for (text, error) in [
            ("1.2.3.4:5", UnknownKind),
            ("", UnknownKind),
            ("udp:a:1", UnknownKind),
            ("tcp:host", NoPort),
            ("tcp:host:", NoPort),
            ("tcp:[::1]", NoPort),
            ("tcp:host:65536", BadPort),
            ("tcp:host:+1", BadPort),
            ("tcp::1", BadHost),
            ("tcp:::1:80", BadHost),
            ("tcp:[fe80::1%eth0]:80", BadHost),
            ("tcp:a b:80", BadHost),
            ("tcp:-rf:80", BadHost),
            ("unix:run/vat", RelativePath),
            ("unix:", RelativePath),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn wildcards_are_for_listening_only() {
        for (text, wildcard) in
            [("tcp:0.0.0.0:1", true), ("tcp:[::]:1", true), ("tcp:127.0.0.1:1", false)]
        {
            assert_eq!(text.parse::<Address>().unwrap().is_wildcard(), wildcard, "{text}");
        }
    }
}
