//! A capability as text: `capnp://` URIs, wire-compatible with those of OCaml's capnp-rpc-unix (mirage/capnp-rpc).
//!
//! ```text
//! capnp://sha-256:FINGERPRINT@HOST:PORT/ID     over TLS, the server's key pinned
//! capnp://sha-256:FINGERPRINT@/SOCKET/PATH/ID  the same through a Unix socket
//! capnp://insecure@HOST:PORT/ID                with TLS disabled
//! ```
//! FINGERPRINT and ID are base64url without padding. Errors say which part is wrong and never repeat the id.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::address::{Address, HostPort, ParseAddressError, parse_host_port};
use crate::fingerprint::{Fingerprint, ParseFingerprintError};
use crate::object_id::ObjectId;

/// How the peer at the other end proves that it is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auth {
    /// It doesn't: no TLS. Whoever can see the traffic can take the capability.
    Insecure,
    /// By TLS under the key with this fingerprint.
    Tls(Fingerprint),
}

/// A capability that outlives its connection: who serves it, where, and the secret that names the object there.
///
/// Whoever holds one may use the object, so it prints its id only through [`to_uri`](Self::to_uri).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SturdyRef {
    /// Who serves it.
    pub auth: Auth,
    /// Where.
    pub address: Address,
    /// Which object there.
    pub id: ObjectId,
}

const SCHEME: &str = "capnp://";
const PIN: &str = "sha-256:";
const INSECURE: &str = "insecure";

impl SturdyRef {
    /// The URI. It is a secret; it is wiped from memory when dropped.
    pub fn to_uri(&self) -> Zeroizing<String> {
        let id = Zeroizing::new(BASE64URL_NOPAD.encode(self.id.as_bytes()));
        let who = match self.auth {
            Auth::Insecure => INSECURE.to_owned(),
            Auth::Tls(fingerprint) => format!("{PIN}{fingerprint}"),
        };
        Zeroizing::new(match &self.address {
            Address::Tcp { host, port } => {
                format!("{SCHEME}{who}@{}/{}", HostPort(host, *port), *id)
            }
            Address::Unix(path) => format!("{SCHEME}{who}@{}/{}", percent_encode(path), *id),
        })
    }
}

/// A text that is no capability URI. It never holds the id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseUriError {
    /// Another scheme, or none.
    #[error("a capability URI begins with capnp://")]
    Scheme,
    /// No `@`.
    #[error("there is no sha-256:FINGERPRINT@ or insecure@ after capnp://")]
    NoAuth,
    /// What stands before the `@` is neither a pin nor `insecure`.
    #[error("what stands before the @ must be sha-256:FINGERPRINT or insecure")]
    UnknownAuth,
    /// The pin is cut or garbled.
    #[error(transparent)]
    Fingerprint(#[from] ParseFingerprintError),
    /// The host or the port is wrong.
    #[error(transparent)]
    Address(#[from] ParseAddressError),
    /// `capnp://AUTH@/ID`: neither a host nor a socket.
    #[error("there is neither HOST:PORT nor the path of a Unix socket after the @")]
    NoAddress,
    /// The socket's path has a broken `%XX`, or hides a NUL byte.
    #[error("the path of the Unix socket is not properly percent-encoded")]
    SocketPath,
    /// The id is no base64url.
    #[error("the object id (after the last /) is not base64url without padding")]
    Id,
}

impl FromStr for SturdyRef {
    type Err = ParseUriError;

    fn from_str(uri: &str) -> Result<Self, Self::Err> {
        let rest = uri.strip_prefix(SCHEME).ok_or(ParseUriError::Scheme)?;
        let (who, place) = rest.split_once('@').ok_or(ParseUriError::NoAuth)?;
        let auth = match who.strip_prefix(PIN) {
            Some(pin) => Auth::Tls(pin.parse()?),
            None if who == INSECURE => Auth::Insecure,
            None => return Err(ParseUriError::UnknownAuth),
        };
        let (address, id) = if place.starts_with('/') {
            let (path, id) = place.rsplit_once('/').ok_or(ParseUriError::NoAddress)?;
            if path.is_empty() {
                return Err(ParseUriError::NoAddress);
            }
            (Address::Unix(percent_decode(path).ok_or(ParseUriError::SocketPath)?), id)
        } else {
            let (host_port, id) = place.split_once('/').unwrap_or((place, ""));
            if host_port.is_empty() {
                return Err(ParseUriError::NoAddress);
            }
            let (host, port) = parse_host_port(host_port)?;
            (Address::Tcp { host, port }, id)
        };
        let id = BASE64URL_NOPAD.decode(id.as_bytes()).map_err(|_| ParseUriError::Id)?;
        Ok(Self { auth, address, id: ObjectId::new(id) })
    }
}

/// Escapes what would end or change a URI's path (RFC 3986, section 3.3).
fn percent_encode(path: &Path) -> impl fmt::Display + use<'_> {
    struct Encoded<'a>(&'a [u8]);
    impl fmt::Display for Encoded<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for &byte in self.0 {
                if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
                    write!(f, "{}", char::from(byte))?;
                } else {
                    write!(f, "%{byte:02X}")?;
                }
            }
            Ok(())
        }
    }
    Encoded(path.as_os_str().as_bytes())
}

