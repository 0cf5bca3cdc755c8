//! Small commands on one dataset or snapshot.

use zfs::process::OperationError;
use zfs::{DatasetName, Guid, PropertyName, Reason, Source};

use crate::fake::{Fake, name, snapshot, within};

fn dataset() -> DatasetName {
    name("tank/-rf")
}

#[tokio::test]
async fn each_command_gets_full_names_and_no_force() {
    let fake = Fake::logging(r#"case $1 in get) printf "7\t-\n";; esac"#);
    let zfs = fake.zfs();
    within(zfs.take_snapshot(&snapshot())).await.unwrap();
    assert!(within(zfs.create_parent(&dataset())).await.unwrap());
    within(zfs.abort_receive(&dataset())).await.unwrap();
    within(zfs.property(&dataset(), PropertyName::TRANSFER)).await.unwrap();
    assert_eq!(within(zfs.snapshot_guid(&snapshot())).await.unwrap(), Some(Guid(7)));
    assert_eq!(
        fake.read("log"),
        "C [zfs] [snapshot] [tank/fs@s]\n\
         C [zfs] [create] [-u] [-o] [canmount=off] [tank/-rf]\n\
         C [zfs] [receive] [-A] [tank/-rf]\n\
         C [zfs] [get] [-Hp] [-o] [value,source] [zatlas:transfer] [tank/-rf]\n\
         C [zfs] [get] [-Hp] [-o] [value,source] [guid] [tank/fs@s]\n"
    );
}

#[tokio::test]
async fn a_property_keeps_its_tabs_and_newlines() {
    let fake = Fake::new(r#"printf "a\tb\n\nc\tinherited from tank\n""#);
    let property = within(fake.zfs().property(&dataset(), PropertyName::new("x:y"))).await;
    let property = property.unwrap().unwrap();
    assert_eq!(property.value, "a\tb\n\nc");
    assert_eq!(property.source, Source::Inherited("tank".to_owned()));
}

#[tokio::test]
async fn what_is_not_there_has_no_guid_and_its_property_is_an_error() {
    let fake = Fake::new(r#"echo "cannot open 'tank/fs@s': dataset does not exist" >&2; exit 1"#);
    assert_eq!(within(fake.zfs().snapshot_guid(&snapshot())).await.unwrap(), None);
    let property = within(fake.zfs().property(&dataset(), PropertyName::GUID)).await;
    assert!(property.unwrap_err().is_not_found());
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
