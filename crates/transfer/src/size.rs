//! Sizes as people write them: the one place that reads them.

/// Bytes: `7`, `512K`, `50G`, `2TiB`; powers of 1024. `None` for anything else.
pub fn parse(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        "T" | "TIB" => 40,
        "P" | "PIB" => 50,
        _ => return None,
    };
    // A number's own parser takes a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_is_in_bytes() {
        for (text, bytes) in
            [("0", 0), ("7", 7), ("7b", 7), ("1K", 1024), ("2kib", 2048), ("50G", 50 << 30)]
        {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for (power, units) in
            (1..).zip([["K", "KiB"], ["M", "MiB"], ["G", "GiB"], ["T", "TiB"], ["P", "PiB"]])
        {
            for unit in units {
                assert_eq!(parse(&format!("3{unit}")), Some(3 * 1024_u64.pow(power)), "{unit}");
            }
        }
        for text in ["", "-1", "+1", "1.5G", "G", "10 K", "9999999999P", "1X", "1K/s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
