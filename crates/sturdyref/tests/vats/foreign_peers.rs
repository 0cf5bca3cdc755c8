//! Peers that are not ours: C++ with Cap'n Proto's own EzRpc, and Python with pycapnp over OpenSSL's TLS.
//!
//! A missing peer fails the test and says which packages it needs.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use sturdyref::*;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::common::*;
use crate::greeter_capnp::greeter;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// Runs a command that must succeed, or says what to install.
fn run(command: &mut std::process::Command, needs: &str) {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; it needs {needs}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}; it needs {needs}");
}

/// The peer in C++, compiled once.
fn ezrpc() -> &'static Path {
    static PEER: OnceLock<PathBuf> = OnceLock::new();
    PEER.get_or_init(|| {
        let needs = "Debian's capnproto, libcapnp-dev and g++";
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ezrpc");
        std::fs::create_dir_all(&made).unwrap();
        let peer = made.join("peer");
        let mut capnp = std::process::Command::new("capnp");
        capnp.arg("compile").arg(format!("-oc++:{}", made.display()));
        capnp
            .arg(format!("--src-prefix={TESTS}/schema"))
            .arg(format!("{TESTS}/schema/greeter.capnp"));
        run(&mut capnp, needs);
        let mut gxx = std::process::Command::new("g++");
        gxx.args(["-std=c++17", "-O0", "-pthread", "-I"]).arg(&made);
        gxx.arg(format!("{TESTS}/peers/ezrpc.c++")).arg(made.join("greeter.capnp.c++"));
        gxx.args(["-lcapnp-rpc", "-lcapnp", "-lkj-async", "-lkj", "-o"]).arg(&peer);
        run(&mut gxx, needs);
        peer
    })
}

/// The peer in Python, in the interpreter that ZATLAS_PYTHON names.
fn pycapnp(mode: &str) -> Command {
    let python = std::env::var_os("ZATLAS_PYTHON").unwrap_or_else(|| "python3".into());
    let mut check = std::process::Command::new(&python);
    check.args(["-c", "import capnp, cryptography"]);
    let needs = "pycapnp and cryptography (pip), in the Python that ZATLAS_PYTHON names, and \
                 Debian's libcapnp-dev";
    run(&mut check, needs);
    let mut command = Command::new(python);
    command.arg(format!("{TESTS}/peers/peer.py")).arg(mode).arg(format!("{TESTS}/schema"));
    command
}

