//! Two locations, three machines, five pools: machines and the tracker come and go.

use std::fs;

use tests::{Fleet, Machine, Signal, Tree};

use crate::measure;

const TREE: Tree = Tree { seed: 1, bytes: 1 << 20 };

struct Three {
    one: Machine,
    two: Machine,
    three: Machine,
    // Dropped last.
    fleet: Fleet,
}

fn three_machines() -> Three {
    let fleet = Fleet::start();
    let one = fleet.machine("machine-01", &["tank-01", "tank-02"]);
    let two = fleet.machine("machine-02", &["tank-03"]);
    let three = fleet.machine("machine-03", &["tank-05", "tank-06"]);
    one.create("tank-01/dataset-01", TREE, "one");
    one.zfs(&["create", "-p", "tank-02/a/b"]);
    two.zfs(&["create", "tank-03/a"]);
    two.zfs(&["create", "tank-03/two words"]);
    three.create("tank-06/dataset-01", TREE, "other");
    three.zfs(&["create", "-V", "1M", "tank-05/2024-data"]);
    let mut all = Three { one, two, three, fleet };
    // In no particular order: the lines are sorted all the same.
    all.three.start_agent("datacenter-02", &[]);
    all.one.start_agent("datacenter-01", &[]);
    all.two.start_agent("datacenter-01", &[]);
    all
}

impl Three {
    /// Waits for the contract's lines, the machines being in these states.
    fn wait(&self, one: &str, two: &str, three: &str) {
        let lines = [
            format!(r"2024-data: datacenter-02\machine-03\tank-05 ({three})"),
            format!(
                r"a: datacenter-01\machine-01\tank-02 ({one}), datacenter-01\machine-02\tank-03 ({two})"
            ),
            format!(r"a/b: datacenter-01\machine-01\tank-02 ({one})"),
            format!(
                r"dataset-01: datacenter-01\machine-01\tank-01 ({one}), datacenter-02\machine-03\tank-06 ({three})"
            ),
            format!(r"two words: datacenter-01\machine-02\tank-03 ({two})"),
        ];
        self.fleet.wait_for_show(&lines.each_ref().map(String::as_str));
    }
}

/// The bytes of all capability files.
fn capabilities(fleet: &Fleet) -> [Vec<u8>; 4] {
    ["datacenter-01", "datacenter-02", "user", "admin"]
        .map(|name| fs::read(fleet.cap(name)).unwrap())
}

const ON: &str = "online";
const OFF: &str = "offline";

#[test]
fn machines_go_offline_and_come_back_and_none_is_forgotten() {
    let mut all = three_machines();
    measure("three agents started, all datasets shown", || {}, || all.wait(ON, ON, ON));

    all.one.agent().kill();
    let closed = measure("SIGKILL of an agent to offline", || {}, || all.wait(OFF, ON, ON));
    assert!(closed < 10.0, "a closed connection is seen at once, not after the 15 s of silence");

    all.three.agent().signal(Signal::STOP);
    let silent = measure("SIGSTOP of an agent to offline", || {}, || all.wait(OFF, ON, OFF));
    // Its last heartbeat was up to 5 s before.
    assert!(silent > 9.0, "{silent} s: silence is borne for 15 s");
    all.three.agent().signal(Signal::CONT);
    measure("SIGCONT of an agent to online", || {}, || all.wait(OFF, ON, ON));

    let before = capabilities(&all.fleet);
    assert!(all.fleet.tracker().stop().success());
    all.fleet.start_tracker();
    assert!(capabilities(&all.fleet) == before, "a capability file has changed");
    measure("tracker restarted, machines online again", || {}, || all.wait(OFF, ON, ON));

    all.one.start_agent("datacenter-01", &[]);
    measure("agent started again to online", || {}, || all.wait(ON, ON, ON));

    assert!(all.two.agent().stop().success());
    measure("SIGTERM of an agent to offline", || {}, || all.wait(ON, OFF, ON));

    all.fleet.tracker().kill();
    let words = all.fleet.show(&[]).expect(1).stderr;
    assert!(words.starts_with("cannot reach the tracker"), "{words}");
    all.fleet.start_tracker();
    measure("tracker killed and restarted, machines online", || {}, || all.wait(ON, OFF, ON));
}
