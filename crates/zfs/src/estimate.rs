//! The size of a stream, as `zfs send -nvP` estimates it.

/// The stream's size in bytes. It is an estimate: the stream may be shorter or longer.
///
/// The last line is `size<TAB>BYTES`; a description of the stream comes before it. `None` if
/// there is no such line, or if the number is 2^63 or more: ZFS then counted below zero.
pub fn parse(output: &str) -> Option<u64> {
    let bytes: u64 =
        output.lines().rev().find_map(|line| line.strip_prefix("size\t"))?.parse().ok()?;
    (bytes < 1 << 63).then_some(bytes)
}
