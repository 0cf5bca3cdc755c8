use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::symlink;
use std::path::Path;

use tokio::task::LocalSet;
use zfs::process::SendFlags;

use super::*;
use crate::incoming;
use crate::plan;
use crate::plan::examples::snapshot;
use crate::stream_request::Start;
use crate::traffic::queue::Queue;

/// Longer than anything here takes by a clock that stands still while something is to be done.
const LONG: Duration = Duration::from_secs(3600);

/// A machine that sends one stream at a time, and has no `zfs`.
fn machine() -> (source::Client, Queue) {
    machine_with(Path::new("/nonexistent"))
}

/// As above, with the `zfs` in a folder.
fn machine_with(programs: &Path) -> (source::Client, Queue) {
    let zfs = Zfs::new(programs.join("zfs"), programs.join("zpool"));
    let book = "/nonexistent/holds.json".into();
    let holds = Holds::open(zfs.clone(), &"m".parse().unwrap(), book).unwrap();
    let to_send = Queue::new(NonZeroUsize::new(1));
    let traffic = Traffic { to_send: to_send.clone(), ..Traffic::default() };
    let dataset = "tank/a".parse().unwrap();
    (serve(zfs, dataset, false, Tasks::default(), holds, traffic).0, to_send)
}

async fn turn(source: &source::Client, told: u32) -> u32 {
    let mut request = source.turn_request();
    request.get().set_told(told);
    let answer = request.send().promise.await.unwrap();
    outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap().unwrap().get_ahead()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_to_who_does_not_wait_for_its_turn() {
    let test = async {
        let (source, queue) = machine();
        let first = queue.join();
        let snapshot = snapshot("now", 1, 1);
        let start = Start::Fresh {
            base: None,
            flags: SendFlags { raw: false, large_blocks: true, compressed: true },
        };
        let wanted = StreamRequest { snapshot, start, decrypt: false, limit_rate: None };
        let mut request = source.send_request();
        stream_request::write(request.get().init_request(), &wanted);
        request.get().set_sink(incoming::channel().0);
        let mut sending = request.send().promise;
        assert!(timeout(LONG, &mut sending).await.is_err(), "it was not its turn");
        assert_eq!(queue.waiting(), 1);
        drop(first);
        // There is no `zfs` that could send it, and that is told.
        let answer = sending.await.unwrap();
        assert!(outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap().is_err());
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_has_one_place_hears_that_it_still_waits_and_leaves_it_with_the_source() {
    let test = async {
        let (source, queue) = machine();
        let first = queue.join();
        assert_eq!(turn(&source, u32::MAX).await, 1);
        let again = timeout(Duration::from_secs(30), turn(&source, 1)).await;
        assert_eq!(again, Ok(1), "nothing was heard for as long as a caller waits");
        assert_eq!(queue.waiting(), 1);
        let next = queue.join();
        drop(source);
        tokio::task::yield_now().await;
        assert_eq!(queue.waiting(), 1);
        drop(first);
        assert_eq!(next.ahead(), 0);
    };
    LocalSet::new().run_until(test).await;
}

/// `tank/a` with two snapshots, whose names are the two lines of the file `labels`. Tells what it was
/// asked for in the file `asked`.
const ZFS: &str = r#"
{ read -r old; read -r new; } <$here/labels
echo "$1" >>$here/asked
case "$*" in
list*snapshot*) printf '%s\t%s\t%s\t10\n' "tank/a@$old" 1 1 "tank/a@$new" 2 2 ;;
list*) printf 'tank/a\tfilesystem\t9\t1\t1\t0\t-\t-\t0\t-\n' ;;
send*" -i tank/a@$old tank/a@$new") printf 'size\t4096\n' ;;
*) echo "incremental source does not exist" >&2; exit 1 ;;
esac
"#;

#[tokio::test]
async fn a_stream_is_priced_by_one_listing_and_by_another_once_names_have_changed() {
    let test = async {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../zfs/tests/fake/program");
        symlink(program, path("zfs")).unwrap();
        let script = format!("here={}\n{ZFS}", folder.path().display());
        fs::write(path("zfs.sh"), script).unwrap();
        let (source, _) = machine_with(folder.path());
        let base = plan::Base { snapshot: snapshot("old", 1, 1), is_bookmark: false };
        let flags = SendFlags { raw: false, large_blocks: true, compressed: true };
        let start = Start::Fresh { base: Some(base), flags };
        let snapshot = snapshot("new", 2, 2);
        let wanted = StreamRequest { snapshot, start, decrypt: false, limit_rate: None };
        let asked = "list list send";
        for (labels, asked) in [
            ("old\nnew\n", asked.to_owned()),
            ("old\nnew\n", format!("{asked} send")),
            ("older\nold\n", format!("{asked} send send {asked}")),
        ] {
            fs::write(path("labels"), labels).unwrap();
            let mut request = source.estimate_request();
            stream_request::write(request.get().init_request(), &wanted);
            let answer = request.send().promise.await.unwrap();
            let answer = outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap();
            assert_eq!(answer.unwrap().get_bytes(), 4096);
            let told = fs::read_to_string(path("asked")).unwrap();
            assert_eq!(told.split_whitespace().collect::<Vec<_>>().join(" "), asked);
        }
    };
    LocalSet::new().run_until(test).await;
}
