//! The secret key of a vat: its file, its fingerprint, and the ids derived from it. It is never printed.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use rcgen::{KeyPair, PublicKeyData};
use ring::hmac;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::fingerprint::{Fingerprint, sha256};
use crate::object_id::{NoRandomness, ObjectId, random_bytes};

/// The DER of a PKCS#8 v1 Ed25519 key up to its 32 secret bytes (RFC 8410, section 7).
///
/// Version 1 has just three fields, which is what OCaml's parser accepts.
const PKCS8_V1_ED25519: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The longest key file that is read; an RSA key of 4096 bits takes 3.2 KiB.
const LONGEST: u64 = 64 << 10;

/// Why there is no key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The key file could not be read.
    #[error("can't read the secret key file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key file could not be made.
    #[error("can't create the secret key file {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no usable key.
    #[error("{name} holds no PKCS#8 PEM private key (Ed25519, ECDSA or RSA), or was cut")]
    NotAKey {
        /// The file.
        name: String,
    },
    /// No random bytes for a new key.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// The key that a vat is known by, and from which the ids of its objects are derived.
///
/// Whoever has it is the vat. It is wiped from memory when dropped and shows nothing in `Debug`.
pub struct SecretKey {
    pem: Zeroizing<Vec<u8>>,
    pub(crate) pair: KeyPair,
}

impl SecretKey {
    /// A new Ed25519 key that exists in memory only.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn generate() -> Result<Self, KeyError> {
        Self::parse(new_pem()?, "the new key")
    }

    /// The key in the file at `path`; if there is no such file, a new one is made (PKCS#8 PEM, mode 0600).
    ///
    /// # Errors
    /// The file can't be read or made, or holds no key. A file that is there is never changed.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        match File::open(path) {
            Ok(file) => Self::load(file, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(source) => Err(KeyError::Read { path: path.to_owned(), source }),
        }
    }

    fn load(file: File, path: &Path) -> Result<Self, KeyError> {
        let cannot = |source| KeyError::Read { path: path.to_owned(), source };
        if file.metadata().map_err(cannot)?.mode() & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "others can read this secret key file; chmod 600 it");
        }
        // As large as it may get from the start: growing would leave copies of the secret behind.
        let mut pem = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
        file.take(LONGEST).read_to_end(&mut pem).map_err(cannot)?;
        Self::parse(pem, &path.display().to_string())
    }

    fn create(path: &Path) -> Result<Self, KeyError> {
        let pem = new_pem()?;
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(&pem)?;
            file.sync_all()
        };
        write().map_err(|source| KeyError::Create { path: path.to_owned(), source })?;
        Self::parse(pem, &path.display().to_string())
    }

    fn parse(pem: Zeroizing<Vec<u8>>, name: &str) -> Result<Self, KeyError> {
        let not_a_key = || KeyError::NotAKey { name: name.to_owned() };
        let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| not_a_key())?;
        let pair = KeyPair::try_from(&der).map_err(|_| not_a_key())?;
        Ok(Self { pem, pair })
    }

    /// The key as TLS wants it.
    pub(crate) fn der(&self) -> Result<PrivateKeyDer<'static>, KeyError> {
        PrivateKeyDer::from_pem_slice(&self.pem)
            .map_err(|_| KeyError::NotAKey { name: "the secret key".to_owned() })
    }

    /// The fingerprint that capability URIs pin.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_spki(&self.pair.subject_public_key_info())
    }

    /// The id of the object called `name`: HMAC-SHA256 under SHA-256 of the key file's bytes.
    ///
    /// The same key gives the same ids, so nothing needs to be stored; without the key they can't be guessed.
    /// This is how OCaml's capnp-rpc-unix derives them.
    pub fn derive_id(&self, name: &str) -> ObjectId {
        let key = Zeroizing::new(sha256(&self.pem));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key[..]);
        ObjectId::new(hmac::sign(&key, name.as_bytes()).as_ref())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.fingerprint())
    }
}

