//! Values as people read them: sizes in units, dates, ratios. For output without `-p`.

use time::OffsetDateTime;
use time::macros::format_description;

/// A value as it is printed without `-p`.
pub(crate) fn human(property: &str, exact: &str) -> String {
    let number = exact.parse().ok();
    match (property, number) {
        ("creation" | "snapshots_changed", Some(seconds)) => date(seconds),
        ("compressratio" | "refcompressratio", _) => format!("{exact}x"),
        ("quota" | "refquota" | "reservation" | "refreservation", Some(0)) => "none".to_owned(),
        (
            "alloc"
            | "allocated"
            | "available"
            | "free"
            | "logicalreferenced"
            | "logicalused"
            | "quota"
            | "recordsize"
            | "referenced"
            | "refquota"
            | "refreservation"
            | "reservation"
            | "size"
            | "used"
            | "usedbychildren"
            | "usedbydataset"
            | "usedbyrefreservation"
            | "usedbysnapshots"
            | "volblocksize"
            | "volsize"
            | "written",
            Some(bytes),
        ) => size(bytes),
        _ => exact.to_owned(),
    }
}

/// A date as `zfs` prints it, in UTC.
pub(crate) fn date(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|date| {
            date.format(format_description!(
                "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute] [year]"
            ))
            .ok()
        })
        .unwrap_or_else(|| seconds.to_string())
}

/// Three digits and a unit.
fn size(bytes: u64) -> String {
    let unit = (bytes.max(1).ilog2() / 10) as usize;
    if unit == 0 {
        return if bytes == 0 { "0".to_owned() } else { format!("{bytes}B") };
    }
    let letter = &"BKMGTPE"[unit..=unit];
    if bytes.is_multiple_of(1 << (10 * unit)) {
        return format!("{}{letter}", bytes >> (10 * unit));
    }
    let value = bytes as f64 / (1_u64 << (10 * unit)) as f64;
    let text = [2, 1, 0]
        .into_iter()
        .map(|digits| format!("{value:.digits$}"))
        .find(|text| text.len() <= 4);
    format!("{}{letter}", text.unwrap_or_default())
}
