//! A random history as data: all that is going to happen, made from a seed and nothing else.
//!
//! What depends on how things went (which snapshots there are by then) is a number here, and is
//! resolved when its turn comes.

use fastrand::Rng;

/// What is going to happen, to whom.
#[derive(Debug)]
pub(crate) struct History {
    /// Machines with agents; the first is where the data is written.
    pub(crate) agents: usize,
    /// One more machine, where only the cli runs.
    pub(crate) laptop: bool,
    /// The dataset has one below it.
    pub(crate) below: bool,
    pub(crate) events: Vec<Event>,
}

/// What happens. Machines are numbers; those of snapshots are taken modulo how many there are.
#[derive(Debug)]
pub(crate) enum Event {
    /// Files change where the data is written, and a snapshot is taken.
    Snapshot {
        bytes: u64,
        seed: u64,
    },
    /// A snapshot gets another name.
    Rename {
        at: usize,
        nth: usize,
    },
    /// A snapshot that isn't the newest is destroyed.
    Prune {
        at: usize,
        nth: usize,
    },
    /// The newest snapshot is brought to a machine with `zfs send | zfs receive`.
    Replicate {
        to: usize,
        place: Placing,
    },
    /// A replica is written to, and perhaps a snapshot is taken there.
    Diverge {
        at: usize,
        seed: u64,
        snapshot: bool,
    },
    /// Another dataset of the same name is made.
    Foreign {
        at: usize,
        seed: u64,
    },
    Transfer(Transfer),
}

/// Under which name a replica lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placing {
    Alike,
    Elsewhere,
}

/// A run of `download` or `copy`.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) command: Command,
    pub(crate) to: usize,
    pub(crate) place: Placing,
    pub(crate) all_snapshots: bool,
    /// One of those that the first machine has.
    pub(crate) snapshot: Option<usize>,
    pub(crate) from: Option<usize>,
    pub(crate) recursive: bool,
    pub(crate) adopt: bool,
    pub(crate) faults: Vec<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Download,
    Copy,
}

/// What goes wrong in a transfer.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The sender's connection breaks after so many bytes of the network's.
    Cut { after: u64 },
    /// Someone is killed when so many bytes of a stream are sent; `later`: of the second stream.
    Kill { whom: Victim, after: u64, later: bool },
    /// The network is slow, in bytes a second.
    Delay { rate: u64 },
    /// The destination has room for so many bytes, until the transfer was refused.
    Full { room: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Send,
    Receive,
    SendingAgent,
    ReceivingAgent,
    Cli,
    Tracker,
}

impl History {
    /// The one history of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let random = &mut random;
        let mut history = Self {
            agents: random.usize(2..=4),
            laptop: chance(random, 30),
            below: chance(random, 30),
            events: vec![first_snapshot(random)],
        };
        if chance(random, 10) {
            let (at, seed) = (history.receiver(random), random.u64(..));
            history.events.push(Event::Foreign { at, seed });
        }
        for _ in 0..random.usize(3..=5) {
            for _ in 0..random.usize(0..=2) {
                let event = history.change(random);
                history.events.push(event);
            }
            let transfer = history.transfer(random);
            history.events.push(Event::Transfer(transfer));
        }
        history
    }

    pub(crate) fn machines(&self) -> usize {
        self.agents + usize::from(self.laptop)
    }

    fn receiver(&self, random: &mut Rng) -> usize {
        random.usize(1..self.machines())
    }

    fn change(&self, random: &mut Rng) -> Event {
        let seed = random.u64(..);
        match random.u8(..100) {
            0..60 => Event::Snapshot { bytes: random.u64(64 << 10..3 << 20), seed },
            60..70 => Event::Rename { at: random.usize(0..self.machines()), nth: random.usize(..) },
            70..83 => Event::Prune { at: random.usize(0..self.machines()), nth: random.usize(..) },
            83..92 => Event::Replicate { to: self.receiver(random), place: placing(random, 50) },
            _ => Event::Diverge { at: self.receiver(random), seed, snapshot: random.bool() },
        }
    }

    fn transfer(&self, random: &mut Rng) -> Transfer {
        let to = self.receiver(random);
        let recursive = self.below && chance(random, 40);
        let copies = to < self.agents && chance(random, 60);
        Transfer {
            command: if copies { Command::Copy } else { Command::Download },
            to,
            place: placing(random, 85),
            all_snapshots: chance(random, 40),
            snapshot: some(random, 20, |random| random.usize(..)).filter(|_| !recursive),
            from: some(random, 25, |random| random.usize(0..self.agents)).filter(|_| !recursive),
            recursive,
            adopt: chance(random, 40),
            faults: (0..[0, 1, 1, 2, 2, 2][random.usize(..6)]).map(|_| fault(random)).collect(),
        }
    }
}

fn first_snapshot(random: &mut Rng) -> Event {
    Event::Snapshot { bytes: random.u64(1 << 20..4 << 20), seed: random.u64(..) }
}

fn fault(random: &mut Rng) -> Fault {
    match random.u8(..100) {
        0..25 => Fault::Cut { after: random.u64(1..2 << 20) },
        25..80 => {
            const VICTIMS: [Victim; 6] = [
                Victim::Send,
                Victim::Receive,
                Victim::SendingAgent,
                Victim::ReceivingAgent,
                Victim::Cli,
                Victim::Tracker,
            ];
            let whom = VICTIMS[random.usize(..VICTIMS.len())];
            // Not before a receiver knows what it gets: there is nobody to be killed yet.
            Fault::Kill { whom, after: random.u64(64 << 10..2 << 20), later: chance(random, 20) }
        }
        80..90 => Fault::Delay { rate: random.u64(2 << 20..8 << 20) },
        _ => Fault::Full { room: random.u64(64 << 10..2 << 20) },
    }
}

fn placing(random: &mut Rng, alike: u8) -> Placing {
    if chance(random, alike) { Placing::Alike } else { Placing::Elsewhere }
}

fn chance(random: &mut Rng, percent: u8) -> bool {
    random.u8(..100) < percent
}

/// Always takes the same from `random`, whether it comes to something or not.
fn some<T>(random: &mut Rng, percent: u8, value: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    let value = value(random);
    chance(random, percent).then_some(value)
}
