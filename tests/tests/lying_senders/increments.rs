//! Lies about increments: what is at the destination stays as it is.

use tests::liar::{Step, Tale};
use tests::{Machine, Stream, Tree};

use crate::{AT_ONCE, DATASET, Scene, Way};

fn make(honest: &Machine) {
    honest.create("tank/data", Tree { seed: 4, bytes: 1 << 20 }, "s");
    for (seed, snapshot) in [(5, "t"), (6, "u")] {
        honest.with_files("tank/data", |folder| {
            Tree { seed, bytes: 1 << 20 }.write(&folder.join(snapshot));
        });
        honest.zfs(&["snapshot", &format!("tank/data@{snapshot}")]);
    }
}

#[test]
fn an_increment_that_is_another_is_refused_and_changes_nothing() {
    let guid = std::cell::Cell::new((0, 0));
    let scene = Scene::of(
        &[],
        |honest| {
            make(honest);
            let of = |snapshot| honest.get(snapshot, "guid").parse().unwrap();
            guid.set((of("tank/data@t"), of("tank/data@u")));
        },
        |claim| claim.snapshot("t", guid.get().0).snapshot("u", guid.get().1),
    );
    let (t, u) = guid.get();
    scene.liar.tell(scene.truth.tale());
    scene.receive(Way::Copy, "data", &["--snapshot", "t"]).ok();
    let before = scene.receiver.properties();
    let flags = [&AT_ONCE[..], &["--snapshot", "u"]].concat();
    let (truth, whole) = (scene.truth.clone(), scene.stream.bytes().to_vec());
    let bent = |bend: fn(&Stream) -> Vec<u8>| {
        let truth = truth.clone();
        Tale::by(move |asked| vec![Step::Write(bend(&truth.sent(asked))), Step::End])
    };
    for (tale, says) in [
        (Tale::honest(&whole), "it is whole, and no increment".to_owned()),
        (bent(|step| step.from_another(7)), format!("it starts from the GUID 7, not {t}")),
        (bent(|step| step.of_another(7)), format!("the GUID 7, not {u}")),
        (bent(Stream::compound), "the stream is a compound one".to_owned()),
        (bent(Stream::raw), "it is raw, and was to be plain".to_owned()),
    ] {
        let receives = scene.receives();
        scene.liar.tell(tale);
        scene.receive(Way::Copy, "data", &flags).expect(6).says(&says);
        assert_eq!(scene.liar.asked()[0].base, Some(t), "an increment was asked for");
        assert_eq!(scene.receives(), receives, "zfs receive was started: {says}");
        scene.receiver.properties().assert_only_new(&before, &[]);
    }
    scene.liar.tell(scene.truth.tale());
    scene.receive(Way::Copy, "data", &[]).ok();
    assert_eq!(scene.receiver.get("home/data@u", "guid"), u.to_string());
}

#[test]
fn a_source_that_claims_a_base_it_lacks_is_left() {
    let guid = std::cell::Cell::new(0);
    let scene = Scene::of(
        &[],
        |honest| {
            make(honest);
            guid.set(honest.get("tank/data@u", "guid").parse().unwrap());
        },
        |claim| claim.bookmark("b", 7).snapshot("u", guid.get()),
    );
    // Another dataset is there, whose snapshot the liar says it has as a bookmark, too.
    scene.liar.tell(scene.truth.tale());
    scene.receive(Way::Copy, "data", &["--snapshot", "s"]).ok();
    let words = "incremental source (tank/data#b) does not exist";
    let failure = schema::Failure::new(schema::Code::Refused, "send", DATASET, words, "");
    scene.liar.tell(Tale::default().then(tests::liar::Then::Refuse(failure)));
    let before = scene.receiver.properties();
    scene.receive(Way::Copy, "data", &["--snapshot", "u"]).expect(6).says(words);
    assert_eq!(scene.liar.asked().len(), 1);
    scene.receiver.properties().assert_only_new(&before, &[]);
}
