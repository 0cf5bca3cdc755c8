//! What a peer may say, and what it may not.

use super::*;
use crate::tls::TlsStream;
use crate::tls::tests::{pair, suites};

const DATA: ContentType = ContentType::ApplicationData;
const UPDATE: &[u8] = &[24, 0, 0, 1, 0];

/// Seals these one after the other, as `from` never would.
fn forge(from: &mut TlsStream, said: &[(ContentType, &[u8])]) -> Vec<u8> {
    let mut wire = Vec::new();
    for (kind, data) in said {
        from.records().sending.seal(*kind, data, &mut wire).unwrap();
    }
    wire
}

/// What `to` makes of this: the data, and what was wrong.
fn open(to: &mut TlsStream, wire: &[u8]) -> (Vec<u8>, Option<Error>) {
    let mut memory = wire.to_vec();
    let opened = to.records().open(&mut memory);
    assert_eq!(opened.rest, wire.len());
    memory.truncate(opened.data);
    (memory, opened.error)
}

#[tokio::test]
async fn data_of_many_records_ends_up_in_one_piece_and_a_part_of_one_waits() {
    for suite in suites() {
        let (mut client, mut server) = pair(suite).await;
        let data: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
        let mut wire = Vec::new();
        for piece in data.chunks(MOST_DATA) {
            client.records().seal(piece, &mut wire).unwrap();
        }
        let (first, mut heard) = (wire.len() / 2, Vec::new());
        let opened = server.records().open(&mut wire[..first]);
        assert!(opened.error.is_none() && first - opened.rest < crate::tls::key::LONGEST);
        heard.extend_from_slice(&wire[..opened.data]);
        let (more, error) = open(&mut server, &wire[opened.rest..]);
        heard.extend(more);
        assert!(error.is_none() && heard == data, "{suite:?}");
    }
}

#[tokio::test]
async fn not_a_bit_of_a_record_can_be_changed() {
    for suite in suites() {
        let (mut client, mut server) = pair(suite).await;
        let right = forge(&mut client, &[(DATA, b"right")]);
        for bit in 0..8 * right.len() {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let sequence = server.records().receiving.sequence();
            let opened = server.records().open(&mut wrong);
            // Where the length grew, it waits for more.
            let waits = (3..5).contains(&(bit / 8)) && opened.error.is_none() && opened.rest == 0;
            assert!(opened.data == 0 && (opened.error.is_some() || waits), "{suite:?}, bit {bit}");
            server.records().receiving.set_sequence(sequence);
        }
        assert_eq!(open(&mut server, &right), (b"right".to_vec(), None));
        assert_eq!(open(&mut server, &right), (vec![], Some(Error::DecryptError)), "twice");
        let sequence = server.records().receiving.sequence();
        server.records().receiving.set_sequence(sequence - 1);
        // One is left out.
        forge(&mut client, &[(DATA, b"lost")]);
        let next = forge(&mut client, &[(DATA, b"next")]);
        assert_eq!(open(&mut server, &next), (vec![], Some(Error::DecryptError)));
    }
}

#[tokio::test]
async fn a_record_may_be_short_and_never_too_short_or_too_long() {
    for suite in suites() {
        for length in 0..60_u8 {
            let (_, mut server) = pair(suite).await;
            let mut wire = vec![23, 3, 3, 0, length];
            wire.extend(vec![0; length.into()]);
            assert_eq!(open(&mut server, &wire), (vec![], Some(Error::DecryptError)), "{length}");
        }
        let (mut client, mut server) = pair(suite).await;
        let most = forge(&mut client, &[(DATA, &[3; MOST_DATA]), (DATA, &[])]);
        assert_eq!(open(&mut server, &most), (vec![3; MOST_DATA], None));
        let more = forge(&mut client, &[(DATA, &[3; MOST_DATA + 1])]);
        assert_eq!(open(&mut server, &more), (vec![], Some(Error::PeerSentOversizedRecord)));
        let (_, error) = open(&mut server, &[23, 3, 3, 0x41, 1]);
        assert_eq!(error, Some(InvalidMessage::MessageTooLarge.into()));
    }
}

#[tokio::test]
async fn zeros_behind_data_are_no_part_of_it() {
    let (mut client, mut server) = pair(suites()[0]).await;
    let none = ContentType::Unknown(0);
    let padded = forge(&mut client, &[(none, b"data\x17\0\0"), (none, b"\x17")]);
    assert_eq!(open(&mut server, &padded), (b"data".to_vec(), None));
    let long = [&b"data\x17"[..], &[0; MOST_DATA]].concat();
    let (_, error) = open(&mut server, &forge(&mut client, &[(none, &long[..MOST_DATA + 1])]));
    assert_eq!(error, Some(Error::PeerSentOversizedRecord));
    let (mut client, mut server) = pair(suites()[0]).await;
    let (_, error) = open(&mut server, &forge(&mut client, &[(none, &[0; 20])]));
    assert_eq!(error, Some(PeerMisbehaved::IllegalTlsInnerPlaintext.into()));
}

