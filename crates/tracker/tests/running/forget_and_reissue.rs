//! `tracker forget` and `tracker reissue`, with and without a running tracker.

use std::fs;

use schema::Code;

use crate::agent::{Dataset, register};
use crate::process::{Home, dial, identity, refusal, run};
use crate::user::open;

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn reissue_voids_what_leaked_at_once() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc-01,dc-02");
        let leaked = home.capability("user");
        let thief = open(&home).await;
        assert!(home.output(&["reissue", "user"]).status.success());

        let words = refusal(&leaked).await;
        assert!(words.contains("user.cap") && words.contains("`tracker reissue`"), "{words}");
        let failure = thief.list("", "").await.unwrap_err();
        assert_eq!(failure.code, Code::Refused, "an open connection goes on");
        open(&home).await.list("", "").await.unwrap();

        let machine = register(&home, "dc-01", "m", &["tank"]).await;
        let other = register(&home, "dc-02", "m", &["tank"]).await;
        assert!(home.output(&["reissue", "dc-01"]).status.success());
        assert!(machine.heartbeat().await.is_err(), "the session of a leaked capability goes on");
        other.heartbeat().await.unwrap();
        register(&home, "dc-01", "m-2", &["tank"]).await.heartbeat().await.unwrap();
    });
}

#[test]
fn reissued_capabilities_stay_void_after_a_restart() {
    run(async {
        let home = Home::new();
        let tracker = home.start("dc");
        let leaked = home.capability("admin");
        // Twice: the second goes through the capability that the first has made.
        for _ in 0..2 {
            let output = home.output(&["reissue", "admin"]);
            assert!(output.status.success(), "{}", stderr(&output));
            assert!(stderr(&output).contains("caps/admin.cap"), "{}", stderr(&output));
        }
        let bytes = fs::read(home.cap("admin")).unwrap();
        assert!(tracker.stop().success());
        let _tracker = home.start("dc");
        assert_eq!(fs::read(home.cap("admin")).unwrap(), bytes);
        assert!(refusal(&leaked).await.contains("`tracker reissue`"));
        dial(&home.capability("admin"), &identity()).await;
    });
}

#[test]
fn both_work_on_the_state_folder_when_no_tracker_runs() {
    run(async {
        let home = Home::new();
        let tracker = home.start("dc");
        let machine = register(&home, "dc", "m", &["tank"]).await;
        machine.replace("tank", &[Dataset("a", vec![1])]).await;
        let leaked = home.capability("dc");
        assert!(tracker.stop().success());

        let output = home.output(&["forget", "dc/m"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(home.output(&["reissue", "dc"]).status.success());
        let _tracker = home.start("dc");
        assert_eq!(open(&home).await.show("").await, [""; 0]);
        assert!(refusal(&leaked).await.contains("`tracker reissue`"));
        register(&home, "dc", "m", &["tank"]).await;
    });
}

#[test]
fn what_is_not_known_is_an_error_with_its_status() {
    let home = Home::new();
    let unused = home.output(&["forget", r"dc\m"]);
    assert_eq!(unused.status.code(), Some(1));
    assert!(stderr(&unused).contains("no tracker has run"), "{}", stderr(&unused));
    assert!(!home.path().join("state").exists());

    let check = || {
        let forget = home.output(&["forget", r"dc\nobody"]);
        assert_eq!(forget.status.code(), Some(3), "{}", stderr(&forget));
        let reissue = home.output(&["reissue", "dc-9"]);
        assert_eq!(reissue.status.code(), Some(3), "{}", stderr(&reissue));
        assert!(stderr(&reissue).contains("There are: dc, user, admin"), "{}", stderr(&reissue));
    };
    let tracker = home.start("dc");
    check();
    assert!(tracker.stop().success());
    check();
}
