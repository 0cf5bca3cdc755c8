//! Secrets stay secret: while a whole fleet works at `RUST_LOG=trace`, no id of a capability file,
//! no ticket and no private key gets into a log, an output, or what `ps` shows of any process.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use sturdyref::{Identity, capfile};
use tests::liar::{Claim, Liar, Tale};
use tests::user::{User, dial, run};
use tests::{Fleet, Machine, Process, Stream, Tree, program, until};

/// Blocks every `zfs receive` while the file `hold` exists.
const HELD: &str = r#"
if [ "$1" = receive ]; then
    : >"$DIR/holding"
    while [ -e "$DIR/hold" ]; do sleep 0.05; done
fi
exec "$ZFS" "$@""#;

/// Bytes that nobody else may see, in every form in which they could be printed.
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, name: &str, bytes: &[u8]) {
        assert!(bytes.len() >= 16, "{name} is no secret");
        let list = bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        let texts = [
            BASE64.encode(bytes),
            BASE64URL.encode(bytes),
            BASE64URL_NOPAD.encode(bytes),
            HEXLOWER.encode(bytes),
            HEXUPPER.encode(bytes),
            bytes.escape_ascii().to_string(),
            list,
        ];
        let forms = texts.into_iter().map(String::into_bytes).chain([bytes.to_vec()]);
        self.0.extend(forms.map(|form| (name.to_owned(), form)));
    }

    /// A private key's file: the lines between those that say so, and what they mean.
    fn add_key(&mut self, path: &Path) {
        let pem = fs::read_to_string(path).unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = BASE64.decode(body.as_bytes()).unwrap();
        let name = path.display().to_string();
        self.add(&name, &der);
        // The Ed25519 seed is the last of a PKCS#8 key in its first version.
        self.add(&name, &der[der.len() - 32..]);
    }

    #[track_caller]
    fn assert_absent(&self, place: &str, content: &[u8]) {
        for (name, form) in &self.0 {
            let found = content.windows(form.len()).any(|window| window == form);
            assert!(!found, "the secret of {name} is in {place}");
        }
        let uri = b"capnp://";
        let found = content.windows(uri.len()).any(|window| window == uri);
        assert!(!found, "a capability's URI is in {place}");
    }
}

/// What `ps` can show of every process: arguments and environment.
fn processes() -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let files =
        entries.flat_map(|entry| ["cmdline", "environ"].map(|file| entry.path().join(file)));
    files.filter_map(|path| Some((path.display().to_string(), fs::read(&path).ok()?))).collect()
}

/// The files directly in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// In the place of the fleet's own tracker, one that logs all it can.
fn start_talkative_tracker(fleet: &mut Fleet, machine: &Machine) -> Process {
    fleet.tracker().stop();
    let mut command = fleet.command(&program("tracker"));
    command.args(["--capnp-listen-address", fleet.address()]);
    command.args(["--locations", "datacenter-01,datacenter-02"]);
    command.arg("--cap-dir").arg(fleet.path("caps"));
    command.arg("--state-dir").arg(fleet.path("tracker"));
    let mut tracker = machine.spawn("talkative tracker", command.env("RUST_LOG", "trace"));
    tracker.wait_for_line("tracker listening on ");
    tracker
}

