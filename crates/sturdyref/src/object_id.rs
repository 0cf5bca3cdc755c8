//! The secret half of a sturdyref: whoever knows the id of an object may use it. It is never printed.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::fingerprint::sha256;

/// The secret name of one object at its vat: raw bytes, wiped from memory when dropped.
///
/// An empty id asks for the vat's public bootstrap object (for a [`Listener`](crate::Listener): its Gateway).
#[derive(Clone)]
pub struct ObjectId(Zeroizing<Vec<u8>>);

impl ObjectId {
    /// Takes over the raw bytes of an id.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// An id that nobody can guess: 20 random bytes, as OCaml's capnp-rpc makes them.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn random() -> Result<Self, NoRandomness> {
        Ok(Self(Zeroizing::new(random_bytes::<20>()?.to_vec())))
    }

    /// The raw bytes, as they cross the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the empty id.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a store may hold in place of the id.
    pub fn digest(&self) -> IdDigest {
        IdDigest::of(&self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectId(..)")
    }
}

/// Compares digests, so that the time taken tells nothing about the ids.
impl PartialEq for ObjectId {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for ObjectId {}

/// SHA-256 of an [`ObjectId`]: enough to recognise an id, useless for restoring it.
///
/// A store that is keyed by digests grants nothing when it leaks, and looking up leaks no timing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdDigest(pub [u8; 32]);

impl IdDigest {
    /// The digest of an id's raw bytes.
    pub fn of(id: &[u8]) -> Self {
        Self(sha256(id))
    }
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// `N` bytes from the operating system's generator.
pub(crate) fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, NoRandomness> {
    let mut bytes = Zeroizing::new([0; N]);
    SystemRandom::new().fill(&mut bytes[..]).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_no_byte_of_the_id() {
        assert_eq!(format!("{:?}", ObjectId::new(*b"secret")), "ObjectId(..)");
    }

    #[test]
    fn random_ids_are_20_bytes_and_differ() {
        let (a, b) = (ObjectId::random().unwrap(), ObjectId::random().unwrap());
        assert_eq!(a.as_bytes().len(), 20);
        assert_ne!(a, b);
        assert_ne!(a.digest(), b.digest());
        assert_eq!(a.digest(), IdDigest::of(a.as_bytes()));
    }
}
