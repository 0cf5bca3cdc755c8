//! Holds as they are on disk: a script stands in for `zfs`, whose snapshots and holds are two files.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

mod book;
mod expiry;

const DAY: i64 = 24 * 3600;
const T1: &str = "00000000000000a1";
const T2: &str = "00000000000000a2";
/// Where the snapshot `tank/a@s` has to go.
const DESTINATION: &str = r"dc\m9\tank/copy";

/// `snapshots` has lines of name and GUID, `holds` of name, tag and time, between tabs; a pool is
/// imported as long as it has a snapshot. The hold on the snapshot in `kept` can't be released, the
/// pool in `broken` not be listed.
const ZFS: &str = r#"
tab=$(printf '\t')
say() { echo "$1" >&2; exit 1; }
for last; do :; done
case $1 in
hold)
    grep -q "^$3$tab" $here/snapshots || say "cannot hold snapshot '$3': dataset does not exist"
    [ -e $here/book.json ] || say "the book comes first"
    grep -qF "$3$tab$2$tab" $here/holds && say "cannot hold snapshot '$3': tag already exists on this dataset"
    echo "$3$tab$2${tab}100" >>$here/holds ;;
release)
    [ "$last" = "$(cat $here/kept)" ] && say "cannot release: permission denied"
    grep -qF "$3$tab$2$tab" $here/holds || say "cannot release hold from snapshot '$3': no such tag on this dataset"
    grep -vF "$3$tab$2$tab" $here/holds >$here/rest
    mv $here/rest $here/holds ;;
holds)
    shift 2
    for snapshot; do grep "^$snapshot$tab" $here/holds; done
    true ;;
list)
    [ "$last" = "$(cat $here/broken)" ] && say "cannot open '$last': pool I/O is currently suspended"
    grep -q "^$last[/@]" $here/snapshots || say "cannot open '$last': dataset does not exist"
    case "$*" in *' -r '*) below='[/@]' ;; *) below=@ ;; esac
    grep "^$last$below" $here/snapshots | while IFS=$tab read -r name guid; do
        echo "$name$tab$guid$tab$(grep -c "^$name$tab" $here/holds)"
    done ;;
get)
    line=$(grep "^$last$tab" $here/snapshots) || say "cannot open '$last': dataset does not exist"
    echo "${line#*$tab}$tab-" ;;
*) say "unexpected: $*" ;;
esac
"#;

struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        // Linked, since a file that was just written may not be run yet.
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../zfs/tests/fake/program");
        symlink(program, machine.path("zfs")).unwrap();
        let script = format!("here={}\n{ZFS}", machine.folder.path().display());
        fs::write(machine.path("zfs.sh"), script).unwrap();
        fs::write(machine.path("holds"), "").unwrap();
        fs::write(machine.path("kept"), "").unwrap();
        fs::write(machine.path("broken"), "").unwrap();
        machine.has(&[("tank/a@s", 1), ("tank/a@t", 2), ("tank/a/b@s", 3), ("spare/x@s", 4)]);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn has(&self, snapshots: &[(&str, u64)]) {
        let lines: String =
            snapshots.iter().map(|(name, guid)| format!("{name}\t{guid}\n")).collect();
        fs::write(self.path("snapshots"), lines).unwrap();
    }

    /// What is held: each hold as `snapshot tag`.
    fn held(&self) -> Vec<String> {
        let holds = fs::read_to_string(self.path("holds")).unwrap();
        let mut held: Vec<_> = holds
            .lines()
            .map(|line| line.rsplit_once('\t').unwrap().0.replace('\t', " "))
            .collect();
        held.sort();
        held
    }

    /// Someone else holds a snapshot.
    fn add(&self, snapshot: &str, tag: &str) {
        let holds = fs::read_to_string(self.path("holds")).unwrap();
        fs::write(self.path("holds"), format!("{holds}{snapshot}\t{tag}\t50\n")).unwrap();
    }

    /// The agent starts.
    fn agent(&self, name: &str) -> Holds {
        let zfs = Zfs::new(self.path("zfs"), self.path("zpool"));
        Holds::open(zfs, &name.parse().unwrap(), self.path("book.json")).unwrap()
    }
}

