//! A tracker with its capability files; machines are added to it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;

use crate::machine::Machine;
use crate::network::Host;
use crate::process::{Process, Ran};
use crate::programs::program;
use crate::site::Site;
use crate::wait::in_time;

/// The locations, unless the tracker is told of others.
const LOCATIONS: &str = "datacenter-01,datacenter-02,datacenter-03";

/// A tracker and all that belongs to it. Machines should be dropped before it.
pub struct Fleet {
    tracker: Process,
    host: Host,
    /// Where it listens; fixed from its first start on.
    address: String,
    flags: Vec<String>,
    site: Rc<Site>,
}

impl Fleet {
    /// Starts a tracker on a port that is free.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with these flags too, or instead of the usual ones.
    pub fn start_with(flags: &[&str]) -> Self {
        let site = Rc::new(Site::new());
        let host = site.network.add_host();
        let address = format!("tcp:{}:0", site.network.listen_address(host));
        Self::launch(site, host, address, flags)
    }

    /// The same on a Unix socket.
    pub fn start_on_unix_socket() -> Self {
        let site = Rc::new(Site::new());
        let host = site.network.add_host();
        let address = format!("unix:{}", site.path("tracker.socket").display());
        Self::launch(site, host, address, &[])
    }

    fn launch(site: Rc<Site>, host: Host, address: String, flags: &[&str]) -> Self {
        fs::create_dir(site.path("caps")).expect("a folder for capability files");
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let (tracker, address) = run_tracker(&site, host, &address, &flags);
        Self { tracker, host, address, flags, site }
    }

    /// The tracker.
    pub fn tracker(&mut self) -> &mut Process {
        &mut self.tracker
    }

    /// Starts the tracker again, once it has ended, where it was.
    pub fn start_tracker(&mut self) {
        assert!(!self.tracker.is_running(), "the tracker runs");
        (self.tracker, self.address) =
            run_tracker(&self.site, self.host, &self.address, &self.flags);
    }

    /// Changes the tracker's flags from its next start on.
    pub fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(ToString::to_string).collect();
    }

    /// Where the tracker listens: `tcp:HOST:PORT` or `unix:/PATH`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The capability file of a location, `user` or `admin`.
    pub fn cap(&self, name: &str) -> PathBuf {
        self.site.path(&format!("caps/{name}.cap"))
    }

    /// A file or folder of the fleet's; the tracker's state is in `tracker`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.site.path(name)
    }

    /// Runs `tracker forget` or `tracker reissue` on the tracker's state.
    pub fn administer(&self, arguments: &[&str]) -> Ran {
        let mut command = self.host.command(&program("tracker"));
        command.args(arguments).arg("--state-dir").arg(self.site.path("tracker"));
        Ran::of(&mut command, format!("tracker {arguments:?}"))
    }

    /// Adds a machine with these new pools, mounted below a folder of its own.
    pub fn machine(&self, name: &str, pools: &[&str]) -> Machine {
        Machine::new(self.site.clone(), name, pools)
    }

    /// Neither of the two machines reaches the other any more. Only on real networks: in the lab.
    pub fn separate(&self, one: &Machine, other: &Machine) {
        self.site.network.separate(one.host, other.host);
    }

    /// A command that runs any program on the tracker's machine.
    pub fn command(&self, program: &std::path::Path) -> Command {
        self.host.command(program)
    }

    /// What `cli show` prints, run on the tracker's machine with these arguments.
    pub fn show(&self, arguments: &[&str]) -> Ran {
        let mut command = self.host.command(&program("cli"));
        command.arg("--connect").arg(self.cap("user")).arg("show").args(arguments);
        Ran::of(&mut command, format!("cli show {arguments:?}"))
    }

    /// Waits until `cli show` prints exactly these lines.
    #[track_caller]
    pub fn wait_for_show(&self, lines: &[&str]) {
        let expected: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut last = String::new();
        let came = in_time(|| {
            last = self.show(&[]).ok().stdout;
            (last == expected).then_some(())
        });
        assert!(came.is_some(), "show never printed\n{expected}but at last\n{last}");
    }
}

/// Starts a tracker; returns it, listening, and where.
fn run_tracker(site: &Site, host: Host, address: &str, flags: &[String]) -> (Process, String) {
    let (state, caps) = (site.path("tracker"), site.path("caps"));
    let usual = [
        ("--capnp-listen-address", address),
        ("--locations", LOCATIONS),
        ("--state-dir", state.to_str().unwrap()),
        ("--cap-dir", caps.to_str().unwrap()),
    ];
    let mut command = host.command(&program("tracker"));
    for (flag, value) in usual {
        if !flags.iter().any(|given| given == flag) {
            command.args([flag, value]);
        }
    }
    command.args(flags).stdin(Stdio::null());
    let mut tracker = Process::start(site, "tracker", &mut command);
    let line = tracker.wait_for_line("tracker listening on ");
    let (_, address) = line.split_once("listening on ").unwrap();
    (tracker, address.to_owned())
}
