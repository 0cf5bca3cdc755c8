//! Small commands on one dataset or snapshot.

use zfs::process::OperationError;
use zfs::{DatasetName, Reason};

use crate::fake::{Fake, name, snapshot, within};

fn dataset() -> DatasetName {
    name("tank/-rf")
}

#[tokio::test]
async fn each_command_gets_full_names_and_no_force() {
    let fake = Fake::logging("");
    let zfs = fake.zfs();
    within(zfs.take_snapshot(&snapshot())).await.unwrap();
    assert!(within(zfs.create_parent(&dataset())).await.unwrap());
    within(zfs.abort_receive(&dataset())).await.unwrap();
    assert!(within(zfs.bookmark(&snapshot(), &name("tank/fs#two words"))).await.unwrap());
    let labels = ["a".parse().unwrap(), "two words".parse().unwrap()];
    within(zfs.destroy_snapshots(&dataset(), &labels.each_ref())).await.unwrap();
    within(zfs.destroy_bookmark(&name("tank/fs#b"))).await.unwrap();
    within(zfs.rollback(&snapshot())).await.unwrap();
    assert_eq!(
        fake.read("log"),
        "C [zfs] [snapshot] [tank/fs@s]\n\
         C [zfs] [create] [-u] [-o] [canmount=off] [tank/-rf]\n\
         C [zfs] [receive] [-A] [tank/-rf]\n\
         C [zfs] [bookmark] [tank/fs@s] [tank/fs#two words]\n\
         C [zfs] [destroy] [tank/-rf@a,two words]\n\
         C [zfs] [destroy] [tank/fs#b]\n\
         C [zfs] [rollback] [tank/fs@s]\n"
    );
}

#[tokio::test]
async fn a_bookmark_of_that_name_may_be_another_snapshots() {
    let fake = Fake::new(r#"echo "cannot create bookmark '$3': bookmark exists" >&2; exit 1"#);
    let bookmark = name("tank/fs#m");
    assert!(!within(fake.zfs().bookmark(&snapshot(), &bookmark)).await.unwrap());
    let fake = Fake::new(r#"echo "cannot open '$2': dataset does not exist" >&2; exit 2"#);
    let error = within(fake.zfs().bookmark(&snapshot(), &bookmark)).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot bookmark tank/fs@s");
    assert!(error.is_not_found());
}

#[tokio::test]
async fn what_stops_a_rollback_is_told() {
    let message = "cannot rollback to 'tank/fs@s': clones of previous snapshots exist";
    let fake = Fake::new(&format!("echo \"{message}\" >&2; exit 1"));
    let error = within(fake.zfs().rollback(&snapshot())).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot roll back to tank/fs@s");
    assert_eq!(error.reason(), Some(Reason::Held));
}

#[tokio::test]
async fn a_parent_that_is_there_already_need_not_be_made() {
    let fake = Fake::new(r#"echo "cannot create '$5': dataset already exists" >&2; exit 1"#);
    assert!(!within(fake.zfs().create_parent(&dataset())).await.unwrap());
    let fake = Fake::new(r#"echo "cannot create '$5': out of space" >&2; exit 1"#);
    let error = within(fake.zfs().create_parent(&dataset())).await.unwrap_err();
    assert_eq!((error.operation(), error.subject()), ("create", "tank/-rf"));
    assert!(error.is_out_of_space());
}

#[tokio::test]
async fn failures_name_the_operation_and_its_subject() {
    let fake = Fake::new(r#"echo "cannot do it: permission denied" >&2; exit 1"#);
    let zfs = fake.zfs();
    let taken = within(zfs.take_snapshot(&snapshot())).await.unwrap_err();
    let aborted = within(zfs.abort_receive(&dataset())).await.unwrap_err();
    let errors: [(&dyn OperationError, _); 2] = [
        (&taken, "cannot take the snapshot tank/fs@s"),
        (&aborted, "cannot abort the partial receive of tank/-rf"),
    ];
    for (error, text) in errors {
        assert_eq!(error.to_string(), text);
        assert_eq!(error.source().unwrap().to_string(), "cannot do it: permission denied");
        assert_eq!(error.reason(), Some(Reason::NotPermitted));
    }
}
