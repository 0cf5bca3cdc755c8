//! Lengths of time, as people write and read them.

use std::time::Duration;

use zfs::Escaped;

/// A second and its multiples, the largest first.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

/// Parses `90s`, `15m`, `2h` or `7d`; a transfer's times are whole seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("'{}' is not a length of time: write it as 90s, 15m, 2h or 7d", Escaped(text));
    let (number, scale) = UNITS
        .iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))
        .ok_or_else(wrong)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    // The wire has 32 bits for it.
    let seconds = number.parse::<u32>().ok().and_then(|n| u64::from(n).checked_mul(*scale));
    match seconds {
        Some(seconds) if seconds <= u32::MAX.into() => Ok(Duration::from_secs(seconds)),
        _ => Err(wrong()),
    }
}

/// `0.2 s`, `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn human(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        7200..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use schema::text::Span;

    use super::*;

    #[test]
    fn durations_are_parsed() {
        for (text, seconds) in
            [("0s", 0), ("1s", 1), ("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
            let again = Span(Duration::from_secs(seconds)).to_string();
            assert_eq!(parse(&again), parse(text), "as others write it: {again}");
        }
        for text in ["", "s", "90", "-1s", "+1s", "1.5h", "1 h", "1w", "50000d", "1S"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("\x1b[2Js").unwrap_err().starts_with(r"'\u{1b}[2Js' is not"));
    }

    #[test]
    fn durations_are_told() {
        for (millis, text) in [
            (0, "0.0 s"),
            (240, "0.2 s"),
            (42_700, "42 s"),
            (119_999, "119 s"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(human(Duration::from_millis(millis)), text);
        }
    }
}