fn percent_decode(path: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(match byte {
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                rest = tail;
                let value = data_encoding::HEXUPPER_PERMISSIVE.decode(digits).ok()?;
                *value.first()?
            }
            // These would begin a query or a fragment, which capability URIs don't have.
            b'?' | b'#' => return None,
            _ => byte,
        });
    }
    (!bytes.contains(&0)).then(|| OsString::from_vec(bytes).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FP: &str = "A-xsdiKTHR_LmAM6Fz7dWzK_cZh0Q-r9Cv9bcYnZIeA";

    #[test]
    fn uris_are_read_and_written_alike() {
        for uri in [
            format!("capnp://sha-256:{FP}@127.0.0.1:7000/c2VjcmV0"),
            format!("capnp://sha-256:{FP}@tracker.example:1/c2VjcmV0"),
            format!("capnp://sha-256:{FP}@[2001:db8::1]:7000/c2VjcmV0"),
            format!("capnp://sha-256:{FP}@/run/vat.sock/c2VjcmV0"),
            "capnp://insecure@host:7000/c2VjcmV0".to_owned(),
            "capnp://insecure@/run/vat.sock/c2VjcmV0".to_owned(),
            "capnp://insecure@/run/two%20words%3F/c2VjcmV0".to_owned(),
            "capnp://insecure@host:7000/".to_owned(),
        ] {
            let parsed: SturdyRef = uri.parse().unwrap();
            assert_eq!(*parsed.to_uri(), uri);
        }
    }

    #[test]
    fn a_uri_falls_into_its_parts() {
        let parsed: SturdyRef =
            format!("capnp://sha-256:{FP}@/run/a/b.sock/c2VjcmV0").parse().unwrap();
        assert_eq!(parsed.auth, Auth::Tls(FP.parse().unwrap()));
        assert_eq!(parsed.address, Address::Unix("/run/a/b.sock".into()));
        assert_eq!(parsed.id.as_bytes(), b"secret");
    }

    #[test]
    fn bad_uris_are_told_apart() {
        use ParseUriError::*;
        let pinned = |rest: &str| format!("capnp://sha-256:{FP}@{rest}");
        for (uri, error) in [
            ("".to_owned(), Scheme),
            ("http://insecure@host:1/c2VjcmV0".to_owned(), Scheme),
            ("CAPNP://insecure@host:1/c2VjcmV0".to_owned(), Scheme),
            ("capnp:insecure@host:1/c2VjcmV0".to_owned(), Scheme),
            ("capnp://host:1/c2VjcmV0".to_owned(), NoAuth),
            ("capnp://@host:1/c2VjcmV0".to_owned(), UnknownAuth),
            ("capnp://Insecure@host:1/c2VjcmV0".to_owned(), UnknownAuth),
            (format!("capnp://sha-512:{FP}@host:1/c2VjcmV0"), UnknownAuth),
            ("capnp://sha-256:@host:1/c2VjcmV0".to_owned(), Fingerprint(ParseFingerprintError)),
            (format!("capnp://sha-256:{}@h:1/", &FP[1..]), Fingerprint(ParseFingerprintError)),
            (format!("capnp://sha-256:{FP}=@h:1/"), Fingerprint(ParseFingerprintError)),
            (pinned("host/c2VjcmV0"), Address(ParseAddressError::NoPort)),
            (pinned("host:x/c2VjcmV0"), Address(ParseAddressError::BadPort)),
            (pinned("::1:7000/c2VjcmV0"), Address(ParseAddressError::BadHost)),
            (pinned("/c2VjcmV0"), NoAddress),
            (pinned(""), NoAddress),
            (pinned("/run/%zz/c2VjcmV0"), SocketPath),
            (pinned("/run/%00/c2VjcmV0"), SocketPath),
            (pinned("/run/a?b/c2VjcmV0"), SocketPath),
            (pinned("host:1/c2VjcmV0="), Id),
            (pinned("host:1/c2VjcmV"), Id),
            (pinned("host:1/c2Vj/cmV0"), Id),
            (pinned("host:1/c2VjcmV0?x=y"), Id),
            (pinned("host:1/c2VjcmV0\n"), Id),
        ] {
            let found = uri.parse::<SturdyRef>().unwrap_err();
            assert_eq!(found, error, "{uri}");
            for text in [found.to_string(), format!("{found:?}")] {
                assert!(!text.contains("c2Vj"), "the error repeats the id: {text}");
            }
        }
    }

    #[test]
    fn debug_shows_the_place_but_not_the_id() {
        let parsed: SturdyRef = "capnp://insecure@host:7000/c2VjcmV0".parse().unwrap();
        let text = format!("{parsed:?}");
        assert!(text.contains("host") && text.contains("ObjectId(..)"), "{text}");
        assert!(!text.contains("c2VjcmV0") && !text.contains("secret"), "{text}");
    }

    fn addresses() -> impl Strategy<Value = super::Address> {
        let host = prop_oneof![
            "[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?",
            any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
            any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string()),
        ];
        let path = prop::collection::vec(1..=u8::MAX, 1..40)
            .prop_map(|bytes| OsString::from_vec([b"/", &bytes[..]].concat()));
        prop_oneof![
            (host, any::<u16>()).prop_map(|(host, port)| super::Address::Tcp { host, port }),
            path.prop_map(|path| super::Address::Unix(path.into())),
        ]
    }

    fn sturdyrefs() -> impl Strategy<Value = SturdyRef> {
        let auth = prop_oneof![
            Just(Auth::Insecure),
            any::<[u8; 32]>().prop_map(|hash| Auth::Tls(crate::Fingerprint(hash))),
        ];
        let id = prop::collection::vec(any::<u8>(), 0..64);
        (auth, addresses(), id).prop_map(|(auth, address, id)| SturdyRef {
            auth,
            address,
            id: ObjectId::new(id),
        })
    }

    proptest! {
        #[test]
        fn every_sturdyref_survives_its_uri(sturdyref in sturdyrefs()) {
            let uri = sturdyref.to_uri();
            prop_assert!(uri.is_ascii() && !uri.contains(char::is_whitespace));
            prop_assert_eq!(uri.parse::<SturdyRef>(), Ok(sturdyref));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(capnp://)?(insecure|sha-256:)?@?.{0,80}") {
            let _ = text.parse::<SturdyRef>();
        }
    }
}
