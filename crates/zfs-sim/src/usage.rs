//! The usage texts, as OpenZFS 2.3.2 prints them. A command's own usage is its part of the whole.

use crate::failure::Failure;

const ZFS: &str = include_str!("usage/zfs.txt");
const ZFS_PROPERTIES: &str = include_str!("usage/zfs-properties.txt");
const ZPOOL: &str = include_str!("usage/zpool.txt");
const ZPOOL_PROPERTIES: &str = include_str!("usage/zpool-properties.txt");

const ZFS_FOOTER: &str = "For the property list, run: zfs set|get

For the delegated permission list, run: zfs allow|unallow

For further help on a command or topic, run: zfs help [<topic>]
";

/// The table of native properties: name, EDIT, INHERIT and VALUES in columns.
pub(crate) fn property_table() -> &'static str {
    ZFS_PROPERTIES
}

/// A wrong use of `zfs COMMAND`: the complaint (a line or nothing), then how to use it. Status 2.
pub(crate) fn zfs(command: &str, complaint: &str) -> anyhow::Error {
    let more = if matches!(command, "get" | "inherit" | "list" | "set") {
        ZFS_PROPERTIES
    } else {
        ZFS_FOOTER
    };
    wrong(complaint, &format!("{}\n{more}", excerpt(ZFS, command)))
}

/// A wrong use of `zpool COMMAND`, likewise.
pub(crate) fn zpool(command: &str, complaint: &str) -> anyhow::Error {
    let usage = excerpt(ZPOOL, command);
    wrong(
        complaint,
        &if matches!(command, "get" | "list") {
            format!("{usage}\n{ZPOOL_PROPERTIES}")
        } else {
            usage
        },
    )
}

/// No command, or none that exists.
pub(crate) fn commands(program: &str, command: Option<&str>) -> anyhow::Error {
    let text = if program == "zfs" { ZFS } else { ZPOOL };
    Failure::with_status(
        2,
        match command {
            Some(unknown) => format!("unrecognized command '{unknown}'\n{text}"),
            None => format!("missing command\n{text}"),
        },
    )
}

fn wrong(complaint: &str, usage: &str) -> anyhow::Error {
    let newline = if complaint.is_empty() { "" } else { "\n" };
    Failure::with_status(2, format!("{complaint}{newline}usage:\n{usage}"))
}

/// The lines of the whole that start with `command`, and those that continue them.
fn excerpt(whole: &str, command: &str) -> String {
    let mut ours = false;
    whole
        .lines()
        .filter(|line| {
            match line.strip_prefix('\t') {
                Some(rest) if rest.starts_with(' ') => {}
                Some(rest) => ours = rest.split(' ').next() == Some(command),
                None => ours = false,
            }
            ours
        })
        .flat_map(|line| [line, "\n"])
        .collect()
}
