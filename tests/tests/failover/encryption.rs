//! An interrupted raw receive, its key loaded, goes on with what is encrypted by the same master key
//! and with nothing else. zfs-sim knows no encryption.

use std::fs;

use sturdyref::capfile;
use tests::liar::{Claim, Liar, Open, Step, Tale};
use tests::{Machine, Tree, is_real};
use zfs::Kind;

use crate::scene::{LITTLE, Scene, Summary, TARGET, Way};

/// The key of all that is encrypted by [`create`].
const KEY: [u8; 32] = [7; 32];
/// By which the last source has wrapped the same master key.
const OTHER_WRAPPING: [u8; 32] = [9; 32];

/// Writes a key, and returns the options that encrypt by it.
fn options(machine: &Machine, key: [u8; 32]) -> [String; 6] {
    fs::write(machine.path("key"), key).unwrap();
    let location = format!("keylocation=file://{}", machine.path("key").display());
    ["-o", "encryption=on", "-o", "keyformat=raw", "-o", &location].map(str::to_owned)
}

/// Creates an encrypted filesystem that holds `tree`, and a snapshot of it.
pub(crate) fn create(machine: &Machine, dataset: &str, tree: Tree, snapshot: &str) {
    create_empty(machine, dataset, KEY);
    machine.with_files(dataset, |folder| tree.write(folder));
    machine.zfs(&["snapshot", &format!("{dataset}@{snapshot}")]);
}

fn create_empty(machine: &Machine, dataset: &str, key: [u8; 32]) {
    let options = options(machine, key);
    let options = options.iter().map(String::as_str);
    let words: Vec<&str> = ["create"].into_iter().chain(options).chain([dataset]).collect();
    machine.zfs(&words);
}

/// Loads the key of what was received from [`create`]'s dataset.
pub(crate) fn load_key(machine: &Machine, dataset: &str) {
    load(machine, dataset, KEY);
}

fn load(machine: &Machine, dataset: &str, key: [u8; 32]) {
    let file = machine.path("key-to-load");
    fs::write(&file, key).unwrap();
    machine.zfs(&["load-key", "-L", &format!("file://{}", file.display()), dataset]);
}

/// A raw stream brings the key by which its sender has wrapped the master key: the one to load now.
fn load_key_of_the_last_sender(machine: &Machine) {
    machine.try_zfs(&["unload-key", TARGET]);
    load(machine, TARGET, OTHER_WRAPPING);
}

/// `data@base` and `data@s` under one key; replicas under another key, plain, and raw with another
/// wrapping key, which hides the same master key. The destination has the base, its key loaded.
fn scene() -> Scene {
    let mut scene = Scene::new(4);
    let [one, other_key, _, rewrapped] = &scene.sources[..] else { unreachable!() };
    create(&one.machine, "pool-source-1/data", Tree { seed: 5, bytes: 1 << 20 }, "base");
    scene.more("s", LITTLE);
    other_key.machine.zfs(&["create", "pool-source-2/backup"]);
    create_empty(&other_key.machine, "pool-source-2/backup/of", [8; 32]);
    for (at, flags) in [(1, ""), (2, ""), (3, "-w")] {
        scene.replicate(0, flags, "base", at, "");
        scene.replicate(0, &format!("{flags} -i @base"), "s", at, "");
    }
    load_key(&rewrapped.machine, &rewrapped.dataset);
    let location = format!("keylocation=file://{}", rewrapped.machine.path("other").display());
    fs::write(rewrapped.machine.path("other"), OTHER_WRAPPING).unwrap();
    rewrapped.machine.zfs(&[
        "change-key",
        "-o",
        &location,
        "-o",
        "keyformat=raw",
        &rewrapped.dataset,
    ]);
    let guids =
        scene.sources.iter().map(|source| source.machine.get(&source.snapshot("s"), "guid"));
    let guids: Vec<String> = guids.collect();
    assert!(guids.iter().all(|guid| *guid == guids[0]), "{guids:?}");
    scene.start();
    scene.bring_base();
    load_key(&scene.receiver, TARGET);
    scene
}

#[test]
fn a_raw_partial_goes_on_under_the_same_master_key_only() {
    if !is_real() {
        return;
    }
    let mut scene = scene();
    let contents = scene.contents("s");
    scene.sources[0].hold_after(6 << 20);
    let cli = scene.begin(Way::Download, &[]);
    scene.sources[0].wait_until_holding();
    scene.sources[0].kill();
    let summary = Summary::of(cli.finish());
    load_key_of_the_last_sender(&scene.receiver);
    scene.assert_arrived("s", &contents);
    let sources = summary.sources();
    eprintln!("under other keys: {sources:?}");
    let place = |number: usize| scene.sources[number].place();
    assert_eq!(summary.places(), [place(0), place(1), place(3)]);
    let why = sources[1].2.unwrap();
    assert!(why.contains("key does not match") || why.contains("IV set guid mismatch"), "{why}");
    assert_eq!(scene.sources[2].sends(), 0, "plain data was sent");
}

#[test]
fn a_plain_stream_that_is_said_to_be_raw_never_reaches_a_raw_partial() {
    if !is_real() {
        return;
    }
    let mut scene = scene();
    let contents = scene.contents("s");
    // Resumed, of the right snapshot and base, and plain: what made a kernel panic.
    let stream = scene.sources[2].resumed_stream("-i @base", "s", Some("base"));
    let [one, ..] = &scene.sources[..] else { unreachable!() };
    let guid = |label| one.machine.get(&one.snapshot(label), "guid").parse().unwrap();
    let claim = Claim::of("source-1b", "tank", "data").encrypted();
    let claim = claim.snapshot("base", guid("base")).snapshot("s", guid("s"));
    let capability = capfile::read(scene.fleet.cap("datacenter-01")).unwrap();
    let liar = Liar::register(&capability, claim);
    liar.tell(
        Tale::of([Step::Write(stream), Step::End])
            .open(Open::Dataset { kind: Kind::Filesystem, encrypted: true }),
    );
    let before = scene.receives();
    scene.sources[0].hold_after(6 << 20);
    scene.sources[1].kill();
    scene.wait_for(&scene.sources[1], "offline");
    let cli = scene.begin(Way::Copy, &[]);
    scene.sources[0].wait_until_holding();
    scene.sources[0].kill();
    let summary = Summary::of(cli.finish());
    load_key_of_the_last_sender(&scene.receiver);
    scene.assert_arrived("s", &contents);
    let sources = summary.sources();
    assert!(sources[1].0.contains("source-1b") && sources[1].1 == 0, "{sources:?}");
    assert!(sources[1].2.unwrap().contains("it is not raw, and was to be"), "{sources:?}");
    assert_eq!(sources[2].0, scene.sources[3].place());
    assert_eq!(scene.receives() - before, 2, "zfs receive was started for the liar's stream");
}
