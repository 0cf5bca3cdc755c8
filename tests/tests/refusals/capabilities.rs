//! `--connect`: what it takes, and what it doesn't.

use std::fs::{self, File};

use tests::Fleet;

#[test]
fn a_capability_is_read_from_a_file_or_standard_input_but_never_an_argument() {
    let fleet = Fleet::start();
    let machine = fleet.machine("laptop", &[]);
    let cap = fleet.cap("user");
    let mut piped = machine.cli_command(&["--connect", "-", "show"]);
    let ran = piped.stdin(File::open(&cap).unwrap()).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");

    let uri = fs::read_to_string(&cap).unwrap();
    let ran = machine.cli(&["--connect", uri.trim(), "show"]).expect(2);
    let ran = ran.says("it is a capability itself, and `ps` shows it");
    let secret = uri.trim().rsplit('/').next().unwrap();
    assert!(!ran.stderr.contains(secret), "the message repeats it: {}", ran.stderr);

    machine.cli(&["--connect", "/no/such.cap", "show"]).expect(1).says("/no/such.cap");
    let location = fleet.cap("datacenter-01");
    let ran = machine.cli(&["--connect", location.to_str().unwrap(), "show"]).expect(6);
    ran.says("the capability is not a user's").says("Use user.cap or admin.cap.");
    machine.cli(&["--connect", fleet.cap("admin").to_str().unwrap(), "show"]).ok();
}
