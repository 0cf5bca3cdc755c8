//! `zpool events`: what is told of each change, in the kernel's format, and followed as it happens.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::backend::Backend;
use super::pattern::{Bindings, matches};

const DEADLINE: Duration = Duration::from_secs(60);

/// One event of a dataset: what was done, to which.
type Change = (String, String);

fn changes(text: &str) -> Vec<Change> {
    let field = |block: &str, name: &str| {
        let value = block.lines().find_map(|line| {
            line.trim_start().strip_prefix(&format!("{name} = \"")).map(str::to_owned)
        });
        value.map(|value| value.trim_end_matches('"').to_owned())
    };
    text.split("\n\n")
        .filter_map(|block| {
            Some((field(block, "history_internal_name")?, field(block, "history_dsname")?))
        })
        .collect()
}

fn change(action: &str, dataset: &str) -> Change {
    (action.to_owned(), dataset.to_owned())
}

#[test]
fn each_change_is_told() {
    let backend = Backend::with_pools(&["tank", "back"]);
    backend.ok("zpool events -c");
    backend.ok("zfs create tank/a && zfs create 'tank/two words' && zfs create -s -V 8M tank/v");
    backend.ok("zfs snapshot tank/a@s && zfs bookmark tank/a@s '#b' && zfs hold t tank/a@s && zfs release t tank/a@s");
    backend
        .ok("zfs set foo:bar=1 tank/a && zfs inherit foo:bar tank/a && zfs rename tank/v tank/w");
    backend.ok("zfs send tank/a@s | zfs receive -s -u -o foo:bar=1 back/r");
    backend.ok("zfs rename tank/a@s tank/a@t && zfs destroy tank/a@t && zfs destroy tank/a#b && zfs destroy tank/a");
    let told = changes(&backend.ok("zpool events -Hv"));
    let expected = [
        change("create", "tank/a"),
        change("create", "tank/two words"),
        change("create", "tank/v"),
        change("snapshot", "tank/a@s"),
        change("bookmark", "tank/a"),
        change("hold", "tank/a@s"),
        change("release", "tank/a@s"),
        change("set", "tank/a"),
        change("inherit", "tank/a"),
        change("rename", "tank/v"),
        change("receive", "back/r"),
        change("set", "back/r"),
        change("finish receiving", "back/r"),
        change("snapshot", "back/r@s"),
        change("rename", "tank/a@s"),
        change("destroy", "tank/a@t"),
        change("remove bookmark", "tank/a"),
        change("destroy", "tank/a"),
    ];
    assert_eq!(told, expected);
    let of_one = changes(&backend.ok("zpool events -Hv back"));
    assert_eq!(
        of_one,
        told.into_iter().filter(|(_, dataset)| dataset.starts_with("back/")).collect::<Vec<_>>()
    );
}

#[test]
fn an_event_is_a_block_of_fields() {
    let backend = Backend::with_pools(&["tank"]);
    backend.ok("zpool events -c && zfs create tank/a && zfs snapshot tank/a@s");
    let expected = "\
{date}\tsysevent.fs.zfs.history_event
        version = 0x0
        class = \"sysevent.fs.zfs.history_event\"
        pool = \"tank\"
        pool_guid = {hex}
        pool_state = 0x0
        pool_context = 0x0
        history_hostname = \"{...}
        history_dsname = \"tank/a@s\"
        history_internal_str = \" \"
        history_internal_name = \"snapshot\"
        history_dsid = {hex}
        history_txg = {hex}
        history_time = {hex}
        time = {hex} {hex} 
        eid = {hex}";
    let text = backend.ok("zpool events -Hv tank");
    let block = text.trim_end_matches('\n').rsplit("\n\n").next().unwrap();
    assert_eq!(block.lines().count(), expected.lines().count(), "{block}");
    for (expected, line) in expected.lines().zip(block.lines()) {
        assert!(matches(expected, line, &mut Bindings::new()), "{line:?} is not {expected:?}");
    }
    assert!(backend.ok("zpool events -H tank").lines().all(|line| {
        matches("{date}\tsysevent.fs.zfs.history_event", line, &mut Bindings::new())
    }));
}

/// Passes on lines as they come.
fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    receiver
}

#[test]
fn following_begins_with_the_past_and_loses_nothing() {
    let backend = Backend::with_pools(&["tank"]);
    backend.ok("zpool events -c && zfs create tank/before");
    let mut follow =
        backend.command("exec zpool events -Hvf tank").stdout(Stdio::piped()).spawn().unwrap();
    let lines = lines(follow.stdout.take().unwrap());
    let next = || loop {
        let line = lines.recv_timeout(DEADLINE).unwrap();
        if let Some(name) = line.trim_start().strip_prefix("history_dsname = ") {
            return name.to_owned();
        }
    };
    assert_eq!(next(), "\"tank/before\"");
    backend.ok("for n in $(seq 60); do zfs create tank/d$n; done");
    for n in 1..=60 {
        assert_eq!(next(), format!("\"tank/d{n}\""));
    }
    follow.kill().unwrap();
    follow.wait().unwrap();
}