fn pools() -> [PoolName; 2] {
    ["tank", "spare"].map(|pool| pool.parse().unwrap())
}

async fn hold(holds: &Holds, snapshot: &str, guid: u64, transfer: &str) {
    let snapshot = snapshot.parse().unwrap();
    holds.hold(&snapshot, Guid(guid), transfer, DESTINATION).await.unwrap();
}

/// Each hold as `snapshot tag destination`.
async fn listed(holds: &Holds, now: i64) -> Vec<String> {
    let (listed, _) = holds.list(&pools(), now).await.unwrap();
    listed.iter().map(|h| format!("{} {} {}", h.snapshot, h.tag, h.destination)).collect()
}

#[tokio::test]
async fn a_hold_is_put_once_and_told_with_what_it_is_for() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    for _ in 0..2 {
        hold(&holds, "tank/a@s", 1, T1).await;
    }
    hold(&holds, "tank/a@s", 1, T2).await;
    assert_eq!(
        machine.held(),
        [format!("tank/a@s zatlas-m-{T1}"), format!("tank/a@s zatlas-m-{T2}")]
    );
    let (listed, _) = holds.list(&pools(), now()).await.unwrap();
    assert_eq!(listed[0].destination, DESTINATION);
    assert_eq!((listed[0].since, listed.len()), (100, 2));
    assert!((now() - 60..=now()).contains(&listed[0].last_used));
}

#[tokio::test]
async fn no_hold_is_told_as_used_before_it_was_put() {
    let machine = Machine::new();
    machine.add("tank/a@s", &format!("zatlas-m-{T1}"));
    let (listed, _) = machine.agent("m").list(&pools(), 7).await.unwrap();
    assert_eq!((listed[0].since, listed[0].last_used), (50, 50));
}

#[tokio::test]
async fn a_peer_can_have_no_other_tag_put() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    let snapshot: SnapshotName = "tank/a@s".parse().unwrap();
    for transfer in ["", "-r", "x-0123456789abcdef", "0123456789ABCDEF"] {
        let refused = holds.hold(&snapshot, Guid(1), transfer, DESTINATION).await;
        assert_eq!(refused.unwrap_err().code, Code::Usage, "{transfer}");
    }
    assert_eq!(machine.held(), [""; 0]);
}

#[tokio::test]
async fn a_pool_that_cannot_be_listed_hides_no_other_and_is_told_with_why() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    hold(&holds, "tank/a@s", 1, T1).await;
    hold(&holds, "spare/x@s", 4, T1).await;
    let there = [format!("spare/x@s zatlas-m-{T1} {DESTINATION}")];
    for (broken, imported, why) in [("tank", "tank/a@s", "suspended"), ("", "x/y@s", "imported")] {
        fs::write(machine.path("broken"), broken).unwrap();
        machine.has(&[(imported, 1), ("spare/x@s", 4)]);
        assert_eq!(listed(&holds, now()).await, there);
        let (_, unasked) = holds.list(&pools(), now()).await.unwrap();
        assert_eq!((unasked.len(), unasked[0].place.as_str()), (1, "tank"));
        assert!(unasked[0].reason.contains(why), "{}", unasked[0].reason);
    }
}

