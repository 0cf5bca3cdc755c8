//! The properties that travel with a dataset, as values.
//!
//! A `-p` or `-R` stream would set whatever its sender likes at the receiver, `mountpoint` and
//! `sharenfs` among it. So only these are carried, only what looks like a value of them, and both
//! ends check.

use zfs::PropertyName;

/// What may be carried: how data is stored and read, nothing that gives rights or mounts.
pub(crate) const CARRIED: [PropertyName; 14] = [
    PropertyName::new("aclinherit"),
    PropertyName::new("aclmode"),
    PropertyName::new("acltype"),
    PropertyName::new("atime"),
    PropertyName::new("compression"),
    PropertyName::new("copies"),
    PropertyName::new("logbias"),
    PropertyName::new("primarycache"),
    PropertyName::new("recordsize"),
    PropertyName::new("redundant_metadata"),
    PropertyName::new("relatime"),
    PropertyName::new("secondarycache"),
    PropertyName::new("snapdir"),
    PropertyName::new("xattr"),
];

/// The properties among these that may be carried, with their values.
pub(crate) fn carried<'a>(
    settings: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<(PropertyName, String)> {
    let known = |name: &str| CARRIED.into_iter().find(|known| known.as_str() == name);
    let carried = settings.into_iter().filter(|(_, value)| is_value(value));
    carried.filter_map(|(name, value)| Some((known(name)?, value.to_owned()))).collect()
}

/// `on`, `zstd-3`, `131072`: all values of these properties look so.
fn is_value(value: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&value.len()) && value.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_the_list_is_carried() {
        let settings = [
            ("compression", "zstd-3"),
            ("mountpoint", "none"),
            ("sharenfs", "on"),
            ("recordsize", "1048576"),
            ("exec", "on"),
            ("canmount", "on"),
            ("atime", "on,mountpoint=/etc"),
            ("xattr", ""),
        ];
        let carried: Vec<String> =
            carried(settings).iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(carried, ["compression=zstd-3", "recordsize=1048576"]);
    }
}