/// What a peer prints, line by line.
async fn said(command: &mut Command) -> Vec<String> {
    let output = command.kill_on_drop(true).output().await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Starts a peer that serves until it is dropped, and reads the line that it prints when it is ready.
async fn serving(command: &mut Command) -> (Child, String) {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let line = BufReader::new(stdout).lines().next_line().await.unwrap();
    (child, line.expect("the peer ended before it served"))
}

fn on_port(port: &str) -> Address {
    format!("tcp:127.0.0.1:{port}").parse().unwrap()
}

fn host_and_port(vat: &Vat) -> (String, String) {
    let Address::Tcp { host, port } = &vat.address else { panic!("no TCP") };
    (host.clone(), port.to_string())
}

#[test]
fn foreign_peer_ezrpc_restores_from_us_by_object_id() {
    local(async {
        let greeters = Greeters::with(&["alice", "bob"]);
        greeters.add("ticket", Place::On(Worker::spawn("bulk").unwrap(), "ticket".to_owned()));
        let vat = Vat::serve(Security::Insecure, greeters);
        let (host, port) = host_and_port(&vat);
        let address = format!("{host}:{port}");
        for id in ["alice", "bob", "ticket"] {
            let said = said(Command::new(ezrpc()).args(["greet", &address, id])).await;
            assert_eq!(said, [format!("Hello C++, this is {id}"), (16 << 20).to_string()]);
        }
        let said = said(Command::new(ezrpc()).args(["greet", &address, "mallory"])).await;
        let [line] = said.as_slice() else { panic!("{said:?}") };
        assert!(line.starts_with("refused: "), "{line}");
        assert!(line.ends_with("Unknown persistent service ID"), "{line}");
    });
}

#[test]
fn foreign_peer_ezrpc_serves_us_by_object_id() {
    local(async {
        let (_peer, port) = serving(Command::new(ezrpc()).arg("serve")).await;
        let target = |id: &str| SturdyRef {
            auth: Auth::Insecure,
            address: on_port(&port),
            id: ObjectId::new(id),
        };
        let connection = connect(&target("alice"), &Security::Insecure, DEADLINE).await.unwrap();
        let alice = connection.target::<greeter::Client>();
        assert_eq!(greet(&alice, "you").await.unwrap(), "Hello you, this is alice in C++");
        assert_eq!(swallow(&alice, 3 << 20).await.unwrap(), 3 << 20);
        let again = connection.restore::<greeter::Client>(ObjectId::new("alice"));
        assert_eq!(greet(&again, "you").await.unwrap(), "Hello you, this is alice in C++");
        let error = connect(&target("mallory"), &Security::Insecure, DEADLINE).await.unwrap_err();
        assert!(matches!(error, ConnectError::NotRestored { .. }), "{error:?}");
    });
}

#[test]
fn foreign_peer_ezrpc_that_meets_tls_is_told_apart() {
    local(async {
        let (_peer, port) = serving(Command::new(ezrpc()).arg("serve")).await;
        let pin = Auth::Tls(Identity::ephemeral().unwrap().fingerprint());
        let target = SturdyRef { auth: pin, address: on_port(&port), id: ObjectId::new("alice") };
        let error = connect(&target, &tls(), DEADLINE).await.unwrap_err();
        assert!(matches!(error, ConnectError::NoTls { .. }), "{error:?}");
    });
}

#[test]
fn foreign_peer_pycapnp_restores_from_us_by_object_id_over_tls() {
    local(async {
        let greeters = Greeters::with(&["alice"]);
        greeters.add("ticket", Place::On(Worker::spawn("bulk").unwrap(), "ticket".to_owned()));
        let vat = Vat::serve(tls(), greeters.clone());
        for id in ["alice", "ticket"] {
            let uri = vat.sturdyref(id).to_uri();
            let said = said(pycapnp("object-id").arg(&*uri)).await;
            assert_eq!(said, [format!("Hello Python, this is {id}")]);
        }
        let uri = vat.sturdyref("mallory").to_uri();
        let said = said(pycapnp("object-id").arg(&*uri)).await;
        assert_eq!(said, ["refused: Unknown persistent service ID"]);
        let asked = greeters.asked.borrow();
        assert!(asked.iter().all(|(_, peer)| peer.fingerprint.is_some()));
    });
}

#[test]
fn foreign_peer_pycapnp_restores_from_us_by_the_gateway() {
    local(async {
        let vat = Vat::serve(Security::Insecure, Greeters::with(&["alice"]));
        let (host, port) = host_and_port(&vat);
        let said_for = async |id: &str| said(pycapnp("gateway").args([&*host, &*port, id])).await;
        assert_eq!(said_for("alice").await, ["Hello Python, this is alice"]);
        let refused = said_for("mallory").await;
        assert!(refused[0].ends_with("Unknown persistent service ID"), "{refused:?}");
    });
}

#[test]
fn foreign_peer_pycapnp_restores_from_us_by_the_gateway_over_tls() {
    local(async {
        let vat = Vat::serve(tls(), Greeters::with(&["alice"]));
        let said = said(pycapnp("tls-gateway").arg(&*vat.sturdyref("alice").to_uri())).await;
        assert_eq!(said, ["Hello Python, this is alice"]);
    });
}

#[test]
fn foreign_peer_pycapnp_serves_us_over_tls() {
    local(async {
        let (_peer, line) = serving(&mut pycapnp("serve")).await;
        let (fingerprint, port) = line.split_once(' ').unwrap();
        // It has no object ids; its one object answers to none.
        let target = SturdyRef {
            auth: Auth::Tls(fingerprint.parse().unwrap()),
            address: on_port(port),
            id: ObjectId::new([]),
        };
        let connection = connect(&target, &tls(), DEADLINE).await.unwrap();
        let greeting = greet(&connection.target(), "you").await.unwrap();
        assert_eq!(greeting, "Hello you, this is alice in Python");
        let other = Auth::Tls(Identity::ephemeral().unwrap().fingerprint());
        let target = SturdyRef { auth: other, ..target };
        let error = connect(&target, &tls(), DEADLINE).await.unwrap_err();
        assert!(matches!(error, ConnectError::WrongKey { .. }), "{error:?}");
    });
}
