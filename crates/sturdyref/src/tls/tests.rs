//! Against rustls's own records, with every suite.

use std::io::IoSlice;

use rustls::SupportedCipherSuite;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::socket::Socket;

/// Every suite that a key of ours can be used with.
pub(super) fn suites() -> Vec<SupportedCipherSuite> {
    let all = provider().cipher_suites.clone();
    let usable = |suite: &SupportedCipherSuite| !format!("{suite:?}").contains("RSA");
    let usable: Vec<_> = all.into_iter().filter(usable).collect();
    assert_eq!(usable.len(), 6);
    usable
}

/// Both ends' configurations; the suite is the one that the client offers.
pub(super) fn configs(suite: SupportedCipherSuite) -> (ClientConfig, Arc<ServerConfig>) {
    let identity = Identity::ephemeral().unwrap();
    let pin = Arc::new(PinnedServer::new(identity.fingerprint()));
    let only = CryptoProvider { cipher_suites: vec![suite], ..(*provider()).clone() };
    let mut client = ClientConfig::builder_with_provider(Arc::new(only))
        .with_protocol_versions(&[suite.version()])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(pin)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    client.enable_secret_extraction = true;
    (client, Arc::new(server_config(&identity).unwrap()))
}

/// A connection of ours on both sides.
pub(super) async fn pair(suite: SupportedCipherSuite) -> (TlsStream, TlsStream) {
    let (here, there) = duplex(1 << 20);
    let (client, server) = configs(suite);
    let (client, server) =
        tokio::join!(connect(client, Socket::Memory(here)), accept(server, Socket::Memory(there)));
    (client.unwrap(), server.unwrap().0)
}

type Theirs = tokio_rustls::TlsStream<DuplexStream>;

fn no_name() -> rustls::pki_types::ServerName<'static> {
    rustls::pki_types::ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())
}

/// A server of ours and a client of rustls's, over a pipe that holds so much.
async fn our_server(suite: SupportedCipherSuite, pipe: usize) -> (TlsStream, Theirs) {
    let (here, there) = duplex(pipe);
    let (client, server) = configs(suite);
    let client = TlsConnector::from(Arc::new(client));
    let (ours, theirs) =
        tokio::join!(accept(server, Socket::Memory(here)), client.connect(no_name(), there));
    let (ours, certificate) = ours.unwrap();
    assert!(certificate.is_some());
    (ours, theirs.unwrap().into())
}

/// A client of ours and a server of rustls's. It gives tickets, as servers do, if they find room in the pipe: it is
/// done only when they are on their way.
async fn our_client(suite: SupportedCipherSuite, pipe: usize) -> (TlsStream, Theirs) {
    let (here, there) = duplex(pipe);
    let (client, server) = configs(suite);
    let mut server = ServerConfig::clone(&server);
    server.send_tls13_tickets = if pipe > 1000 { 3 } else { 0 };
    server.session_storage = rustls::server::ServerSessionMemoryCache::new(10);
    let server = TlsAcceptor::from(Arc::new(server));
    let (ours, theirs) = tokio::join!(connect(client, Socket::Memory(here)), server.accept(there));
    (ours.unwrap(), theirs.unwrap().into())
}

/// Writes `data` in pieces of random sizes, several at a time, and says goodbye.
async fn write_in_pieces(
    to: &mut (impl AsyncWrite + Unpin),
    data: &[u8],
    random: &mut fastrand::Rng,
) {
    let mut rest = data;
    while !rest.is_empty() {
        let cuts = [0, random.usize(0..300), random.usize(0..100_000), random.usize(0..600_000)];
        let mut pieces = Vec::new();
        let mut left = rest;
        for cut in cuts {
            let (piece, after) = left.split_at(cut.min(left.len()));
            pieces.push(IoSlice::new(piece));
            left = after;
        }
        let count = to.write_vectored(&pieces).await.unwrap();
        rest = &rest[count..];
    }
    to.flush().await.unwrap();
    to.shutdown().await.unwrap();
}

