//! What goes wrong in a transfer, and how: streams are held back at a byte until what has to happen
//! there has happened.

use std::fs;
use std::path::PathBuf;

use tests::{Cable, Process, Ran, Signal, Stray, until};

use crate::history::{Command, Fault, Transfer, Victim};
use crate::world::World;

/// In place of `zfs`: the next stream is held back after as many bytes as the file `hold` says, and
/// then the file `holding` tells by whom it is sent, the machine's number and the process's id, and
/// of how many bytes more it is known, one or none. It goes on when that file is gone. With a file `hold-later` it is the stream after that one.
pub(crate) const HELD_BACK: &str = r#"
if [ "$1" = send ] && [ "$2" != -nvP ] && ! mv "$DIR/hold-later" "$DIR/hold" 2>/dev/null &&
    mv "$DIR/hold" "$DIR/held-$$" 2>/dev/null; then
    read -r bytes <"$DIR/held-$$"
    mkfifo "$DIR/pipe-$$"
    {
        dd bs="$bytes" count=1 iflag=fullblock 2>/dev/null
        dd bs=1 count=1 of="$DIR/next-$$" 2>/dev/null
        echo "$NAME $$ $(wc -c <"$DIR/next-$$")" >"$DIR/holding-$$"
        mv "$DIR/holding-$$" "$DIR/holding"
        while [ -e "$DIR/holding" ]; do sleep 0.02; done
        cat "$DIR/next-$$" -
    } <"$DIR/pipe-$$" &
    exec "$ZFS" "$@" >"$DIR/pipe-$$"
fi
exec "$ZFS" "$@""#;

/// What an agent sends of its own before a stream: its part of the handshake, and first answers.
const GREETING: u64 = 4 << 10;

/// How a transfer's faults went.
#[derive(Debug, Default)]
pub(crate) struct Struck {
    /// Who was killed, and what else happened.
    pub(crate) what: Vec<&'static str>,
    /// How often the command was run again.
    pub(crate) again: u32,
}

/// A stream that is held back.
struct Held {
    /// The machine that sends it.
    sender: usize,
    /// Its `zfs send`.
    process: u32,
    /// All of it has come: the receiver waits for nothing but the word that this is the end.
    whole: bool,
}

impl World {
    /// Runs the command, has the faults happen, and gives the run that came to an end by itself.
    pub(crate) fn run_with_faults(
        &mut self,
        transfer: &Transfer,
        arguments: &[&str],
    ) -> (Ran, Struck) {
        let mut struck = Struck::default();
        let mut kills = Vec::new();
        let mut full = false;
        for fault in &transfer.faults {
            match *fault {
                Fault::Cut { after } => self.cables().for_each(|cable| cable.cut_after(after)),
                Fault::Delay { rate } => {
                    self.cables().for_each(|cable| cable.slow_down(Some(rate)));
                    struck.what.push("delay");
                }
                Fault::Full { room } => {
                    self.fill_up(transfer.to, room);
                    full = true;
                }
                Fault::Kill { whom, after, later } => kills.push((whom, after, later)),
            }
        }
        let mut kills = kills.into_iter().peekable();
        if let Some((_, after, later)) = kills.peek() {
            self.hold(*after, *later);
        }
        let mut cli = self.nodes[transfer.to].machine.start_cli(arguments);
        while let Some((whom, ..)) = kills.next() {
            let Some(held) = self.wait_until_held(&mut cli, &mut struck) else { break };
            if let Some((_, after, later)) = kills.peek() {
                self.hold(*after, *later);
            }
            self.kill(whom, transfer, &held, &mut cli, arguments, &mut struck);
        }
        until("the end of the transfer", || {
            self.mend(&mut struck);
            (!cli.is_running()).then_some(())
        });
        let mut ran = cli.finish();
        self.mend(&mut struck);
        self.hold_no_more();
        for cable in self.cables() {
            cable.spare();
            cable.slow_down(None);
        }
        if full {
            let node = &self.nodes[transfer.to];
            node.machine.zfs(&["set", "quota=none", &node.pool]);
            if ran.status == 6 && ran.stderr.contains("quota") {
                struck.what.push("full");
                struck.again += 1;
                ran = node.machine.cli(arguments);
            }
        }
        // Who begins while others are on their way back is told so, at once.
        if ran.status == 5 && struck.somebody_was_away() {
            let told = [
                "it is only on what is offline",
                "the place that --from names is offline",
                "is not connected",
            ];
            assert!(told.iter().any(|words| ran.stderr.contains(words)), "{ran:#?}");
            self.settle();
            struck.again += 1;
            ran = self.nodes[transfer.to].machine.cli(arguments);
        }
        // So is who finds no way to anyone, before there is anything to go on with.
        if ran.status == 1 && struck.what.contains(&"cut") && transfer.is_cut_in_greeting() {
            assert!(ran.stderr.contains("cannot reach"), "{ran:#?}");
            struck.again += 1;
            ran = self.nodes[transfer.to].machine.cli(arguments);
        }
        (ran, struck)
    }

