//! Patterns, `--location`, `--long`, `--json`, and a reader who has seen enough.

use std::time::Instant;

use serde_json::Value;
use tests::{Fleet, Machine, Tree};

/// `data/one` (a snapshot) and `data/two` at datacenter-01, `data/one` again at datacenter-02.
fn fleet() -> (Machine, Machine, Fleet) {
    let fleet = Fleet::start();
    let mut one = fleet.machine("machine-01", &["tank-01"]);
    let mut two = fleet.machine("machine-02", &["tank-02"]);
    one.create("tank-01/data/one", Tree { seed: 1, bytes: 1 << 20 }, "first");
    one.zfs(&["create", "-V", "1M", "tank-01/data/two"]);
    two.zfs(&["create", "-p", "tank-02/data/one"]);
    one.start_agent("datacenter-01", &[]);
    two.start_agent("datacenter-02", &[]);
    fleet.wait_for_show(&[
        r"data: datacenter-01\machine-01\tank-01 (online), datacenter-02\machine-02\tank-02 (online)",
        r"data/one: datacenter-01\machine-01\tank-01 (online), datacenter-02\machine-02\tank-02 (online)",
        r"data/two: datacenter-01\machine-01\tank-01 (online)",
    ]);
    (one, two, fleet)
}

/// The names of the datasets in the contract's lines.
fn names(lines: &str) -> Vec<&str> {
    lines.lines().map(|line| line.split_once(": ").expect("NAME: PLACES").0).collect()
}

#[test]
fn a_listing_can_be_narrowed_and_written_in_other_forms() {
    let (one, _two, fleet) = fleet();
    is_narrowed(&fleet);
    is_long(&fleet);
    is_json(&fleet, &one);
    may_be_read_in_part(&one);
    is_fast(&one);
}

fn is_narrowed(fleet: &Fleet) {
    for (pattern, matches) in [
        ("data", &["data"][..]),
        ("data/one", &["data/one"]),
        ("data*", &["data", "data/one", "data/two"]),
        ("*/t?o", &["data/two"]),
        ("data/[ot]ne", &["data/one"]),
    ] {
        assert_eq!(names(&fleet.show(&[pattern]).ok().stdout), matches, "{pattern}");
    }
    let nothing = fleet.show(&["data/none"]).expect(3);
    assert_eq!(nothing.stdout, "");
    nothing.says("cannot show 'data/none': no dataset matches");

    let there = fleet.show(&["--location", "datacenter-02"]).ok().stdout;
    assert_eq!(
        there,
        "data: datacenter-02\\machine-02\\tank-02 (online)\n\
         data/one: datacenter-02\\machine-02\\tank-02 (online)\n"
    );
    fleet.show(&["data/two", "--location", "datacenter-02"]).expect(3);
}

fn is_long(fleet: &Fleet) {
    let long = fleet.show(&["data/one", "--long"]).ok().stdout;
    let lines: Vec<&str> = long.lines().collect();
    assert_eq!(lines.len(), 3, "{long}");
    assert_eq!(lines[0], "data/one");
    for (line, words) in [
        (lines[1], [r"datacenter-01\machine-01\tank-01", "online", "filesystem", "newest @first"]),
        (lines[2], [r"datacenter-02\machine-02\tank-02", "online", "filesystem", "no snapshot"]),
    ] {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
}

fn is_json(fleet: &Fleet, one: &Machine) {
    let json: Value = serde_json::from_str(&fleet.show(&["--json"]).ok().stdout).unwrap();
    let replica = &json[1]["replicas"][0];
    assert_eq!(json[1]["name"], "data/one");
    assert_eq!(replica["place"], r"datacenter-01\machine-01\tank-01");
    assert_eq!(replica["online"], true);
    assert_eq!(replica["newest"]["name"], "first");
    assert_eq!(replica["newest"]["guid"], one.get("tank-01/data/one@first", "guid"));
    assert_eq!(json[2]["replicas"][0]["kind"], "volume");
}

/// As by `| head`.
fn may_be_read_in_part(one: &Machine) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = one.cli_command(&["show"]).stdout(writer).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
    assert_eq!(ran.status.code(), Some(0));
}

fn is_fast(one: &Machine) {
    let mut times: Vec<f64> = (0..11)
        .map(|_| {
            let started = Instant::now();
            assert!(one.cli_command(&["show"]).output().unwrap().status.success());
            started.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    eprintln!(
        "measured: cli show, cold: {:.0} ms (median; {:.0} to {:.0})",
        times[5], times[0], times[10]
    );
    // A connection with TLS on this machine: far from any deadline.
    assert!(times[5] < 5000.0, "{times:?}");
}
