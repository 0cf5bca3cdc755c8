//! What is refused, and in which words: wrong keys, wrong protocols, nobody there.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig};
use sturdyref::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::*;

#[test]
fn a_server_with_another_key_is_not_the_one_that_was_meant() {
    local(async {
        let greeters = Greeters::with(&["alice"]);
        let vat = Vat::serve(tls(), greeters.clone());
        let other = Identity::ephemeral().unwrap().fingerprint();
        let target = SturdyRef { auth: Auth::Tls(other), ..vat.sturdyref("alice") };
        let error = connect(&target, &tls(), DEADLINE).await.unwrap_err();
        let ConnectError::WrongKey { expected, found, .. } = &error else { panic!("{error}") };
        assert_eq!((Auth::Tls(*expected), Auth::Tls(*found)), (target.auth, vat.auth));
        assert!(error.to_string().contains(&vat.address.to_string()), "{error}");
        assert!(!error.is_unreachable());
        assert!(greeters.asked.borrow().is_empty(), "the id went to the wrong server");
    });
}

#[test]
fn an_unknown_id_is_a_final_error_with_the_vats_words() {
    local(async {
        for security in [Security::Insecure, tls()] {
            let vat = Vat::serve(security, Greeters::with(&["alice"]));
            let error = vat.connect("mallory").await.unwrap_err();
            let expected = format!(
                "{} did not restore the capability: Unknown persistent service ID",
                vat.address
            );
            assert_eq!(error.to_string(), expected);
            assert!(!error.is_unreachable());
        }
    });
}

#[test]
fn an_insecure_capability_for_a_tls_server_is_told_so() {
    local(async {
        let vat = Vat::serve(tls(), Greeters::with(&["alice"]));
        let target = SturdyRef { auth: Auth::Insecure, ..vat.sturdyref("alice") };
        let error = connect(&target, &Security::Insecure, DEADLINE).await.unwrap_err();
        assert!(matches!(error, ConnectError::SpeaksTls { .. }), "{error:?}");
        assert!(!error.is_unreachable());
    });
}

#[test]
fn a_secure_capability_for_an_insecure_server_is_told_so() {
    local(async {
        let vat = Vat::serve(Security::Insecure, Greeters::with(&["alice"]));
        let pin = Identity::ephemeral().unwrap().fingerprint();
        let target = SturdyRef { auth: Auth::Tls(pin), ..vat.sturdyref("alice") };
        let error = connect(&target, &tls(), DEADLINE).await.unwrap_err();
        assert!(matches!(error, ConnectError::NoTls { .. }), "{error:?}");
        assert!(!error.is_unreachable());
    });
}

#[test]
fn a_secure_capability_needs_an_identity() {
    local(async {
        let vat = Vat::serve(tls(), Greeters::with(&["alice"]));
        let target = vat.sturdyref("alice");
        let error = connect(&target, &Security::Insecure, DEADLINE).await.unwrap_err();
        assert!(matches!(error, ConnectError::NoIdentity { .. }), "{error:?}");
    });
}

/// A server that says `greeting` to whoever comes, and nothing else.
async fn server_that_says(greeting: &'static [u8]) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().into();
    tokio::task::spawn_local(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting).await.unwrap();
            held.push(stream);
        }
    });
    address
}

fn insecure(address: Address) -> SturdyRef {
    SturdyRef { auth: Auth::Insecure, address, id: ObjectId::new("alice") }
}

#[test]
fn a_server_that_is_no_vat_is_told_so() {
    local(async {
        let address = server_that_says(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n").await;
        let pinned = SturdyRef {
            auth: Auth::Tls(Identity::ephemeral().unwrap().fingerprint()),
            ..insecure(address.clone())
        };
        let error = connect(&insecure(address), &tls(), DEADLINE).await.unwrap_err();
        assert!(matches!(error, ConnectError::Garbage { .. }), "{error:?}");
        let error = connect(&pinned, &tls(), DEADLINE).await.unwrap_err();
        assert!(matches!(error, ConnectError::NoTls { .. }), "{error:?}");
    });
}

#[test]
fn a_server_that_says_nothing_is_given_up_at_the_deadline() {
    local(async {
        let address = server_that_says(b"").await;
        let pin = Auth::Tls(Identity::ephemeral().unwrap().fingerprint());
        for auth in [Auth::Insecure, pin] {
            let target = SturdyRef { auth, ..insecure(address.clone()) };
            let deadline = Duration::from_millis(50);
            let error = connect(&target, &tls(), deadline).await.unwrap_err();
            assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
            assert!(error.is_unreachable());
        }
    });
}

#[test]
fn nobody_there_is_told_apart_from_no_way_there() {
    local(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::from(listener.local_addr().unwrap());
        drop(listener);
        let error = connect(&insecure(address), &tls(), DEADLINE).await.unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
        assert!(error.is_unreachable());
        let nowhere = Address::Unix("/nonexistent/vat.sock".into());
        let error = connect(&insecure(nowhere), &tls(), DEADLINE).await.unwrap_err();
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
        assert!(error.is_unreachable());
        assert_eq!(error.to_string(), "can't reach unix:/nonexistent/vat.sock");
    });
}

/// A certificate for a key, and another key to go with it.
fn stolen_certificate() -> (Fingerprint, Arc<CertifiedKey>) {
    let owner = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let thief = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&owner).unwrap();
    let spki = rcgen::PublicKeyData::subject_public_key_info(&owner);
    let key = PrivateKeyDer::try_from(thief.serialize_der()).unwrap();
    let signer = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    (Fingerprint::of_spki(&spki), Arc::new(CertifiedKey::new(vec![certificate.into()], signer)))
}

#[test]
fn a_server_that_shows_anothers_certificate_is_found_out() {
    local(async {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let (fingerprint, certified) = stolen_certificate();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().into();
            let server = tokio::task::spawn_local(async move {
                let (stream, _) = listener.accept().await.unwrap();
                acceptor.accept(stream).await.map(drop)
            });
            let target = SturdyRef { auth: Auth::Tls(fingerprint), ..insecure(address) };
            let error = connect(&target, &tls(), DEADLINE).await.unwrap_err();
            let ConnectError::NoTls { source, .. } = &error else { panic!("{error:?}") };
            assert!(source.to_string().contains("BadSignature"), "{source}");
            assert!(server.await.unwrap().is_err());
        }
    });
}

/// Speaks TLS with the vat in ways that this crate would not, and says what came of it.
async fn strange_client(
    vat: &Vat,
    version: &'static rustls::SupportedProtocolVersion,
    certified: Option<Arc<CertifiedKey>>,
) -> std::io::Result<()> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
    let config = match certified {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from("capnp").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, vat.raw().await).await?;
    // In TLS 1.3 a client hears only later whether the server liked its certificate.
    stream.read_u8().await.map(drop)
}

#[test]
fn a_client_that_shows_no_certificate_or_anothers_is_not_served() {
    local(async {
        let greeters = Greeters::with(&["alice"]);
        let vat = Vat::serve(tls(), greeters.clone());
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let error = strange_client(&vat, version, None).await.unwrap_err();
            let expected = ["CertificateRequired", "HandshakeFailure"];
            assert!(expected.iter().any(|word| error.to_string().contains(word)), "{error}");
            let stolen = stolen_certificate().1;
            let error = strange_client(&vat, version, Some(stolen)).await.unwrap_err();
            assert!(error.to_string().contains("DecryptError"), "{error}");
        }
        assert!(greeters.asked.borrow().is_empty());
    });
}

/// Believes every server; the client is what is under test.
#[derive(Debug)]
struct AnyServer(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
