use futures::executor::block_on;
use proptest::prelude::*;

use super::*;
use crate::testing::*;
use crate::{Identity, Role, Update};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalogue.redb");
    (folder, path)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_read_back_is_what_was_known(operations in operations(), cut in 0..40usize) {
        let (_folder, path) = folder();
        let (store, mut catalogue) = Store::open(&path).unwrap();
        let mut store = Some(store);
        let mut sessions = Vec::new();
        for (step, operation) in operations.iter().enumerate() {
            let changes = run(operation, &mut catalogue, &mut sessions, 40 * step as i64);
            check(&catalogue);
            drop(store.as_ref().unwrap().write(changes));
            if step == cut {
                drop(store.take());
                let (reopened, read) = Store::open(&path).unwrap();
                catalogue = restarted(catalogue);
                prop_assert_eq!(&read, &catalogue);
                sessions.clear();
                store = Some(reopened);
            }
        }
        drop(store);
        let (_store, read) = Store::open(&path).unwrap();
        prop_assert_eq!(read, restarted(catalogue));
    }
}

#[test]
fn a_change_is_on_disk_once_it_is_reported_written() {
    let (folder, path) = folder();
    let (store, mut catalogue) = Store::open(&path).unwrap();
    let m = machine(r"dc\m");
    let session = catalogue.register(&m, Identity([1; 32]), &pools(&["tank"]), 5).unwrap();
    block_on(store.write(session.changes)).unwrap();
    let update = Update::Replace(datasets(&["a", "b/c"]));
    let changes = catalogue.update(session.epoch, &pool("tank"), update, 6).unwrap();
    block_on(store.write(changes)).unwrap();
    block_on(store.write(Vec::new())).unwrap();

    // As after a power cut: the file as it is now, while the store is still open.
    let copy = folder.path().join("copy.redb");
    std::fs::copy(&path, &copy).unwrap();
    let (_store, read) = Store::open(&copy).unwrap();
    assert_eq!(read, restarted(catalogue));
}

#[test]
fn generations_are_kept() {
    let (_folder, path) = folder();
    let (store, mut catalogue) = Store::open(&path).unwrap();
    for _ in 0..2 {
        block_on(store.write(catalogue.issue(&Role::Admin))).unwrap();
    }
    drop(store);
    assert_eq!(Store::open(&path).unwrap().1.generation(&Role::Admin), Some(2));
}

#[test]
fn a_file_that_is_no_catalogue_is_an_error_and_left_alone() {
    let (_folder, path) = folder();
    let mut real = {
        drop(Store::open(&path).unwrap());
        std::fs::read(&path).unwrap()
    };
    real.truncate(real.len() / 2);
    for bytes in [b"".as_slice(), b"garbage", &[0; 100_000], &real] {
        std::fs::write(&path, bytes).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{} bytes: {error:?}", bytes.len());
        assert!(error.to_string().contains("move it away"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn a_flipped_byte_is_found_out() {
    let (_folder, path) = folder();
    let (store, mut catalogue) = Store::open(&path).unwrap();
    let m = machine(r"dc\m");
    let session = catalogue.register(&m, Identity([1; 32]), &pools(&["tank"]), 5).unwrap();
    drop(store.write(session.changes));
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let name = bytes.windows(4).position(|bytes| bytes == br"dc\m").unwrap();
    bytes[name] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(Store::open(&path), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_file_of_a_later_version_is_an_error_that_says_so() {
    let (_folder, path) = folder();
    drop(Store::open(&path).unwrap());
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u32>::new("meta");
    transaction.open_table(meta).unwrap().insert("format", FORMAT + 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Newer { format: 2, .. }), "{error:?}");
    assert!(error.to_string().ends_with("Install the release that wrote it, or a later one."));
}

#[test]
fn a_file_that_owes_nothing_yet_is_read() {
    let (_folder, path) = folder();
    let (store, mut catalogue) = Store::open(&path).unwrap();
    drop(store.write(catalogue.issue(&Role::Admin)));
    drop(store);
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let owed = redb::TableDefinition::<&str, i64>::new("owed");
    assert!(transaction.delete_table(owed).unwrap());
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(Store::open(&path).unwrap().1, catalogue);
}

#[test]
fn a_file_in_use_is_an_error_that_says_so() {
    let (_folder, path) = folder();
    let (_store, _) = Store::open(&path).unwrap();
    assert!(matches!(Store::open(&path), Err(OpenError::InUse { .. })));
}

#[test]
fn what_an_attempt_that_was_cut_short_left_is_no_hindrance() {
    let (_folder, path) = folder();
    std::fs::write(path.with_added_extension("new"), b"half").unwrap();
    Store::open(&path).unwrap();
}
