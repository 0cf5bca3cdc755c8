//! A source, a destination with an agent, and one without.

use std::fs;

use serde_json::Value;
use tests::{Fleet, Machine, Process, Properties, Ran, Tree, is_real, until};

pub(crate) const SENDER: &str = r"datacenter-01\sender\tank-01";
/// Shown once the receiver can receive.
const READY: &str = r"ready: datacenter-02\receiver\tank-02 (online)";
/// As it is given to `copy`.
const RECEIVER: &str = "datacenter-02/receiver/tank-02";

/// How a dataset gets to its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the laptop, by the cli that runs there.
    Download,
    /// To the receiver, by its agent.
    Copy,
}

pub(crate) const BOTH: [Way; 2] = [Way::Download, Way::Copy];

/// A sender whose streams can be held back, and two machines that receive.
pub(crate) struct Scene {
    pub(crate) sender: Machine,
    pub(crate) receiver: Machine,
    pub(crate) laptop: Machine,
    // Dropped last.
    fleet: Fleet,
}

/// Holds each `zfs send` back after 1 MiB, while the file `hold` exists, and each estimate while the
/// file `price` does.
const HELD_BACK: &str = r#"
if [ "$1 $2" = "send -nvP" ] && [ -e "$DIR/price" ]; then
    : >"$DIR/pricing"
    while [ -e "$DIR/price" ]; do sleep 0.05; done
fi
if [ "$1" = send ] && [ "$2" != -nvP ] && [ -e "$DIR/hold" ]; then
    mkfifo "$DIR/pipe-$$"
    {
        dd bs=64k count=16 iflag=fullblock 2>/dev/null
        while [ -e "$DIR/hold" ]; do sleep 0.05; done
        cat
    } <"$DIR/pipe-$$" &
    exec "$ZFS" "$@" >"$DIR/pipe-$$"
fi
exec "$ZFS" "$@""#;

/// Writes down what `zfs` is run for, and does before a receive what the file `first` says.
const WATCHED: &str = r#"
echo "$@" >>"$DIR/zfs.log"
if [ "$1" = receive ] && [ -e "$DIR/first" ]; then . "$DIR/first"; fi
exec "$ZFS" "$@""#;

impl Scene {
    pub(crate) fn new() -> Self {
        let fleet = Fleet::start();
        let mut sender = fleet.machine("sender", &["tank-01"]);
        let mut receiver = fleet.machine("receiver", &["tank-02"]);
        let mut laptop = fleet.machine("laptop", &["home"]);
        for (machine, script) in
            [(&mut sender, HELD_BACK), (&mut receiver, WATCHED), (&mut laptop, WATCHED)]
        {
            let script = format!("DIR='{}'\n{script}", machine.path("").display());
            machine.wrap_zfs(&script);
        }
        sender.start_agent("datacenter-01", &[]);
        receiver.zfs(&["create", "-u", "tank-02/ready"]);
        receiver.start_agent("datacenter-02", &[]);
        sender.wait_registered();
        fleet.wait_for_show(&[READY]);
        Self { sender, receiver, laptop, fleet }
    }

    /// Has the receiver's agent run with these flags from now on.
    pub(crate) fn restart_receiver(&mut self, flags: &[&str]) {
        self.receiver.agent().stop();
        self.receiver.start_agent("datacenter-02", flags);
        self.receiver.wait_registered();
        until("the receiver's pool", || {
            (self.fleet.show(&["ready"]).stdout.trim_end() == READY).then_some(())
        });
    }

    // --- the source

    /// Makes a dataset of a MiB at the source with a snapshot, of which the tracker knows then.
    pub(crate) fn create(&self, path: &str, snapshot: &str) {
        self.create_with(path, snapshot, 1 << 20);
    }

    /// The same of that many bytes.
    pub(crate) fn create_with(&self, path: &str, snapshot: &str, bytes: u64) {
        let name = format!("tank-01/{path}");
        self.sender.create(&name, Tree { seed: bytes, bytes }, snapshot);
        self.wait_until_known(path, snapshot);
    }

    /// Changes a dataset of the source and takes a snapshot, of which the tracker knows then.
    pub(crate) fn advance(&self, path: &str, snapshot: &str) {
        let name = format!("tank-01/{path}");
        self.sender.with_files(&name, |folder| fs::write(folder.join(snapshot), snapshot).unwrap());
        self.sender.zfs(&["snapshot", &format!("{name}@{snapshot}")]);
        self.wait_until_known(path, snapshot);
    }

