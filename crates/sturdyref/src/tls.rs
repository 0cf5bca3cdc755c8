//! Mutual TLS in which keys stand for themselves: the client pins the server's key, the server learns the
//! client's. Names, dates and chains play no part; the signatures that prove the keys are always verified.
//!
//! No SNI, no ALPN, no resumption (so that the pin is checked each time), TLS 1.2 and 1.3.

mod handshake;
mod incoming;
mod key;
mod records;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, CipherSuite, ClientConfig, DigitallySignedStruct, DistinguishedName,
    ServerConfig, SignatureScheme, SupportedCipherSuite,
};

use crate::fingerprint::Fingerprint;
use crate::identity::Identity;
pub(crate) use handshake::{accept, connect};
pub(crate) use stream::TlsStream;

/// How a server speaks TLS under `identity`: every client must show a key, and any key will do.
pub(crate) fn server_config(identity: &Identity) -> Result<ServerConfig, rustls::Error> {
    let provider = provider();
    let verifier = Arc::new(AnyClient(provider.signature_verification_algorithms));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.enable_secret_extraction = true;
    Ok(config)
}

/// How a client speaks TLS under `identity` to the one server that `pin` accepts.
pub(crate) fn client_config(
    identity: &Identity,
    pin: Arc<PinnedServer>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(pin)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    config.enable_secret_extraction = true;
    Ok(config)
}

/// All that ring has, the fastest first: AES with a key of 128 bits.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    let is_slower = |suite: &SupportedCipherSuite| {
        use CipherSuite::*;
        !matches!(
            suite.suite(),
            TLS13_AES_128_GCM_SHA256
                | TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    };
    // Version 1.3 before 1.2: the sort is stable.
    provider.cipher_suites.sort_by_key(|suite| (suite.tls13().is_none(), is_slower(suite)));
    Arc::new(provider)
}

/// The fingerprint of the key that a certificate carries.
///
/// It must be X.509 v3, with or without extensions, as OCaml's are: rustls takes no others.
pub(crate) fn fingerprint_of(
    certificate: &CertificateDer<'_>,
) -> Result<Fingerprint, rustls::Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    Ok(Fingerprint::of_spki(&parsed.subject_public_key_info()))
}

/// Accepts the server with the expected key, and remembers which key another one had.
#[derive(Debug)]
pub(crate) struct PinnedServer {
    expected: Fingerprint,
    found: OnceLock<Fingerprint>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedServer {
    pub(crate) fn new(expected: Fingerprint) -> Self {
        let algorithms = provider().signature_verification_algorithms;
        Self { expected, found: OnceLock::new(), algorithms }
    }

    /// The key that a server showed in place of the expected one.
    pub(crate) fn wrong_key(&self) -> Option<Fingerprint> {
        self.found.get().copied().filter(|found| *found != self.expected)
    }
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = fingerprint_of(certificate)?;
        // The first one is told; each has to be the right one.
        self.found.get_or_init(|| found);
        if found == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Accepts every client that shows a key and proves it.
#[derive(Debug)]
struct AnyClient(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        fingerprint_of(certificate)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod certificates {
    use data_encoding::BASE64;

    use super::*;

    /// From `openssl req -x509 -newkey ed25519`: with the usual extensions.
    const V3: &str = "\
        MIIBNjCB6aADAgECAhRJZvhHRX1Jk5JYKEXGmfQsMd2DRjAFBgMrZXAwEDEOMAwG\
        A1UEAwwFY2FwbnAwIBcNMjYxMTIyMTIwMjE5WhgPMjEyNjEwMjkxMjAyMTlaMBAx\
        DjAMBgNVBAMMBWNhcG5wMCowBQYDK2VwAyEAduT9TT/4j+vqjclcga3bVQhBb9da\
        0wV7nxjtiGBxt06jUzBRMB0GA1UdDgQWBBRTzZ8Gd0wIOyfs6wwIkozVoSilaTAf\
        BgNVHSMEGDAWgBRTzZ8Gd0wIOyfs6wwIkozVoSilaTAPBgNVHRMBAf8EBTADAQH/\
        MAUGAytlcANBAFdwmUKl3v9BqldPyFeALicqBjuJ3U+f79dwNvdSOXTGI5Jj9ErA\
        dt6vKWRz9YhJH73GfYd3P9C8xtK5haYxFQI=";
    /// From `openssl x509 -req`: the same key, and the first version of X.509.
    const V1: &str = "\
        MIHcMIGPAhQmeyWFBiZfAqHahuJUVcDQiBpCqjAFBgMrZXAwEDEOMAwGA1UEAwwF\
        Y2FwbnAwIBcNMjYxMTIyMTIwMjE5WhgPMjEyNjEwMjkxMjAyMTlaMBAxDjAMBgNV\
        BAMMBWNhcG5wMCowBQYDK2VwAyEAduT9TT/4j+vqjclcga3bVQhBb9da0wV7nxjt\
        iGBxt04wBQYDK2VwA0EAOdqKcCeGSs/yi9dd5ANzoz4hv096ijDpSXa+K1qsDGiL\
        izQqeFOy/CgBDTrILNqvkb1WYwgAoZ/p+znwYkg3CA==";

    fn parse(certificate: &str) -> Result<Fingerprint, rustls::Error> {
        fingerprint_of(&BASE64.decode(certificate.as_bytes()).unwrap().into())
    }

    #[test]
    fn a_fingerprint_is_what_openssl_makes_of_the_public_key() {
        // openssl pkey -pubout -outform DER | openssl dgst -sha256 -binary | basenc --base64url
        let expected = "7Li5vYZKa3H8g796iBUx8rbn7EMo8Rm7_HJv_qXG0PU";
        assert_eq!(parse(V3).unwrap().to_string(), expected);
    }

    #[test]
    fn certificates_before_version_3_are_refused_by_name() {
        let error = parse(V1).unwrap_err();
        assert!(error.to_string().contains("UnsupportedCertVersion"), "{error}");
    }
}
