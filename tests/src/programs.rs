//! Where the binaries are.

use std::env;
use std::path::PathBuf;

/// Whether the tests run on the real `zfs` and `zpool` of this machine.
pub fn is_real() -> bool {
    env::var_os("ZATLAS_REAL_ZFS").is_some()
}

/// A program of the workspace: in `ZATLAS_BIN_DIR`, else where cargo puts it.
pub fn program(name: &str) -> PathBuf {
    let folder = env::var_os("ZATLAS_BIN_DIR").map_or_else(target, PathBuf::from);
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is missing; build it with: cargo build --workspace --bins",
        path.display()
    );
    path
}

/// The folder above that of the test's executable, `target/PROFILE/deps`.
fn target() -> PathBuf {
    let executable = env::current_exe().expect("the test's own path");
    executable.ancestors().nth(2).expect("target/PROFILE/deps").to_owned()
}

/// The program that acts as `zfs` or `zpool`.
pub(crate) fn zfs_program(name: &str) -> PathBuf {
    if is_real() { PathBuf::from(name) } else { program(&format!("{name}-sim")) }
}
