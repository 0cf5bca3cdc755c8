//! Streams that don't come to their end, dialled and relayed.

use schema::{Code, Failure};
use tests::liar::{Step, Tale, Then};

use crate::{AT_ONCE, BOTH, Lie, Scene, Way, refused};

#[test]
fn a_stream_that_is_cut_or_abandoned_leaves_no_snapshot() {
    let scene = Scene::new(&[]);
    let whole = scene.stream.bytes();
    let (head, half) = (whole[..200].to_vec(), whole[..whole.len() / 2].to_vec());
    let abandoned = "stopped sending without having ended the stream";
    let failure = Failure::new(
        Code::Offline,
        "send",
        "tank/data",
        "cannot open 'tank/data': \x1b[2Jpool I/O is suspended",
        "Look at the pool.",
    );
    let lie = |name, steps: &[&Vec<u8>], then, status, says: &str| Lie {
        name,
        tale: Tale::of(steps.iter().map(|bytes| Step::Write(bytes.to_vec()))).then(then),
        status,
        says: says.to_owned(),
        received: steps.contains(&&half),
    };
    for way in BOTH {
        let mut cut = lie("cut", &[&half], Then::Answer, 1, "incomplete stream");
        cut.tale = Tale::of([Step::Write(half.clone()), Step::End]);
        for lie in [
            cut,
            lie("cut-in-head", &[&head], Then::Answer, 1, abandoned),
            lie("unended", &[&half], Then::Answer, 1, abandoned),
            lie("nothing", &[], Then::Answer, 1, abandoned),
            lie("dropped", &[&half], Then::DropSink, 1, abandoned),
            lie("dropped-in-head", &[&head], Then::DropSink, 1, abandoned),
            lie("threw", &[&half], Then::Throw("the dog ate it".into()), 1, "the dog ate it"),
            lie("refused", &[&half], Then::Refuse(failure.clone()), 5, r"\u{1b}[2Jpool I/O"),
        ] {
            scene.survives(way, lie);
        }
    }
}

#[test]
fn a_sender_that_hangs_and_hangs_up_is_reported_as_lost() {
    let scene = Scene::new(&[]);
    let whole = scene.stream.bytes();
    for (way, length) in [(Way::Download, 200), (Way::Download, whole.len() / 2), (Way::Copy, 400)]
    {
        let name = format!("hung-{length}-{way:?}");
        scene.liar.tell(Tale::of([Step::Write(whole[..length].to_vec())]).then(Then::Hang));
        let words = scene.command(way, &name);
        let words: Vec<&str> = words.iter().map(String::as_str).chain(AT_ONCE).collect();
        let cli = scene.receiver.start_cli(&words);
        scene.liar.wait_until_told();
        scene.liar.hang_up();
        cli.finish().expect(1).says("The connection was lost. Run the command again.");
        scene.nothing_is_there(&name);
        scene.truth_arrives(way, &name);
    }
}

#[test]
fn a_message_too_large_ends_the_connection_and_not_the_receiver() {
    let scene = Scene::new(&[]);
    let half = scene.stream.bytes()[..1 << 20].to_vec();
    for way in BOTH {
        for (name, steps) in [
            ("large-first", vec![Step::Message(5 << 20)]),
            ("large-later", vec![Step::Write(half.clone()), Step::Message(64 << 20)]),
        ] {
            let tale = Tale::of(steps);
            let (received, says) = (name == "large-later", "too large".to_owned());
            scene.survives(way, Lie { name, tale, status: 1, says, received });
        }
    }
}

#[test]
fn lies_through_the_relay_are_found_out_alike() {
    let scene = Scene::new(&[]);
    let stream = &scene.stream;
    let half = stream.bytes()[..stream.bytes().len() / 2].to_vec();
    let abandoned = |name, then| Lie {
        name,
        tale: Tale::of([Step::Write(half.clone())]).then(then),
        status: 1,
        says: "stopped sending without having ended the stream".into(),
        received: true,
    };
    for way in BOTH {
        for lie in [
            refused("relayed-compound", stream.compound(), "the stream is a compound one"),
            abandoned("relayed-unended", Then::Answer),
            abandoned("relayed-dropped", Then::DropSink),
        ] {
            scene.survives(way, Lie { tale: lie.tale.relayed(), ..lie });
        }
    }
    let name = "relayed-hung";
    scene.liar.tell(Tale::of([Step::Write(half)]).then(Then::Hang).relayed());
    let words = scene.command(Way::Download, name);
    let words: Vec<&str> = words.iter().map(String::as_str).chain(AT_ONCE).collect();
    let cli = scene.receiver.start_cli(&words);
    scene.liar.wait_until_told();
    scene.liar.hang_up();
    cli.finish().expect(1);
    scene.nothing_is_there(name);
    scene.truth_arrives(Way::Download, name);
}

#[test]
fn a_way_over_which_less_comes_than_was_sent_is_avoided_and_of_an_older_source_any_silent_one() {
    let scene = Scene::new(&[]);
    let head = scene.stream.bytes()[..200].to_vec();
    for (sent, is_avoided) in [(Some(1 << 20), true), (None, true), (Some(200), false)] {
        let tale = Tale::of([Step::Write(head.clone())]).then(Then::Hang).sent(sent);
        scene.liar.tell(tale);
        let words = scene.command(Way::Download, &format!("silent-{is_avoided}"));
        let words = words.iter().map(String::as_str).chain(AT_ONCE);
        // Longer than a way may be quiet.
        let words: Vec<&str> = words.chain(["--stall", "11s"]).collect();
        let ran = scene.receiver.start_cli(&words).finish().expect(1);
        let told = ran.stderr.contains("hardly anything comes this way");
        assert_eq!(told, is_avoided, "{sent:?}: {}", ran.stderr);
    }
}
