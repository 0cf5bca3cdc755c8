//! Acts as `zpool` on the folder named by `ZFS_SIM_ROOT`.

use std::process::ExitCode;

fn main() -> ExitCode {
    zfs_sim::zpool(std::env::args_os().skip(1))
}
