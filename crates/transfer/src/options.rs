//! How a transfer is to be done, as its user asked: the same for downloads and copies.

use std::time::Duration;

use capnp::Result;
use schema::transfer_capnp::options;

use crate::traffic::rate::Rate;

/// What the user may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Each snapshot between the base and the one wanted, not that one alone.
    pub all_snapshots: bool,
    /// Throw away what an interrupted transfer of ours has left, and begin anew.
    pub restart: bool,
    /// Throw away what the destination has and the source lacks, where the destination allows it.
    pub rollback: bool,
    /// Take over a dataset that another tool made.
    pub adopt: bool,
    /// Send encrypted data in the clear.
    pub decrypt: bool,
    /// Wait for another transfer to the same destination, instead of being refused.
    pub wait: bool,
    /// The first receive sets `readonly=on`.
    pub readonly: bool,
    /// The first receive sets the source's own properties, so far as they may be carried.
    pub settings: bool,
    /// How long to wait for a source that has gone, whole seconds.
    pub timeout: Duration,
    /// How long a source may send nothing, whole seconds.
    pub stall: Duration,
    /// How fast it may be.
    pub limit_rate: Option<Rate>,
}

impl Options {
    /// A hold's life: whoever comes back later may find its snapshot gone.
    pub const TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);
    /// Longer than a busy pool or a network takes to come back to itself.
    pub const STALL: Duration = Duration::from_secs(60);
}

impl Default for Options {
    fn default() -> Self {
        Self {
            all_snapshots: false,
            restart: false,
            rollback: false,
            adopt: false,
            decrypt: false,
            wait: false,
            readonly: false,
            settings: false,
            timeout: Self::TIMEOUT,
            stall: Self::STALL,
            limit_rate: None,
        }
    }
}

/// Reads options.
pub(crate) fn read(reader: options::Reader<'_>) -> Result<Options> {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    Ok(Options {
        all_snapshots: reader.get_all_snapshots(),
        restart: reader.get_restart(),
        rollback: reader.get_rollback(),
        adopt: reader.get_adopt(),
        decrypt: reader.get_decrypt(),
        wait: reader.get_wait(),
        readonly: reader.get_readonly(),
        settings: reader.get_settings(),
        timeout: seconds(reader.get_timeout_seconds()),
        stall: seconds(reader.get_stall_seconds()),
        limit_rate: Rate::per_second(reader.get_limit_rate()),
    })
}

/// Writes options.
pub(crate) fn write(mut builder: options::Builder<'_>, options: &Options) {
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    builder.set_all_snapshots(options.all_snapshots);
    builder.set_restart(options.restart);
    builder.set_rollback(options.rollback);
    builder.set_adopt(options.adopt);
    builder.set_decrypt(options.decrypt);
    builder.set_wait(options.wait);
    builder.set_readonly(options.readonly);
    builder.set_settings(options.settings);
    builder.set_timeout_seconds(seconds(options.timeout));
    builder.set_stall_seconds(seconds(options.stall));
    builder.set_limit_rate(options.limit_rate.map_or(0, Rate::bytes_per_second));
}
