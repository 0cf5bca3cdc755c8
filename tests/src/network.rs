//! Who can reach whom.
//!
//! In the lab each host has a network namespace with an address of its own, all joined by a router
//! in the first namespace. Elsewhere everything is on loopback: the tracker on an address that no
//! other fleet has, since its port must stay free while it is restarted.

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cable::Cable;
use crate::programs::is_real;

/// A host's place in the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host(u32);

/// All hosts of a fleet; in the lab they are gone when this is dropped.
pub(crate) struct Network {
    hosts: Cell<u32>,
    fleet: u32,
}

impl Network {
    pub(crate) fn new() -> Self {
        static FLEETS: AtomicU32 = AtomicU32::new(0);
        if is_real() {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("a router");
        }
        let fleet = FLEETS.fetch_add(1, Ordering::Relaxed) % 250 + 1;
        Self { hosts: Cell::new(0), fleet }
    }

    /// One more host.
    pub(crate) fn add_host(&self) -> Host {
        let host = Host(self.hosts.get() + 1);
        self.hosts.set(host.0);
        if is_real() {
            let Host(n) = host;
            ip(&format!("netns add {}", host.namespace()));
            ip(&format!("link add to{n} type veth peer name eth0 netns {}", host.namespace()));
            ip(&format!("address add 10.77.{n}.1/24 dev to{n}"));
            ip(&format!("link set to{n} up"));
            let inside = |command: &str| ip(&format!("-n {} {command}", host.namespace()));
            inside(&format!("address add {}/24 dev eth0", host.address()));
            inside("link set lo up");
            inside("link set eth0 up");
            inside(&format!("route add default via 10.77.{n}.1"));
        }
        host
    }

    /// An address of the host that only this fleet listens on.
    pub(crate) fn listen_address(&self, host: Host) -> String {
        if is_real() {
            return host.address();
        }
        let [high, low] =
            u16::try_from(std::process::id() % 0xffff).expect("16 bits").to_be_bytes();
        format!("127.{}.{high}.{}", self.fleet, low.max(1))
    }

    /// A cable to a port of the host that is free.
    pub(crate) fn lay_cable(&self, host: Host) -> Cable {
        let (here, there) = if is_real() {
            (host.gateway(), host.address())
        } else {
            (self.listen_address(host), self.listen_address(host))
        };
        // Of the host's own ports none is taken; on loopback the address is this fleet's alone.
        // It stays taken until the cable has got another.
        let free = (!is_real()).then(|| TcpListener::bind((there.as_str(), 0)));
        let free = free.transpose().expect("a free port");
        let port = free.as_ref().map_or(7000, |free| free.local_addr().expect("an address").port());
        Cable::lay(&here, SocketAddr::new(there.parse().expect("an address"), port))
    }

    /// Nothing sent by one of the two reaches the other any more.
    pub(crate) fn separate(&self, one: Host, other: Host) {
        assert!(is_real(), "on loopback everybody reaches everybody");
        for (from, to) in [(one, other), (other, one)] {
            ip(&format!("-n {} route add unreachable {}/32", from.namespace(), to.address()));
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if is_real() {
            for n in 1..=self.hosts.get() {
                let ip = |arguments: &[&str]| drop(Command::new("ip").args(arguments).status());
                // A namespace ends only some time after its deletion, and its end of the cable with
                // it. Like this it is gone at once.
                ip(&["link", "delete", &format!("to{n}")]);
                ip(&["netns", "delete", &Host(n).namespace()]);
            }
        }
    }
}

impl Host {
    fn namespace(self) -> String {
        format!("host{}", self.0)
    }

    fn address(self) -> String {
        format!("10.77.{}.2", self.0)
    }

    /// The router's address on the host's cable.
    fn gateway(self) -> String {
        format!("10.77.{}.1", self.0)
    }

    /// A command that runs `program` on this host.
    pub(crate) fn command(self, program: &Path) -> Command {
        if !is_real() {
            return Command::new(program);
        }
        // Becomes the program, so the process that is started is the program's. `ip netns exec`
        // would also give it mounts of its own, which keep pools busy.
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.namespace())).arg(program);
        command
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip");
    assert!(status.success(), "ip {arguments}: {status}");
}
