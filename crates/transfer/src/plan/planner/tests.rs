//! A line per case. Snapshots are known by their GUIDs: the one of GUID 3 is s3 and was made at 30.

use super::*;
use crate::plan::examples::{snapshot, token};
use crate::plan::form::Form;

fn snapshots(guids: &[u64]) -> Vec<Snapshot> {
    let made = |guid: &u64| snapshot(&format!("s{guid}"), *guid, u32::try_from(guid * 10).unwrap());
    guids.iter().map(made).collect()
}

/// A dataset of ours with these snapshots, clean and unmounted.
fn ours(guids: &[u64]) -> Present {
    Present {
        kind: Kind::Filesystem,
        encrypted: false,
        ours: true,
        form: None,
        snapshots: snapshots(guids),
        written: 0,
        mounted_writable: false,
        partial: None,
    }
}

fn foreign(guids: &[u64]) -> Present {
    Present { ours: false, ..ours(guids) }
}

/// An unfinished first receive of ours.
fn first(token: Option<Result<ResumeToken, String>>) -> Present {
    Present { partial: Some(Partial { first: true, token }), ..ours(&[]) }
}

/// A dataset of ours with an interrupted increment.
fn increment(guids: &[u64], token: Option<Result<ResumeToken, String>>) -> Present {
    Present { partial: Some(Partial { first: false, token }), ..ours(guids) }
}

fn of(to_guid: u64, from_guid: Option<u64>) -> Option<Result<ResumeToken, String>> {
    Some(Ok(token(to_guid, from_guid)))
}

fn raw(to_guid: u64, from_guid: Option<u64>) -> Option<Result<ResumeToken, String>> {
    let mut token = token(to_guid, from_guid);
    token.raw = true;
    Some(Ok(token))
}

fn formed(raw: bool, present: Present) -> Present {
    Present { form: Some(Form { raw, large_blocks: true }), ..present }
}

const NONE: Options = Options {
    all_snapshots: false,
    restart: false,
    rollback: false,
    may_rollback: false,
    adopt: false,
    decrypt: false,
};
const ALL: Options = Options { all_snapshots: true, ..NONE };
const RESTARTED: Options = Options { restart: true, ..NONE };
const ADOPTED: Options = Options { adopt: true, ..NONE };
const DECRYPTED: Options = Options { decrypt: true, ..NONE };
const ROLLED_BACK: Options = Options { rollback: true, may_rollback: true, ..NONE };

/// What the source has: s1, s2, s4, s5, and a bookmark of s3.
struct Held {
    kind: Kind,
    encrypted: bool,
    snapshots: Vec<Snapshot>,
}

fn plain() -> Held {
    Held { kind: Kind::Filesystem, encrypted: false, snapshots: snapshots(&[1, 2, 4, 5]) }
}

fn encrypted() -> Held {
    Held { encrypted: true, ..plain() }
}

/// The steps, or whose refusal it is with its reason and its remedy.
fn told(held: &Held, goal: u64, destination: Destination, options: Options) -> String {
    let bookmarks = snapshots(&[3]);
    let source = Source {
        kind: held.kind,
        encrypted: held.encrypted,
        snapshots: &held.snapshots,
        bookmarks: &bookmarks,
    };
    // Of another pool, and renamed there: only the GUID tells which it is.
    let goal = snapshot("wished", goal, 1);
    let step = |step: &Step| match step {
        Step::Abort { received } => format!("abort {}", received.unwrap_or_default()),
        Step::CreateParent(parent) => format!("create {parent}"),
        Step::Adopt => "adopt".to_owned(),
        Step::Rollback { to, discards, changes } => {
            let discards: String = discards.iter().map(|it| format!(" -{}", it.label)).collect();
            format!("rollback {}{discards} -{changes}", to.label)
        }
        Step::Resume { snapshot, .. } => format!("resume {}", snapshot.label),
        Step::Send { snapshot, base: None } => format!("{} whole", snapshot.label),
        Step::Send { snapshot, base: Some(base) } => {
            let sign = if base.is_bookmark { '#' } else { '@' };
            format!("{} from {sign}{}", snapshot.label, base.snapshot.label)
        }
    };
    match plan(&"tank/x".parse().unwrap(), &goal, source, &destination, options) {
        Ok(steps) => steps.iter().map(step).collect::<Vec<_>>().join(", "),
        Err(refusal) => {
            let whose =
                if matches!(refusal, Refusal::Source(_)) { "source" } else { "destination" };
            let failure = refusal.into_failure();
            assert_eq!(failure.exit_status(), 6, "{failure}");
            format!("{whose}: {}: {}", failure.reason, failure.remedy)
        }
    }
}

