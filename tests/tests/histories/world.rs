//! The fleet that a history happens to, and what is known of its data: what each snapshot must hold,
//! wherever it is.

use std::collections::HashMap;
use std::fs;

use fastrand::Rng;
use sturdyref::capfile;
use tests::user::{self, User};
use tests::{Cable, Contents, Fleet, Machine, Properties, Tree, is_real, until};

use crate::faults::HELD_BACK;
use crate::history::{Event, History, Placing};
use crate::model::{self, Replica};

/// The dataset that the history is about, and the one below it.
pub(crate) const DATASET: &str = "data";
pub(crate) const BELOW: &str = "data/below";
/// An empty one that each machine has: by it is seen which of them are connected.
const EVERYWHERE: &str = "everywhere";

/// A fleet, and what is known of its data.
pub(crate) struct World {
    // Dropped before the fleet.
    pub(crate) nodes: Vec<Node>,
    pub(crate) fleet: Fleet,
    /// By GUID, what a snapshot holds.
    pub(crate) truth: HashMap<u64, Contents>,
    /// The dataset, and what is below it.
    pub(crate) datasets: Vec<&'static str>,
    /// So many names were given to snapshots.
    names: u32,
}

/// A machine.
pub(crate) struct Node {
    pub(crate) machine: Machine,
    pub(crate) pool: String,
    /// Its agent, if it has one.
    pub(crate) agent: Option<Agent>,
}

pub(crate) struct Agent {
    pub(crate) location: &'static str,
    /// By which receivers reach it.
    pub(crate) cable: Cable,
}

impl World {
    /// The fleet of a history, before anything happens.
    pub(crate) fn new(history: &History) -> Self {
        let fleet = Fleet::start();
        let nodes = (0..history.machines())
            .map(|number| Node::new(&fleet, number, number < history.agents))
            .collect();
        let datasets = if history.below { vec![DATASET, BELOW] } else { vec![DATASET] };
        let world = Self { nodes, fleet, truth: HashMap::new(), datasets, names: 0 };
        for dataset in &world.datasets {
            let node = &world.nodes[0];
            node.machine.zfs(&["create", &node.name(dataset)]);
        }
        world
    }

    /// Has happen what is no transfer.
    pub(crate) fn happen(&mut self, event: &Event) {
        match *event {
            Event::Snapshot { bytes, seed } => {
                for dataset in self.datasets.clone() {
                    self.write(0, dataset, bytes, seed);
                    self.snapshot(0, dataset);
                }
            }
            Event::Rename { at, nth } => self.rename(at, nth),
            Event::Prune { at, nth } => self.prune(at, nth),
            Event::Replicate { to, place } => self.replicate(to, place),
            Event::Diverge { at, seed, snapshot } => self.diverge(at, seed, snapshot),
            Event::Foreign { at, seed } => {
                let node = &self.nodes[at];
                let name = node.name(DATASET);
                if !node.machine.has(&name) {
                    node.machine.zfs(&["create", &name]);
                    let tree = Tree { seed, bytes: 64 << 10 };
                    node.machine.with_files(&name, |folder| tree.write(folder));
                    self.snapshot(at, DATASET);
                }
            }
            Event::Transfer(_) => unreachable!("transfers are run, not made to happen"),
        }
    }

    /// Changes one of a few files.
    fn write(&self, at: usize, dataset: &str, bytes: u64, seed: u64) {
        let mut random = Rng::with_seed(seed);
        let mut block = vec![0; usize::try_from(bytes).unwrap()];
        random.fill(&mut block);
        let node = &self.nodes[at];
        node.machine.with_files(&node.name(dataset), |folder| {
            fs::write(folder.join(format!("file {}", random.u8(..3))), &block).unwrap();
        });
    }

    fn new_label(&mut self) -> String {
        self.names += 1;
        format!("s{}", self.names)
    }

    /// Takes a snapshot, and notes what it holds.
    fn snapshot(&mut self, at: usize, dataset: &str) {
        let label = self.new_label();
        let Node { machine, .. } = &self.nodes[at];
        let name = format!("{}@{label}", self.nodes[at].name(dataset));
        machine.zfs(&["snapshot", &name]);
        let guid = machine.get(&name, "guid").parse().unwrap();
        self.truth.insert(guid, machine.contents(&name));
    }

    /// The names of the snapshots that the dataset has at a machine, oldest first.
    fn snapshots(&self, at: usize) -> Vec<String> {
        let node = &self.nodes[at];
        let found = model::read(at, node.agent.is_some(), &node.machine.properties());
        let replica = found.into_iter().find(|replica| replica.path == DATASET);
        let snapshots = replica.filter(|replica| !replica.unfinished).map(|it| it.snapshots);
        let names = snapshots.into_iter().flatten();
        names.map(|it| format!("{}@{}", node.name(DATASET), it.label)).collect()
    }

    fn rename(&mut self, at: usize, nth: usize) {
        let snapshots = self.snapshots(at);
        if snapshots.is_empty() {
            return;
        }
        let to = format!("{}@{}", self.nodes[at].name(DATASET), self.new_label());
        self.nodes[at].machine.zfs(&["rename", &snapshots[nth % snapshots.len()], &to]);
    }

    fn prune(&mut self, at: usize, nth: usize) {
        let mut snapshots = self.snapshots(at);
        snapshots.pop();
        if snapshots.is_empty() {
            return;
        }
        let snapshot = &snapshots[nth % snapshots.len()];
        let ran = self.nodes[at].machine.try_zfs(&["destroy", snapshot]);
        // One that is held for a transfer must not go.
        assert!(ran.status == 0 || ran.stderr.contains("held"), "{ran:#?}");
    }

