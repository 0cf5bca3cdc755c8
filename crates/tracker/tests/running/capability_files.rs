//! The files that stand for authority: who can read them, and what is never done to them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::agent::{Dataset, register};
use crate::process::{Home, refusal, run};
use crate::user::open;

const NAMES: [&str; 4] = ["dc-01", "dc-02", "user", "admin"];

#[test]
fn they_are_written_once_and_stay_the_same() {
    let home = Home::new();
    let tracker = home.start("dc-01,dc-02");
    let read = || NAMES.map(|name| fs::read(home.cap(name)).unwrap());
    let first = read();
    for name in NAMES {
        let mode = fs::metadata(home.cap(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        assert!(tracker.log().contains(&format!("wrote {}", home.cap(name).display())));
    }
    assert!(tracker.stop().success());

    fs::remove_file(home.cap("dc-02")).unwrap();
    let _tracker = home.start("dc-01,dc-02,dc-03");
    assert_eq!(read(), first);
    assert!(home.cap("dc-03").exists());
}

#[test]
fn one_of_another_key_is_never_overwritten() {
    let (home, other) = (Home::new(), Home::new());
    other.start("dc");
    fs::copy(other.cap("user"), home.cap("user")).unwrap();
    let before = fs::read(home.cap("user")).unwrap();
    let address = "tcp:127.0.0.1:0";
    let output =
        home.output(&["--capnp-listen-address", address, "--locations", "dc", "--cap-dir", "caps"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("another key"), "{stderr}");
    assert_eq!(fs::read(home.cap("user")).unwrap(), before);
}

#[test]
fn no_symbolic_link_is_followed() {
    let home = Home::new();
    let elsewhere = home.path().join("elsewhere");
    symlink(&elsewhere, home.cap("user")).unwrap();
    let address = "tcp:127.0.0.1:0";
    let output =
        home.output(&["--capnp-listen-address", address, "--locations", "dc", "--cap-dir", "caps"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("is a symbolic link"));
    assert!(!elsewhere.exists());
}

#[test]
fn a_location_that_was_taken_away_is_refused_by_name() {
    run(async {
        let home = Home::new();
        assert!(home.start("dc-01,dc-02").stop().success());
        let _tracker = home.start("dc-01");
        let words = refusal(&home.capability("dc-02")).await;
        assert!(words.contains("the location 'dc-02' was taken away from this tracker"), "{words}");
        assert!(words.contains("--locations"), "{words}");

        let mut unknown = home.capability("dc-01");
        unknown.id = sturdyref::ObjectId::new(*b"some other id");
        let words = refusal(&unknown).await;
        assert!(words.ends_with("Unknown persistent service ID"), "{words}");
    });
}

#[test]
fn they_name_the_public_address() {
    run(async {
        let home = Home::new();
        let tracker = home.start_with(&[
            "--capnp-listen-address",
            "tcp:127.0.0.1:0",
            "--capnp-public-address",
            "tcp:tracker.example:1234",
            "--locations",
            "dc",
        ]);
        let capability = home.capability("user");
        assert_eq!(capability.address.to_string(), "tcp:tracker.example:1234");
        // The tracker's own machine needs no such name.
        let output = home.output(&["reissue", "user"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(home.capability("user") != capability);
        drop(tracker);
    });
}

#[test]
fn those_rewritten_with_another_address_are_told_from_those_kept() {
    let home = Home::new();
    let start = |public| {
        let listen = ["--capnp-listen-address", "tcp:127.0.0.1:0", "--locations", "dc"];
        home.start_with(&[&listen[..], &["--capnp-public-address", public]].concat())
    };
    for (public, word) in [("tcp:a:1", "wrote"), ("tcp:b:1", "wrote"), ("tcp:b:1", "kept")] {
        let tracker = start(public);
        assert_eq!(home.capability("user").address.to_string(), public);
        let line = format!("{word} {}", home.cap("user").display());
        assert!(tracker.log().contains(&line), "no '{line}' in {}", tracker.log());
        assert!(tracker.stop().success());
    }
}

#[test]
fn without_tls_they_say_so_and_work() {
    run(async {
        let home = Home::new();
        let _tracker = home.start_with(&[
            "--capnp-listen-address",
            "tcp:127.0.0.1:0",
            "--capnp-disable-tls",
            "--locations",
            "dc",
        ]);
        assert!(fs::read_to_string(home.cap("dc")).unwrap().starts_with("capnp://insecure@127."));
        let machine = register(&home, "dc", "m", &["tank"]).await;
        machine.replace("tank", &[Dataset("a", vec![1])]).await;
        let user = open(&home).await;
        assert_eq!(user.show("").await, [r"a dc\m\tank (online)"]);
        assert!(home.output(&["forget", "dc/m"]).status.success());
        assert_eq!(user.show("").await, [""; 0]);
    });
}
