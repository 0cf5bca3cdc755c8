//! Our own pipeline: a tracker, an agent that sends, a cli that downloads.

use std::fs::File;
use std::process::{Child, Stdio};

use anyhow::{Context, Result};

use super::crowd::Crowd;
use super::pipes::{Pipeline, Stage, until, until_logged};
use super::usage::{Cost, measure};

/// A tracker and an agent in the background; killed when dropped.
pub(super) struct Fleet {
    name: &'static str,
    daemons: Vec<Child>,
}

impl Fleet {
    pub(super) fn start(stage: &Stage, tls: bool) -> Result<Self> {
        let name = super::ours_name(tls);
        let mut fleet = Self { name, daemons: Vec::new() };
        let mut tracker = vec!["--capnp-listen-address", "tcp:127.0.0.1:0", "--locations", "here"];
        tracker.extend(["--cap-dir", name]);
        if !tls {
            tracker.push("--capnp-disable-tls");
        }
        std::fs::create_dir(stage.path(name))?;
        fleet.begin(stage, "tracker", &tracker, "tracker listening on")?;
        let capability = format!("{name}/here.cap");
        let agent = ["--connect", &capability, "--name", "machine", "--zpools", "tank"];
        let loopback = ["--capnp-listen-address", "tcp:127.0.0.1:0"];
        fleet.begin(stage, "agent", &[&agent[..], &loopback].concat(), "registered")?;
        until("the dataset is known", || {
            let listing = fleet.cli(stage, &["show"]).output()?;
            Ok(String::from_utf8_lossy(&listing.stdout).contains("dataset"))
        })?;
        Ok(fleet)
    }

    /// Downloads the dataset.
    pub(super) fn download(&mut self, stage: &Stage, run: usize) -> Result<Cost> {
        let daemons: Vec<_> = self.daemons.iter().map(Child::id).collect();
        let into = format!("home/{}-{run}", self.name);
        let cli = self.cli(stage, &["download", "dataset", "--to", &into]);
        measure(&daemons, || Pipeline::default().then(cli)?.wait())
    }

    /// Downloads it so many times at once.
    pub(super) fn crowd(&mut self, stage: &Stage, run: usize, count: usize) -> Result<Crowd> {
        let daemons: Vec<_> = self.daemons.iter().map(Child::id).collect();
        Crowd::run(&daemons, count, stage.size, |one| {
            let into = format!("home/{}-{run}-{one}", self.name);
            Pipeline::default().then(self.cli(stage, &["download", "dataset", "--to", &into]))
        })
    }

    fn cli(&self, stage: &Stage, arguments: &[&str]) -> std::process::Command {
        let capability = format!("{}/user.cap", self.name);
        let mut command = stage.command("cli", "receiver", ["--connect", &capability]);
        command.args(arguments);
        command
    }

    fn begin(
        &mut self,
        stage: &Stage,
        program: &str,
        arguments: &[&str],
        ready: &str,
    ) -> Result<()> {
        let log = stage.path(&format!("{}/{program}.log", self.name));
        let mut command = stage.command(program, "sender", arguments);
        command.env("STATE_DIRECTORY", stage.path(&format!("{}/{program}", self.name)));
        let child = command.stdout(Stdio::null()).stderr(File::create(&log)?).spawn();
        self.daemons.push(child.with_context(|| format!("cannot start {program}"))?);
        until_logged(&log, ready)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            // It may have ended by itself.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}
