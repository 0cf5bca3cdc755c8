//! Names that ZFS could never have, or that mean something else to a shell or a terminal.

use tests::Machine;

use crate::{RECEIVER, changes, three_machines};

fn bad_names() -> Vec<String> {
    let names = ["a;b", "../x", "%recv", "", "\u{1b}[2J", "-rf/..", "a\nb"];
    let long = "x".repeat(300);
    names.map(str::to_owned).into_iter().chain([long]).collect()
}

/// A usage error that doesn't repeat control characters.
#[track_caller]
fn refused(machine: &Machine, arguments: &[&str]) {
    let ran = machine.cli(arguments).expect(2);
    assert_eq!(ran.stdout, "");
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(lines[0].starts_with("cannot use the "), "{ran:#?}");
    assert_eq!(lines.last(), Some(&"See: cli --help"), "{ran:#?}");
    assert!(!ran.stderr.chars().any(|c| c.is_control() && c != '\n'), "{ran:#?}");
}

#[test]
fn bad_names_are_usage_errors_and_nothing_is_run() {
    let all = three_machines();
    for bad in bad_names() {
        let to = format!("home/{bad}");
        let path = format!(r"{RECEIVER}\{bad}");
        let pool = format!(r"datacenter-02\receiver\{bad}");
        let machine = format!(r"datacenter-02\{bad}\tank-02");
        // `--` because a name may begin with a dash.
        refused(&all.laptop, &["download", "--to", "home", "--", &bad]);
        refused(&all.laptop, &["download", "data", &format!("--to={to}")]);
        refused(&all.laptop, &["download", "data", &format!("--to={bad}")]);
        refused(&all.laptop, &["download", "data", "--to=home", &format!("--snapshot={bad}")]);
        refused(&all.laptop, &["download", "data", "--to=home", &format!("--from={pool}")]);
        refused(&all.laptop, &["copy", "--", &bad, RECEIVER]);
        refused(&all.laptop, &["copy", "data", &path]);
        refused(&all.laptop, &["copy", "data", &machine]);
        refused(&all.laptop, &["copy", "--", "data", &bad]);
        refused(&all.laptop, &["show", &format!("--location={bad}")]);
    }
    for machine in [&all.laptop, &all.sender, &all.receiver] {
        assert_eq!(changes(machine), [""; 0]);
    }
    assert!(!all.laptop.path("zfs.log").exists(), "not even looked");

    let ran = all.fleet.show(&["\u{1b}[2J"]).expect(2).says(r"'\u{1b}[2J'");
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:#?}");
}
