//! The way between two programs, on which the questions of a burst wait for each other.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use crate::frame::{self, Meaning};

/// Passes on all connections to one address.
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    here: SocketAddr,
}

struct Shared {
    /// Who dials, and who is dialled.
    sides: [&'static str; 2],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connections: usize,
    /// The bursts of each side that have not come whole.
    due: [VecDeque<Burst>; 2],
    /// Each side's question that was let through, by its number.
    asked: [BTreeMap<u32, &'static str>; 2],
    /// All questions in the order of their coming.
    came: Vec<String>,
    /// Among them is one that was not expected when it came.
    more: bool,
    /// The question whose answers are lost.
    unanswered: Option<&'static str>,
}

/// Questions that have to come before any of them is let through.
#[derive(Debug)]
struct Burst {
    missing: Vec<String>,
    begun: bool,
}

impl Exchange {
    /// From a free port to `there`, between these two.
    pub(crate) fn lay(sides: [&'static str; 2], there: &str) -> Self {
        let there: SocketAddr = there.strip_prefix("tcp:").unwrap().parse().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let here = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { sides, state: Mutex::default() });
        let passing = Arc::clone(&shared);
        // Ends with the test's process.
        thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                passing.state().connections += 1;
                // Nobody there: dropped, the near end is closed.
                let Ok(far) = TcpStream::connect(there) else { continue };
                let again = |stream: &TcpStream| stream.try_clone().expect("a second handle");
                for (side, from, to) in [(0, again(&near), again(&far)), (1, far, near)] {
                    let shared = Arc::clone(&passing);
                    thread::spawn(move || shared.pass(side, from, to));
                }
            }
        });
        Self { shared, here }
    }

    /// What is dialled.
    pub(crate) fn address(&self) -> SocketAddr {
        self.here
    }

    /// What is to come over the next connection, each burst by who asks: `cli: bootstrap, open`.
    pub(crate) fn expect(&self, bursts: &[&str]) {
        let mut state = State::default();
        for burst in bursts {
            let (who, questions) = burst.split_once(": ").expect("who asks");
            let side = self.shared.sides.iter().position(|side| *side == who).expect("a side");
            let missing = questions.split(", ").map(str::to_owned).collect();
            state.due[side].push_back(Burst { missing, begun: false });
        }
        *self.shared.state() = state;
    }

    /// The answers to this question are lost: whatever comes after doesn't need them.
    pub(crate) fn lose_answers_to(&self, question: &'static str) {
        self.shared.state().unanswered = Some(question);
    }

    /// All that was expected has come, and nothing else.
    #[track_caller]
    pub(crate) fn assert_over(&self) {
        let state = self.shared.state();
        let over = state.due.iter().all(VecDeque::is_empty);
        assert!(over && !state.more, "{}", self.shared.story(&state));
        assert!(state.connections <= 1, "{} connections", state.connections);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("---- {}", self.shared.story(&self.shared.state()));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("an exchange")
    }

    /// Passes on what one side sends, until an end is closed: then both are.
    fn pass(&self, side: usize, mut from: TcpStream, mut to: TcpStream) {
        let mut held = Vec::new();
        while let Ok(Some(frame)) = frame::read(&mut from) {
            if !self.state().take(side, self.sides[side], &frame) {
                continue;
            }
            held.extend(frame);
            if self.state().is_open(side) {
                if to.write_all(&held).is_err() {
                    break;
                }
                held.clear();
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    fn story(&self, state: &State) -> String {
        let [near, far] = self.sides;
        let missing = [0, 1].map(|side| {
            let due = state.due[side].iter().map(|burst| burst.missing.join(", "));
            format!("{}: {}", self.sides[side], due.collect::<Vec<_>>().join(" | "))
        });
        format!(
            "between {near} and {far} came:\n{}\nand of what was expected did not come:\n{}",
            state.came.join("\n"),
            missing.join("\n")
        )
    }
}

impl State {
    /// Notes a message; whether it is to be passed on.
    fn take(&mut self, side: usize, who: &str, frame: &[u8]) -> bool {
        match frame::meaning(frame) {
            Meaning::Question(number, name) => {
                self.asked[side].insert(number, name);
                let expected = self.expects(side, name);
                self.more |= !expected;
                let note = if expected { "" } else { ", which was not expected now" };
                self.came.push(format!("{who}: {name}{note}"));
                true
            }
            Meaning::Answer(number) => {
                let question = self.asked[1 - side].get(&number).copied();
                self.unanswered.is_none() || self.unanswered != question
            }
            Meaning::Other => true,
        }
    }

    /// Takes a question into the burst that is due; whether it belongs there.
    fn expects(&mut self, side: usize, name: &str) -> bool {
        let Some(burst) = self.due[side].front_mut() else { return false };
        let Some(position) = burst.missing.iter().position(|missing| missing == name) else {
            return false;
        };
        burst.missing.remove(position);
        burst.begun = true;
        if burst.missing.is_empty() {
            self.due[side].pop_front();
        }
        true
    }

    /// Whether what a side has sent may go on its way: no burst is half there. One that can't come
    /// whole any more, since something else came, holds up nothing.
    fn is_open(&self, side: usize) -> bool {
        self.more || self.due[side].front().is_none_or(|burst| !burst.begun)
    }
}
