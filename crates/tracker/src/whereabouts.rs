//! Where receivers have themselves dialled: at an address of their own, as far as can be told.
//!
//! A sender dials what its receiver names. Whoever holds a `user.cap` could else have it look for what
//! listens in its own network.

use std::net::{IpAddr, Ipv4Addr};

use sturdyref::{Address, Peer};

/// Who names addresses to be dialled at.
#[derive(Debug, Clone)]
pub(crate) enum Receiver {
    /// Somebody with a capability file of people's, by the connection to the tracker.
    User(Peer),
    /// A machine of the fleet. Its location's capability is the right to be believed: it may have a public
    /// name, or listen on another network than the tracker's.
    Machine,
}

impl Receiver {
    /// Whether this sender may be told to dial it there.
    ///
    /// A user is where it comes from. Between the two may be an address translation: nobody outside it could
    /// dial what the user names, but a sender that comes from the same address is inside, as the user is.
    pub(crate) fn may_be_at(&self, named: &Address, sender: &Peer) -> bool {
        let Self::User(user) = self else { return true };
        let Address::Tcp { host, .. } = named else { return false };
        let (Ok(named), Some(from)) = (host.parse::<IpAddr>(), origin(user)) else { return false };
        named.to_canonical() == from || origin(sender) == Some(from)
    }
}

/// The address that a peer comes from, without its port.
fn origin(peer: &Peer) -> Option<IpAddr> {
    match peer.address.parse().ok()? {
        Address::Tcp { host, .. } => host.parse().ok().map(|ip: IpAddr| ip.to_canonical()),
        // It is on this machine.
        Address::Unix(_) => Some(Ipv4Addr::LOCALHOST.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_told_to_dial_no_user_but_where_it_comes_from() {
        let (here, there) = ("tcp:192.0.2.1:50000", "tcp:198.51.100.1:50000");
        for (user, sender, named, told) in [
            (here, there, "tcp:192.0.2.1:7", true),
            ("tcp:[2001:db8::1]:9", there, "tcp:[2001:db8::1]:7", true),
            ("tcp:[::ffff:192.0.2.1]:9", there, "tcp:192.0.2.1:7", true),
            // The network of the sender's, the sender itself, a name that anything may stand behind.
            (here, there, "tcp:10.0.0.5:5432", false),
            (here, there, "tcp:198.51.100.1:22", false),
            (here, there, "tcp:127.0.0.1:22", false),
            (here, there, "tcp:localhost:22", false),
            (here, there, "unix:/run/docker.sock", false),
            // Behind an address translation: nobody gets there from outside, but from inside.
            ("tcp:203.0.113.1:50000", there, "tcp:192.168.1.5:7", false),
            ("tcp:203.0.113.1:50000", "tcp:203.0.113.1:50001", "tcp:192.168.1.5:7", true),
            // All on one machine, by a Unix socket or without.
            ("unix:/run/tracker", "unix:/run/tracker", "tcp:127.0.0.1:7", true),
            ("tcp:127.0.0.1:9", "tcp:127.0.0.1:8", "tcp:127.0.0.1:7", true),
            ("unix:/run/tracker", there, "tcp:192.168.1.5:7", false),
        ] {
            let (user, sender) = (Peer::new(None, user), Peer::new(None, sender));
            let may = Receiver::User(user.clone()).may_be_at(&named.parse().unwrap(), &sender);
            assert_eq!(may, told, "{} at {named}, to {}", user.address, sender.address);
        }
    }

    #[test]
    fn a_machine_is_believed() {
        let sender = Peer::new(None, "tcp:198.51.100.1:50000");
        let named = "tcp:machine-01.example:7001".parse().unwrap();
        assert!(Receiver::Machine.may_be_at(&named, &sender));
    }
}
