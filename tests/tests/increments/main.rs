//! `cli download` and `cli copy` again and again: whatever the source has kept of what the
//! destination has, only what is new comes, and nothing else changes on either side.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod data;
mod history;
mod scene;

use tests::is_real;

use crate::data::{Data, Kind};
use crate::history::{ALL, FIRST_THREE};
use crate::scene::Scene;

#[test]
fn each_kind_of_data_goes_on_from_whatever_its_source_has_kept() {
    let mut scene = Scene::new();
    scene.live(Data::new(Kind::Filesystem, "files"), ALL);
    scene.live(Data::new(Kind::Volume, "volume"), ALL);
    // zfs-sim knows no encryption, and one size of blocks.
    if is_real() {
        scene.live(Data::new(Kind::Encrypted, "secret"), ALL);
        let large = ["-o", "recordsize=1M", "-o", "compression=zstd"];
        scene.live(Data::new(Kind::Filesystem, "large").with(&large), ALL);
        scene.encrypt_destinations("vault");
        let below = Data::new(Kind::Filesystem, "plain").with(&large).below("vault");
        scene.live(below, FIRST_THREE);
    }
}
