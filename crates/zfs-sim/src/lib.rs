//! A stand-in for OpenZFS's `zfs` and `zpool` on a folder of plain files, for tests, demos and load.
//!
//! It knows filesystems and zvols without encryption, clones, delegation, `-R`, `-I` or blocks above 128 KiB,
//! sends snapshots, increments and the rest of either, and speaks the words of OpenZFS 2.3.2;
//! `tests/conformance.rs` holds it to the real one. It is never linked into the product, mounts nothing, and
//! never touches a real pool.
//!
//! # State
//! `ZFS_SIM_ROOT` names the folder, an absolute path. Processes may share it.
//!
//! | path | content |
//! |---|---|
//! | `pools/POOL/index` | every dataset, snapshot and bookmark: a log of JSON lines, compacted now and then |
//! | `pools/POOL/data/ID` | the files of a filesystem, its snapshot or what is being received into it in a folder, or a zvol's bytes in a file; absent while empty; a bookmark keeps its snapshot's |
//! | `pools/POOL/busy/ID` | locked by whoever sends or receives ID; a receive's progress |
//! | `exported/POOL` | the same, while the pool is exported |
//! | `events` | what `zpool events -v` prints |
//!
//! `zfs-sim path DATASET` prints (and makes) the `data/ID` of a dataset or snapshot: put files there as
//! one would into the mounted filesystem. Regular files, folders and symbolic links travel, with mode
//! and modification time. A snapshot's files must not be changed. An increment and a rollback replace a
//! dataset's files in one stroke, under the same path.
//! `zfs-sim populate POOL N` makes N datasets `d000000`, ... with a snapshot each, in one stroke.
//!
//! # Faults and load
//! Of each, a `RECEIVE` form does the same to the stream that `zfs receive` reads. Bytes are those of one
//! process: a resumed stream counts from 0.
//!
//! | variable | effect on `zfs send` |
//! |---|---|
//! | `ZFS_SIM_SEND_RATE` | at most so many bytes a second |
//! | `ZFS_SIM_SEND_PAUSE_AT`, `ZFS_SIM_SEND_PAUSE_UNTIL` | after so many bytes makes FILE`.waiting`, and blocks until FILE exists |
//! | `ZFS_SIM_SEND_FAIL_AT` | after so many bytes fails with an input/output error; a receive keeps what came, as after any other failure |
//!
//! To measure what carries a stream, these two cost next to nothing:
//!
//! | variable | effect |
//! |---|---|
//! | `ZFS_SIM_SYNTHETIC` | `zfs send` sends a file of so many bytes of noise, out of memory, whatever the snapshot holds |
//! | `ZFS_SIM_RECEIVE_DISCARD` | `zfs receive` makes an empty snapshot: it looks at sizes, offsets and ends only, or with `verify` at each checksum |

mod blocks;
mod changes;
mod commands;
mod events;
mod failure;
mod faults;
mod list;
mod name;
mod nvlist;
mod options;
mod property;
mod sizes;
mod state;
mod stream;
mod table;
mod token;
mod tree;
mod usage;
mod zpool;

use std::ffi::OsString;
use std::process::ExitCode;

pub use stream::synthetic::synthetic_stream;

/// Runs `zfs` with these arguments (the program's own name left out).
pub fn zfs(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    failure::exit(strings(arguments).and_then(commands::run))
}

/// Runs `zpool` with these arguments (the program's own name left out).
pub fn zpool(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    failure::exit(strings(arguments).and_then(zpool::run))
}

fn strings(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<Vec<String>> {
    arguments
        .map(|argument| {
            argument.into_string().map_err(|bad| anyhow::anyhow!("{}: not UTF-8", bad.display()))
        })
        .collect()
}