/// Whether it is what was expected: a refusal at least has each part between the dots.
fn is(told: &str, expected: &str) -> bool {
    if expected.contains(" .. ") {
        expected.split(" .. ").all(|part| told.contains(part))
    } else {
        told == expected
    }
}

fn check(held: &Held, goal: u64, cases: Vec<(Present, Options, &str)>) {
    for (present, options, expected) in cases {
        let told = told(held, goal, Destination::Present(Box::new(present.clone())), options);
        assert!(is(&told, expected), "told:     {told}\nexpected: {expected}\nof {present:#?}");
    }
}

#[test]
fn what_is_absent_is_received_whole() {
    let absent = |parents: &[&str]| Destination::Absent {
        missing_parents: parents.iter().map(|parent| parent.parse().unwrap()).collect(),
    };
    for (held, goal, parents, options, expected) in [
        (plain(), 5, &["tank/a", "tank/a/b"][..], NONE, "create tank/a, create tank/a/b, s5 whole"),
        (plain(), 4, &[], NONE, "s4 whole"),
        (plain(), 4, &[], ALL, "s1 whole, s2 from @s1, s4 from @s2"),
        (plain(), 1, &[], ALL, "s1 whole"),
        (encrypted(), 5, &[], NONE, "s5 whole"),
        (plain(), 3, &[], NONE, "source: .. no longer has .. GUID 3"),
    ] {
        let told = told(&held, goal, absent(parents), options);
        assert!(is(&told, expected), "told:     {told}\nexpected: {expected}");
    }
}

#[test]
fn what_has_arrived_needs_nothing_whatever_else_is_there() {
    let volume = Present { kind: Kind::Volume, ..foreign(&[5]) };
    let spoilt = Present { written: 9, mounted_writable: true, ..ours(&[1, 5, 7]) };
    let arrived = vec![
        (ours(&[5]), NONE, ""),
        (volume, NONE, ""),
        (spoilt, NONE, ""),
        (increment(&[5], of(6, Some(5))), RESTARTED, ""),
    ];
    check(&plain(), 5, arrived);
}

#[test]
fn an_increment_starts_from_the_newest_snapshot_that_both_have() {
    let mut renamed = ours(&[1, 4]);
    renamed.snapshots[1].label = "other".parse().unwrap();
    let cases = vec![
        (ours(&[1, 2, 4]), NONE, "s5 from @s4"),
        (ours(&[2]), NONE, "s5 from @s2"),
        (ours(&[2]), ALL, "s4 from @s2, s5 from @s4"),
        (ours(&[1, 3]), NONE, "s5 from #s3"),
        (ours(&[1, 3]), ALL, "s4 from #s3, s5 from @s4"),
        (renamed, NONE, "s5 from @s4"),
        (ours(&[7, 4]), NONE, "s5 from @s4"),
    ];
    check(&plain(), 5, cases);
}

#[test]
fn what_is_no_older_copy_gets_no_increment() {
    let volume = Present { kind: Kind::Volume, ..ours(&[4]) };
    let mut same_label = ours(&[1, 9, 4]);
    same_label.snapshots[1].label = "s5".parse().unwrap();
    let mut same_label_between = ours(&[9, 1]);
    same_label_between.snapshots[0].label = "s2".parse().unwrap();
    let cases = vec![
        (volume, NONE, "destination: .. is a volume, and the source a filesystem .. another name"),
        (ours(&[]), NONE, "destination: .. exists already .. zfs rename"),
        (foreign(&[]), ADOPTED, "destination: .. exists already .. zfs rename"),
        (ours(&[8]), NONE, "source: .. in common .. it has s8 (GUID 8) .. has s1 (GUID 1), s2"),
        (foreign(&[8]), ADOPTED, "source: .. in common .. it has s8 (GUID 8) .. zfs rename"),
        (same_label, NONE, "destination: .. another snapshot of the name s5 .. 'tank/x@s5' NEW"),
        (same_label_between.clone(), NONE, "s5 from @s1"),
        (same_label_between, ALL, "destination: .. another snapshot of the name s2 .. zfs rename"),
    ];
    check(&plain(), 5, cases);
    let ahead = vec![
        (ours(&[4]), NONE, "destination: .. ahead: it has s4, which is newer than s2 .. newer"),
        (ours(&[1, 3]), NONE, "destination: .. ahead: it has s3 .. "),
        (ours(&[4, 8]), ROLLED_BACK, "destination: .. ahead: it has s4 .. "),
    ];
    check(&plain(), 2, ahead);
}

