//! Which properties may be set to what, and what ZFS says when they may not.

use super::Native;

/// A property with a colon in its name, which means nothing to ZFS.
pub(crate) fn is_user_property(name: &str) -> bool {
    name.contains(':')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b":+._-".contains(&b))
}

/// Splits `property=value`.
pub(crate) fn assignment(argument: &str) -> Option<(&str, &str)> {
    argument.split_once('=')
}

/// The value to store, or what ZFS says against it. `scope` is `f` or `v`.
pub(crate) fn check(property: &str, value: &str, scope: char) -> Result<String, String> {
    if is_user_property(property) {
        return Ok(value.to_owned());
    }
    let native = Native::find(property).ok_or_else(|| format!("invalid property '{property}'"))?;
    let name = native.name;
    if !native.is_editable() {
        return Err(format!("'{name}' is readonly"));
    }
    if !native.applies(scope) {
        return Err(format!("'{name}' does not apply to datasets of this type"));
    }
    if name == "mountpoint" {
        return match value {
            "none" | "legacy" => Ok(value.to_owned()),
            path if path.starts_with('/') => Ok(path.to_owned()),
            _ => Err("'mountpoint' must be an absolute path, 'none', or 'legacy'".to_owned()),
        };
    }
    let values = native.values();
    if is_size(native) {
        let bytes = if value == "none" { Some(0) } else { parse_size(value) };
        return bytes
            .map(|bytes| bytes.to_string())
            .ok_or_else(|| format!("bad numeric value '{value}'"));
    }
    let free = values.contains('<') || values.split(" | ").any(|word| word.contains(' '));
    if free || values.split(" | ").any(|word| allows(word, value)) {
        return Ok(value.to_owned());
    }
    Err(format!("'{name}' must be one of '{values}'"))
}

/// Whether a property's values are bytes.
fn is_size(native: Native) -> bool {
    native.values().starts_with("<size>") || native.values().ends_with("power of 2")
}

/// Whether one of the words in the VALUES column allows a value; `gzip-[1-9]` allows a range.
fn allows(word: &str, value: &str) -> bool {
    match word.split_once('[') {
        None => word == value,
        Some((prefix, _)) => {
            value.strip_prefix(prefix).is_some_and(|number| number.parse::<u16>().is_ok())
        }
    }
}

/// Bytes from text such as `8M`.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim_end_matches(['B', 'b']).trim_end_matches(['i', 'I']);
    let (number, shift) = match text.char_indices().last()? {
        (at, unit) if unit.is_ascii_alphabetic() => {
            let power = "KMGTPE".find(unit.to_ascii_uppercase())?;
            (&text[..at], 10 * (power + 1))
        }
        _ => (text, 0),
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}
