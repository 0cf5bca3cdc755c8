//! The kernel's events, as `zpool events -v` prints them, in a log that all processes append to.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use time::OffsetDateTime;
use time::macros::format_description;

/// Something that happened to a pool.
pub(crate) struct Event {
    class: &'static str,
    /// The lines between the pool's and the time's, each `name = value`.
    fields: Vec<String>,
}

impl Event {
    /// A change to a dataset or snapshot.
    pub(crate) fn history(txg: u64, dataset: &str, id: u64, action: &str, detail: &str) -> Self {
        let detail = if detail.is_empty() { " " } else { detail };
        Self {
            class: "sysevent.fs.zfs.history_event",
            fields: vec![
                "pool_state = 0x0".to_owned(),
                "pool_context = 0x0".to_owned(),
                format!("history_hostname = \"{}\"", hostname()),
                format!("history_dsname = \"{dataset}\""),
                format!("history_internal_str = \"{detail}\""),
                format!("history_internal_name = \"{action}\""),
                format!("history_dsid = {id:#x}"),
                format!("history_txg = {txg:#x}"),
                format!("history_time = {:#x}", crate::state::now()),
            ],
        }
    }

    /// A change to a pool as such: `sysevent.fs.zfs.pool_create` and the like. States: 0 active,
    /// 1 exported, 2 destroyed.
    pub(crate) fn pool(class: &'static str, state: u8) -> Self {
        Self {
            class,
            fields: vec![format!("pool_state = {state:#x}"), "pool_context = 0x0".to_owned()],
        }
    }
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Appends events to the log, numbered and dated.
pub(crate) fn append(log: &Path, pool: &str, guid: u64, events: &[Event]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let mut log = OpenOptions::new().read(true).append(true).create(true).open(log)?;
    log.lock()?;
    let mut eid = last_eid(&mut log)?;
    let mut text = String::new();
    for event in events {
        eid += 1;
        text.push_str(&block(event, pool, guid, eid)?);
    }
    Ok(log.write_all(text.as_bytes())?)
}

fn block(event: &Event, pool: &str, guid: u64, eid: u64) -> Result<String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let (seconds, nanoseconds) = (since.as_secs(), since.subsec_nanos());
    let date =
        OffsetDateTime::from_unix_timestamp(seconds.try_into()?)?.format(format_description!(
            "[month repr:short] [day padding:space] [year] [hour]:[minute]:[second]"
        ))?;
    let class = event.class;
    let mut text = format!("{date}.{nanoseconds:09}\t{class}\n");
    let common = [
        "version = 0x0".to_owned(),
        format!("class = \"{class}\""),
        format!("pool = \"{pool}\""),
        format!("pool_guid = {guid:#x}"),
    ];
    let end = [format!("time = {seconds:#x} {nanoseconds:#x} "), format!("eid = {eid:#x}")];
    for line in common.iter().chain(&event.fields).chain(&end) {
        text.push_str(&format!("        {line}\n"));
    }
    text.push('\n');
    Ok(text)
}

/// The number of the log's last event; 0 in an empty log.
fn last_eid(log: &mut std::fs::File) -> Result<u64> {
    let length = log.seek(SeekFrom::End(0))?;
    log.seek(SeekFrom::Start(length.saturating_sub(64)))?;
    let mut tail = Vec::new();
    log.read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    let number =
        tail.rsplit_once("eid = 0x").map(|(_, number)| u64::from_str_radix(number.trim(), 16));
    Ok(number.transpose()?.unwrap_or(0))
}