#[test]
fn no_secret_leaves_the_files_that_hold_it() {
    let mut fleet = Fleet::start();
    let mut sender = fleet.machine("sender", &["tank"]);
    sender.create("tank/data", Tree { seed: 11, bytes: 2 << 20 }, "s");
    let stream = Stream::sent(&sender, "tank/data@s");
    let mut receiver = fleet.machine("receiver", &["home"]);
    let folder = receiver.path("");
    receiver.wrap_zfs(&format!("DIR='{}'\n{HELD}", folder.display()));
    for machine in [&mut sender, &mut receiver] {
        machine.set_env("RUST_LOG", "trace");
    }
    let mut tracker = start_talkative_tracker(&mut fleet, &receiver);
    sender.start_agent("datacenter-01", &[]);
    receiver.start_agent("datacenter-02", &[]);
    until("both to be online", || {
        let ran = receiver.cli(&["copy", "data", r"datacenter-02\receiver\home", "--dry-run"]);
        (ran.status == 0).then_some(())
    });

    let mut secrets = Secrets(Vec::new());
    for cap in files(&fleet.path("caps")) {
        secrets.add(&cap.display().to_string(), capfile::read(&cap).unwrap().id.as_bytes());
    }
    secrets.add_key(&fleet.path("tracker/secret-key.pem"));
    secrets.add_key(&sender.path("agent/key.pem"));
    secrets.add_key(&receiver.path("agent/key.pem"));

    // Tickets as an agent makes them, used and unused, and the way through a relay.
    let capability = capfile::read(fleet.cap("user")).unwrap();
    run(async {
        let user = User::open(&capability, schema::PROTOCOL).await.unwrap();
        let broker = user.broker("data").await;
        let key = Identity::ephemeral().unwrap();
        let place = r"datacenter-01\sender\tank";
        for used in [true, false] {
            let tickets = broker.reach(place, key.fingerprint()).await.tickets;
            for ticket in &tickets {
                secrets.add("a ticket", ticket.id.as_bytes());
            }
            if used {
                dial(&tickets[0], &key).await.close().await;
            }
        }
        let relay = broker.reach(place, key.fingerprint()).await.relay().await;
        secrets.add("a relay", relay.id.as_bytes());
        dial(&relay, &key).await.close().await;
    });
    // And those of a machine of the test's own, which the others receive and use.
    let liar = Liar::register(
        &capfile::read(fleet.cap("datacenter-01")).unwrap(),
        Claim::of("liar", "pond", "told").snapshot("s", stream.guid()),
    );

    let (hold, holding) = (receiver.path("hold"), receiver.path("holding"));
    fs::write(&hold, "").unwrap();
    let mut transfers = Vec::new();
    for (dataset, from, reachable) in [
        ("data", r"datacenter-01\sender\tank", true),
        ("told", r"datacenter-01\liar\pond", true),
        ("told", r"datacenter-01\liar\pond", false),
    ] {
        for way in ["download", "copy"] {
            let name = format!("{dataset}-{reachable}-{way}");
            let honest = Tale::honest(stream.bytes());
            liar.tell(if reachable { honest } else { honest.relayed() });
            let to = match way {
                "copy" => vec![format!(r"datacenter-02\receiver\home\{name}")],
                _ => vec!["--to".into(), format!("home/{name}")],
            };
            let mut words = vec![way, dataset, "--from", from];
            words.extend(to.iter().map(String::as_str));
            transfers.push(receiver.start_cli(&words));
            until("a receive that waits", || fs::remove_file(&holding).ok());
        }
    }
    // All are in the middle of it.
    for (place, content) in processes() {
        secrets.assert_absent(&place, &content);
    }
    fs::remove_file(&hold).unwrap();
    for transfer in transfers {
        transfer.finish().ok();
    }
    for (arguments, status) in [
        (&["show", "--long"][..], 0),
        (&["show", "--json"], 0),
        (&["show", "nothing"], 3),
        (&["download", "data", "--to", "home/data-true-copy"], 0),
        (&["holds"], 0),
        (&["copy", "data", r"datacenter-02\receiver\nowhere"], 3),
        (&["--connect", "nothing.cap", "show"], 1),
    ] {
        receiver.cli(arguments).expect(status);
    }
    for ticket in liar.tickets() {
        secrets.add("the liar's ticket", ticket.as_bytes());
    }
    fleet.administer(&["reissue", "user"]).ok();
    tracker.stop();
    for machine in [&mut sender, &mut receiver] {
        machine.agent().stop();
    }
    let mut seen = 0;
    for log in files(&fleet.path("")) {
        let is_output = log.extension().is_some_and(|kind| kind == "stdout" || kind == "stderr");
        if is_output {
            let content = fs::read(&log).unwrap();
            seen += content.len();
            secrets.assert_absent(&log.display().to_string(), &content);
        }
    }
    assert!(seen > 100 << 10, "so little is no trace: {seen} bytes");
}

#[test]
fn what_is_kept_on_disk_is_its_owners_alone() {
    let fleet = Fleet::start();
    let mut machine = fleet.machine("machine", &["tank"]);
    machine.start_agent("datacenter-01", &[]);
    machine.wait_registered();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for folder in [fleet.path("tracker"), machine.path("agent")] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for file in files(&folder) {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
    for cap in files(&fleet.path("caps")) {
        assert_eq!(mode(&cap), 0o600, "{}", cap.display());
    }
}
