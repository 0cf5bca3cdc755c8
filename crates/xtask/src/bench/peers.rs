//! What people put between `zfs send` and `zfs receive` instead of us.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::crowd::Crowd;
use super::pipes::{Pipeline, Stage, free_port, until, until_listening};
use super::usage::{Cost, children, measure};
use crate::process;

/// Another way from one process to the other.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// What must be installed.
    pub(super) program: &'static str,
    /// Whether it encrypts, and so is to be compared with us over TLS.
    pub(super) tls: bool,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// With these options.
    Ssh(&'static [&'static str]),
    Socat,
    Mbuffer,
    /// Our own loop of reads and writes.
    Pump,
}

pub(super) const PEERS: [Peer; 6] = [
    Peer { name: "ssh", program: "/usr/sbin/sshd", tls: true, kind: Kind::Ssh(&[]) },
    Peer {
        name: "ssh-aes128-gcm",
        program: "/usr/sbin/sshd",
        tls: true,
        kind: Kind::Ssh(&["-c", "aes128-gcm@openssh.com"]),
    },
    Peer { name: "pump-tls", program: "sh", tls: true, kind: Kind::Pump },
    Peer { name: "socat", program: "socat", tls: false, kind: Kind::Socat },
    Peer { name: "mbuffer", program: "mbuffer", tls: false, kind: Kind::Mbuffer },
    Peer { name: "pump", program: "sh", tls: false, kind: Kind::Pump },
];

impl Peer {
    pub(super) fn is_installed(&self) -> bool {
        process::succeeds(Command::new("sh").args(["-c", "command -v \"$0\"", self.program]))
    }

    /// Whether several of it at once tell what the machine can do.
    pub(super) fn is_bare(&self) -> bool {
        matches!(self.kind, Kind::Pump)
    }

    /// Sends and receives a stream.
    pub(super) fn run(&self, stage: &Stage, run: usize) -> Result<Cost> {
        let into = format!("{}-{run}", self.name);
        match self.kind {
            Kind::Ssh(options) => ssh(stage, &into, free_port()?, options),
            _ => measure(&[], || self.start(stage, &into)?.wait()),
        }
    }

    /// Sends and receives so many streams at once.
    pub(super) fn crowd(&self, stage: &Stage, run: usize, count: usize) -> Result<Crowd> {
        Crowd::run(&[], count, stage.size, |one| {
            self.start(stage, &format!("{}-{run}-{one}", self.name))
        })
    }

    /// Starts both its ends, the receiver first.
    fn start(&self, stage: &Stage, into: &str) -> Result<Pipeline> {
        let port = free_port()?;
        let (sender, receiver) = match self.kind {
            Kind::Socat => {
                let listen = format!("TCP-LISTEN:{port},bind=127.0.0.1");
                let dial = format!("TCP:127.0.0.1:{port}");
                (
                    program("socat", &["-u", "-b", "131072", "-", &dial]),
                    program("socat", &["-u", "-b", "131072", &listen, "-"]),
                )
            }
            Kind::Mbuffer => {
                let address = format!("127.0.0.1:{port}");
                let options = ["-q", "-s", "128k", "-m", "64M"];
                let with = |last: &[&str]| program("mbuffer", &[&options, last].concat());
                (with(&["-O", &address]), with(&["-I", &address]))
            }
            Kind::Pump | Kind::Ssh(_) => {
                let with = |end: &str| {
                    let mut command = stage.command("xtask", "", ["pump", end]);
                    command.arg(format!("127.0.0.1:{port}"));
                    if self.tls {
                        command.arg("--tls").arg(stage.path("tls"));
                    }
                    command
                };
                (with("send"), with("receive"))
            }
        };
        let receiving = Pipeline::default().then(receiver)?.then(stage.receive(into))?;
        until_listening(port)?;
        Ok(receiving.beside(Pipeline::default().then(stage.send())?.then(sender)?))
    }
}

fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

/// Through an sshd of our own, which is gone at the end, so that all it took is counted.
fn ssh(stage: &Stage, into: &str, port: u16, options: &[&str]) -> Result<Cost> {
    let key = |name: &str| {
        let file = stage.path(name);
        if !file.exists() {
            let mut make = program("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f"]);
            process::run(make.arg(&file))?;
        }
        Ok::<_, anyhow::Error>(file)
    };
    let (host_key, user_key) = (key("host-key")?, key("user-key")?);
    // As root it insists on this folder, which its packages make when they start it.
    if rustix::process::geteuid().is_root() {
        fs::create_dir_all("/run/sshd")?;
    }
    let settings = [
        format!("ListenAddress=127.0.0.1:{port}"),
        format!("HostKey={}", host_key.display()),
        format!("AuthorizedKeysFile={}.pub", user_key.display()),
        "PidFile=none".to_owned(),
        "StrictModes=no".to_owned(),
        "UsePAM=no".to_owned(),
    ];
    let mut server = program("/usr/sbin/sshd", &["-D", "-e", "-f", "/dev/null"]);
    server.args(settings.iter().flat_map(|setting| ["-o", setting]));
    let mut client = program("ssh", &["-F", "none", "-p", &port.to_string(), "-i"]);
    client.arg(user_key).args(options);
    for setting in ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"] {
        client.args(["-o", setting]);
    }
    client.args(["-o", "LogLevel=ERROR", "127.0.0.1", "env"]);
    client.args(stage.environment("receiver").map(|(name, value)| format!("{name}={value}")));
    let receive = stage.receive(into);
    client.arg(receive.get_program()).args(receive.get_args());
    measure(&[], || {
        let mut server = server.stderr(std::process::Stdio::null()).spawn().context("sshd")?;
        let sent = until_listening(port)
            .and_then(|()| Pipeline::default().then(stage.send())?.then(client)?.wait());
        // What it has not waited for would not be counted.
        let idle = until("sshd is idle", || Ok(children(server.id()).is_empty()));
        let pid = Pid::from_child(&server);
        kill_process(pid, Signal::TERM)?;
        server.wait()?;
        sent.and(idle)
    })
}