/// A new Ed25519 key as the text of a PEM file.
fn new_pem() -> Result<Zeroizing<Vec<u8>>, NoRandomness> {
    let seed = random_bytes::<32>()?;
    let mut der = Zeroizing::new([0; 48]);
    der[..16].copy_from_slice(&PKCS8_V1_ED25519);
    der[16..].copy_from_slice(&seed[..]);
    let base64 = Zeroizing::new(BASE64.encode(&der[..]));
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *base64);
    Ok(Zeroizing::new(pem.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file of the key with the secret bytes 0, 1, 2, ..., 31.
    const KNOWN: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
        -----END PRIVATE KEY-----\n";

    fn file_with(bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn fingerprints_and_ids_are_what_others_compute() {
        // From Python's cryptography and hmac.
        let (_dir, path) = file_with(KNOWN);
        let key = SecretKey::load_or_create(path).unwrap();
        let fingerprint = key.fingerprint().to_string();
        assert_eq!(fingerprint, "oFCDfYUHBYLM9zlLCYiEfMMSy4glm4lImfbyOc8XkaU");
        for (name, id) in [
            ("user", "cd58bd5f2880a549a8e369f7b1ea65278fd2dd2fac47d5a33ca1ed4e66cf627c"),
            ("", "c50f9d8426ca6eea590b9230737f0f1db81e0db16ba5c4129969e27364450cb4"),
        ] {
            let derived = data_encoding::HEXLOWER.encode(key.derive_id(name).as_bytes());
            assert_eq!(derived, id);
        }
    }

    #[test]
    fn a_new_key_file_is_private_and_of_the_kind_that_ocaml_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        let made = SecretKey::load_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        let base64 = text.lines().nth(1).unwrap();
        assert_eq!(BASE64.decode(base64.as_bytes()).unwrap().len(), 48);
        let loaded = SecretKey::load_or_create(&path).unwrap();
        assert_eq!(loaded.fingerprint(), made.fingerprint());
        assert_eq!(loaded.derive_id("user"), made.derive_id("user"));
        assert_ne!(loaded.derive_id("user"), loaded.derive_id("admin"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn keys_from_openssl_are_good_for_tls() {
        let ed25519 = KNOWN;
        let p256 = "-----BEGIN PRIVATE KEY-----\n\
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrZ5wPGjqrxOEuJMb\n\
            ZSdFB3RzeAM+u5QYQw/o2LSukF2hRANCAATzMaKUKx2ikGfD6vJqv1GrZexQOeKY\n\
            FmFkf2ZlfLCp6vjTaWLROfVEyPzWXGakZbH4PMsyzzX9xGIRcezvCEbq\n\
            -----END PRIVATE KEY-----\n";
        for pem in [ed25519, p256, include_str!("../tests/data/rsa-2048.pem")] {
            let (_dir, path) = file_with(pem);
            let key = SecretKey::load_or_create(path).unwrap();
            let identity = crate::Identity::new(&key).unwrap();
            assert_eq!(identity.fingerprint(), key.fingerprint());
        }
    }

    #[test]
    fn a_file_without_a_key_is_told_so_and_left_alone() {
        for bytes in [&b""[..], b"hello", &KNOWN.as_bytes()[..80], b"\xff\xff"] {
            let (_dir, path) = file_with(bytes);
            let error = SecretKey::load_or_create(&path).unwrap_err();
            assert!(matches!(error, KeyError::NotAKey { .. }), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn debug_shows_the_fingerprint_only() {
        let (_dir, path) = file_with(KNOWN);
        let key = SecretKey::load_or_create(path).unwrap();
        let identity = crate::Identity::new(&key).unwrap();
        let fingerprint = key.fingerprint();
        assert_eq!(format!("{key:?}"), format!("SecretKey({fingerprint})"));
        assert_eq!(format!("{identity:?}"), format!("Identity({fingerprint})"));
    }
}
