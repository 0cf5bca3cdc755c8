//! A peer that shares no code with us: Python, with pycapnp's RPC and OpenSSL's TLS, given a real
//! user.cap and the schemas.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use sturdyref::{Auth, Fingerprint, ObjectId, SturdyRef, capfile};
use tests::{Fleet, Tree};

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const MODES: [&str; 2] = ["object-id", "gateway"];

/// Python with pycapnp, by `ZATLAS_PYTHON`. It is never left out here.
fn list(mode: &str, cap: &Path, schemas: &Path) -> Output {
    let python = std::env::var_os("ZATLAS_PYTHON").unwrap_or_else(|| "python3".into());
    let check = Command::new(&python).args(["-c", "import capnp, cryptography"]).output();
    assert!(
        check.as_ref().is_ok_and(|check| check.status.success()),
        "{check:?}\nthis test needs pycapnp and cryptography (pip), in the Python that ZATLAS_PYTHON \
         names, and Debian's libcapnp-dev"
    );
    let mut peer = Command::new(&python);
    peer.arg(format!("{HERE}/peers/list.py")).arg(mode).arg(schemas).arg(cap);
    peer.output().unwrap()
}

/// The repository's schemas, all in one folder.
fn schemas() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for from in ["../schema", "../crates/sturdyref/schema"] {
        for file in fs::read_dir(format!("{HERE}/{from}")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    folder
}

#[test]
fn foreign_peer_pycapnp_lists_what_the_cli_shows() {
    let fleet = Fleet::start();
    let tree = Tree { seed: 12, bytes: 1 << 20 };
    let mut one = fleet.machine("machine-01", &["tank-01", "tank-02"]);
    one.create("tank-01/a/b", tree, "s");
    one.create("tank-02/two words", tree, "s");
    let mut other = fleet.machine("machine-02", &["tank-03"]);
    other.create("tank-03/a/b", tree, "s");
    one.start_agent("datacenter-01", &[]);
    other.start_agent("datacenter-02", &[]);
    let online = [
        r"a: datacenter-01\machine-01\tank-01 (online), datacenter-02\machine-02\tank-03 (online)",
        r"a/b: datacenter-01\machine-01\tank-01 (online), datacenter-02\machine-02\tank-03 (online)",
        r"two words: datacenter-01\machine-01\tank-02 (online)",
    ];
    fleet.wait_for_show(&online);
    other.agent().kill();
    let offline = online.map(|line| line.replace("tank-03 (online)", "tank-03 (offline)"));
    fleet.wait_for_show(&offline.each_ref().map(String::as_str));
    let shown = fleet.show(&[]).ok().stdout;
    let schemas = schemas();
    for mode in MODES {
        let output = list(mode, &fleet.cap("user"), schemas.path());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{mode}: {stderr}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), shown, "{mode}: {stderr}");
    }
}

#[test]
fn foreign_peer_pycapnp_is_refused_like_any_other() {
    let fleet = Fleet::start();
    let user = capfile::read(fleet.cap("user")).unwrap();
    let schemas = schemas();
    for mode in MODES {
        for (bad, says) in [
            (
                SturdyRef { id: ObjectId::random().unwrap(), ..user.clone() },
                "Unknown persistent service ID",
            ),
            (
                SturdyRef { auth: Auth::Tls(Fingerprint([7; 32])), ..user.clone() },
                "the tracker has the wrong key",
            ),
        ] {
            let path = fleet.path("bad.cap");
            fs::write(&path, bad.to_uri().as_bytes()).unwrap();
            let output = list(mode, &path, schemas.path());
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{mode}: {stderr}");
            assert!(stderr.contains(says), "{mode}: {stderr}");
            assert_eq!(output.stdout, b"", "{mode}");
        }
    }
    assert_eq!(fleet.show(&[]).ok().stdout, "");
}
