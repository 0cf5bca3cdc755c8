//! Properties, read and set.

use zfs::process::{CommandError, OperationError, Space};
use zfs::{Base, DatasetName, Guid, PropertyName, Source};

use crate::fake::{Fake, name, snapshot, within};

fn dataset() -> DatasetName {
    name("tank/-rf")
}

#[tokio::test]
async fn each_command_gets_full_names() {
    let fake = Fake::logging(r#"case $4 in value,source) printf "7\t-\n";; esac"#);
    let zfs = fake.zfs();
    within(zfs.property(&dataset(), PropertyName::TRANSFER)).await.unwrap();
    assert_eq!(within(zfs.snapshot_guid(&snapshot())).await.unwrap(), Some(Guid(7)));
    let base = Base::Bookmark(name("tank/fs#m"));
    within(zfs.properties(&base, &[PropertyName::GUID, PropertyName::WRITTEN])).await.unwrap();
    within(zfs.set_property(&dataset(), PropertyName::SENDER, "a b=\nc")).await.unwrap();
    assert_eq!(
        fake.read("log"),
        "C [zfs] [get] [-Hp] [-o] [value,source] [zatlas:transfer] [tank/-rf]\n\
         C [zfs] [get] [-Hp] [-o] [value,source] [guid] [tank/fs@s]\n\
         C [zfs] [get] [-Hp] [-o] [property,value,source] [guid,written] [tank/fs#m]\n\
         C [zfs] [set] [zatlas:sender=a b=\nc] [tank/-rf]\n"
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
async fn what_is_not_there_has_no_guid_and_its_properties_are_an_error() {
    let fake = Fake::new(r#"echo "cannot open 'tank/fs@s': dataset does not exist" >&2; exit 1"#);
    assert_eq!(within(fake.zfs().snapshot_guid(&snapshot())).await.unwrap(), None);
    let read = within(fake.zfs().property(&dataset(), PropertyName::GUID)).await;
    assert!(read.unwrap_err().is_not_found());
    let read = within(fake.zfs().properties(&snapshot(), &[PropertyName::GUID])).await;
    assert!(read.unwrap_err().is_not_found());
    let set = within(fake.zfs().set_property(&dataset(), PropertyName::READONLY, "on")).await;
    let error = set.unwrap_err();
    assert_eq!(error.to_string(), "cannot set a property of tank/-rf");
    assert!(error.is_not_found());
}

#[tokio::test]
async fn local_properties_are_neither_inherited_nor_default_nor_received() {
    let fake = Fake::new(
        r#"printf "compression\tzstd\tlocal\nrecordsize\t131072\tdefault\n"
           printf "atime\toff\tinherited from tank\nxattr\tsa\treceived\nquota\t7\tlocal\n""#,
    );
    let [compression, quota] = ["compression", "quota"].map(PropertyName::new);
    let others = ["recordsize", "atime", "xattr"].map(PropertyName::new);
    let names = [&[compression, quota], others.as_slice()].concat();
    let local = within(fake.zfs().local_properties(&dataset(), &names)).await.unwrap();
    assert_eq!(local, [(compression, "zstd".to_owned()), (quota, "7".to_owned())].into());
}

#[tokio::test]
async fn space_is_what_is_used_and_what_is_available_of_a_dataset_and_its_pool() {
    let fake = Fake::logging(
        r#"for name; do printf "$name\tused\t${#name}\n$name\tavailable\t495425024\n"; done"#,
    );
    let space = |used| Space { used, available: 495425024 };
    let found = within(fake.zfs().space(&name("dest/data"))).await.unwrap();
    assert_eq!(found, (space(9), space(4)));
    let found = within(fake.zfs().space(&name("dest"))).await.unwrap();
    assert_eq!(found, (space(4), space(4)));
    let head = "C [zfs] [get] [-Hp] [-o] [name,property,value] [used,available]";
    assert_eq!(fake.read("log"), format!("{head} [dest/data] [dest]\n{head} [dest]\n"));
    let fake = Fake::new(r#"printf "dest\tused\t41445888\ndest\tavailable\t-\n""#);
    let error = within(fake.zfs().space(&name("dest"))).await.unwrap_err();
    assert!(matches!(error.command_error(), CommandError::Output(_)), "{error:?}");
}
