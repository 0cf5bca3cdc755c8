//! Lies about how a stream goes on: what has arrived stays as it is, not a byte more is fed.

use std::fs;

use tests::liar::{Open, Step, Tale, Then, Truth};
use tests::{Machine, Ran, Stream, Tree, is_real, until};
use zfs::Kind;

use crate::{BOTH, Scene, Way};

/// Half of the truth at first and no more, and then, as the rest of it, what `bend` makes of that.
fn half_and(truth: &Truth, bend: impl Fn(&Stream) -> Vec<u8> + Send + Sync + 'static) -> Tale {
    let truth = truth.clone();
    Tale::by(move |asked| {
        let stream = truth.sent(asked);
        match asked.token {
            None => vec![Step::Write(stream.bytes()[..stream.bytes().len() / 2].to_vec())],
            Some(_) => vec![Step::Write(bend(&stream)), Step::End],
        }
    })
}

/// Runs the command until a good part of the half has arrived, and cuts the connection; it goes on
/// by itself, and ends with a refusal.
fn cut_and_lied_to(scene: &Scene, way: Way, name: &str, tale: Tale) -> Ran {
    let before = scene.receives();
    scene.liar.tell(tale.then(Then::Hang));
    let words = scene.command(way, name);
    let cli = scene.receiver.start_cli(&words.iter().map(String::as_str).collect::<Vec<_>>());
    scene.liar.wait_until_told();
    until("a part that has arrived", || scene.token(name).filter(|token| token.bytes > 1 << 19));
    scene.liar.hang_up();
    let ran = cli.finish().expect(6);
    assert_eq!(scene.receives(), before + 1, "the rest was fed: {ran:#?}");
    assert_eq!(scene.liar.asked().len(), 2, "{ran:#?}");
    scene.nothing_is_there(name);
    assert!(scene.token(name).is_some(), "what had arrived was thrown away");
    ran
}

/// After that, the truth goes on with what has arrived.
fn survives(scene: &Scene, way: Way, name: &str, tale: Tale, says: &str) {
    let name = &format!("{name}-{way:?}");
    cut_and_lied_to(scene, way, name, tale).says(says);
    scene.truth_arrives(way, name);
    assert!(scene.liar.asked()[0].token.is_some(), "what had arrived was thrown away");
}

#[test]
fn a_stream_that_does_not_go_on_where_it_was_cut_is_refused_before_a_byte_is_fed() {
    let scene = Scene::new(&[]);
    let (truth, guid) = (&scene.truth, scene.stream.guid());
    let whole = scene.stream.bytes().to_vec();
    let lies = [
        (
            "other-guid",
            half_and(truth, |rest| rest.of_another(7)),
            format!("it is of a snapshot with the GUID 7, not {guid}"),
        ),
        (
            "increment",
            half_and(truth, |rest| rest.from_another(7)),
            "it is an increment, from the snapshot with the GUID 7".to_owned(),
        ),
        (
            "elsewhere",
            half_and(truth, Stream::resumed_elsewhere),
            "it goes on at offset ".to_owned(),
        ),
        (
            "from-the-beginning",
            half_and(truth, {
                let whole = whole.clone();
                move |_| whole.clone()
            }),
            "it is from its beginning, and was to go on".to_owned(),
        ),
        ("volume", half_and(truth, Stream::of_volume), "it is of a volume".to_owned()),
        ("raw", half_and(truth, Stream::raw), "it is raw, and was to be plain".to_owned()),
        ("compound", half_and(truth, Stream::compound), "the stream is a compound one".to_owned()),
    ];
    for ((name, tale, says), way) in lies.into_iter().zip(BOTH.into_iter().cycle()) {
        survives(&scene, way, name, tale, &says);
    }
}

/// On real ZFS alone: zfs-sim knows no blocks of other sizes.
#[test]
fn a_stream_that_goes_on_in_other_blocks_is_refused_before_a_byte_is_fed() {
    if !is_real() {
        return;
    }
    let make = |honest: &Machine| {
        honest.zfs(&["create", "-o", "recordsize=1M", "tank/data"]);
        honest.with_files("tank/data", |folder| Tree { seed: 4, bytes: 8 << 20 }.write(folder));
        honest.zfs(&["snapshot", "tank/data@s"]);
    };
    let scene = Scene::of(&[], make, |claim| claim);
    let tale = half_and(&scene.truth, Stream::in_other_blocks);
    let says = "the same snapshot is cut into other blocks there";
    survives(&scene, Way::Download, "blocks", tale, says);
}

/// On real ZFS alone: zfs-sim knows no encryption. Where the key is loaded, the kernel would panic.
#[test]
fn a_stream_that_goes_on_plain_where_it_was_raw_is_refused_before_a_byte_is_fed() {
    if !is_real() {
        return;
    }
    let make = |honest: &Machine| {
        let key = honest.path("key");
        fs::write(&key, [7; 32]).unwrap();
        let at = format!("keylocation=file://{}", key.display());
        let options = ["-o", "encryption=on", "-o", "keyformat=raw", "-o", &at];
        honest.zfs(&[&["create"], &options[..], &["tank/data"]].concat());
        honest.with_files("tank/data", |folder| Tree { seed: 4, bytes: 4 << 20 }.write(folder));
        honest.zfs(&["snapshot", "tank/data@s"]);
    };
    let scene = Scene::of(&[], make, tests::liar::Claim::encrypted);
    let tale = Tale {
        open: Open::Dataset { kind: Kind::Filesystem, encrypted: true },
        ..half_and(&scene.truth, Stream::not_raw)
    };
    let ran = cut_and_lied_to(&scene, Way::Download, "plain", tale);
    ran.says("it is not raw, and was to be");
    scene.liar.tell(Tale {
        open: Open::Dataset { kind: Kind::Filesystem, encrypted: true },
        ..scene.truth.tale()
    });
    scene.receive(Way::Download, "plain", &[]).ok();
    let guid = scene.receiver.get("home/plain@s", "guid");
    assert_eq!(guid, scene.stream.guid().to_string());
}

#[test]
fn a_source_that_sends_only_heads_is_left_in_the_end() {
    let scene = Scene::new(&[]);
    let head = scene.stream.bytes()[..400].to_vec();
    scene.liar.tell(Tale::of([Step::Write(head)]).then(Then::Answer));
    let ran = scene.receive(Way::Download, "heads", &["--timeout", "2s"]).expect(1);
    ran.says("stopped sending without having ended the stream");
    scene.truth_arrives(Way::Download, "heads");
}
