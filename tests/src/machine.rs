//! A computer of the fleet: pools, a place in the network, perhaps an agent; the cli can be run there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use crate::cable::Cable;
use crate::contents::{Contents, Tree};
use crate::network::Host;
use crate::pools::Pools;
use crate::process::{Process, Ran};
use crate::processes::Stray;
use crate::programs::{is_real, program, zfs_program};
use crate::properties::Properties;
use crate::site::Site;

/// A machine. Its agent is killed and its pools are destroyed when it is dropped.
pub struct Machine {
    // Dropped in this order: no process may hold a pool that is to be destroyed.
    agent: Option<Process>,
    pools: Pools,
    name: String,
    pub(crate) host: Host,
    environment: BTreeMap<String, String>,
    zfs: PathBuf,
    zpool: PathBuf,
    site: Rc<Site>,
}

impl Machine {
    pub(crate) fn new(site: Rc<Site>, name: &str, pools: &[&str]) -> Self {
        let mut own = Pools::new(site.path(name));
        for pool in pools {
            own.create(pool);
        }
        Self {
            agent: None,
            pools: own,
            name: name.to_owned(),
            host: site.network.add_host(),
            environment: BTreeMap::new(),
            zfs: zfs_program("zfs"),
            zpool: zfs_program("zpool"),
            site,
        }
    }

