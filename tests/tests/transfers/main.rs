//! `cli download` and `cli copy`: what arrives is what was sent, and nothing else has changed.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod arriving;
mod choosing;
mod destinations;
mod encrypted;
mod networks;
mod telling;

use tests::{Fleet, Machine, Tree};

/// A sender at one location, a receiver at the other, and a laptop where the cli runs.
struct Three {
    sender: Machine,
    receiver: Machine,
    laptop: Machine,
    // Dropped last.
    fleet: Fleet,
}

const SENDER: &str = r"datacenter-01\sender\tank-01";
const RECEIVER: &str = r"datacenter-02\receiver\tank-02";

/// Little data, for what isn't about data.
fn little(seed: u64) -> Tree {
    Tree { seed, bytes: 1 << 20 }
}

/// The fleet, once all that `prepare` has made at the sender is known to the tracker.
fn three_machines(fleet: Fleet, prepare: impl FnOnce(&Machine)) -> Three {
    let sender = fleet.machine("sender", &["tank-01"]);
    let receiver = fleet.machine("receiver", &["tank-02"]);
    let laptop = fleet.machine("laptop", &["home"]);
    prepare(&sender);
    let mut all = Three { sender, receiver, laptop, fleet };
    all.receiver.start_agent("datacenter-02", &[]);
    all.receiver.wait_registered();
    all.sender.start_agent("datacenter-01", &[]);
    all.wait_for_the_senders();
    all
}

impl Three {
    /// Waits until the tracker knows all that the sender has.
    fn wait_for_the_senders(&self) {
        let listed = self.sender.zfs(&["list", "-Hr", "-o", "name", "tank-01"]);
        let expected: Vec<String> = listed
            .lines()
            .filter_map(|name| name.strip_prefix("tank-01/"))
            .map(|path| format!("{path}: {SENDER} (online)"))
            .collect();
        self.fleet.wait_for_show(&expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// A filesystem that was received holds what was sent, and lies where it doesn't disturb.
#[track_caller]
fn assert_arrived(from: &Machine, source: &str, to: &Machine, target: &str, snapshot: &str) {
    let (source, sent) = (format!("{source}@{snapshot}"), source);
    let received = format!("{target}@{snapshot}");
    assert_eq!(to.get(&received, "guid"), from.get(&source, "guid"), "the GUID of {received}");
    if to.get(target, "type") == "volume" {
        assert_eq!(to.contents(target), from.contents(sent), "{target}");
    } else {
        assert_eq!(to.get(target, "mounted"), "no", "{target}");
        assert_eq!(to.get(target, "canmount"), "noauto", "{target}");
        assert_eq!(to.contents(&received), from.contents(&source), "{received}");
    }
}
