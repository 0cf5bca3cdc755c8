//! `cli download` and `cli copy` again and again: whatever the source has kept of what the
//! destination has, only what is new comes, and nothing else changes on either side.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod data;
mod history;
mod scene;

use tests::is_real;

use crate::data::{Data, Kind};
use crate::history::CHAPTERS;
use crate::scene::Scene;

#[test]
fn each_kind_of_data_goes_on_from_whatever_its_source_has_kept() {
    let scene = Scene::new();
    let mut all = vec![Data::new(Kind::Filesystem, "files"), Data::new(Kind::Volume, "volume")];
    // zfs-sim knows no encryption, and one size of blocks.
    if is_real() {
        all.push(Data::new(Kind::Encrypted, "secret"));
        // From a snapshot and from a bookmark.
        let large = ["-o", "recordsize=1M", "-o", "compression=zstd"];
        scene.create_parents("vault");
        all.push(Data::new(Kind::Filesystem, "large").with(&large).below("vault").living(3));
    }
    scene.live(all, &CHAPTERS);
}