    /// Until the tracker knows this snapshot as the newest of the source's.
    pub(crate) fn wait_until_known(&self, path: &str, snapshot: &str) {
        let guid = self.sender.get(&format!("tank-01/{path}@{snapshot}"), "guid");
        until(&format!("{path}@{snapshot} to be known"), || {
            let shown = self.laptop.cli(&["show", path, "--json"]);
            let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
            let replicas = shown[0]["replicas"].as_array()?;
            let at_source = replicas.iter().find(|replica| replica["place"] == SENDER)?;
            (at_source["newest"]["guid"] == *guid).then_some(())
        });
    }

    // --- the destinations

    /// The machine that receives.
    pub(crate) fn machine(&self, way: Way) -> &Machine {
        match way {
            Way::Download => &self.laptop,
            Way::Copy => &self.receiver,
        }
    }

    /// What is to be received under this path there.
    pub(crate) fn target(&self, way: Way, path: &str) -> String {
        match way {
            Way::Download => format!("home/{path}"),
            Way::Copy => format!("tank-02/{path}"),
        }
    }

    /// Arguments that transfer a dataset from the source to the same path, with more arguments.
    pub(crate) fn arguments(&self, way: Way, path: &str, more: &[&str]) -> Vec<String> {
        self.arguments_to(way, path, path, more)
    }

    /// The same to another path.
    pub(crate) fn arguments_to(
        &self,
        way: Way,
        path: &str,
        to: &str,
        more: &[&str],
    ) -> Vec<String> {
        let (command, to): (&[&str], _) = match way {
            Way::Download => (&["download", path, "--to"], self.target(way, to)),
            Way::Copy => (&["copy", path], format!("{RECEIVER}/{to}")),
        };
        let words = command.iter().copied().chain([to.as_str(), "--from", SENDER]);
        words.chain(more.iter().copied()).map(str::to_owned).collect()
    }

    /// Runs such a transfer to its end.
    pub(crate) fn transfer(&self, way: Way, path: &str, more: &[&str]) -> Ran {
        self.run(&self.arguments(way, path, more))
    }

