//! Peers that are broken, confused or hostile, against a real tracker, agents and cli: each is told
//! what is wrong, and the tracker goes on answering.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Instant;

use sturdyref::{Address, Auth, Fingerprint, Identity, ObjectId, SturdyRef, capfile};
use tests::user::{User, dial, run};
use tests::{Fleet, Machine, Ran, Tree, deadline, until};

/// A tracker, and one machine with the dataset `data`.
fn fleet() -> (Machine, Fleet) {
    let fleet = Fleet::start();
    let mut machine = fleet.machine("machine", &["tank"]);
    machine.create("tank/data", Tree { seed: 8, bytes: 1 << 20 }, "s");
    machine.start_agent("datacenter-01", &[]);
    fleet.wait_for_show(&[SHOWN]);
    (machine, fleet)
}

const SHOWN: &str = r"data: datacenter-01\machine\tank (online)";

/// The tracker still answers.
fn answers(fleet: &Fleet) {
    assert_eq!(fleet.show(&[]).ok().stdout, format!("{SHOWN}\n"));
}

/// A file with this content, to be used as a capability file.
fn file(fleet: &Fleet, content: &[u8]) -> PathBuf {
    let path = fleet.path("bad.cap");
    fs::write(&path, content).unwrap();
    path
}

fn show_with(machine: &Machine, cap: &std::path::Path) -> Ran {
    machine.cli(&["--connect", cap.to_str().unwrap(), "show"])
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// `HOST:PORT` of a TCP address.
fn host_and_port(address: &Address) -> String {
    let Address::Tcp { host, port } = address else { panic!("no TCP: {address}") };
    format!("{host}:{port}")
}

/// Where the machine's agent listens, as a receiver is told.
fn agent_address(fleet: &Fleet) -> Address {
    run(async {
        let user = User::open(&capfile::read(fleet.cap("user")).unwrap(), schema::PROTOCOL).await;
        let broker = user.as_ref().unwrap().broker("data").await;
        let key = Identity::ephemeral().unwrap().fingerprint();
        broker.reach(r"datacenter-01\machine\tank", key).await.tickets.remove(0).address
    })
}

/// Waits until the other end has closed, whatever it says before.
fn until_closed(mut stream: TcpStream) {
    stream.set_read_timeout(Some(deadline())).unwrap();
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("still open: {error}"),
    }
}

#[test]
fn a_capability_that_is_not_the_trackers_is_refused_with_its_reason() {
    let (machine, fleet) = fleet();
    let user = capfile::read(fleet.cap("user")).unwrap();
    let location = fleet.cap("datacenter-01");
    let another_key = Fingerprint([7; 32]);
    for (bad, status, says) in [
        (SturdyRef { auth: Auth::Tls(another_key), ..user.clone() }, 6, "has the wrong key"),
        (
            SturdyRef { id: ObjectId::random().unwrap(), ..user.clone() },
            6,
            "Unknown persistent service ID",
        ),
        (SturdyRef { auth: Auth::Insecure, ..user.clone() }, 6, "speaks TLS"),
        (capfile::read(&location).unwrap(), 6, "the capability is not a user's"),
    ] {
        let ran = show_with(&machine, &file(&fleet, bad.to_uri().as_bytes())).expect(status);
        let ran = ran.says(says);
        assert_eq!(ran.stdout, "");
    }
    answers(&fleet);
}

#[test]
fn a_file_that_is_no_capability_is_refused_by_name() {
    let (machine, fleet) = fleet();
    let whole = fs::read(fleet.cap("user")).unwrap();
    let cut_in_id = whole.len() - 10;
    let mut binary = whole.clone();
    binary[30] = 0xff;
    for (content, status, says) in [
        (&b""[..], 1, "is empty, not a capability file"),
        (b" \n\n", 1, "is empty, not a capability file"),
        (&binary, 1, "is not a capability file"),
        (&[0x7f; 100_000], 1, "is not a capability file"),
        (&whole[..3], 1, "is not a capability file, or was cut"),
        (&whole[..40], 1, "is not a capability file, or was cut"),
        (&whole[..60], 1, "is not a capability file, or was cut"),
        (&whole[..70], 1, "is not a capability file, or was cut"),
    ] {
        let path = file(&fleet, content);
        let ran = show_with(&machine, &path).expect(status).says(says).says("bad.cap");
        assert_eq!(ran.stdout, "");
    }
    // What is left of an id may be one, by its form.
    let ran = show_with(&machine, &file(&fleet, &whole[..cut_in_id]));
    assert!([1, 6].contains(&ran.status), "{ran:#?}");
    let missing = fleet.path("missing.cap");
    show_with(&machine, &missing).expect(1).says("No such file").says("missing.cap");
    answers(&fleet);
}

#[test]
fn an_agent_with_a_users_capability_says_which_it_needs() {
    let (_machine, fleet) = fleet();
    let mut other = fleet.machine("other", &["pond"]);
    for name in ["user", "admin"] {
        other.start_agent(name, &[]);
        let line = other.agent().wait_for_line("the capability is not a location's");
        assert!(line.contains("--connect"), "{line}");
        other.agent().stop();
    }
    answers(&fleet);
}