/// Reads to the end, into memory of random sizes.
async fn read_in_pieces(
    from: &mut (impl AsyncRead + Unpin),
    random: &mut fastrand::Rng,
) -> Vec<u8> {
    let (mut all, mut memory) = (Vec::new(), vec![0; 1 << 20]);
    loop {
        let most = *random.choice(&[1, 8, 1000, 16 << 10, 40_000, 64 << 10, 1 << 20]).unwrap();
        match from.read(&mut memory[..most]).await.unwrap() {
            0 => return all,
            count => all.extend_from_slice(&memory[..count]),
        }
    }
}

/// Sends random data from `from` to `to`.
async fn data_arrives(
    from: &mut (impl AsyncWrite + Unpin),
    to: &mut (impl AsyncRead + Unpin),
    most: usize,
    random: &mut fastrand::Rng,
) {
    let mut data = vec![0; random.usize(..most)];
    random.fill(&mut data);
    let (mut writing, mut reading) = (random.fork(), random.fork());
    let ((), read) =
        tokio::join!(write_in_pieces(from, &data, &mut writing), read_in_pieces(to, &mut reading));
    assert!(read == data, "{} of {} bytes", read.len(), data.len());
}

#[tokio::test]
async fn data_arrives_in_either_direction_with_every_suite_of_either_version() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for suite in suites() {
        for (pipe, most) in [(50, 50_000), (4000, 500_000), (64 << 10, 2 << 20), (2 << 20, 3 << 20)]
        {
            let (mut ours, mut theirs) = our_server(suite, pipe).await;
            data_arrives(&mut ours, &mut theirs, most, &mut random).await;
            data_arrives(&mut theirs, &mut ours, most, &mut random).await;
            let (mut ours, mut theirs) = our_client(suite, pipe).await;
            data_arrives(&mut theirs, &mut ours, most, &mut random).await;
            data_arrives(&mut ours, &mut theirs, most, &mut random).await;
        }
    }
}

/// Exchanges a little each way.
async fn both_are_heard(ours: &mut TlsStream, theirs: &mut Theirs) {
    let mut heard = [0; 5];
    ours.write_all(b"hello").await.unwrap();
    theirs.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    theirs.write_all(b"world").await.unwrap();
    theirs.flush().await.unwrap();
    ours.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"world");
}

