//! Arguments that can't work are refused with status 2 and a word on what to do; signals end it.

use crate::process::{Home, run};

#[test]
fn arguments_that_cannot_work_are_refused() {
    let home = Home::new();
    let listen = "--capnp-listen-address";
    for (arguments, words) in [
        (&[][..], "--capnp-listen-address <ADDRESS>"),
        (&[listen, "tcp:0.0.0.0:0", "--locations", "a"], "Give --capnp-public-address"),
        (&[listen, "tcp:[::]:0", "--locations", "a"], "Give --capnp-public-address"),
        (&[listen, "127.0.0.1:0", "--locations", "a"], "tcp:HOST:PORT or unix:/PATH"),
        (&[listen, "tcp:127.0.0.1:0", "--locations", "a,user"], "no location can be called 'user'"),
        (&[listen, "tcp:127.0.0.1:0", "--locations", "admin"], "no location can be called 'admin'"),
        (&[listen, "tcp:127.0.0.1:0", "--locations", "a,b,a"], "named twice"),
        (&[listen, "tcp:127.0.0.1:0", "--locations", "../x"], "not a valid location"),
        (&["forget", "machine"], r"write it as 'LOCATION\MACHINE'"),
    ] {
        let output = home.output(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
        assert_eq!(output.stdout, b"");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "something was written");
}

#[test]
fn a_state_folder_in_use_or_damaged_is_told_apart() {
    run(async {
        let home = Home::new();
        let tracker = home.start("dc");
        let again =
            ["--capnp-listen-address", "tcp:127.0.0.1:0", "--locations", "dc", "--cap-dir", "caps"];
        let output = home.output(&again);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.contains("in use by another process"), "{stderr}");
        tracker.stop();

        let catalogue = home.path().join("state/catalogue.redb");
        std::fs::write(&catalogue, "garbage").unwrap();
        let output = home.output(&again);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.contains("is damaged") && stderr.contains("move it away"), "{stderr}");
        assert_eq!(std::fs::read(&catalogue).unwrap(), b"garbage");
    });
}

#[test]
fn it_ends_cleanly_when_asked_to() {
    run(async {
        let home = Home::new();
        let tracker = home.start_at("tcp:127.0.0.1:0", "dc");
        let user = crate::user::open(&home).await;
        assert_eq!(tracker.stop().code(), Some(0));
        user.connection.closed().await;
    });
}
