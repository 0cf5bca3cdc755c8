//! Listing, and what all commands that end by themselves have in common.

use zfs::process::{CommandError, OperationError};
use zfs::{Guid, Reason, Zfs};

use crate::fake::{Fake, name, within};

const DATASETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/datasets.tsv");
const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/snapshots.tsv");

/// A script that answers both listings from the fixtures.
fn listing() -> String {
    format!("case \"$*\" in *snapshot,bookmark*) cat {SNAPSHOTS};; *) cat {DATASETS};; esac")
}

#[tokio::test]
async fn a_pool_is_listed_by_two_commands_in_the_c_locale() {
    let fake = Fake::logging(&listing());
    let datasets = within(fake.zfs().datasets(&name("tank"))).await.unwrap();
    assert_eq!(datasets.len(), 11);
    assert_eq!(datasets.iter().map(|dataset| dataset.snapshots.len()).sum::<usize>(), 7);
    assert_eq!(
        fake.read("log"),
        "C [zfs] [list] [-Hp] [-t] [filesystem,volume] [-o] [name,type,guid,used,referenced,written,\
         encryptionroot,origin,inconsistent,receive_resume_token] [-r] [tank]\n\
         C [zfs] [list] [-Hp] [-t] [snapshot,bookmark] [-o] [name,guid,createtxg,creation] [-r] [tank]\n"
    );
}

#[tokio::test]
async fn a_dataset_alone_is_listed_without_what_is_below_it() {
    let fake = Fake::logging(&listing());
    within(fake.zfs().dataset(&name("tank/two words"))).await.unwrap().unwrap();
    let log = fake.read("log");
    let ends: Vec<_> = log.lines().map(|line| line.rsplit_once("] [-d] ").unwrap().1).collect();
    assert_eq!(ends, ["[0] [tank/two words]", "[1] [tank/two words]"]);
}

