//! Acts as `zfs` on the folder named by `ZFS_SIM_ROOT`.

use std::process::ExitCode;

fn main() -> ExitCode {
    zfs_sim::zfs(std::env::args_os().skip(1))
}