#[tokio::test]
async fn messages_of_a_handshake_that_have_no_place_any_more_are_refused() {
    let ticket: &[u8] = &[4, 0, 0, 3, 1, 2, 3];
    for suite in suites() {
        let later = suite.tls13().is_some();
        for kind in 0..=30 {
            let (mut client, mut server) = pair(suite).await;
            let message = [kind, 0, 0, 1, 0];
            let to_server = forge(&mut client, &[(ContentType::Handshake, &message)]);
            let to_client = forge(&mut server, &[(ContentType::Handshake, &message)]);
            let taken = [open(&mut server, &to_server).1, open(&mut client, &to_client).1];
            let taken = taken.map(|error| error.is_none());
            assert_eq!(taken, [later && kind == 24, later && matches!(kind, 4 | 24)], "{kind}");
        }
        if !later {
            continue;
        }
        let wrong: [&[(ContentType, &[u8])]; 7] = [
            &[(ContentType::Handshake, &[24, 0, 0, 1, 2])],
            &[(ContentType::Handshake, &[24, 0, 0, 0])],
            &[(ContentType::Handshake, &[24, 0, 0, 1, 0, 24])],
            &[(ContentType::Handshake, &[24, 0]), (DATA, b"between")],
            &[(ContentType::Handshake, &[24, 1, 0, 1])],
            &[(ContentType::Handshake, &[])],
            &[(ContentType::ChangeCipherSpec, &[1])],
        ];
        for said in wrong {
            let (mut client, mut server) = pair(suite).await;
            let (data, error) = open(&mut server, &forge(&mut client, said));
            assert!(data.is_empty() && error.is_some(), "{said:?}");
        }
        let (mut client, mut server) = pair(suite).await;
        // Two in one record, then one in two.
        let said = [[ticket, ticket, &ticket[..5]].concat(), ticket[5..].to_vec()];
        let said = said.each_ref().map(|part| (ContentType::Handshake, &part[..]));
        assert_eq!(open(&mut client, &forge(&mut server, &said)), (vec![], None));
        let update =
            [(ContentType::Handshake, &UPDATE[..2]), (ContentType::Handshake, &UPDATE[2..])];
        assert_eq!(open(&mut server, &forge(&mut client, &update)), (vec![], None));
        // The key is another one now, and `client` hasn't changed its own.
        let old = forge(&mut client, &[(DATA, b"old")]);
        assert_eq!(open(&mut server, &old).1, Some(Error::DecryptError));
    }
}

#[tokio::test]
async fn a_peer_that_sends_no_data_without_end_is_given_up() {
    let nothings: [(ContentType, &[u8]); 3] =
        [(DATA, &[]), (ContentType::Handshake, UPDATE), (ContentType::Alert, &[1, 90])];
    for nothing in nothings {
        let (mut client, mut server) = pair(suites()[0]).await;
        let mut say = |said| {
            let wire = forge(&mut client, &[said]);
            if said.0 == ContentType::Handshake {
                let records = client.records();
                let next = records.keys.next_sending().unwrap();
                records.sending = Key::new(records.version, records.limit, next).unwrap();
            }
            open(&mut server, &wire)
        };
        for _ in 0..3 {
            assert!((0..MOST_IDLE).all(|_| say(nothing) == (vec![], None)));
            assert_eq!(say((DATA, b"data")), (b"data".to_vec(), None));
        }
        assert!((0..MOST_IDLE).all(|_| say(nothing) == (vec![], None)));
        assert!(say(nothing).1.is_some());
    }
}

#[tokio::test]
async fn an_alert_ends_it_and_a_goodbye_is_none() {
    for suite in suites() {
        let (mut client, mut server) = pair(suite).await;
        let alert: [(ContentType, &[u8]); 2] = [(DATA, b"data"), (ContentType::Alert, &[2, 40])];
        let expected = Error::AlertReceived(AlertDescription::HandshakeFailure);
        let alerted = open(&mut server, &forge(&mut client, &alert));
        assert_eq!(alerted, (b"data".to_vec(), Some(expected)));

        let (mut client, mut server) = pair(suite).await;
        let goodbye: [(ContentType, &[u8]); 3] =
            [(DATA, b"data"), (ContentType::Alert, &[1, 0]), (DATA, b"more")];
        assert_eq!(open(&mut server, &forge(&mut client, &goodbye)), (b"data".to_vec(), None));
        assert!(server.records().received_close_notify());

        let (mut client, mut server) = pair(suite).await;
        let warning = [(ContentType::Alert, &[1, 100][..]), (DATA, b"data")];
        let (data, error) = open(&mut server, &forge(&mut client, &warning));
        let is_fatal = suite.tls13().is_some();
        assert_eq!((data.is_empty(), error.is_some()), (is_fatal, is_fatal));

        let (mut client, mut server) = pair(suite).await;
        let mut wire = Vec::new();
        for _ in 0..2 {
            client.records().close_notify(&mut wire).unwrap();
        }
        open(&mut server, &wire);
        assert!(server.records().received_close_notify());
        assert_eq!(client.records().sending.sequence(), server.records().receiving.sequence());
    }
}

#[tokio::test]
async fn no_key_seals_more_than_its_suite_allows() {
    for suite in suites().into_iter().filter(|suite| format!("{suite:?}").contains("AES")) {
        let (mut client, _server) = pair(suite).await;
        let records = client.records();
        for _ in 0..2 {
            records.sending.set_sequence((1 << 24) - 2);
            assert!(!records.sending.is_used_up());
            // The last one announces the next key.
            records.sending.set_sequence((1 << 24) - 1);
            assert!(records.sending.is_used_up());
            let sealed = records.seal(b"next", &mut Vec::new());
            assert_eq!(sealed.is_ok(), suite.tls13().is_some());
            if sealed.is_err() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_key_update_asks_for_no_other() {
    for suite in suites().into_iter().filter(|suite| suite.tls13().is_some()) {
        let (mut client, mut server) = pair(suite).await;
        client.records().seal_at_most(2);
        for _ in 0..3 {
            let mut wire = Vec::new();
            client.records().seal(b"a", &mut wire).unwrap();
            assert_eq!(open(&mut server, &wire), (b"a".to_vec(), None));
            assert!(!server.records().asked_for_update);
        }
        assert!(client.records().sealed() == 1);
    }
}
