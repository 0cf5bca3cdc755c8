use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use sturdyref::Security;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::timeout;
use transfer::guests::Guests;
use transfer::job::Permits;
use transfer::options::Options;

use super::*;

/// Nothing that is waited for takes this long, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Tells by which name it was asked, and refuses.
struct FakeBroker(&'static str, mpsc::UnboundedSender<&'static str>);

impl broker::Server for FakeBroker {
    async fn replicas(
        self: Rc<Self>,
        _: broker::ReplicasParams,
        mut results: broker::ReplicasResults,
    ) -> capnp::Result<()> {
        let Self(name, asked) = &*self;
        let _ = asked.send(name);
        let refusal = Failure::new(Code::Refused, "list", *name, "it is a test", "");
        outcome::write_nothing(results.get().init_outcome(), Err(refusal))
    }
}

fn job() -> Job {
    Job {
        dataset: "a".parse().unwrap(),
        target: "tank/a".parse().unwrap(),
        machine: r"dc\m".into(),
        destination: r"dc\m\tank/a".into(),
        from: None,
        snapshot: None,
        near: None,
        dry_run: true,
        program: "agent",
        options: Options::default(),
        permits: Permits::default(),
    }
}

/// One that is never come to.
fn entrance() -> Entrance {
    let (guests, security) = (Guests::default(), Security::Insecure);
    Entrance::Listener { guests, at: watch::channel(None).1, security }
}

#[test]
fn a_transfer_goes_on_with_the_broker_of_who_attached_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // The transfer's first step waits until the pipe is written to.
    assert!(Command::new("mkfifo").arg(path("go")).status().unwrap().success());
    let script = format!("cat {}\nprintf 'tank\\t7\\tONLINE\\n'", path("go").display());
    fs::write(path("zpool.sh"), script).unwrap();
    // Linked, since a file that was just written may not be run yet.
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../zfs/tests/fake/program");
    symlink(program, path("zpool")).unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let zfs = Zfs::new(path("zfs"), path("zpool"));
        let transfers = Transfers::new(zfs, entrance(), Tasks::default(), Traffic::default());
        let (asked, mut heard) = mpsc::unbounded_channel();
        let broker = |name| capnp_rpc::new_client(FakeBroker(name, asked.clone()));
        let (id, _first) = transfers.start(job(), broker("first")).unwrap();
        let attach =
            |dataset: &str, name| transfers.attach(&id, &dataset.parse().unwrap(), broker(name));
        let _second = attach("a", "second").unwrap();
        assert_eq!(attach("another", "third").err().unwrap().code, Code::Refused);
        fs::write(path("go"), "").unwrap();
        let heard = timeout(DEADLINE, heard.recv()).await.unwrap();
        assert_eq!(heard, Some("second"));

        let mut status = transfers.known.borrow().transfers[&id].status.clone();
        let ended = timeout(DEADLINE, status.wait_for(|status| status.outcome.is_some())).await;
        let outcome = ended.unwrap().unwrap().outcome.clone().unwrap();
        assert!(outcome.unwrap_err().to_string().contains("second"));
    });
}

#[test]
fn a_transfer_that_is_not_known_is_told_as_such() {
    let transfers =
        Transfers::new(Zfs::default(), entrance(), Tasks::default(), Traffic::default());
    let (asked, _) = mpsc::unbounded_channel();
    let broker = capnp_rpc::new_client(FakeBroker("any", asked));
    let attached = transfers.attach("0", &"a".parse().unwrap(), broker);
    assert_eq!(attached.err().unwrap().code, Code::NoSuchTransfer);
}
