//! Lines as expected, with holes for what differs from run to run.
//!
//! `{n}` is any number, `{hex}` any in hexadecimal with `0x`, `{token}` a resume token, `{date}` a date,
//! `{...}` the rest of the line. `{NAME}` in capitals is a number that must be the same wherever NAME stands.

use std::collections::HashMap;

/// The numbers that names stand for so far.
pub(crate) type Bindings = HashMap<String, String>;

/// Whether a line is as expected; binds names on the way.
pub(crate) fn matches(expected: &str, line: &str, bindings: &mut Bindings) -> bool {
    let Some((literal, hole, after)) = first_hole(expected) else { return expected == line };
    let Some(line) = line.strip_prefix(literal) else { return false };
    let length = line.find(|c: char| !fits(hole, c)).unwrap_or(line.len());
    let (value, line) = line.split_at(length);
    if value.is_empty() && hole != "..." {
        return false;
    }
    if hole.chars().all(|c| c.is_ascii_uppercase())
        && bindings.entry(hole.to_owned()).or_insert(value.to_owned()) != value
    {
        return false;
    }
    matches(after, line, bindings)
}

/// Splits at the first hole. Other text in braces is just text.
fn first_hole(expected: &str) -> Option<(&str, &str, &str)> {
    expected.match_indices('{').find_map(|(at, _)| {
        let (hole, after) = expected[at + 1..].split_once('}')?;
        is_hole(hole).then_some((&expected[..at], hole, after))
    })
}

fn is_hole(hole: &str) -> bool {
    matches!(hole, "n" | "hex" | "token" | "date" | "...")
        || (!hole.is_empty() && hole.chars().all(|c| c.is_ascii_uppercase()))
}

fn fits(hole: &str, c: char) -> bool {
    match hole {
        "..." => true,
        "date" => c.is_ascii_alphanumeric() || " :.".contains(c),
        "hex" => c.is_ascii_hexdigit() || c == 'x',
        "token" => c.is_ascii_hexdigit() || c == '-',
        _ => c.is_ascii_digit(),
    }
}

#[test]
fn a_name_is_one_number_throughout() {
    let mut bindings = Bindings::new();
    assert!(matches("a\t{G}\t{n}", "a\t17\t4", &mut bindings));
    assert!(matches("b\t{G}", "b\t17", &mut bindings));
    assert!(!matches("b\t{G}", "b\t18", &mut bindings));
    assert!(!matches("b\t{n}", "b\t-", &mut bindings));
    assert!(matches("{user|group} {...}", "{user|group} whatever", &mut bindings));
}
