//! The name of a key: what a sturdyref pins and what a peer is known by. It is public; it is never a secret.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use thiserror::Error;

/// SHA-256 over the DER `SubjectPublicKeyInfo` of a public key.
///
/// Written as base64url without padding: 43 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of the key whose `SubjectPublicKeyInfo` (outer SEQUENCE included) is `spki`.
    pub fn of_spki(spki: &[u8]) -> Self {
        Self(sha256(spki))
    }
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a key fingerprint is 43 characters of base64url (SHA-256 of the public key)")]
pub struct ParseFingerprintError;

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| ParseFingerprintError)?;
        bytes.try_into().map(Self).map_err(|_| ParseFingerprintError)
    }
}
