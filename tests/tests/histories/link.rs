//! The network between an agent and those who receive from it: it can be slow, and it can break at
//! any byte.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What may happen to the bytes that all agents of a fleet send.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather(Arc<State>);

#[derive(Debug)]
struct State {
    /// The connection that carries this byte from now on breaks; the largest number: none does.
    left: AtomicU64,
    /// Bytes a second; 0: as fast as it goes.
    rate: AtomicU64,
}

impl Default for State {
    fn default() -> Self {
        Self { left: AtomicU64::new(u64::MAX), rate: AtomicU64::new(0) }
    }
}

impl Weather {
    /// Breaks one connection after so many more bytes.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.0.left.store(bytes, Ordering::SeqCst);
    }

    /// So many bytes a second.
    pub(crate) fn slow_down(&self, rate: u64) {
        self.0.rate.store(rate, Ordering::SeqCst);
    }

    /// All is well again. Gives whether a connection was to be broken and never was.
    pub(crate) fn clear(&self) -> bool {
        self.0.rate.store(0, Ordering::SeqCst);
        self.0.left.swap(u64::MAX, Ordering::SeqCst) != u64::MAX
    }

    /// How many of so many bytes arrive before the connection breaks.
    fn pass(&self, bytes: usize) -> usize {
        let all = u64::try_from(bytes).expect("64 bits");
        let take = |left: u64| match left {
            u64::MAX => None,
            left if left < all => Some(u64::MAX),
            left => Some(left - all),
        };
        let taken = self.0.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        let arrive = taken.map_or(all, |left| left.min(all));
        match self.0.rate.load(Ordering::SeqCst) {
            0 => {}
            rate => thread::sleep(Duration::from_secs_f64(arrive as f64 / rate as f64)),
        }
        usize::try_from(arrive).expect("no more than there were")
    }
}

/// A door in front of one agent: the address that receivers are told. Gone when dropped.
pub(crate) struct Link {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    door: Option<JoinHandle<()>>,
}

impl Link {
    /// Opens it on this host. The agent itself listens at the other address.
    pub(crate) fn open(host: IpAddr, agent: SocketAddr, weather: Weather) -> Self {
        let listener = TcpListener::bind((host, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let closed = Arc::new(AtomicBool::new(false));
        let seen = closed.clone();
        let door = thread::spawn(move || {
            for stranger in listener.incoming() {
                if seen.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stranger) = stranger else { continue };
                join(stranger, agent, &weather);
            }
        });
        Self { address, closed, door: Some(door) }
    }

    /// As agents are told of it.
    pub(crate) fn address(&self) -> String {
        format!("tcp:{}", self.address)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes it up.
        let _ = TcpStream::connect(self.address);
        let _ = self.door.take().map(JoinHandle::join);
    }
}

/// Carries bytes both ways until either side hangs up, or the connection breaks.
fn join(stranger: TcpStream, agent: SocketAddr, weather: &Weather) {
    let Ok(agent) = TcpStream::connect(agent) else { return };
    let (Ok(from_stranger), Ok(to_agent)) = (stranger.try_clone(), agent.try_clone()) else {
        return;
    };
    let weather = weather.clone();
    thread::spawn(move || carry(from_stranger, to_agent, |bytes| bytes));
    thread::spawn(move || carry(agent, stranger, |bytes| weather.pass(bytes)));
}

fn carry(mut from: TcpStream, mut to: TcpStream, pass: impl Fn(usize) -> usize) {
    let mut block = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut block) {
        let passed = pass(length);
        if to.write_all(&block[..passed]).is_err() || passed < length {
            break;
        }
    }
    // For the other direction, too.
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}