    /// Sets an environment variable for what is started here from now on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// A file in this machine's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.site.path(&self.name).join(name)
    }

    // --- the agent

    /// Starts an agent for a location, with these flags besides the usual ones or instead of them.
    ///
    /// Returns at once; see [`Self::wait_registered`].
    pub fn start_agent(&mut self, location: &str, flags: &[&str]) {
        let cap = self.site.path(&format!("caps/{location}.cap"));
        let state = self.path("agent");
        let pools = self.pools.names().join(",");
        let usual = [
            ("--connect", cap.to_str().unwrap()),
            ("--name", &self.name),
            ("--zpools", &pools),
            ("--zfs", self.zfs.to_str().unwrap()),
            ("--zpool", self.zpool.to_str().unwrap()),
            ("--state-dir", state.to_str().unwrap()),
        ]
        .map(|(flag, value)| (flag, value.to_owned()));
        let mut command = self.command(&program("agent"));
        for (flag, value) in usual.iter().filter(|(flag, _)| !flags.contains(flag)) {
            command.args([*flag, value]);
        }
        command.args(flags).stdin(Stdio::null());
        let name = format!("agent on {}", self.name);
        self.agent = Some(Process::start(&self.site, &name, &mut command));
    }

    /// Starts it where receivers reach it by a cable alone.
    pub fn start_agent_behind(&mut self, cable: &Cable, location: &str, flags: &[&str]) {
        let (address, end) = (cable.address(), cable.end());
        let ways = ["--capnp-public-address", &address, "--capnp-listen-address", &end];
        self.start_agent(location, &[&ways[..], flags].concat());
    }

    /// A cable for this machine's agent.
    pub fn lay_cable(&self) -> Cable {
        self.site.network.lay_cable(self.host)
    }

    /// Waits until the agent that was started last has registered.
    pub fn wait_registered(&mut self) {
        self.agent().wait_for_line("registered with the tracker");
    }

    /// The agent that was started last.
    pub fn agent(&mut self) -> &mut Process {
        self.agent.as_mut().expect("an agent was started on this machine")
    }

    // --- the cli

    /// A command that runs the cli here with user.cap, on this machine's ZFS.
    pub fn cli_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&program("cli"));
        if !arguments.contains(&"--connect") {
            command.arg("--connect").arg(self.site.path("caps/user.cap"));
        }
        for argument in arguments {
            command.arg(argument);
            if *argument == "download" {
                command.arg("--zfs").arg(&self.zfs).arg("--zpool").arg(&self.zpool);
            }
        }
        command.stdin(Stdio::null());
        command
    }

    /// Starts the cli here.
    pub fn start_cli(&self, arguments: &[&str]) -> Process {
        let name = format!("cli {} on {}", arguments.join(" "), self.name);
        let short = name.chars().filter(char::is_ascii_graphic).take(60).collect::<String>();
        Process::start(&self.site, &short, &mut self.cli_command(arguments))
    }

    /// Runs the cli here to its end.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        Ran { command: format!("cli {arguments:?}"), ..self.start_cli(arguments).finish() }
    }

    /// Starts a command; `name` is for messages.
    pub fn spawn(&self, name: &str, command: &mut Command) -> Process {
        Process::start(&self.site, name, command)
    }

    /// A command that runs a program here, in this machine's network and environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = self.host.command(program);
        command.env("ZFS_SIM_ROOT", self.pools.sim_root()).envs(&self.environment);
        command.current_dir(self.site.path(&self.name));
        command
    }

    // --- ZFS

    /// Runs `zfs`, which must succeed, and returns what it printed.
    #[track_caller]
    pub fn zfs(&self, arguments: &[&str]) -> String {
        self.pools.zfs(arguments)
    }

    /// Runs `zfs` to its end.
    pub fn try_zfs(&self, arguments: &[&str]) -> Ran {
        self.pools.run("zfs", arguments)
    }

    /// Runs a shell script, in which `"$ZFS"` is this machine's `zfs`, to its end.
    pub fn shell(&self, script: &str) -> Ran {
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", script]).env("ZFS", zfs_program("zfs"));
        Ran::of(&mut command, script.to_owned())
    }

    /// A property's value.
    #[track_caller]
    pub fn get(&self, name: &str, property: &str) -> String {
        self.pools.get(name, property)
    }

    /// Whether there is such a dataset or snapshot.
    pub fn has(&self, name: &str) -> bool {
        self.try_zfs(&["list", "-H", "-t", "all", "-o", "name", name]).status == 0
    }

    /// The bookmark that a transfer leaves of this snapshot, at its source.
    pub fn bookmark_of(&self, snapshot: &str) -> String {
        let (dataset, _) = snapshot.split_once('@').expect("a snapshot");
        format!("{dataset}#zatlas-{}", self.get(snapshot, "guid"))
    }

    /// The folder that stands for this machine's ZFS on zfs-sim.
    pub(crate) fn sim_root(&self) -> PathBuf {
        self.pools.sim_root()
    }

    /// Exports a pool.
    pub fn export(&self, pool: &str) {
        self.pools.export(pool);
    }

    /// Imports it again.
    pub fn import(&self, pool: &str) {
        self.pools.import(pool);
    }

    /// Creates a filesystem (its parents too) that holds `tree`, and takes this snapshot of it.
    pub fn create(&self, dataset: &str, tree: Tree, snapshot: &str) {
        self.zfs(&["create", "-p", dataset]);
        self.with_files(dataset, |folder| tree.write(folder));
        self.zfs(&["snapshot", &format!("{dataset}@{snapshot}")]);
    }

    /// The same for a volume of twice the tree's size.
    pub fn create_volume(&self, dataset: &str, tree: Tree, snapshot: &str) {
        self.zfs(&["create", "-p", "-V", &(2 * tree.bytes).to_string(), dataset]);
        self.with_files(dataset, |device| tree.write_volume(device));
        self.zfs(&["snapshot", &format!("{dataset}@{snapshot}")]);
    }

    /// Does something with the files of a mounted filesystem, or with a volume's device.
    pub fn with_files<T>(&self, dataset: &str, work: impl FnOnce(&Path) -> T) -> T {
        self.pools.with_files(dataset, work)
    }

    /// What a filesystem's snapshot holds (also of one that isn't mounted), or a volume.
    pub fn contents(&self, name: &str) -> Contents {
        self.pools.contents(name)
    }

    /// All properties of all that is in this machine's pools.
    pub fn properties(&self) -> Properties {
        self.pools.properties()
    }

    /// Has a shell script run in place of `zfs`, by agents and clis started from now on. In it
    /// `"$ZFS" "$@"` is the real one.
    pub fn wrap_zfs(&mut self, script: &str) {
        self.zfs = self.wrap("zfs", script);
    }

    /// The same for `zpool`, which is `"$ZPOOL"` in the script.
    pub fn wrap_zpool(&mut self, script: &str) {
        self.zpool = self.wrap("zpool", script);
    }

    fn wrap(&self, name: &str, script: &str) -> PathBuf {
        let path = self.path(&format!("{name}-wrapped"));
        let (variable, program) = (name.to_uppercase(), zfs_program(name));
        let text = format!("#!/bin/sh\n{variable}='{}'\n{script}\n", program.display());
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The `zfs send` and `zfs receive` processes that work on this machine's pools now.
    pub fn strays(&self) -> Vec<Stray> {
        let root = format!("ZFS_SIM_ROOT={}", self.pools.sim_root().display());
        Stray::find(|environment, arguments| {
            if is_real() {
                let is_ours = |word: &String| {
                    let pool = word.split(['/', '@']).next().unwrap_or_default();
                    self.pools.names().iter().any(|name| name == pool)
                };
                arguments.iter().any(is_ours)
            } else {
                environment.split('\0').any(|variable| variable == root)
            }
        })
    }
}