    /// As another tool would: an increment if one is possible, nothing if the dataset is in the way.
    fn replicate(&mut self, to: usize, place: Placing) {
        let (source, target) = (&self.nodes[0], &self.nodes[to]);
        let name = target.name(place.path());
        let snapshots = self.snapshots(0);
        let newest = snapshots.last().expect("a snapshot");
        let stream = self.fleet.path("stream");
        if let (Placing::Elsewhere, Some((parent, _))) = (place, name.rsplit_once('/')) {
            target.machine.zfs(&["create", "-p", parent]);
        }
        if target.machine.has(&name) {
            return;
        }
        let shell = |machine: &Machine, script: String| machine.shell(&script).ok();
        shell(&source.machine, format!(r#""$ZFS" send '{newest}' >'{}'"#, stream.display()));
        let receive = format!(r#""$ZFS" receive -u '{name}' <'{}'"#, stream.display());
        shell(&target.machine, receive);
    }

    /// A replica isn't what it was; nothing if there is none.
    fn diverge(&mut self, at: usize, seed: u64, snapshot: bool) {
        if self.snapshots(at).is_empty() {
            return;
        }
        let machine = &self.nodes[at].machine;
        let name = self.nodes[at].name(DATASET);
        let mounts = is_real() && machine.get(&name, "mounted") != "yes";
        machine.zfs(&["set", "readonly=off", &name]);
        if mounts {
            machine.zfs(&["mount", &name]);
        }
        self.write(at, DATASET, 64 << 10, seed);
        let machine = &self.nodes[at].machine;
        if mounts {
            machine.zfs(&["unmount", &name]);
        }
        if snapshot {
            self.snapshot(at, DATASET);
        }
    }

    /// All properties of all machines.
    pub(crate) fn properties(&self) -> Vec<Properties> {
        self.nodes.iter().map(|node| node.machine.properties()).collect()
    }

    /// Waits until all machines are connected, and the tracker knows of all they have.
    pub(crate) fn settle(&self) -> Vec<Properties> {
        let capability = capfile::read(self.fleet.cap("user")).unwrap();
        let mut last = Vec::new();
        until("the tracker to know all", || {
            // A copy whose cli was killed may go on for a while.
            let all = self.properties();
            let mut there = model::replicas(&self.nodes, &all);
            there.retain(|replica| replica.has_agent && !replica.unfinished);
            let mut known: Vec<schema::Replica> = Vec::new();
            for dataset in self.datasets.iter().chain(&[EVERYWHERE]) {
                if self.fleet.show(&[dataset]).status == 0 {
                    known.extend(user::run(async {
                        let user = User::open(&capability, schema::PROTOCOL).await.unwrap();
                        user.broker(dataset).await.replicas().await
                    }));
                }
            }
            let is_known = |it: &Replica| known.iter().any(|known| it.is(known, &self.nodes));
            let unknown: Vec<&Replica> = there.iter().filter(|it| !is_known(it)).collect();
            let unknown: Vec<_> =
                unknown.into_iter().filter(|it| self.is_told(it, &there)).collect();
            let done = unknown.is_empty();
            let unknown = unknown.into_iter().map(|it| format!("{it:?}")).collect();
            if !done && last != unknown {
                eprintln!("  not known yet: {unknown:#?}");
            }
            last = unknown;
            done.then_some(all)
        })
    }

    /// Whether who asks for one of the datasets is told of this one: it has its name, or a snapshot
    /// that one of its name has.
    fn is_told(&self, replica: &Replica, all: &[Replica]) -> bool {
        let is_named = |it: &Replica| it.path == EVERYWHERE || self.datasets.contains(&&*it.path);
        let shares = |it: &Replica| it.snapshots.iter().any(|entry| replica.has(entry.guid));
        is_named(replica) || all.iter().any(|it| is_named(it) && shares(it))
    }
}

impl Node {
    fn new(fleet: &Fleet, number: usize, has_agent: bool) -> Self {
        let pool = format!("pool{number}");
        let name = format!("machine{number}");
        let mut machine = fleet.machine(&name, &[&pool]);
        // Set as it is, so that its source is the same after it was set to something else.
        machine.zfs(&["set", "quota=none", &pool]);
        machine.zfs(&["create", &format!("{pool}/{EVERYWHERE}")]);
        let folder = fleet.path("");
        machine.wrap_zfs(&format!("DIR='{}'\nNAME={number}\n{HELD_BACK}", folder.display()));
        let location = ["datacenter-01", "datacenter-02"][number % 2];
        let agent = has_agent.then(|| Agent { location, cable: machine.lay_cable() });
        let mut node = Self { machine, pool, agent };
        node.start_agent();
        node
    }

    /// Starts its agent, if it has one.
    pub(crate) fn start_agent(&mut self) {
        if let Some(Agent { location, cable }) = &self.agent {
            self.machine.start_agent_behind(cable, location, &[]);
        }
    }

    /// A dataset's name, given its path below the pool.
    pub(crate) fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.pool)
    }

    /// As `--from` and `copy` want it.
    pub(crate) fn place(&self) -> String {
        let location = self.agent.as_ref().expect("an agent").location;
        let machine = self.pool.replace("pool", "machine");
        format!(r"{location}\{machine}\{}", self.pool)
    }
}

impl Placing {
    /// Below the pool.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Alike => DATASET,
            Self::Elsewhere => "far/away",
        }
    }
}