#[test]
fn a_plain_client_that_sends_garbage_is_dropped() {
    let (mut machine, mut fleet) = fleet();
    let tracker: Address = fleet.address().parse().unwrap();
    for address in [tracker, agent_address(&fleet)] {
        for said in [
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            &[0xff; 100_000],
            // A Cap'n Proto frame of 4 GiB without TLS.
            &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0x1f],
            // Half a TLS handshake: a ClientHello of 512 bytes is announced.
            &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
            b"",
        ] {
            let mut stream = TcpStream::connect(host_and_port(&address)).unwrap();
            // It may be closed before all is said.
            let _ = stream.write_all(said);
            until_closed(stream);
        }
    }
    answers(&fleet);
    assert!(fleet.tracker().is_running() && machine.agent().is_running());
    machine.cli(&["download", "data", "--to", "tank/again"]).ok();
}

#[test]
fn a_thousand_connections_that_never_speak_keep_nobody_out() {
    sturdyref::raise_nofile_limit().unwrap();
    let (mut machine, mut fleet) = fleet();
    let tracker: Address = fleet.address().parse().unwrap();
    let agent = agent_address(&fleet);
    for (address, pid) in [(tracker, fleet.tracker().pid()), (agent, machine.agent().pid())] {
        let before = open_files(pid);
        // 256 that have proved nothing, some that have, and those that are just being dropped.
        let bounded = || {
            let open = open_files(pid);
            assert!(open <= before + 256 + 192, "{open} open files, {before} before");
        };
        let mut silent = Vec::new();
        for _ in 0..1000 {
            silent.push(TcpStream::connect(host_and_port(&address)).unwrap());
            bounded();
        }
        let started = Instant::now();
        answers(&fleet);
        eprintln!("measured: cli show beside 1,000 silent connections: {:.1?}", started.elapsed());
        bounded();
        machine.cli(&["download", "data", "--to", "tank/beside", "--dry-run"]).ok();
        bounded();
        // All but the youngest were dropped to make room.
        for stream in silent.drain(..1000 - 256) {
            until_closed(stream);
        }
        drop(silent);
        until("the silent ones to be gone", || (open_files(pid) <= before + 8).then_some(()));
    }
}

#[test]
fn a_frame_that_is_too_large_ends_its_connection_alone() {
    let (_machine, fleet) = fleet();
    let capability = capfile::read(fleet.cap("user")).unwrap();
    run(async {
        let modest = User::open(&capability, schema::PROTOCOL).await.unwrap();
        let greedy = User::open(&capability, schema::PROTOCOL).await.unwrap();
        let mut request = greedy.fleet.dataset_request();
        request.get().set_name("x".repeat(5 << 20));
        assert!(request.send().promise.await.is_err());
        greedy.connection.closed().await;
        assert_eq!(modest.broker("data").await.replicas().await.len(), 1);
        // Of a stranger, who holds but the gateway, less is taken.
        let nobody = SturdyRef { id: ObjectId::new([]), ..capability };
        let stranger = dial(&nobody, &Identity::ephemeral().unwrap()).await;
        let mut request = stranger.target::<sturdyref::GatewayClient>().restore_request();
        request.get().init_id(65 << 10);
        assert!(request.send().promise.await.is_err());
        stranger.closed().await;
    });
    answers(&fleet);
}

#[test]
fn another_identity_takes_a_machines_name_only_after_forget() {
    let (mut machine, mut fleet) = fleet();
    machine.agent().kill();
    let offline = r"data: datacenter-01\machine\tank (offline)";
    fleet.wait_for_show(&[offline]);
    let mut thief = fleet.machine("thief", &["pond"]);
    thief.create("pond/loot", Tree { seed: 9, bytes: 1 << 20 }, "s");
    thief.start_agent("datacenter-01", &["--name", "machine"]);
    let line = thief.agent().wait_for_line("no session with the tracker");
    assert!(line.contains(r"datacenter-01\machine"), "{line}");
    thief.agent().wait_for_line(r"tracker forget 'datacenter-01\machine'");
    assert_eq!(fleet.show(&[]).ok().stdout, format!("{offline}\n"));

    fleet.administer(&["forget", r"datacenter-01\machine"]).ok();
    thief.wait_registered();
    fleet.wait_for_show(&[r"loot: datacenter-01\machine\pond (online)"]);
    // Now it is the owner who is the stranger.
    machine.start_agent("datacenter-01", &[]);
    machine.agent().wait_for_line(r"tracker forget 'datacenter-01\machine'");
    assert!(fleet.tracker().is_running());
}

#[test]
fn reissue_voids_the_capability_that_leaked() {
    let (machine, fleet) = fleet();
    let leaked = file(&fleet, &fs::read(fleet.cap("user")).unwrap());
    show_with(&machine, &leaked).ok();
    fleet.administer(&["reissue", "user"]).ok();
    assert_ne!(fs::read(fleet.cap("user")).unwrap(), fs::read(&leaked).unwrap());
    let ran = show_with(&machine, &leaked).expect(6);
    assert!(ran.stderr.contains("reissue"), "{ran:#?}");
    answers(&fleet);
}
