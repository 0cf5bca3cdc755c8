//! Lies beside the stream: in answers to questions.

use schema::{Code, Failure};
use tests::liar::{Open, Tale, Then};

use crate::{BOTH, Lie, Scene, Way};

#[test]
fn a_sender_of_another_protocol_version_is_named() {
    let scene = Scene::new(&[]);
    let words = "it speaks version 2 of the protocol, the agent version 1";
    let failure = Failure::new(Code::OtherProtocol, "talk to this agent as", "", words, "Upgrade.");
    for way in BOTH {
        let tale = Tale::default().open(Open::Refuse(failure.clone()));
        let says = words.to_owned();
        scene.survives(way, Lie { name: "version", tale, status: 1, says, received: false });
        let tale = Tale::default().open(Open::Throw("I never learnt to open".into()));
        let says = "I never learnt to open".to_owned();
        scene.survives(way, Lie { name: "throws", tale, status: 1, says, received: false });
    }
}

#[test]
fn a_source_that_ever_wants_larger_blocks_is_left() {
    let scene = Scene::new(&[]);
    let words = "cannot receive incremental stream: incremental send stream requires -L \
                 (--large-block), to match previous receive.";
    let failure = Failure::new(Code::Failed, "send", "tank/data", words, "");
    for way in BOTH {
        let name = format!("larger-{way:?}");
        scene.liar.tell(Tale::default().then(Then::Refuse(failure.clone())));
        scene.receive(way, &name, &[]).expect(1).says("requires -L");
        assert!(scene.liar.asked().len() <= 2, "once without, once with");
        scene.nothing_is_there(&name);
        scene.truth_arrives(way, &name);
    }
}

#[test]
fn of_a_sources_properties_only_harmless_ones_are_set() {
    let scene = Scene::new(&[]);
    let settings = [
        ("compression", "zstd"),
        ("mountpoint", "/etc"),
        ("canmount", "on"),
        ("readonly", "off"),
        ("sharenfs", "on"),
        ("setuid", "on"),
        ("quota", "1"),
        ("zatlas:transfer", "mine"),
        ("atime", "off mountpoint=/etc"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for way in BOTH {
        let name = format!("settings-{way:?}");
        scene.liar.tell(Tale { settings: settings.to_vec(), ..scene.truth.tale() });
        scene.receive(way, &name, &["--props", "local"]).ok();
        scene.all_is_there(&name);
        let get = |property| scene.receiver.get(&format!("home/{name}"), property);
        assert_eq!(get("compression"), "zstd");
        assert_eq!(get("canmount"), "noauto");
        assert!(get("mountpoint").ends_with(&format!("/home/{name}")), "{}", get("mountpoint"));
        assert_eq!(get("readonly"), if matches!(way, Way::Copy) { "on" } else { "off" });
        assert_eq!(
            (get("sharenfs"), get("quota"), get("atime")),
            ("off".into(), "0".into(), "on".into())
        );
        assert_ne!(get("zatlas:transfer"), "mine");
    }
}