#[test]
fn a_source_that_tells_an_order_that_cannot_be_is_refused() {
    let mut lying = plain();
    lying.snapshots[2].createtxg = 50;
    let cases = vec![
        (ours(&[4]), NONE, "destination: .. ahead .. "),
        (first(of(4, None)), NONE, "destination: .. newer than s5 .. --restart"),
    ];
    check(&lying, 5, cases);
}

#[test]
fn only_what_is_ours_or_adopted_and_not_written_to_gets_an_increment() {
    let mounted = Present { mounted_writable: true, ..ours(&[4]) };
    let cases = vec![
        (foreign(&[4]), NONE, "destination: .. not made by zatlas .. --adopt"),
        (foreign(&[4]), ADOPTED, "adopt, s5 from @s4"),
        (ours(&[4]), ADOPTED, "s5 from @s4"),
        (mounted, NONE, "destination: .. zfs unmount 'tank/x'; zfs set readonly=on 'tank/x' .. "),
    ];
    check(&plain(), 5, cases);
}

#[test]
fn what_came_after_the_base_goes_only_by_rollback_where_that_is_allowed() {
    let changed = || Present { written: 100, ..ours(&[1, 4]) };
    let both = || Present { written: 100, ..ours(&[4, 7, 8]) };
    let mounted = Present { mounted_writable: true, ..changed() };
    let mut same_label = ours(&[4, 7]);
    same_label.snapshots[1].label = "s5".parse().unwrap();
    let forbidden = Options { may_rollback: false, ..ROLLED_BACK };
    let allowed = Options { rollback: false, ..ROLLED_BACK };
    let adopted = Options { adopt: true, ..ROLLED_BACK };
    let cases = vec![
        (ours(&[4, 7, 8]), NONE, "source: .. lacks: s7 (GUID 7), s8 (GUID 8): .. --rollback"),
        (ours(&[4, 7, 8]), allowed, "source: .. lacks: s7 (GUID 7), s8 (GUID 8): .. --rollback"),
        (ours(&[4, 7, 8]), forbidden, "destination: .. lacks: s7 .. agent --allow-rollback"),
        (ours(&[4, 7, 8]), ROLLED_BACK, "rollback s4 -s7 -s8 -0, s5 from @s4"),
        (changed(), NONE, "destination: .. changed since s4 (100 bytes) .. --rollback"),
        (changed(), forbidden, "destination: .. changed since s4 .. agent --allow-rollback"),
        (changed(), ROLLED_BACK, "rollback s4 -100, s5 from @s4"),
        (
            both(),
            NONE,
            "source: .. lacks: s7 (GUID 7), s8 (GUID 8); .. changed since s8 (100 bytes)",
        ),
        (both(), ROLLED_BACK, "rollback s4 -s7 -s8 -100, s5 from @s4"),
        (same_label, ROLLED_BACK, "rollback s4 -s5 -0, s5 from @s4"),
        (mounted, ROLLED_BACK, "destination: .. zfs unmount .. "),
        (ours(&[4]), ROLLED_BACK, "s5 from @s4"),
        (foreign(&[4, 7]), adopted, "adopt, rollback s4 -s7 -0, s5 from @s4"),
    ];
    check(&plain(), 5, cases);
}

#[test]
fn an_unfinished_first_receive_goes_on_if_it_is_ours_and_can() {
    let not_ours = Present { ours: false, ..first(of(5, None)) };
    let volume = Present { kind: Kind::Volume, ..first(of(5, None)) };
    let mut saved = token(5, None);
    saved.saved = true;
    let corrupt = || first(Some(Err("its checksum does not fit".into())));
    let cases = vec![
        (first(of(5, None)), NONE, "resume s5"),
        (first(of(2, None)), NONE, "resume s2, s5 from @s2"),
        (first(of(2, None)), ALL, "resume s2, s4 from @s2, s5 from @s4"),
        (first(of(5, None)), RESTARTED, "abort 5000, s5 whole"),
        (first(None), NONE, "abort 0, s5 whole"),
        (first(None), ALL, "abort 0, s1 whole, s2 from @s1, s4 from @s2, s5 from @s4"),
        (corrupt(), NONE, "destination: .. its checksum does not fit .. --restart"),
        (corrupt(), RESTARTED, "abort 0, s5 whole"),
        (not_ours.clone(), NONE, "destination: .. not of zatlas .. zfs receive -A 'tank/x'"),
        (not_ours.clone(), RESTARTED, "destination: .. not of zatlas .. zfs receive -A 'tank/x'"),
        (not_ours, ADOPTED, "destination: .. not of zatlas .. zfs receive -A 'tank/x'"),
        (volume, NONE, "destination: .. is a volume .. --restart"),
        (first(Some(Ok(saved))), NONE, "destination: .. redacted or saved .. --restart"),
        (first(of(8, None)), NONE, "source: .. 'tank/a@s8' (GUID 8), which the source lacks .. "),
        (first(of(3, None)), NONE, "source: .. 'tank/a@s3' (GUID 3), which the source lacks .. "),
        (first(raw(5, None)), NONE, "source: .. raw .. the source is plain .. "),
    ];
    check(&plain(), 5, cases);
    let newer = "destination: .. of s5, which is newer than s4 .. --restart";
    check(&plain(), 4, vec![(first(of(5, None)), NONE, newer)]);
    let of_encrypted = vec![
        (first(raw(5, None)), NONE, "resume s5"),
        (first(raw(5, None)), DECRYPTED, "resume s5"),
        (first(of(5, None)), NONE, "source: .. plain, and the source is encrypted .. --decrypt"),
        (first(of(5, None)), DECRYPTED, "resume s5"),
        (formed(true, first(raw(2, None))), NONE, "resume s2, s5 from @s2"),
    ];
    check(&encrypted(), 5, of_encrypted);
}

