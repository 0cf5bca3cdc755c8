//! Senders that lie: whatever one announces and sends, the receiver ends with an error that says
//! what was wrong, with no process left, and without a snapshot that isn't the planned one. A
//! honest sender then succeeds, into the same dataset.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

use std::time::Instant;

use schema::{Code, Failure};
use sturdyref::capfile;
use tests::liar::{Claim, Liar, Open, Step, Tale, Then};
use tests::{Contents, Fleet, Machine, Ran, Stream, Tree, is_real, until};
use zfs::Kind;

/// What the liar says it has; its one snapshot is `s`.
const DATASET: &str = "data";

/// A receiving machine with an agent, and a liar.
struct Scene {
    liar: Liar,
    receiver: Machine,
    fleet: Fleet,
    stream: Stream,
    contents: Contents,
}

/// Who receives.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// The cli.
    Download,
    /// The receiver's agent.
    Copy,
}

const BOTH: [Way; 2] = [Way::Download, Way::Copy];

/// A tale, and what is to come of it.
struct Lie {
    /// Names the dataset to receive into.
    name: &'static str,
    tale: Tale,
    status: i32,
    says: String,
    /// Whether it may get as far as `zfs receive`.
    received: bool,
}

impl Scene {
    fn new(flags: &[&str]) -> Self {
        let fleet = Fleet::start_with(flags);
        let honest = fleet.machine("honest", &["tank"]);
        honest.create("tank/data", Tree { seed: 4, bytes: 4 << 20 }, "s");
        let stream = Stream::sent(&honest, "tank/data@s");
        let contents = honest.contents("tank/data@s");
        let mut receiver = fleet.machine("receiver", &["home"]);
        let log = receiver.path("zfs.log");
        receiver.wrap_zfs(&format!("echo \"$@\" >>'{}'\nexec \"$ZFS\" \"$@\"", log.display()));
        receiver.start_agent("datacenter-02", &[]);
        receiver.wait_registered();
        let capability = capfile::read(fleet.cap("datacenter-01")).unwrap();
        let claim = Claim::of("liar", "tank", DATASET).snapshot("s", stream.guid());
        let liar = Liar::register(&capability, claim);
        let scene = Self { liar, receiver, fleet, stream, contents };
        until("the receiver's pool to be online", || {
            let dry = scene.receiver.cli(&["copy", DATASET, &scene.place("dry"), "--dry-run"]);
            (dry.status == 0).then_some(())
        });
        scene
    }

    fn place(&self, name: &str) -> String {
        format!(r"datacenter-02\receiver\home\{name}")
    }

