//! A machine with a replica, whose streams can be held back after a number of bytes.

use std::fs;

use tests::{Machine, Signal, Stray, until};

/// Logs each call. Holds a stream back after as many bytes as the file `hold` says, until that file is gone, and
/// makes the file `holding` meanwhile. (`head -c` may read more than it passes on.) The process that is started stays
/// the one that sends.
const HELD_BACK: &str = r#"
echo "$@" >>"$DIR/zfs.log"
if [ "$1" = send ] && [ "$2" != -nvP ] && [ -e "$DIR/hold" ]; then
    mkfifo "$DIR/pipe-$$"
    {
        dd bs="$(cat "$DIR/hold")" count=1 iflag=fullblock 2>/dev/null
        : >"$DIR/holding"
        while [ -e "$DIR/hold" ]; do sleep 0.05; done
        cat
    } <"$DIR/pipe-$$" &
    exec "$ZFS" "$@" >"$DIR/pipe-$$"
fi
while [ "$2" = -nvP ] && [ -e "$DIR/hang" ]; do sleep 0.05; done
exec "$ZFS" "$@""#;

/// A machine that sends.
pub(crate) struct Source {
    pub(crate) machine: Machine,
    name: String,
    location: &'static str,
    /// The replica's full name.
    pub(crate) dataset: String,
    /// Flags for its agent.
    pub(crate) flags: Vec<String>,
    up: bool,
}

impl Source {
    /// A machine whose agent isn't started yet, and where nothing is.
    pub(crate) fn new(mut machine: Machine, name: &str, location: &'static str, at: &str) -> Self {
        let folder = machine.path("");
        machine.wrap_zfs(&format!("DIR='{}'\n{HELD_BACK}", folder.display()));
        let dataset = format!("pool-{name}/{at}");
        Self { machine, name: name.to_owned(), location, dataset, flags: Vec::new(), up: false }
    }

    /// As it is printed.
    pub(crate) fn place(&self) -> String {
        format!(r"{}\{}\pool-{}", self.location, self.name, self.name)
    }

    /// The line of `show` that tells of the replica.
    pub(crate) fn shown(&self, state: &str) -> String {
        format!("{} ({state})", self.place())
    }

    pub(crate) fn path(&self) -> &str {
        self.dataset.split_once('/').unwrap().1
    }

    pub(crate) fn snapshot(&self, label: &str) -> String {
        format!("{}@{label}", self.dataset)
    }

    pub(crate) fn start_agent(&mut self) {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        self.machine.start_agent(self.location, &flags);
        self.up = true;
    }

    /// Its machine goes down: agent and streams are gone at once.
    pub(crate) fn kill(&mut self) {
        self.machine.agent().kill();
        self.up = false;
        until("the end of its streams", || self.sending().is_empty().then_some(()));
    }

    /// Whether its agent was started and not killed since.
    pub(crate) fn is_up(&self) -> bool {
        self.up
    }

    /// Holds each stream back after so many bytes.
    pub(crate) fn hold_after(&self, bytes: u64) {
        fs::write(self.machine.path("hold"), bytes.to_string()).unwrap();
    }

    /// Has it think without end when it is asked how large a stream is, or no longer.
    pub(crate) fn hang_over_sizes(&self, hangs: bool) {
        let told = self.machine.path("hang");
        if hangs { fs::write(told, "") } else { fs::remove_file(told) }.unwrap();
    }

    /// Waits until a stream is held back.
    pub(crate) fn wait_until_holding(&self) {
        let holding = self.machine.path("holding");
        until(&format!("a stream of {}", self.name), || holding.exists().then_some(()));
    }

    /// Lets streams go on, and holds no others.
    pub(crate) fn release(&self) {
        fs::remove_file(self.machine.path("hold")).unwrap();
        let _ = fs::remove_file(self.machine.path("holding"));
    }

    /// Destroys a snapshot, and leaves a bookmark of it.
    pub(crate) fn keep_bookmark_only(&self, label: &str) {
        let (snapshot, bookmark) = (self.snapshot(label), format!("{}#kept", self.dataset));
        self.machine.zfs(&["bookmark", &snapshot, &bookmark]);
        self.machine.zfs(&["destroy", &snapshot]);
    }

    /// The processes that send now, not counting the script's own helper.
    pub(crate) fn sending(&self) -> Vec<Stray> {
        at_work(&self.machine)
    }

    /// How often `zfs send` was started to send.
    pub(crate) fn sends(&self) -> usize {
        calls(&self.machine, |call| call.starts_with("send ") && !call.starts_with("send -nvP"))
    }

    /// Bytes of the whole stream that these flags make.
    pub(crate) fn stream_size(&self, flags: &str, label: &str) -> u64 {
        let script = format!("\"$ZFS\" send {flags} '{}' | wc -c", self.snapshot(label));
        self.machine.shell(&script).ok().stdout.trim().parse().unwrap()
    }

    /// The rest of a stream of its snapshot; see the function of that name.
    pub(crate) fn resumed_stream(&self, flags: &str, label: &str, base: Option<&str>) -> Vec<u8> {
        resumed_stream(&self.machine, flags, &self.snapshot(label), base)
    }

    /// Sends its streams' processes a signal.
    pub(crate) fn signal_streams(&self, signal: Signal) {
        for stream in self.sending() {
            stream.signal(signal);
        }
    }
}

/// The processes of a machine that send or receive, without the wrapper's own helper.
pub(crate) fn at_work(machine: &Machine) -> Vec<Stray> {
    let is_helper =
        |stray: &Stray| stray.arguments.iter().take(2).any(|word| word.ends_with("zfs-wrapped"));
    machine.strays().into_iter().filter(|stray| !is_helper(stray)).collect()
}

/// How many calls of a wrapped `zfs` are such.
pub(crate) fn calls(machine: &Machine, such: impl Fn(&str) -> bool) -> usize {
    let log = fs::read_to_string(machine.path("zfs.log")).unwrap_or_default();
    log.lines().filter(|call| such(call)).count()
}

/// The rest of a stream that was cut, as `zfs send` goes on with it; made with a dataset that is
/// gone again. `base`: what of the snapshot's own dataset an increment is fed on.
pub(crate) fn resumed_stream(
    machine: &Machine,
    flags: &str,
    snapshot: &str,
    base: Option<&str>,
) -> Vec<u8> {
    let (dataset, _) = snapshot.split_once('@').unwrap();
    let (pool, _) = dataset.split_once('/').unwrap();
    let base = base.map_or(String::new(), |base| {
        format!("\"$ZFS\" send '{dataset}@{base}' | \"$ZFS\" receive -u {pool}/scratch")
    });
    let file = machine.path("rest");
    let script = format!(
        r#"{base}
"$ZFS" send {flags} '{snapshot}' | head -c 3000000 | "$ZFS" receive -s -u {pool}/scratch
token=$("$ZFS" get -Hp -o value receive_resume_token {pool}/scratch)
"$ZFS" send -t "$token" >'{file}'
"$ZFS" receive -A {pool}/scratch
"$ZFS" destroy -r {pool}/scratch
test -s '{file}'"#,
        file = file.display()
    );
    machine.shell(&script).ok();
    fs::read(file).unwrap()
}