#[tokio::test]
async fn either_end_may_change_its_key_and_ask_the_other_to() {
    for suite in suites().into_iter().filter(|suite| suite.tls13().is_some()) {
        for (mut ours, mut theirs) in
            [our_server(suite, 1 << 16).await, our_client(suite, 1 << 16).await]
        {
            both_are_heard(&mut ours, &mut theirs).await;
            for _ in 0..3 {
                match &mut theirs {
                    Theirs::Client(theirs) => theirs.get_mut().1.refresh_traffic_keys().unwrap(),
                    Theirs::Server(theirs) => theirs.get_mut().1.refresh_traffic_keys().unwrap(),
                }
                theirs.write_all(b"new").await.unwrap();
                theirs.flush().await.unwrap();
                let mut heard = [0; 3];
                ours.read_exact(&mut heard).await.unwrap();
                assert_eq!(&heard, b"new");
                let before = ours.records().sealed();
                both_are_heard(&mut ours, &mut theirs).await;
                assert!(before > 0 && ours.records().sealed() == 1, "it goes on with the old key");
                both_are_heard(&mut ours, &mut theirs).await;
                assert_eq!(ours.records().sealed(), 2, "asked once, it changes it again and again");
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_has_sealed_as_much_as_it_may_makes_room_for_another() {
    for suite in suites() {
        let (mut ours, mut theirs) = our_client(suite, 1 << 20).await;
        ours.records().seal_at_most(5);
        for _ in 0..4 {
            let result = ours.write_all(&[7; 2 << 14]).await;
            if suite.tls13().is_none() {
                // TLS 1.2 has no way to agree on another.
                if let Err(error) = result {
                    assert!(error.to_string().contains("used up"), "{error}");
                    break;
                }
            }
            let mut heard = vec![0; 2 << 14];
            theirs.read_exact(&mut heard).await.unwrap();
            assert!(heard == [7; 2 << 14]);
        }
        assert!(ours.records().sealed() <= 5);
    }
}

#[tokio::test]
async fn what_was_sealed_before_a_key_was_used_up_is_told_and_sent() {
    for suite in suites().into_iter().filter(|suite| suite.tls13().is_none()) {
        let (mut ours, mut theirs) = our_client(suite, 1 << 20).await;
        ours.records().seal_at_most(5);
        let mut told = 0;
        while let Ok(count) = ours.write(&[7; 2 << 14]).await {
            told += count;
        }
        ours.shutdown().await.unwrap();
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
        assert!(told > 0 && heard == vec![7; told], "{told} bytes of {}", heard.len());
    }
}

#[tokio::test]
async fn what_is_flushed_has_left_however_little_the_socket_takes() {
    let (mut ours, mut theirs) = our_server(suites()[0], 100).await;
    let (mut heard, said) = (vec![0; 10_000], vec![7; 10_000]);
    let writing = async {
        assert_eq!(ours.write(&said).await.unwrap(), said.len());
        ours.flush().await.unwrap();
    };
    let ((), read) = tokio::join!(writing, theirs.read_exact(&mut heard));
    assert!(read.unwrap() == said.len() && heard == said);
}

#[tokio::test]
async fn data_right_behind_the_handshake_is_not_lost() {
    for suite in suites() {
        let (here, there) = duplex(1 << 20);
        let (client, server) = configs(suite);
        let client = async {
            let mut client = connect(client, Socket::Memory(here)).await.unwrap();
            client.write_all(b"first of all").await.unwrap();
            client
        };
        let server = async { accept(server, Socket::Memory(there)).await.unwrap().0 };
        let (_client, mut server) = tokio::join!(client, server);
        let mut heard = [0; 12];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"first of all");
    }
}

#[tokio::test]
async fn much_is_read_at_a_time_and_no_more_sealed_ahead_than_is_of_use() {
    let (mut client, mut server) = pair(suites()[0]).await;
    let (mut memory, mut most) = (vec![0; 1 << 20], 0);
    assert_eq!(client.write(&vec![1; 1 << 20]).await.unwrap(), 256 << 10);
    client.flush().await.unwrap();
    while most == 0 || memory[..most].iter().any(|byte| *byte != 1) {
        most = server.read(&mut memory).await.unwrap();
    }
    assert!((100_000..=128 << 10).contains(&most), "{most} bytes at a time");
}

#[tokio::test]
async fn whoever_cannot_open_a_record_tells_the_other_why_after_what_was_right() {
    for (suite, room) in suites().into_iter().flat_map(|suite| [(suite, 100), (suite, 64 << 10)]) {
        let (mut client, mut server) = pair(suite).await;
        client.write_all(b"right").await.unwrap();
        let mut forged = [0; 100];
        forged[..5].copy_from_slice(&[23, 3, 3, 0, 95]);
        client.socket_mut().write_all(&forged).await.unwrap();
        let mut heard = vec![0; room];
        let count = server.read(&mut heard).await.unwrap();
        heard.truncate(count);
        let error = server.read(&mut vec![0; room]).await.unwrap_err();
        assert_eq!(
            (&heard[..], error.to_string().as_str()),
            (&b"right"[..], "cannot decrypt peer's message")
        );
        assert!(server.write(b"more").await.is_err() && server.read(&mut [0; 10]).await.is_err());
        let error = client.read(&mut [0; 100]).await.unwrap_err();
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
    }
}

#[tokio::test]
async fn a_handshake_that_is_cut_short_or_is_none_fails() {
    for bytes in [&b""[..], b"\x16", b"\x16\x03\x01\x10\x00 and some more"] {
        let (here, mut there) = duplex(1 << 16);
        there.write_all(bytes).await.unwrap();
        drop(there);
        let error = accept(configs(suites()[0]).1, Socket::Memory(here)).await.err().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
    }
    // Not one of these waits for more.
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x02\x00\x00\x10",
        // Versions that rustls knows of, and that no record of TLS has.
        b"\x16\x00\x02\x00\x10",
        b"\x16\xfe\xfd\x00\x10",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x42\x00",
        b"\x17\x03\x03\x00\x01\x00",
    ] {
        let (here, mut there) = duplex(1 << 16);
        there.write_all(bytes).await.unwrap();
        let accepted = accept(configs(suites()[0]).1, Socket::Memory(here));
        let accepted = tokio::time::timeout(std::time::Duration::from_secs(30), accepted).await;
        let error = accepted.expect("waits for more").err().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
    }
}

#[tokio::test]
async fn the_certificate_that_counts_is_the_one_that_was_proved() {
    let [own, other] = [(); 2].map(|()| Identity::ephemeral().unwrap());
    let chain = [&own.certified().cert[..], &other.certified().cert[..]].concat();
    let both = rustls::sign::CertifiedKey::new(chain, own.certified().key.clone());
    let (mut client, server) = configs(suites()[0]);
    client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(Arc::new(both)));
    let (here, there) = duplex(1 << 20);
    let (_client, server) =
        tokio::join!(connect(client, Socket::Memory(here)), accept(server, Socket::Memory(there)));
    let shown = server.unwrap().1.unwrap();
    assert_eq!(fingerprint_of(&shown).unwrap(), own.fingerprint());
}

#[tokio::test]
async fn a_handshake_may_come_in_small_records() {
    for suite in suites() {
        let (mut client, server) = configs(suite);
        let mut server = ServerConfig::clone(&server);
        client.max_fragment_size = Some(64);
        server.max_fragment_size = Some(64);
        let (here, there) = duplex(1 << 20);
        let (client, server) = tokio::join!(
            connect(client, Socket::Memory(here)),
            accept(Arc::new(server), Socket::Memory(there))
        );
        let (mut client, mut server) = (client.unwrap(), server.unwrap().0);
        client.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
    }
}

#[tokio::test]
async fn a_close_notify_is_the_end_though_the_socket_stays_open() {
    for room in [100, 64 << 10] {
        let (mut client, mut server) = pair(suites()[0]).await;
        let (mut wire, mut memory) = (Vec::new(), vec![0; room]);
        client.records().seal(b"last", &mut wire).unwrap();
        client.records().close_notify(&mut wire).unwrap();
        client.socket_mut().write_all(&wire).await.unwrap();
        assert_eq!(server.read(&mut memory).await.unwrap(), 4);
        let end = server.read(&mut memory);
        let end = tokio::time::timeout(std::time::Duration::from_secs(30), end).await;
        assert_eq!(end.expect("waits for more").unwrap(), 0);
    }
}

#[tokio::test]
async fn what_is_no_record_is_refused_at_once() {
    for room in [100, 64 << 10] {
        let (mut client, mut server) = pair(suites()[0]).await;
        client.socket_mut().write_all(b"no record").await.unwrap();
        client.socket_mut().shutdown().await.unwrap();
        server.read(&mut vec![0; room]).await.unwrap_err();
    }
}

#[tokio::test]
async fn whoever_waits_to_write_hears_that_the_other_end_gave_up() {
    let (client, mut server) = pair(suites()[0]).await;
    let (mut reader, mut writer) = tokio::io::split(client);
    let blocked = tokio::spawn(async move {
        // Nobody reads it.
        writer.write_all(&vec![0; 4 << 20]).await
    });
    // It runs on this thread until it has to wait.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!blocked.is_finished());
    let mut wire = Vec::new();
    server.records().give_up(&rustls::Error::DecryptError, &mut wire).unwrap();
    server.socket_mut().write_all(&wire).await.unwrap();
    reader.read(&mut [0; 10]).await.unwrap_err();
    // Its socket takes more now, and it is the writer that is told.
    server.read_exact(&mut vec![0; 512 << 10]).await.unwrap();
    let error = tokio::time::timeout(std::time::Duration::from_secs(30), blocked).await;
    error.expect("still waits").unwrap().unwrap_err();
}