#[tokio::test]
async fn another_agents_holds_are_never_touched() {
    let machine = Machine::new();
    let others = [
        format!("zatlas-a-b-{T1}"),
        format!("zatlas-b-{T1}"),
        format!("zatlas-a-{T1}0"),
        format!("other-a-{T1}"),
        "keep".to_owned(),
    ];
    others.iter().for_each(|tag| machine.add("tank/a@s", tag));
    let kept = machine.held();
    let holds = machine.agent("a");
    hold(&holds, "tank/a@s", 1, T1).await;
    assert_eq!(listed(&holds, now()).await.len(), 1);
    let (dataset, snapshot) = ("tank/a".parse().unwrap(), "tank/a@s".parse().unwrap());
    holds.release_transfer(&dataset, T1).await.unwrap();
    for later in [0, 100 * DAY, 200 * DAY] {
        holds.expire(&pools(), now() + later).await.unwrap();
    }
    for tag in &others {
        let failure = holds.release(&snapshot, tag).await.unwrap_err();
        assert_eq!(failure.code, Code::Refused, "{failure}");
    }
    assert_eq!(machine.held(), kept);
}

#[tokio::test]
async fn a_renamed_snapshot_keeps_its_hold_and_what_is_known_of_it() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    hold(&holds, "tank/a@s", 1, T1).await;
    let used = holds.list(&pools(), now()).await.unwrap().0[0].last_used;
    let rename = |text: &str| text.replace("tank/a@s\t", "tank/a@old\t");
    for file in ["snapshots", "holds"] {
        let text = fs::read_to_string(machine.path(file)).unwrap();
        fs::write(machine.path(file), rename(&text)).unwrap();
    }
    // Its name is another's now.
    machine.has(&[("tank/a@old", 1), ("tank/a@s", 5)]);
    hold(&holds, "tank/a@s", 5, T2).await;
    assert_eq!(
        listed(&holds, used + DAY).await,
        [
            format!("tank/a@old zatlas-m-{T1} {DESTINATION}"),
            format!("tank/a@s zatlas-m-{T2} {DESTINATION}"),
        ]
    );
    assert_eq!(holds.list(&pools(), used + DAY).await.unwrap().0[0].last_used, used);
    holds.release_transfer(&"tank/a".parse().unwrap(), T1).await.unwrap();
    assert_eq!(machine.held(), [format!("tank/a@s zatlas-m-{T2}")]);
}

#[tokio::test]
async fn a_transfers_holds_are_let_go_of_at_one_dataset() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    for (snapshot, guid, transfer) in
        [("tank/a@s", 1, T1), ("tank/a@t", 2, T1), ("tank/a@t", 2, T2), ("tank/a/b@s", 3, T1)]
    {
        hold(&holds, snapshot, guid, transfer).await;
    }
    holds.release_transfer(&"tank/a".parse().unwrap(), T1).await.unwrap();
    holds.release_transfer(&"tank/nothing".parse().unwrap(), T1).await.unwrap();
    assert_eq!(
        machine.held(),
        [format!("tank/a/b@s zatlas-m-{T1}"), format!("tank/a@t zatlas-m-{T2}")]
    );
}

#[tokio::test]
async fn one_hold_is_let_go_of_and_one_that_is_not_there_is_told() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    hold(&holds, "tank/a@s", 1, T1).await;
    let (snapshot, tag) = ("tank/a@s".parse().unwrap(), format!("zatlas-m-{T1}"));
    holds.release(&snapshot, &tag).await.unwrap();
    assert_eq!(machine.held(), [""; 0]);
    let failure = holds.release(&snapshot, &tag).await.unwrap_err();
    assert_eq!(failure.exit_status(), 3, "{failure}");
}

#[tokio::test]
async fn a_snapshot_that_one_transfer_holds_at_two_copies_is_let_go_of_at_each() {
    let machine = Machine::new();
    machine.has(&[("tank/a@s", 1), ("spare/x@s", 1)]);
    let holds = machine.agent("m");
    hold(&holds, "tank/a@s", 1, T1).await;
    hold(&holds, "spare/x@s", 1, T1).await;
    holds.release_transfer(&"spare/x".parse().unwrap(), T1).await.unwrap();
    assert_eq!(machine.held(), [format!("tank/a@s zatlas-m-{T1}")]);
    holds.release_transfer(&"tank/a".parse().unwrap(), T1).await.unwrap();
    assert_eq!(machine.held(), [""; 0]);
}
