//! What happens in the demo, from an empty fleet to a machine that goes and comes back.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Result;

use super::stage::Stage;

/// Where the user sits.
const LAPTOP: &str = "laptop";
const TRACKER: [&str; 5] = [
    "tracker",
    "--capnp-listen-address",
    "tcp:127.0.0.1:0",
    "--locations",
    "datacenter-01,datacenter-02",
];
const SHOW: [&str; 4] = ["cli", "--connect", "user.cap", "show"];
/// Both datasets' size in bytes: enough to be seen to travel, done in a second.
const SIZE: u64 = 16 << 20;

/// A machine with an agent.
struct Machine {
    name: &'static str,
    capability: &'static str,
    pool: &'static str,
    dataset: &'static str,
    /// What `show` prints of its place.
    place: &'static str,
}

const MACHINE_01: Machine = Machine {
    name: "machine-01",
    capability: "datacenter-01.cap",
    pool: "tank-01",
    dataset: "dataset-01",
    place: r"datacenter-01\machine-01\tank-01",
};
const MACHINE_02: Machine = Machine {
    name: "machine-02",
    capability: "datacenter-02.cap",
    pool: "tank-02",
    dataset: "dataset-02",
    place: r"datacenter-02\machine-02\tank-02",
};

/// Shows everything once.
pub(super) async fn tell(stage: &mut Stage) -> Result<()> {
    for machine in [&MACHINE_01, &MACHINE_02] {
        make_pool(stage, machine.name, machine.pool).await?;
        make_dataset(stage, machine).await?;
    }
    make_pool(stage, LAPTOP, "home").await?;

    stage.screen.remark(
        "Everything below runs on this machine: the real programs, and zfs and zpool played by\n\
         zfs-sim on plain files. A tracker for two locations; it writes the capability files.",
    )?;
    stage.begin("tracker", &TRACKER, "tracker listening on").await?;

    stage.screen.remark("An agent on each of two machines, one in either location.")?;
    for machine in [&MACHINE_01, &MACHINE_02] {
        start_agent(stage, machine).await?;
    }
    let one = format!("dataset-01: {} (online)", MACHINE_01.place);
    let other = format!("dataset-02: {} (online)", MACHINE_02.place);
    wait_for(stage, &[&one, &other]).await?;

    stage.screen.remark("Which dataset is where?")?;
    stage.show(LAPTOP, &SHOW, 0).await?;

    stage.screen.remark("Bring one here. The bytes come straight from the machine that has it.")?;
    user(stage, &["download", "dataset-01"], 0).await?;
    stage.show(LAPTOP, &["zfs", "list", "-t", "all", "-r", "home"], 0).await?;

    stage.screen.remark("Copy it from one machine to the other, without passing through here.")?;
    user(stage, &["copy", "dataset-01", MACHINE_02.place], 0).await?;
    let both = format!("dataset-01: {} (online), {} (online)", MACHINE_01.place, MACHINE_02.place);
    wait_for(stage, &[&both]).await?;
    stage.show(LAPTOP, &SHOW, 0).await?;

    stage.screen.remark("machine-01 loses its power. The tracker still knows what it held.")?;
    stage.kill(MACHINE_01.name).await?;
    let one_off =
        format!("dataset-01: {} (offline), {} (online)", MACHINE_01.place, MACHINE_02.place);
    wait_for(stage, &[&one_off]).await?;
    stage.show(LAPTOP, &SHOW, 0).await?;

    stage.screen.remark("What is elsewhere too can still be had; what is to go there can't.")?;
    user(stage, &["download", "dataset-01", "--to", "home/second"], 0).await?;
    user(stage, &["copy", "dataset-02", MACHINE_01.place], 5).await?;

    stage.screen.remark("machine-01 is switched on again.")?;
    start_agent(stage, &MACHINE_01).await?;
    wait_for(stage, &[&both]).await?;
    stage.show(LAPTOP, &SHOW, 0).await?;
    stage.screen.remark("That is all: every process is ended and every file removed.")?;
    Ok(())
}

async fn make_pool(stage: &Stage, machine: &str, pool: &str) -> Result<()> {
    // A stand-in for a disk is a name and no more.
    stage.quietly(machine, &["zpool", "create", pool, "/disk"]).await.map(drop)
}

/// Makes a machine's dataset, with a file and a snapshot.
async fn make_dataset(stage: &Stage, machine: &Machine) -> Result<()> {
    let dataset = format!("{}/{}", machine.pool, machine.dataset);
    stage.quietly(machine.name, &["zfs", "create", &dataset]).await?;
    let folder = stage.quietly(machine.name, &["zfs", "path", &dataset]).await?;
    let mut file = File::create(Path::new(folder.trim_end()).join("file"))?;
    io::copy(&mut File::open("/dev/urandom")?.take(SIZE), &mut file)?;
    stage.quietly(machine.name, &["zfs", "snapshot", &format!("{dataset}@monday")]).await?;
    Ok(())
}

async fn start_agent(stage: &mut Stage, machine: &Machine) -> Result<()> {
    let Machine { name, capability, pool, .. } = machine;
    let words = ["agent", "--connect", capability, "--name", name, "--zpools", pool];
    let loopback = ["--capnp-listen-address", "tcp:127.0.0.1:0"];
    stage.begin(name, &[&words[..], &loopback].concat(), "registered with the tracker").await
}

/// A command of the user's.
async fn user(stage: &Stage, words: &[&str], status: i32) -> Result<()> {
    stage.show(LAPTOP, &[&SHOW[..3], words].concat(), status).await
}

/// Waits until `show` prints these lines.
async fn wait_for(stage: &Stage, lines: &[&str]) -> Result<()> {
    let printed = async || {
        let listing = stage.quietly(LAPTOP, &SHOW).await?;
        Ok(lines.iter().all(|wanted| listing.lines().any(|line| line == *wanted)))
    };
    stage.until(&lines.join("; "), printed).await
}
