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

#[cfg(test)]
mod tests {
    use super::*;

    const RESUMED: &str = "resume token contents:\nnvlist version: 0\n\tobject = 0x2\n\
        \tbytes = 0x2c24d0\n\ttoname = tank/fs@three\nfull\ttank/fs@three\t7628576\nsize\t7628576\n";

    #[test]
    fn the_size_is_on_the_last_line() {
        for (output, size) in [
            ("full\ttank/fs@one\t8417392\nsize\t8417392\n", Some(8417392)),
            ("incremental\ttank/fs@one\ttank/fs@three\t2110448\nsize\t2110448\n", Some(2110448)),
            (RESUMED, Some(7628576)),
            ("full\ttank/size\t1@s\t5\nsize\t0\n", Some(0)),
        ] {
            assert_eq!(parse(output), size, "{output:?}");
        }
    }

    #[test]
    fn nonsense_is_unknown() {
        for output in ["", "size\t\n", "size\t-5\n", "size\t9223372036854775808\n", "full\tx\t5\n"]
        {
            assert_eq!(parse(output), None, "{output:?}");
        }
    }
}
