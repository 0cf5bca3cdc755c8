//! What a peer can't do to a vat, whatever it sends or doesn't send.

use std::time::Duration;

use sturdyref::*;
use tokio::io::AsyncWriteExt;

use crate::common::*;
use crate::greeter_capnp::greeter;

const NEVER: Duration = Duration::from_secs(3600);

/// Limits under which nothing is dropped for being slow.
fn patient() -> Limits {
    Limits { handshake: NEVER, first_frame: NEVER, ..Limits::default() }
}

#[test]
fn a_thousand_silent_connections_keep_nobody_out() {
    raise_nofile_limit().unwrap();
    local(async {
        for security in [Security::Insecure, tls()] {
            let vat = Vat::serve_within(security, Greeters::with(&["alice"]), patient());
            let early = vat.connect("alice").await.unwrap();
            let mut silent = Vec::new();
            for _ in 0..1000 {
                silent.push(vat.raw().await);
            }
            let late = vat.connect("alice").await.unwrap();
            for connection in [early, late] {
                let greeting = greet(&connection.target(), "you").await.unwrap();
                assert_eq!(greeting, "Hello you, this is alice");
            }
            // All but the youngest were dropped.
            for stream in &mut silent[..1000 - 256] {
                until_closed(stream).await;
            }
        }
    });
}

#[test]
fn whoever_only_ever_holds_the_gateway_makes_way_for_others() {
    local(async {
        let limits = Limits { unproved_connections: 1, ..patient() };
        let vat = Vat::serve_within(tls(), Greeters::with(&["alice"]), limits);
        let idle = vat.connect("").await.unwrap();
        let proved = vat.connect("alice").await.unwrap();
        let other = vat.connect("").await.unwrap();
        let youngest = vat.connect("").await.unwrap();
        idle.closed().await;
        other.closed().await;
        assert!(greet(&proved.target(), "you").await.is_ok());
        let mut request = youngest.target::<GatewayClient>().restore_request();
        request.get().set_id(b"alice");
        assert!(request.send().promise.await.is_ok());
    });
}

#[test]
fn whoever_is_slow_is_dropped() {
    local(async {
        let soon = Duration::from_millis(20);
        let silent = Limits { first_frame: soon, ..patient() };
        let vat = Vat::serve_within(Security::Insecure, Greeters::with(&[]), silent);
        for said in [&b""[..], &[0; 4], &[0, 0, 0, 0, 9, 0, 0, 0, 1]] {
            let mut stream = vat.raw().await;
            stream.write_all(said).await.unwrap();
            until_closed(&mut stream).await;
        }
        let handshake = Limits { handshake: soon, ..patient() };
        let vat = Vat::serve_within(tls(), Greeters::with(&[]), handshake);
        for said in [&b""[..], b"\x16\x03\x01"] {
            let mut stream = vat.raw().await;
            stream.write_all(said).await.unwrap();
            until_closed(&mut stream).await;
        }
    });
}

