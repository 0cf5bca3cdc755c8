//! One suite for two backends: zfs-sim, and with `ZATLAS_REAL_ZFS=1` the real `zfs` and `zpool` on PATH (as
//! root, on pools in files; `--test-threads=1`, since pools have names). Both are held to the same text,
//! which the real one wrote: so the stand-in can't drift.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conformance {
    pub(crate) mod backend;
    mod events;
    mod increments;
    mod interrupted;
    mod pattern;
    mod streams;
    mod transcript;
    mod transcripts;
}