    /// How often `zfs receive` was started.
    fn receives(&self) -> usize {
        let log = std::fs::read_to_string(self.receiver.path("zfs.log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with("receive ")).count()
    }

    fn command(&self, way: Way, name: &str) -> Vec<String> {
        let words = match way {
            Way::Download => ["download", DATASET, "--to", &format!("home/{name}")].map(Into::into),
            Way::Copy => ["copy", DATASET, &self.place(name), "--quiet"].map(Into::into),
        };
        words.into()
    }

    fn receive(&self, way: Way, name: &str) -> Ran {
        let words = self.command(way, name);
        self.receiver.cli(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Tells a lie, and then the truth.
    fn survives(&self, way: Way, lie: Lie) {
        let name = format!("{}-{way:?}", lie.name);
        let before = self.receives();
        self.liar.tell(lie.tale);
        let ran = self.receive(way, &name).expect(lie.status).says(&lie.says);
        if !lie.received {
            assert_eq!(self.receives(), before, "zfs receive was started: {ran:#?}");
        }
        self.nothing_is_there(&name);
        self.truth_arrives(way, &name);
    }

    fn nothing_is_there(&self, name: &str) {
        let strays = self.receiver.strays();
        assert!(strays.is_empty(), "{name}: {strays:?}");
        assert!(!self.receiver.has(&format!("home/{name}@s")), "{name} was taken for complete");
    }

    fn truth_arrives(&self, way: Way, name: &str) {
        self.liar.tell(Tale::honest(self.stream.bytes()));
        self.receive(way, name).ok();
        self.all_is_there(name);
    }

    fn all_is_there(&self, name: &str) {
        let snapshot = format!("home/{name}@s");
        assert_eq!(self.receiver.get(&snapshot, "guid"), self.stream.guid().to_string());
        assert!(self.receiver.contents(&snapshot) == self.contents, "{name} holds other files");
    }
}

fn refused(name: &'static str, stream: Vec<u8>, says: &str) -> Lie {
    let tale = Tale::of([Step::Write(stream), Step::End]);
    let says = format!("the stream is not what was planned: {says}");
    Lie { name, tale, status: 6, says, received: false }
}

fn random(bytes: usize) -> Vec<u8> {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(bytes).collect()
}

#[test]
fn a_stream_that_was_not_planned_never_reaches_zfs_receive() {
    let scene = Scene::new(&[]);
    let stream = &scene.stream;
    let machine = scene.fleet.machine("other", &["elsewhere"]);
    machine.create("elsewhere/data", Tree { seed: 5, bytes: 1 << 20 }, "s");
    let other = Stream::sent(&machine, "elsewhere/data@s");
    let of_other =
        format!("it is of a snapshot with the GUID {}, not {}", other.guid(), stream.guid());
    let opened = |kind, encrypted, lie: Lie| Lie {
        tale: lie.tale.open(Open::Dataset { kind, encrypted }),
        ..lie
    };
    let whole = || stream.bytes().to_vec();
    for way in BOTH {
        for lie in [
            refused("other", other.bytes().to_vec(), &of_other),
            refused("compound", stream.compound(), "the stream is a compound one"),
            refused("increment", stream.increment(), "it is an increment, from the snapshot"),
            refused("volume", stream.of_volume(), "it is of a volume, not of a filesystem"),
            opened(
                Kind::Volume,
                false,
                refused("filesystem", whole(), "it is of a filesystem, not of a volume"),
            ),
            refused("raw", stream.raw(), "it is raw, and the dataset is not encrypted"),
            opened(
                Kind::Filesystem,
                true,
                refused("plain", whole(), "it is not raw, and the dataset is encrypted"),
            ),
            refused("garbage", random(1 << 20), "not a ZFS stream"),
            refused("empty", Vec::new(), "it ended after 0 bytes, within its first record"),
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
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let cli = scene.receiver.start_cli(&words);
        scene.liar.wait_until_told();
        scene.liar.hang_up();
        cli.finish().expect(1).says("The connection was lost. Run the command again.");
        scene.nothing_is_there(&name);
        scene.truth_arrives(way, &name);
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
    let endless = |name, step, status, says: &str| Lie {
        name,
        tale: Tale::of([step]),
        status,
        says: says.to_owned(),
        received: status == 1,
    };
    let refused = "the stream is not what was planned: not a ZFS stream";
    scene.survives(Way::Download, endless("noise", of_noise, 6, refused));
    // ZFS finds it out by itself.
    let words = "cannot receive";
    scene.survives(Way::Download, endless("after-head", after_head, 1, words));
}

#[test]
fn an_endless_stream_of_good_records_is_stopped() {
    // More than a gigabyte comes: TLS would only take its time.
    let scene = Scene::new(&["--capnp-disable-tls"]);
    let (started, stream) = (Instant::now(), scene.stream.clone());
    scene.survives(
        Way::Download,
        Lie {
            name: "endless",
            tale: Tale { estimate: 1, ..Tale::of([Step::forever(move || stream.endless())]) },
            status: 6,
            says: "of it came, where the source announced 1 B".into(),
            received: true,
        },
    );
    eprintln!("measured: an endless stream stopped after {:.1?}", started.elapsed());
}

#[test]
fn what_comes_after_the_end_is_not_received() {
    let scene = Scene::new(&[]);
    for way in BOTH {
        let name = format!("after-{way:?}");
        let more = [Step::Write(random(1 << 20)), Step::End, Step::End];
        let honest = [Step::Write(scene.stream.bytes().to_vec()), Step::End];
        scene.liar.tell(Tale::of(honest.into_iter().chain(more)));
        scene.receive(way, &name).ok();
        scene.all_is_there(&name);
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
    let cli = scene.receiver.start_cli(&["download", DATASET, "--to", "home/relayed-hung"]);
    scene.liar.wait_until_told();
    scene.liar.hang_up();
    cli.finish().expect(1);
    scene.nothing_is_there(name);
    scene.truth_arrives(Way::Download, name);
}
