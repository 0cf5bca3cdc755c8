//! Keeps BBR from pacing what stays within a machine.
//!
//! BBR sends by the clock. Where it is the system's own choice it does so on loopback, too, where there is no path to
//! be shared: each packet waits for a timer, which took four streams at once a quarter of their speed. A connection
//! that began with BBR is paced for as long as it lives, whatever it is given later (Linux). So a listener begins
//! all of them with another control, and gives those from other machines the system's choice at once.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

const BBR: &[u8] = b"bbr";
/// Every Linux has it, and every user may choose it. Within a machine, where nothing is lost, all are alike.
const OTHER: &[u8] = b"reno";

/// What a listener's connections would have begun with.
#[derive(Debug)]
pub(crate) struct SystemsChoice(Vec<u8>);

impl SystemsChoice {
    /// Has a listener's connections begin with another control; `None` where the system's choice is no matter.
    pub(crate) fn put_off(listener: &TcpListener) -> Option<Self> {
        let socket = SockRef::from(listener);
        let name = congestion_control(&socket).ok()?;
        if name != BBR {
            return None;
        }
        match socket.set_tcp_congestion(OTHER) {
            Ok(()) => Some(Self(name)),
            Err(error) => {
                tracing::debug!(%error, "connections within this machine are paced");
                None
            }
        }
    }

    /// Gives it to a connection that leaves the machine.
    pub(crate) fn give(&self, stream: &TcpStream) {
        if within_machine(stream) {
            return;
        }
        if let Err(error) = SockRef::from(stream).set_tcp_congestion(&self.0) {
            tracing::debug!(%error, "a connection keeps its congestion control");
        }
    }
}

/// The name of a socket's congestion control.
pub(crate) fn congestion_control(socket: &SockRef<'_>) -> io::Result<Vec<u8>> {
    let mut name = socket.tcp_congestion()?;
    name.retain(|byte| *byte != 0);
    Ok(name)
}

/// Whether both ends of a connection are on this machine, as far as their addresses tell.
pub(crate) fn within_machine(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) => same_machine(local, peer),
        _ => false,
    }
}

fn same_machine(local: SocketAddr, peer: SocketAddr) -> bool {
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

    #[tokio::test]
    async fn connections_within_a_machine_begin_without_bbr() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Where BBR is the system's choice this changes nothing; it may be one that isn't there.
        let has_bbr = SockRef::from(&listener).set_tcp_congestion(BBR).is_ok();
        let choice = SystemsChoice::put_off(&listener);
        assert_eq!(choice.is_some(), has_bbr);
        let address = listener.local_addr().unwrap();
        let (dialled, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (_dialled, (accepted, _)) = (dialled.unwrap(), accepted.unwrap());
        if let Some(choice) = choice {
            choice.give(&accepted);
            assert_eq!(congestion_control(&SockRef::from(&accepted)).unwrap(), OTHER);
        }
    }
}
