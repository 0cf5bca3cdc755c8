//! A secret key made ready for TLS: the key with its self-signed certificate. It is never printed.

use std::fmt;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, date_time_ymd};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use thiserror::Error;

use crate::fingerprint::Fingerprint;
use crate::key::{KeyError, SecretKey};

/// Why a key could not be made ready for TLS.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate could not be made.
    #[error("can't make a certificate for the secret key")]
    Certificate(#[from] rcgen::Error),
    /// TLS doesn't take such a key.
    #[error("TLS can't use the secret key")]
    Tls(#[from] rustls::Error),
}

/// What a vat shows of itself in TLS: its key and a certificate for it.
///
/// The certificate only carries the key: `CN=capnp`, no extensions, valid from 1970 to 9999. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    fingerprint: Fingerprint,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Makes `key` ready for TLS.
    ///
    /// # Errors
    /// The key is of a kind that can't sign certificates or TLS handshakes.
    pub fn new(key: &SecretKey) -> Result<Self, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "capnp");
        params.not_before = date_time_ymd(1970, 1, 1);
        params.not_after = date_time_ymd(9999, 12, 31);
        let certificate = params.self_signed(&key.pair)?;
        let signer = any_supported_type(&key.der()?)?;
        let certified = CertifiedKey::new(vec![certificate.into()], signer);
        Ok(Self(Arc::new(Inner { fingerprint: key.fingerprint(), certified: Arc::new(certified) })))
    }

    /// An identity that nobody has seen before and that is gone when dropped.
    ///
    /// For each data connection to a vat that one is connected to already: an OCaml vat keeps only one
    /// connection per key.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn ephemeral() -> Result<Self, IdentityError> {
        Self::new(&SecretKey::generate()?)
    }

    /// By which peers know this vat.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        self.0.certified.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.0.fingerprint)
    }
}

/// Whether connections are encrypted and both ends proved.
#[derive(Debug, Clone)]
pub enum Security {
    /// No TLS: for tests, and for networks that protect the traffic by themselves.
    Insecure,
    /// Mutual TLS under this identity.
    Tls(Identity),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_can_be_handed_to_other_threads() {
        fn shareable<T: Send + Sync + Clone>() {}
        shareable::<Identity>();
        shareable::<Security>();
    }

    #[test]
    fn ephemeral_identities_differ() {
        let (a, b) = (Identity::ephemeral().unwrap(), Identity::ephemeral().unwrap());
        assert_ne!(a.fingerprint(), b.fingerprint());
    }
}