    /// The cli at the laptop.
    pub(crate) fn run(&self, arguments: &[String]) -> Ran {
        self.laptop.cli(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts it there.
    pub(crate) fn start(&self, arguments: &[String]) -> Process {
        self.laptop.start_cli(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs two such transfers side by side.
    pub(crate) fn both(&self, arguments: impl Fn(Way) -> Vec<String>) -> [(Way, Ran); 2] {
        let running = BOTH.map(|way| (way, self.start(&arguments(way))));
        running.map(|(way, cli)| (way, cli.finish()))
    }

    /// Transfers a dataset to both, and this snapshot of it has arrived then.
    #[track_caller]
    pub(crate) fn transfer_to_both(&self, path: &str, snapshot: &str, more: &[&str]) {
        for (_, ran) in self.both(|way| self.arguments(way, path, more)) {
            ran.ok();
        }
        for way in BOTH {
            self.assert_arrived(way, path, snapshot);
        }
    }

    /// The snapshot is there, and holds what it holds at the source.
    #[track_caller]
    pub(crate) fn assert_arrived(&self, way: Way, path: &str, snapshot: &str) {
        self.assert_arrived_as(way, path, path, snapshot);
    }

    /// The same under another path.
    #[track_caller]
    pub(crate) fn assert_arrived_as(&self, way: Way, path: &str, to: &str, snapshot: &str) {
        let machine = self.machine(way);
        let source = format!("tank-01/{path}@{snapshot}");
        let there = format!("{}@{snapshot}", self.target(way, to));
        assert_eq!(machine.get(&there, "guid"), self.sender.get(&source, "guid"), "{there}");
        assert!(machine.contents(&there) == self.sender.contents(&source), "{there}");
    }

    // --- what must not change

    /// All that all machines have.
    pub(crate) fn everything(&self) -> Everything {
        Everything([&self.sender, &self.receiver, &self.laptop].map(Machine::properties))
    }

    /// The transfer is refused with status 6, says this, and nothing has changed anywhere.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[String], says: &[&str]) -> Ran {
        let before = self.everything();
        let mut ran = self.run(arguments).expect(6);
        for text in says {
            ran = ran.says(text);
        }
        self.everything().assert_same(&before);
        ran
    }

    /// The same of transfers to both.
    #[track_caller]
    pub(crate) fn both_refused(
        &self,
        arguments: impl Fn(Way) -> Vec<String>,
        says: &str,
    ) -> [(Way, Ran); 2] {
        let before = self.everything();
        let ran = self.both(arguments).map(|(way, ran)| (way, ran.expect(6).says(says)));
        self.everything().assert_same(&before);
        ran
    }

    // --- transfers that are under way

    /// Holds streams back from now on.
    pub(crate) fn hold_streams(&self) {
        fs::write(self.sender.path("hold"), "").unwrap();
    }

    /// Lets them go on.
    pub(crate) fn release_streams(&self) {
        fs::remove_file(self.sender.path("hold")).unwrap();
    }

    /// Starts a transfer whose stream is held back, and waits until a part has arrived.
    pub(crate) fn begin(&self, way: Way, path: &str, arguments: &[String]) -> Process {
        self.hold_streams();
        let cli = self.start(arguments);
        self.wait_until_begun(way, path);
        cli
    }

    /// Until the first receive of a dataset is under way.
    pub(crate) fn wait_until_begun(&self, way: Way, path: &str) {
        let (machine, target) = (self.machine(way), self.target(way, path));
        until(&format!("a part of {target}"), || {
            let token = ["get", "-Hp", "-o", "value", "receive_resume_token", &target];
            let ran = machine.try_zfs(&token);
            (ran.status == 0 && ran.stdout.trim() != "-").then_some(())
        });
    }

    /// Starts a transfer that has looked at both sides when this returns, and has done nothing yet;
    /// [`Self::go_on`] lets it.
    pub(crate) fn begin_to_plan(&self, arguments: &[String]) -> Process {
        fs::write(self.sender.path("price"), "").unwrap();
        let cli = self.start(arguments);
        let pricing = self.sender.path("pricing");
        until("a question for an estimate", || pricing.exists().then_some(()));
        cli
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        for name in ["price", "pricing"] {
            fs::remove_file(self.sender.path(name)).unwrap();
        }
    }

    /// Leaves an interrupted transfer to this path: its cli was asked to end.
    pub(crate) fn interrupt(&self, way: Way, path: &str) {
        let cli = self.begin(way, path, &self.arguments(way, path, &[]));
        cli.signal(tests::Signal::INT);
        cli.finish().expect(130);
        self.release_streams();
        self.wait_for_silence();
    }

    /// Until no `zfs` sends or receives.
    pub(crate) fn wait_for_silence(&self) {
        let machines = [&self.sender, &self.receiver, &self.laptop];
        until("the end of all zfs processes", || {
            machines.iter().all(|machine| machine.strays().is_empty()).then_some(())
        });
    }

    /// What `zfs` was run for at a destination since this was asked last, by the product.
    pub(crate) fn runs(&self, way: Way) -> Vec<String> {
        let path = self.machine(way).path("zfs.log");
        let log = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, "").unwrap();
        log.lines().map(str::to_owned).collect()
    }

    /// Sends a snapshot to a destination as another tool would.
    pub(crate) fn send_by_hand(&self, snapshot: &str, way: Way, target: &str, receive: &str) {
        let file = self.sender.path("by hand");
        let file = file.display();
        self.sender.shell(&format!(r#""$ZFS" send 'tank-01/{snapshot}' >'{file}'"#)).ok();
        let machine = self.machine(way);
        machine.shell(&format!(r#""$ZFS" receive {receive} '{target}' <'{file}'"#)).ok();
    }

    /// Writes a file into a filesystem of a destination, which is mounted for that.
    pub(crate) fn write_there(&self, way: Way, target: &str) {
        let machine = self.machine(way);
        machine.zfs(&["mount", target]);
        machine.with_files(target, |folder| fs::write(folder.join("mine"), [7; 9000]).unwrap());
        machine.zfs(&["unmount", target]);
        if is_real() {
            assert_ne!(machine.get(target, "written"), "0");
        }
    }
}

/// All machines' properties, snapshots and holds.
pub(crate) struct Everything([Properties; 3]);

impl Everything {
    #[track_caller]
    pub(crate) fn assert_same(&self, before: &Self) {
        for (now, before) in self.0.iter().zip(&before.0) {
            now.assert_only_new(before, &[]);
        }
    }
}
