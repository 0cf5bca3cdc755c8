//! `--config FILE`: any flag in TOML; flags win, and unknown keys are errors.

use std::fs;

use tests::{Fleet, program};

#[test]
fn a_tracker_and_an_agent_run_from_files_and_flags_win() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tracker.toml");
    fs::write(&file, "capnp-disable-tls = true\nlocations = ['overridden']\n").unwrap();
    let fleet = Fleet::start_with(&["--config", file.to_str().unwrap()]);
    assert!(fs::read_to_string(fleet.cap("user")).unwrap().starts_with("capnp://insecure@"));
    assert!(fleet.cap("datacenter-01").exists() && !fleet.cap("overridden").exists());

    let machine = fleet.machine("machine-01", &["tank-01", "tank-02"]);
    machine.zfs(&["create", "tank-01/a"]);
    machine.zfs(&["create", "tank-02/b"]);
    let quoted = |path: std::path::PathBuf| format!("'{}'", path.display());
    let mut text = format!("connect = {}\n", quoted(fleet.cap("datacenter-01")));
    text += &format!("state-dir = {}\n", quoted(machine.path("agent")));
    text += "name = 'overridden'\nzpools = ['tank-01', 'tank-02']\n";
    if !tests::is_real() {
        text += &format!(
            "zfs = {}\nzpool = {}\n",
            quoted(program("zfs-sim")),
            quoted(program("zpool-sim"))
        );
    }
    fs::write(machine.path("agent.toml"), text).unwrap();
    let mut command = machine.command(&program("agent"));
    command.args(["--config", "agent.toml", "--name", "machine-01"]);
    let _agent = machine.spawn("agent", &mut command);
    fleet.wait_for_show(&[
        r"a: datacenter-01\machine-01\tank-01 (online)",
        r"b: datacenter-01\machine-01\tank-02 (online)",
    ]);
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known() {
    let fleet = Fleet::start();
    let machine = fleet.machine("machine-01", &[]);
    let file = machine.path("wrong.toml");
    for (name, key, nearest) in
        [("tracker", "location", "locations"), ("agent", "zpool-names", "zpools")]
    {
        fs::write(&file, format!("{key} = 'x'\n")).unwrap();
        let mut command = machine.command(&program(name));
        command.arg("--config").arg(&file);
        let ran = machine.spawn(name, &mut command).finish().expect(2);
        ran.says(&format!("unknown key '{key}'; the nearest known is '{nearest}'"));
    }
}
