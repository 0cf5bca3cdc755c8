//! Lies beside the stream: in answers to questions.

use schema::{Code, Failure};
use tests::liar::{Open, Tale, Then};
use tests::{Machine, Tree};

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

/// Of a dataset that another tool made, nobody knows whether it has large blocks; ZFS does, and says
/// so.
#[test]
fn a_source_that_ever_wants_larger_blocks_is_left() {
    let t = std::cell::Cell::new(0);
    let make = |honest: &Machine| {
        honest.create("tank/data", Tree { seed: 4, bytes: 1 << 20 }, "s");
        honest.zfs(&["snapshot", "tank/data@t"]);
        t.set(honest.get("tank/data@t", "guid").parse().unwrap());
    };
    let scene = Scene::of(&[], make, |claim| claim.snapshot("t", t.get()));
    let words = "cannot receive incremental stream: incremental send stream requires -L \
                 (--large-block), to match previous receive.";
    let failure = Failure::new(Code::Failed, "send", "tank/data", words, "");
    let base = scene.receiver.path("base");
    std::fs::write(&base, scene.stream.bytes()).unwrap();
    for way in BOTH {
        let name = format!("larger-{way:?}");
        let receive = format!(r#""$ZFS" receive -u 'home/{name}' <'{}'"#, base.display());
        scene.receiver.shell(&receive).ok();
        scene.liar.tell(Tale::default().then(Then::Refuse(failure.clone())));
        scene.receive(way, &name, &["--adopt"]).expect(1).says("requires -L");
        let asked = scene.liar.asked();
        let larger: Vec<bool> = asked.iter().map(|asked| asked.large_blocks).collect();
        assert_eq!(larger, [false, true], "{asked:?}");
        assert!(asked.iter().all(|asked| asked.base == Some(scene.stream.guid())), "{asked:?}");
        scene.liar.tell(scene.truth.tale());
        scene.receive(way, &name, &["--adopt"]).ok();
        assert_eq!(scene.receiver.get(&format!("home/{name}@t"), "guid"), t.get().to_string());
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