#[test]
fn garbage_is_dropped_at_once() {
    local(async {
        let frames: [&[u8]; 5] = [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            // One segment of 32 GiB.
            &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            // One segment of 64 KiB and a word.
            &[0, 0, 0, 0, 1, 0x20, 0, 0],
            // 4 billion segments.
            &[0xff; 8],
            // An empty message: no Bootstrap.
            &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        for security in [Security::Insecure, tls()] {
            let vat = Vat::serve_within(security, Greeters::with(&["alice"]), patient());
            for frame in frames {
                if matches!(vat.auth, Auth::Tls(_)) && frame.iter().all(|byte| *byte < 2) {
                    // Too short for TLS to find fault with.
                    continue;
                }
                let mut stream = vat.raw().await;
                stream.write_all(frame).await.unwrap();
                until_closed(&mut stream).await;
            }
            let good = vat.connect("alice").await.unwrap();
            assert!(greet(&good.target(), "you").await.is_ok());
        }
    });
}

#[test]
fn random_bytes_harm_nobody() {
    local(async {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let limits = Limits { first_frame: Duration::from_millis(20), ..patient() };
        let vat = Vat::serve_within(Security::Insecure, Greeters::with(&["alice"]), limits);
        for _ in 0..50 {
            let mut stream = vat.raw().await;
            // Whole frames of small segments, so that some get past the framing.
            let words = random.u8(1..20);
            let mut bytes = vec![0, 0, 0, 0, words, 0, 0, 0];
            bytes.extend((0..8 * usize::from(words)).map(|_| random.u8(0..4)));
            stream.write_all(&bytes).await.unwrap();
            until_closed(&mut stream).await;
        }
        let good = vat.connect("alice").await.unwrap();
        assert!(greet(&good.target(), "you").await.is_ok());
    });
}

#[test]
fn a_frame_over_4_mib_ends_the_connection_and_no_other() {
    local(async {
        let vat = Vat::serve(tls(), Greeters::with(&["alice"]));
        let (greedy, modest) =
            (vat.connect("alice").await.unwrap(), vat.connect("alice").await.unwrap());
        let most = (4 << 20) - 1024;
        assert_eq!(swallow(&greedy.target(), most).await.unwrap(), most as u64);
        let error = swallow(&greedy.target(), 4 << 20).await.unwrap_err();
        assert!(error.extra.contains("too large"), "{error}");
        greedy.closed().await;
        assert!(greet(&modest.target(), "you").await.is_ok());
    });
}

#[test]
fn a_stranger_may_send_small_frames_only() {
    local(async {
        let vat = Vat::serve(tls(), Greeters::with(&["alice"]));
        let stranger = vat.connect("").await.unwrap();
        let mut request = stranger.target::<GatewayClient>().restore_request();
        request.get().init_id(65 << 10);
        assert!(request.send().promise.await.is_err());
        stranger.closed().await;
    });
}

#[test]
fn reading_stops_while_too_much_is_unanswered() {
    local(async {
        let swallowing = Swallowing::behind_a_gate(0);
        let greeters = Greeters::with(&["alice"]);
        greeters.add("slow", Place::Here(swallower("slow", swallowing.clone())));
        let limits = Limits { unanswered: 2 << 20, window: 1 << 20, ..Limits::default() };
        let vat = Vat::serve_within(tls(), greeters, limits);
        let alice = vat.connect("alice").await.unwrap();
        let eager = vat.connect("slow").await.unwrap();
        let slow = eager.target::<greeter::Client>();
        let calls = futures::future::join_all((0..40).map(|_| swallow(&slow, 1 << 20)));
        let let_through = async {
            swallowing.now.subscribe().wait_for(|now| *now >= 3).await.unwrap();
            // Plenty of time to read on.
            for _ in 0..200 {
                greet(&alice.target(), "you").await.unwrap();
            }
            swallowing.gate.add_permits(40);
        };
        let (answers, ()) = futures::future::join(calls, let_through).await;
        for answer in answers {
            assert_eq!(answer.unwrap(), 1 << 20);
        }
        // 3 MiB are allowed; the call that goes over is the last that is read.
        assert_eq!(swallowing.most.get(), 3);
    });
}

#[test]
fn questions_without_end_end_the_connection() {
    local(async {
        let limits = Limits { open_questions: 10, ..Limits::default() };
        let vat = Vat::serve_within(tls(), Greeters::with(&["alice"]), limits);
        let connection = vat.connect("alice").await.unwrap();
        let alice = connection.target::<greeter::Client>();
        let calls: Vec<_> = (0..10).map(|_| alice.hang_request().send().promise).collect();
        for error in futures::future::join_all(calls).await {
            let error = error.map(drop).unwrap_err();
            assert!(error.extra.contains("too many questions"), "{error}");
        }
        connection.closed().await;
    });
}
