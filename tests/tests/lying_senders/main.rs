//! Senders that lie: whatever one announces and sends, the receiver ends with an error that says
//! what was wrong, with no process left, and without a snapshot that isn't the planned one. An
//! honest sender then succeeds, into the same dataset, with what has arrived.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod abandoned;
mod increments;
mod resumed;
mod streams;
mod words;

use sturdyref::capfile;
use tests::liar::{Claim, Liar, Step, Tale, Truth};
use tests::{Contents, Fleet, Machine, Ran, Stream, Tree, until};
use zfs::ResumeToken;

/// What the liar says it has; its snapshot is `s`.
const DATASET: &str = "data";

/// A receiving machine with an agent, and a liar.
struct Scene {
    liar: Liar,
    /// Has what the liar says it has.
    truth: Truth,
    _honest: Machine,
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

/// The first failure is told, and nothing is tried again.
const AT_ONCE: [&str; 2] = ["--timeout", "0s"];

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
        let make = |honest: &Machine| {
            honest.create("tank/data", Tree { seed: 4, bytes: 4 << 20 }, "s");
        };
        Self::of(flags, make, |claim| claim)
    }

    /// With what `make` makes at the honest machine, `tank/data@s` among it, and with what `claim`
    /// adds to the liar's claim to that snapshot.
    fn of(flags: &[&str], make: impl FnOnce(&Machine), claim: impl FnOnce(Claim) -> Claim) -> Self {
        let fleet = Fleet::start_with(flags);
        let honest = fleet.machine("honest", &["tank"]);
        make(&honest);
        let stream = Stream::sent(&honest, "tank/data@s");
        let contents = honest.contents("tank/data@s");
        let mut receiver = fleet.machine("receiver", &["home"]);
        let log = receiver.path("zfs.log");
        receiver.wrap_zfs(&format!("echo \"$@\" >>'{}'\nexec \"$ZFS\" \"$@\"", log.display()));
        receiver.start_agent("datacenter-02", &[]);
        receiver.wait_registered();
        let capability = capfile::read(fleet.cap("datacenter-01")).unwrap();
        let claim = claim(Claim::of("liar", "tank", DATASET).snapshot("s", stream.guid()));
        let liar = Liar::register(&capability, claim);
        let truth = Truth::of(&honest, "tank/data");
        let scene = Self { liar, truth, _honest: honest, receiver, fleet, stream, contents };
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

    /// What is run to receive from the liar, and not from what it sent before.
    fn command(&self, way: Way, name: &str) -> Vec<String> {
        let words = match way {
            Way::Download => ["download", DATASET, "--to", &format!("home/{name}")].map(Into::into),
            Way::Copy => ["copy", DATASET, &self.place(name), "--quiet"].map(Into::into),
        };
        let from = ["--from", r"datacenter-01\liar\tank"].map(Into::into);
        words.into_iter().chain(from).collect()
    }

    fn receive(&self, way: Way, name: &str, flags: &[&str]) -> Ran {
        let words = self.command(way, name);
        let words = words.iter().map(String::as_str).chain(flags.iter().copied());
        self.receiver.cli(&words.collect::<Vec<_>>())
    }

    /// Tells a lie, which ends the transfer at once, and then the truth.
    fn survives(&self, way: Way, lie: Lie) {
        let name = format!("{}-{way:?}", lie.name);
        let before = self.receives();
        self.liar.tell(lie.tale);
        let ran = self.receive(way, &name, &AT_ONCE).expect(lie.status).says(&lie.says);
        if !lie.received {
            assert_eq!(self.receives(), before, "zfs receive was started: {ran:#?}");
        }
        self.nothing_is_there(&name);
        self.truth_arrives(way, &name);
    }

    /// The token of what has arrived of an interrupted receive.
    fn token(&self, name: &str) -> Option<ResumeToken> {
        let get = ["get", "-H", "-o", "value", "receive_resume_token", &format!("home/{name}")];
        self.receiver.try_zfs(&get).stdout.trim_end().parse().ok()
    }

    fn nothing_is_there(&self, name: &str) {
        let strays = self.receiver.strays();
        assert!(strays.is_empty(), "{name}: {strays:?}");
        assert!(!self.receiver.has(&format!("home/{name}@s")), "{name} was taken for complete");
    }

    fn truth_arrives(&self, way: Way, name: &str) {
        self.liar.tell(self.truth.tale());
        self.receive(way, name, &[]).ok();
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
    Lie { name, tale, status: 6, says: says.to_owned(), received: false }
}

fn random(bytes: usize) -> Vec<u8> {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(bytes).collect()
}
