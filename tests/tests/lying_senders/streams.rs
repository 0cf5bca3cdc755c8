//! Streams that aren't what was planned: none of what is wrong reaches `zfs receive`.

use std::time::Instant;

use tests::liar::{Claim, Open, Step, Tale};
use tests::{Machine, Stream, Tree, is_real};
use zfs::Kind;

use crate::{AT_ONCE, BOTH, Lie, Scene, Way, random, refused};

#[test]
fn a_stream_that_was_not_planned_never_reaches_zfs_receive() {
    let scene = Scene::new(&[]);
    let stream = &scene.stream;
    let machine = scene.fleet.machine("other", &["elsewhere"]);
    machine.create("elsewhere/data", Tree { seed: 5, bytes: 1 << 20 }, "s");
    let other = Stream::sent(&machine, "elsewhere/data@s");
    let of_other =
        format!("it is of a snapshot with the GUID {}, not {}", other.guid(), stream.guid());
    let of_volume = |lie: Lie| Lie {
        tale: lie.tale.open(Open::Dataset { kind: Kind::Volume, encrypted: false }),
        ..lie
    };
    let whole = || stream.bytes().to_vec();
    for way in BOTH {
        for lie in [
            refused("other", other.bytes().to_vec(), &of_other),
            refused("compound", stream.compound(), "the stream is a compound one"),
            refused("increment", stream.increment(), "it is an increment, from the snapshot"),
            refused("volume", stream.of_volume(), "it is of a volume, not of a filesystem"),
            of_volume(refused("filesystem", whole(), "it is of a filesystem, not of a volume")),
            refused("raw", stream.raw(), "it is raw, and was to be plain"),
            refused("garbage", random(1 << 20), "not a ZFS stream"),
            refused("empty", Vec::new(), "it ended after 0 bytes, before it had begun"),
            refused("cut-head", whole()[..100].to_vec(), "it ended after 100 bytes"),
        ] {
            scene.survives(way, lie);
        }
    }
    machine.zfs(&["snapshot", "elsewhere/data@t"]);
    // On the real ZFS also what is bent above, as `zfs send` itself makes it.
    for (name, flags, says) in [
        ("replicated", &["-R"][..], "the stream is a compound one"),
        ("with-properties", &["-p"], "the stream is a compound one"),
        ("several", &["-I", "@s"], "the stream is a compound one"),
        ("step", &["-i", "@s"], "it is an increment, from the snapshot"),
    ]
    .into_iter()
    .filter(|_| is_real())
    {
        let stream = Stream::sent_with(&machine, flags, "elsewhere/data@t");
        scene.survives(Way::Download, refused(name, stream.bytes().to_vec(), says));
    }
}

#[test]
fn endless_garbage_is_stopped() {
    let scene = Scene::new(&[]);
    let noise = random(64 << 10);
    let head = scene.stream.bytes()[..1 << 20].to_vec();
    let after_head = {
        let noise = noise.clone();
        Step::forever(move || {
            let (mut head, noise) = (Some(head.clone()), noise.clone());
            move || head.take().unwrap_or_else(|| noise.clone())
        })
    };
    let of_noise = Step::forever(move || {
        let noise = noise.clone();
        move || noise.clone()
    });
    for (name, step, says, received) in [
        ("noise", of_noise, "not a ZFS stream", false),
        ("after-head", after_head, " record at byte ", true),
    ] {
        let (tale, says) = (Tale::of([step]), says.to_owned());
        scene.survives(Way::Download, Lie { name, tale, status: 6, says, received });
    }
}

#[test]
fn an_endless_stream_of_good_records_is_stopped() {
    // More than a gigabyte comes: TLS would only take its time.
    let scene = Scene::new(&["--capnp-disable-tls"]);
    let (started, stream) = (Instant::now(), scene.stream.clone());
    let endless = Step::forever(move || stream.endless());
    scene.liar.tell(Tale { estimate: 1, ..Tale::of([endless]) });
    let ran = scene.receive(Way::Download, "endless", &AT_ONCE).expect(6);
    ran.says("of it came, where the source announced 1 B");
    eprintln!("measured: an endless stream stopped after {:.1?}", started.elapsed());
    scene.nothing_is_there("endless");
    // Its zeroes were in good order, so only a new start brings what is right.
    scene.liar.tell(scene.truth.tale());
    scene.receive(Way::Download, "endless", &["--restart"]).ok();
    scene.all_is_there("endless");
}

#[test]
fn plain_data_of_what_is_said_to_be_encrypted_is_refused() {
    let make = |honest: &Machine| {
        honest.create("tank/data", Tree { seed: 4, bytes: 1 << 20 }, "s");
    };
    let scene = Scene::of(&[], make, Claim::encrypted);
    let open = Open::Dataset { kind: Kind::Filesystem, encrypted: true };
    for way in BOTH {
        scene.liar.tell(Tale::honest(scene.stream.bytes()).open(open.clone()));
        let ran = scene.receive(way, "plain", &[]).expect(6);
        ran.says("it is not raw, and was to be");
        assert_eq!(scene.receives(), 0);
        assert!(!scene.receiver.has("home/plain"));
    }
}

#[test]
fn a_stream_that_writes_twice_or_backwards_is_stopped_before_that_reaches_the_kernel() {
    let scene = Scene::new(&[]);
    let stream = &scene.stream;
    for way in BOTH {
        for (name, bytes) in
            [("twice", stream.with_a_block_twice()), ("backwards", stream.with_writes_backwards())]
        {
            let lie = refused(name, bytes, "WRITE record at byte ");
            scene.survives(way, Lie { received: true, ..lie });
        }
    }
}

#[test]
fn what_comes_after_the_end_is_not_received() {
    let scene = Scene::new(&[]);
    for way in BOTH {
        let name = format!("after-{way:?}");
        let more = [Step::Write(random(1 << 20)), Step::End, Step::End];
        let honest = [Step::Write(scene.stream.bytes().to_vec()), Step::End];
        scene.liar.tell(Tale::of(honest.into_iter().chain(more)));
        scene.receive(way, &name, &[]).ok();
        scene.all_is_there(&name);
    }
}