    fn cables(&self) -> impl Iterator<Item = &Cable> {
        self.nodes.iter().filter_map(|node| node.agent.as_ref()).map(|agent| &agent.cable)
    }

    /// What is cut is mended at once.
    fn mend(&self, struck: &mut Struck) {
        for cable in self.cables().filter(|cable| cable.is_cut()) {
            struck.what.push("cut");
            cable.mend();
        }
    }

    fn fill_up(&self, at: usize, room: u64) {
        let node = &self.nodes[at];
        let used: u64 = node.machine.get(&node.pool, "used").parse().unwrap();
        node.machine.zfs(&["set", &format!("quota={}", used + room), &node.pool]);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.fleet.path(name)
    }

    fn hold(&self, after: u64, later: bool) {
        let new = self.file("hold-new");
        fs::write(&new, format!("{after}\n")).unwrap();
        fs::rename(new, self.file(if later { "hold-later" } else { "hold" })).unwrap();
    }

    /// What hasn't been held back isn't any more.
    fn hold_no_more(&self) {
        for name in ["hold", "hold-later", "holding"] {
            let _ = fs::remove_file(self.file(name));
        }
    }

    fn release(&self) {
        fs::remove_file(self.file("holding")).unwrap();
    }

    /// Until a stream is held back, or the transfer has ended without.
    fn wait_until_held(&self, cli: &mut Process, struck: &mut Struck) -> Option<Held> {
        until("a stream that is held back, or the end of the transfer", || {
            self.mend(struck);
            if let Ok(text) = fs::read_to_string(self.file("holding")) {
                let numbers: Vec<u32> =
                    text.split_whitespace().map(|number| number.parse().unwrap()).collect();
                let [sender, process, more] = numbers[..] else { panic!("{text}") };
                let sender = usize::try_from(sender).unwrap();
                return Some(Some(Held { sender, process, whole: more == 0 }));
            }
            (!cli.is_running()).then_some(None)
        })
    }

    fn kill(
        &mut self,
        whom: Victim,
        transfer: &Transfer,
        held: &Held,
        cli: &mut Process,
        arguments: &[&str],
        struck: &mut Struck,
    ) {
        let whom = match whom {
            // The cli is the one that receives.
            Victim::ReceivingAgent if transfer.command == Command::Download => Victim::Cli,
            whom => whom,
        };
        if whom == Victim::Receive && held.whole {
            // It is done already.
            return self.release();
        }
        struck.what.push(whom.name());
        match whom {
            Victim::Send => {
                Stray { pid: held.process, arguments: Vec::new() }.signal(Signal::KILL);
                self.release();
            }
            Victim::Receive => {
                self.kill_receive(transfer.to, cli, struck);
                self.release();
            }
            Victim::SendingAgent => self.restart_agent(held.sender),
            Victim::ReceivingAgent => self.restart_agent(transfer.to),
            Victim::Cli => {
                cli.kill();
                self.release();
                // Who begins while others are on their way back goes by those that are there.
                if struck.somebody_was_away() {
                    self.settle();
                }
                struck.again += 1;
                *cli = self.nodes[transfer.to].machine.start_cli(arguments);
            }
            Victim::Tracker => {
                self.fleet.tracker().kill();
                self.release();
                self.fleet.start_tracker();
            }
        }
    }

    fn kill_receive(&self, at: usize, cli: &mut Process, struck: &mut Struck) {
        let machine = &self.nodes[at].machine;
        until("a receive, or the end of the transfer", || {
            self.mend(struck);
            let found = machine.strays().into_iter().find(|stray| stray.is("receive"));
            found.map(|stray| stray.signal(Signal::KILL)).or((!cli.is_running()).then_some(()))
        });
    }

    fn restart_agent(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.machine.agent().kill();
        self.release();
        self.nodes[at].start_agent();
    }
}

impl Transfer {
    /// The links break before anything of a stream has come.
    fn is_cut_in_greeting(&self) -> bool {
        let early = |fault: &Fault| matches!(*fault, Fault::Cut { after } if after < GREETING);
        self.faults.iter().any(early)
    }
}

impl Struck {
    /// Some agent was not to be reached for a while.
    pub(crate) fn somebody_was_away(&self) -> bool {
        let away = [Victim::Tracker, Victim::SendingAgent, Victim::ReceivingAgent];
        away.iter().any(|victim| self.what.contains(&victim.name()))
    }
}

impl Victim {
    fn name(self) -> &'static str {
        match self {
            Self::Send => "zfs send killed",
            Self::Receive => "zfs receive killed",
            Self::SendingAgent => "sending agent killed",
            Self::ReceivingAgent => "receiving agent killed",
            Self::Cli => "cli killed",
            Self::Tracker => "tracker killed",
        }
    }
}