#[tokio::test]
async fn what_does_not_exist_is_none_and_a_pool_to_list_must_exist() {
    let fake = Fake::new(r#"echo "cannot open 'tank/x': dataset does not exist" >&2; exit 1"#);
    let zfs = fake.zfs();
    assert_eq!(within(zfs.subtree(&name("tank/x"))).await.unwrap(), None);
    assert_eq!(within(zfs.dataset(&name("tank/x"))).await.unwrap(), None);
    let error = within(zfs.datasets(&name("tank"))).await.unwrap_err();
    assert_eq!((error.operation(), error.subject()), ("list", "tank"));
    assert_eq!(error.to_string(), "cannot list tank");
    assert_eq!(error.zfs_message(), Some("cannot open 'tank/x': dataset does not exist"));
    assert!(error.is_not_found());
}

#[tokio::test]
async fn a_dataset_that_vanishes_between_the_two_listings_is_none() {
    let gone = "echo \"cannot open 'tank/fs': dataset does not exist\" >&2; exit 1";
    let script = format!("case \"$*\" in *snapshot,bookmark*) {gone};; *) cat {DATASETS};; esac");
    assert_eq!(within(Fake::new(&script).zfs().dataset(&name("tank/fs"))).await.unwrap(), None);
}

#[tokio::test]
async fn a_listing_that_fails_after_its_lines_is_no_listing() {
    let fake = Fake::new(&format!("cat {DATASETS}; echo 'I/O error' >&2; exit 1"));
    let error = within(fake.zfs().subtree(&name("tank"))).await.unwrap_err();
    assert_eq!(error.why(), "I/O error");
}

#[tokio::test]
async fn a_line_that_is_not_understood_ends_the_command() {
    let fake = Fake::new("exec 9>$here/alive; echo what; exec sleep 1000");
    let (alive, zfs) = (fake.alive(), fake.zfs());
    let listing = async {
        // Its end is not waited for, so a command that hangs does not hang the listing.
        zfs.datasets(&name("tank")).await.unwrap_err()
    };
    let (error, begun) = within(async { tokio::join!(listing, alive.begun()) }).await;
    assert!(matches!(error.command_error(), CommandError::Output(_)), "{error:?}");
    assert!(error.why().contains("'what': expected 10 fields"), "{}", error.why());
    begun.wait().await;
}

#[tokio::test]
async fn a_listing_of_any_length_is_read() {
    let line = r#"printf "tank/d%d\tfilesystem\t1\t2\t3\t4\t-\t-\t0\t-\n", i"#;
    let script =
        format!("case \"$*\" in *filesystem*) awk 'BEGIN{{for(;i<20000;i++) {line}}}';; esac");
    let fake = Fake::new(&script);
    assert_eq!(within(fake.zfs().datasets(&name("tank"))).await.unwrap().len(), 20000);
}

#[tokio::test]
async fn a_line_without_an_end_is_an_error() {
    let fake = Fake::new("exec tr '\\0' x </dev/zero");
    let error = within(fake.zfs().datasets(&name("tank"))).await.unwrap_err();
    assert!(matches!(error.command_error(), CommandError::Lost(_)), "{error:?}");
}

#[tokio::test]
async fn the_usage_after_a_message_is_left_out_and_control_characters_are_escaped() {
    let fake = Fake::new(r#"printf "cannot \033[2J\nreally\nusage:\n\tlist\n" >&2; exit 2"#);
    let error = within(fake.zfs().datasets(&name("tank"))).await.unwrap_err();
    assert_eq!(error.zfs_message(), Some("cannot \\u{1b}[2J\nreally"));
}

#[tokio::test]
async fn of_a_long_message_the_end_is_kept() {
    let fake = Fake::new("yes chatter | head -c 10000000 >&2; echo 'out of space' >&2; exit 1");
    let error = within(fake.zfs().datasets(&name("tank"))).await.unwrap_err();
    assert!(error.is_out_of_space());
    assert_eq!(error.reason(), Some(Reason::OutOfSpace));
    assert!(error.zfs_message().unwrap().len() <= 64 << 10);
}

#[tokio::test]
async fn a_failure_without_a_word_tells_its_status() {
    let error = within(Fake::new("exit 3").zfs().datasets(&name("tank"))).await.unwrap_err();
    assert_eq!(error.zfs_message(), None);
    assert_eq!(error.why(), "it ended without a word (exit status: 3)");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let zfs = Zfs::new("/nowhere/zfs".into(), "/nowhere/zpool".into());
    let error = within(zfs.pools()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot list all pools");
    assert!(
        error.why().starts_with("cannot start /nowhere/zpool: No such file"),
        "{}",
        error.why()
    );
}

#[tokio::test]
async fn a_pools_features_are_those_that_it_can_use() {
    let fake = Fake::logging(
        r#"printf "size\t603979776\ncomment\t-\nfeature@large_blocks\tenabled\n"
           printf "feature@zstd_compress\tdisabled\nfeature@lz4_compress\tactive\n""#,
    );
    let features = within(fake.zfs().pool_features(&name("dest"))).await.unwrap();
    assert_eq!(features.into_iter().collect::<Vec<_>>(), ["large_blocks", "lz4_compress"]);
    assert_eq!(fake.read("log"), "C [zpool] [get] [-Hp] [-o] [property,value] [all] [dest]\n");
    let fake =
        Fake::new("echo 'Cannot get properties of dest: no such pool available.' >&2; exit 1");
    let error = within(fake.zfs().pool_features(&name("dest"))).await.unwrap_err();
    assert!(error.is_not_found());
}

#[tokio::test]
async fn pools_are_listed_by_zpool() {
    let fake = Fake::logging(r#"printf "dest\t15434037197801458062\tONLINE\n""#);
    let pool = within(fake.zfs().pool(&name("dest"))).await.unwrap().unwrap();
    assert_eq!((pool.name.as_str(), pool.guid), ("dest", Guid(15434037197801458062)));
    assert_eq!(within(fake.zfs().pools()).await.unwrap(), [pool]);
    assert_eq!(
        fake.read("log"),
        "C [zpool] [list] [-Hp] [-o] [name,guid,health] [dest]\n\
         C [zpool] [list] [-Hp] [-o] [name,guid,health]\n"
    );
    let fake = Fake::new("echo \"cannot open 'dest': no such pool\" >&2; exit 1");
    assert_eq!(within(fake.zfs().pool(&name("dest"))).await.unwrap(), None);
}
