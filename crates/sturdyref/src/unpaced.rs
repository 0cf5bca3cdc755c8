//! Keeps BBR from pacing what is accepted from within the machine.
//!
//! BBR sends by the clock. Where it is the system's own choice it does so on loopback, too, where there is no path to
//! be shared: each packet waits for a timer, which took four streams at once a quarter of their speed. A connection
//! that began with BBR is paced for as long as it lives, whatever it is given later (Linux). So a listener begins
//! all of its connections with another control, and gives those from other machines the system's choice at once.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, SockRef, Socket, Type};

/// What the system chooses where it paces, by its name.
pub(crate) const BBR: &[u8] = b"bbr";
/// Every Linux has it, and every user may choose it. Within a machine, where nothing is lost, all are alike.
const UNPACED: &[u8] = b"reno";

/// A listener whose connections begin unpaced, though the system has chosen BBR.
#[derive(Debug)]
pub(crate) struct Unpaced;

impl Unpaced {
    /// Has a listener's connections begin unpaced; `None` where the system doesn't choose BBR, or wouldn't let it be
    /// given back.
    pub(crate) fn begin(listener: &SockRef<'_>) -> Option<Self> {
        if congestion_control(listener).ok()? != BBR {
            return None;
        }
        let begun = bbr_can_be_given().and_then(|()| listener.set_tcp_congestion(UNPACED));
        if let Err(error) = &begun {
            tracing::debug!(%error, "connections within this machine are paced");
        }
        begun.ok().map(|()| Self)
    }

    /// Gives the system's choice to a connection between these addresses, if it leaves the machine. One that has
    /// another control by now was given it by its route.
    pub(crate) fn give_back(&self, stream: &SockRef<'_>, local: SocketAddr, peer: SocketAddr) {
        if same_machine(local, peer) || congestion_control(stream).is_ok_and(|name| name != UNPACED)
        {
            return;
        }
        if let Err(error) = stream.set_tcp_congestion(BBR) {
            tracing::warn!(%peer, %error, "a connection goes without BBR, which is the system's choice");
        }
    }
}

/// Some systems let only root choose even what they choose themselves.
fn bbr_can_be_given() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_tcp_congestion(UNPACED)?;
    socket.set_tcp_congestion(BBR)
}

/// The name of a socket's congestion control.
pub(crate) fn congestion_control(socket: &SockRef<'_>) -> io::Result<Vec<u8>> {
    let mut name = socket.tcp_congestion()?;
    name.retain(|byte| *byte != 0);
    Ok(name)
}

/// Whether both ends of a connection are on this machine, as far as their addresses tell.
pub(crate) fn same_machine(local: SocketAddr, peer: SocketAddr) -> bool {
    let (local, peer) = (local.ip().to_canonical(), peer.ip().to_canonical());
    peer.is_loopback() || peer == local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_known_by_its_address() {
        let cases = [
            ("127.0.0.1:1", "127.0.0.1:2", true),
            ("127.0.0.1:1", "127.9.9.9:2", true),
            ("[::1]:1", "[::1]:2", true),
            ("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:2", true),
            ("192.0.2.7:1", "192.0.2.7:2", true),
            ("192.0.2.7:1", "[::ffff:192.0.2.7]:2", true),
            ("192.0.2.7:1", "192.0.2.8:2", false),
            ("[2001:db8::7]:1", "[2001:db8::8]:2", false),
        ];
        for (local, peer, same) in cases {
            let found = same_machine(local.parse().unwrap(), peer.parse().unwrap());
            assert_eq!(found, same, "{local} and {peer}");
        }
    }

    /// The control of a connection between these addresses, which begins with Reno, once BBR was given back.
    fn given(local: &str, peer: &str) -> Vec<u8> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let socket = SockRef::from(&socket);
        socket.set_tcp_congestion(UNPACED).unwrap();
        Unpaced.give_back(&socket, local.parse().unwrap(), peer.parse().unwrap());
        congestion_control(&socket).unwrap()
    }

    #[test]
    fn what_leaves_the_machine_gets_the_systems_choice_and_nothing_else_does() {
        assert_eq!(given("127.0.0.1:1", "127.0.0.1:2"), UNPACED);
        // Elsewhere nothing is ever given back.
        let expected = if bbr_can_be_given().is_ok() { BBR } else { UNPACED };
        assert_eq!(given("192.0.2.7:1", "192.0.2.8:2"), expected);
    }

    #[test]
    fn a_listener_begins_unpaced_only_where_bbr_was_chosen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = SockRef::from(&listener);
        listener.set_tcp_congestion(UNPACED).unwrap();
        assert!(Unpaced::begin(&listener).is_none());
        let has_bbr = listener.set_tcp_congestion(BBR).is_ok();
        assert_eq!(Unpaced::begin(&listener).is_some(), has_bbr);
        assert_eq!(congestion_control(&listener).unwrap(), UNPACED);
    }
}
