//! The way to a machine's agent, which can be cut and mended: receivers that dial the agent come
//! through here.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Bytes passed on at once: what a cut after so many bytes is exact to is one.
const CHUNK: usize = 64 << 10;

/// Passes on all connections to one address.
pub struct Cable {
    shared: Arc<Mutex<Shared>>,
    here: SocketAddr,
    there: SocketAddr,
}

struct Shared {
    /// All that go through it, both ends of each.
    ends: Vec<TcpStream>,
    whole: bool,
    /// Bytes that the agent has sent through it.
    passed: u64,
    /// When it breaks by itself.
    breaks_at: Option<u64>,
    /// How many bytes a second of the agent's come through, if it is slow.
    rate: Option<u64>,
    /// How many bytes of the agent's come through on each connection, if the rest is lost.
    swallows_after: Option<u64>,
}

impl Cable {
    /// From a free port at `here` to `there`.
    pub(crate) fn lay(here: &str, there: SocketAddr) -> Self {
        let listener = TcpListener::bind((here, 0)).expect("a free port");
        let here = listener.local_addr().expect("an address");
        let shared = Shared {
            ends: Vec::new(),
            whole: true,
            passed: 0,
            breaks_at: None,
            rate: None,
            swallows_after: None,
        };
        let shared = Arc::new(Mutex::new(shared));
        let passing = shared.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                connect(&passing, near, there);
            }
        });
        Self { shared, here, there }
    }

    /// What is dialled: `tcp:HOST:PORT`.
    pub fn address(&self) -> String {
        format!("tcp:{}", self.here)
    }

    /// What the agent is to listen on.
    pub fn end(&self) -> String {
        format!("tcp:{}", self.there)
    }

    /// Bytes that the agent has sent through it.
    pub fn passed(&self) -> u64 {
        self.shared.lock().expect("a cable").passed
    }

    /// All connections break; new ones are refused.
    pub fn cut(&self) {
        self.shared.lock().expect("a cable").cut();
    }

    /// It is cut as soon as the agent has sent so many bytes more, the last of which arrives.
    pub fn cut_after(&self, bytes: u64) {
        let mut shared = self.shared.lock().expect("a cable");
        shared.breaks_at = Some(shared.passed + bytes);
    }

    /// What it was to be cut after is no matter any more.
    pub fn spare(&self) {
        self.shared.lock().expect("a cable").breaks_at = None;
    }

    /// Only so many bytes a second of what the agent sends come through; `None`: all that can.
    pub fn slow_down(&self, rate: Option<u64>) {
        self.shared.lock().expect("a cable").rate = rate;
    }

    /// Of what the agent sends only so many bytes come through on each connection; the rest is lost, and the
    /// connection stands: as where large packets find no way.
    pub fn swallow_after(&self, bytes: u64) {
        self.shared.lock().expect("a cable").swallows_after = Some(bytes);
    }

    /// Whether it is cut.
    pub fn is_cut(&self) -> bool {
        !self.shared.lock().expect("a cable").whole
    }

    /// New connections come through again.
    pub fn mend(&self) {
        self.shared.lock().expect("a cable").whole = true;
    }
}

impl Shared {
    fn cut(&mut self) {
        self.whole = false;
        self.breaks_at = None;
        for end in self.ends.drain(..) {
            // It may have been closed by a peer.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

fn connect(shared: &Arc<Mutex<Shared>>, near: TcpStream, there: SocketAddr) {
    // Nobody there: dropped, the near end is closed.
    let Ok(far) = TcpStream::connect(there) else { return };
    let mut state = shared.lock().expect("a cable");
    if !state.whole {
        return;
    }
    let again = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    state.ends.extend([again(&near), again(&far)]);
    for (from, to, counted) in [(again(&near), again(&far), false), (far, near, true)] {
        let shared = shared.clone();
        thread::spawn(move || {
            pass(&shared, from, to, counted);
        });
    }
}

/// Passes on what comes, until one end is closed: then both are.
fn pass(shared: &Mutex<Shared>, mut from: TcpStream, mut to: TcpStream, counted: bool) {
    let mut chunk = vec![0; CHUNK];
    let mut before = 0;
    loop {
        let length = match from.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let (length, last, delay) = {
            let mut shared = shared.lock().expect("a cable");
            if counted && length > 0 && shared.swallows_after.is_some_and(|after| before >= after) {
                continue;
            }
            let (length, last) = shared.may_pass(length, counted);
            (length, last, shared.delay(length, counted))
        };
        before += length as u64;
        thread::sleep(delay);
        if length == 0 || to.write_all(&chunk[..length]).is_err() || last {
            if last {
                shared.lock().expect("a cable").cut();
            }
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
            return;
        }
    }
}

impl Shared {
    /// How many of so many bytes, and whether no more.
    fn may_pass(&mut self, length: usize, counted: bool) -> (usize, bool) {
        if !counted {
            return (length, false);
        }
        let left = self.breaks_at.map_or(u64::MAX, |at| at.saturating_sub(self.passed));
        let allowed = usize::try_from(left).unwrap_or(usize::MAX);
        let (length, last) = (length.min(allowed), length >= allowed);
        self.passed += length as u64;
        (length, last)
    }

    /// How long so many bytes take.
    fn delay(&self, length: usize, counted: bool) -> Duration {
        let rate = self.rate.filter(|_| counted);
        rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(length as f64 / rate as f64))
    }
}