#[test]
fn an_interrupted_increment_goes_on_if_the_dataset_is_ours_and_as_it_was() {
    let partial = || increment(&[1, 2], of(4, Some(2)));
    let not_ours = Present { ours: false, ..partial() };
    let mounted = Present { mounted_writable: true, ..partial() };
    let changed = Present { written: 7, ..partial() };
    let diverged = || increment(&[1, 2, 8], of(4, Some(2)));
    let restarted = Options { restart: true, ..ROLLED_BACK };
    let mut same_label = partial();
    same_label.snapshots[0].label = "s4".parse().unwrap();
    same_label.snapshots[0].guid = zfs::Guid(9);
    let cases = vec![
        (partial(), NONE, "resume s4, s5 from @s4"),
        (increment(&[1, 2], of(5, Some(2))), ALL, "resume s5"),
        (increment(&[1, 3], of(4, Some(3))), NONE, "resume s4, s5 from @s4"),
        (partial(), RESTARTED, "abort 5000, s5 from @s2"),
        (increment(&[1, 2], None), NONE, "abort 0, s5 from @s2"),
        (increment(&[2], Some(Err("broken".into()))), NONE, "destination: .. broken .. --restart"),
        (not_ours, ADOPTED, "destination: .. not one of zatlas .. zfs receive -A 'tank/x'"),
        (increment(&[9], of(4, Some(9))), NONE, "source: .. starts from .. GUID 9 .. "),
        (increment(&[2], of(8, Some(2))), NONE, "source: .. (GUID 8), which the source lacks .. "),
        (mounted, NONE, "destination: .. zfs unmount .. "),
        (changed, ROLLED_BACK, "destination: .. changed (7 bytes) .. --restart --rollback"),
        (diverged(), ROLLED_BACK, "destination: .. there is s8 (GUID 8) .. --restart --rollback"),
        (diverged(), restarted, "abort 5000, rollback s2 -s8 -0, s5 from @s2"),
        (diverged(), RESTARTED, "source: .. lacks: s8 (GUID 8) .. --rollback"),
        (same_label, NONE, "destination: .. another snapshot of the name s4 .. zfs rename"),
    ];
    check(&plain(), 5, cases);
}

#[test]
fn raw_and_plain_are_never_mixed() {
    let at_rest = || Present { encrypted: true, ..ours(&[4]) };
    let in_the_way = "source: .. raw, as encrypted data, and the source is plain .. another name";
    let cases = vec![
        (formed(true, at_rest()), NONE, in_the_way),
        (formed(false, at_rest()), NONE, "s5 from @s4"),
        (at_rest(), NONE, "destination: .. received raw or plain .. zatlas:stream=plain"),
    ];
    check(&plain(), 5, cases);
    let in_the_clear = "source: .. received plain, and the source is encrypted .. --decrypt";
    let cases = vec![
        (formed(true, at_rest()), NONE, "s5 from @s4"),
        (formed(true, at_rest()), DECRYPTED, "s5 from @s4"),
        (formed(false, at_rest()), NONE, in_the_clear),
        (formed(false, at_rest()), DECRYPTED, "s5 from @s4"),
        (at_rest(), NONE, "s5 from @s4"),
        (at_rest(), DECRYPTED, "s5 from @s4"),
        (ours(&[4]), NONE, in_the_clear),
        (ours(&[4]), DECRYPTED, "s5 from @s4"),
    ];
    check(&encrypted(), 5, cases);
}
