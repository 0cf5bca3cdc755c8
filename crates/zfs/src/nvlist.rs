//! The packed name-value lists of ZFS, as far as resuming needs them. Never builds a list, but a pair.
//!
//! The format is the native encoding of OpenZFS's `module/nvpair/nvpair.c`, on a little-endian
//! machine:
//!
//! | bytes | field                                                          |
//! |-------|----------------------------------------------------------------|
//! | 0     | encoding: 0 native, 1 XDR                                      |
//! | 1     | byte order: 1 little-endian                                    |
//! | 2..4  | reserved                                                       |
//! | 4..8  | version: 0                                                     |
//! | 8..12 | flags                                                          |
//! | 12..  | the pairs, then four zero bytes                                |
//!
//! A pair's size covers all of it. Name and value are each padded to 8 bytes, counted from the
//! pair's start:
//!
//! | bytes  | field                                                         |
//! |--------|---------------------------------------------------------------|
//! | 0..4   | size                                                          |
//! | 4..6   | the name's length, its NUL included                           |
//! | 6..8   | reserved                                                      |
//! | 8..12  | number of elements                                            |
//! | 12..16 | type                                                          |
//! | 16..   | name, value                                                   |
//!
//! The pairs of a nested list follow the pair that holds it, outside of its size, and end with
//! four zero bytes of their own.

use std::collections::HashSet;
use std::ops::Range;

const HEADER: usize = 12;
const PAIR_HEADER: usize = 16;

/// `DATA_TYPE_*`.
const BOOLEAN: i32 = 1;
const UINT64: i32 = 8;
const STRING: i32 = 9;
const NVLIST: i32 = 19;
const NVLIST_ARRAY: i32 = 20;

/// Why bytes aren't a packed list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NvlistError {
    /// Another encoding, byte order or version, all of which ZFS may read and we don't.
    #[error("the list is not in the native little-endian encoding (it begins with {0:02x?})")]
    Encoding([u8; 8]),
    /// It ends before its end.
    #[error("the list is cut short")]
    Short,
    /// A pair that contradicts itself, by its offset in the list.
    #[error("the list is malformed at byte {0}")]
    Malformed(usize),
    /// Two pairs of one name: ZFS would take either.
    #[error("the list has '{0}' twice")]
    Twice(String),
    /// A pair that is not of the type that ZFS gives it.
    #[error("'{0}' is of the wrong type")]
    Type(&'static str),
    /// More bytes than the list.
    #[error("{0} bytes follow the list")]
    Trailing(usize),
}

/// The pairs of a list, without those of the lists nested in it.
pub(crate) struct Nvlist<'a>(Vec<Pair<'a>>);

struct Pair<'a> {
    name: &'a str,
    value: Value<'a>,
    span: Range<usize>,
}

/// What a pair holds.
enum Value<'a> {
    /// True by being there.
    Boolean,
    U64(u64),
    String(&'a str),
    /// Of a type that we never ask for.
    Other,
}

impl<'a> Nvlist<'a> {
    /// Reads a packed list.
    pub(crate) fn parse(packed: &'a [u8]) -> Result<Self, NvlistError> {
        let header = packed.first_chunk().ok_or(NvlistError::Short)?;
        if header[..2] != [0, 1] || header[4..] != [0; 4] {
            return Err(NvlistError::Encoding(*header));
        }
        let mut pairs = Vec::new();
        let mut names = HashSet::new();
        let mut at = HEADER;
        // Lists whose end is still to come. The outermost ends last.
        let mut open = 1_u64;
        while open > 0 {
            let rest = packed.get(at..).ok_or(NvlistError::Short)?;
            let size = i32_at(rest, 0).ok_or(NvlistError::Short)?;
            if size == 0 {
                open -= 1;
                at += 4;
                continue;
            }
            let malformed = || NvlistError::Malformed(at);
            let size = usize::try_from(size).map_err(|_| malformed())?;
            let pair = rest.get(..size).ok_or(NvlistError::Short)?;
            let (name, kind, elements, value) = split(pair).ok_or_else(malformed)?;
            if open == 1 {
                if !names.insert(name) {
                    return Err(NvlistError::Twice(name.to_owned()));
                }
                let value = read(kind, elements, value).ok_or_else(malformed)?;
                pairs.push(Pair { name, value, span: at..at + size });
            }
            open += match kind {
                NVLIST => 1,
                NVLIST_ARRAY => u64::from(elements),
                _ => 0,
            };
            at += size;
        }
        match packed.len() - at {
            0 => Ok(Self(pairs)),
            trailing => Err(NvlistError::Trailing(trailing)),
        }
    }

    /// A number, if it is there.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u64>, NvlistError> {
        match self.find(name) {
            None => Ok(None),
            Some(&Pair { value: Value::U64(number), .. }) => Ok(Some(number)),
            Some(_) => Err(NvlistError::Type(name)),
        }
    }

    /// A text, if it is there, and where its whole pair is.
    pub(crate) fn text(
        &self,
        name: &'static str,
    ) -> Result<Option<(&'a str, Range<usize>)>, NvlistError> {
        match self.find(name) {
            None => Ok(None),
            Some(Pair { value: Value::String(text), span, .. }) => Ok(Some((text, span.clone()))),
            Some(_) => Err(NvlistError::Type(name)),
        }
    }

    /// Whether a flag is set.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, NvlistError> {
        match self.find(name) {
            None => Ok(false),
            Some(Pair { value: Value::Boolean, .. }) => Ok(true),
            Some(_) => Err(NvlistError::Type(name)),
        }
    }

    /// Whether there is a pair of this name, of whatever type.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<&Pair<'a>> {
        self.0.iter().find(|pair| pair.name == name)
    }
}

/// A pair that holds a text, both short and without a NUL.
pub(crate) fn string_pair(name: &str, value: &str) -> Vec<u8> {
    let value_at = (PAIR_HEADER + name.len() + 1).next_multiple_of(8);
    let size = value_at + (value.len() + 1).next_multiple_of(8);
    let mut pair = vec![0; size];
    pair[0..4].copy_from_slice(&(size as i32).to_le_bytes());
    pair[4..6].copy_from_slice(&(name.len() as i16 + 1).to_le_bytes());
    pair[8..12].copy_from_slice(&1_i32.to_le_bytes());
    pair[12..16].copy_from_slice(&STRING.to_le_bytes());
    pair[PAIR_HEADER..][..name.len()].copy_from_slice(name.as_bytes());
    pair[value_at..][..value.len()].copy_from_slice(value.as_bytes());
    pair
}

/// Name, type, number of elements, and the bytes of the value with their padding.
fn split(pair: &[u8]) -> Option<(&str, i32, u32, &[u8])> {
    let name_len = usize::try_from(i16::from_le_bytes(*pair.get(4..)?.first_chunk()?)).ok()?;
    let elements = u32::try_from(i32_at(pair, 8)?).ok()?;
    let kind = i32_at(pair, 12)?;
    let value = pair.get((PAIR_HEADER + name_len).next_multiple_of(8)..)?;
    let name = text(pair.get(PAIR_HEADER..PAIR_HEADER + name_len)?)?;
    (name.len() + 1 == name_len).then_some((name, kind, elements, value))
}

fn read(kind: i32, elements: u32, value: &[u8]) -> Option<Value<'_>> {
    match (kind, elements) {
        (BOOLEAN, 0) => Some(Value::Boolean),
        (UINT64, 1) => Some(Value::U64(u64::from_le_bytes(*value.first_chunk()?))),
        (STRING, 1) => text(value).map(Value::String),
        (BOOLEAN | UINT64 | STRING, _) => None,
        _ => Some(Value::Other),
    }
}

/// What stands before the first NUL.
fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    str::from_utf8(&bytes[..end]).ok()
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: [u8; HEADER] = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    const END: [u8; 4] = [0; 4];

    fn list(parts: &[&[u8]]) -> Vec<u8> {
        [&START, parts.concat().as_slice(), &END].concat()
    }

    /// A pair of another type than text. The size of the value is a multiple of 8.
    fn pair(name: &str, kind: i32, elements: i32, value: &[u8]) -> Vec<u8> {
        let mut pair = string_pair(name, "");
        pair.truncate(pair.len() - 8);
        pair.extend(value);
        let size = pair.len() as i32;
        pair[0..4].copy_from_slice(&size.to_le_bytes());
        pair[8..12].copy_from_slice(&elements.to_le_bytes());
        pair[12..16].copy_from_slice(&kind.to_le_bytes());
        pair
    }

    fn error(packed: &[u8]) -> NvlistError {
        Nvlist::parse(packed).err().unwrap()
    }

    #[test]
    fn pairs_are_found_by_name_and_type() {
        let (text, flag) = (string_pair("text", "of eight"), pair("flag", BOOLEAN, 0, &[]));
        let packed = list(&[&pair("number", UINT64, 1, &[7, 1, 0, 0, 0, 0, 0, 0]), &text, &flag]);
        let list = Nvlist::parse(&packed).unwrap();
        assert_eq!(list.number("number"), Ok(Some(0x107)));
        let (value, span) = list.text("text").unwrap().unwrap();
        assert_eq!((value, &packed[span]), ("of eight", text.as_slice()));
        assert_eq!((list.flag("flag"), list.flag("other")), (Ok(true), Ok(false)));
        assert_eq!((list.number("other"), list.text("other")), (Ok(None), Ok(None)));
        assert_eq!(list.number("text"), Err(NvlistError::Type("text")));
        assert_eq!(list.text("flag"), Err(NvlistError::Type("flag")));
        assert_eq!(list.flag("number"), Err(NvlistError::Type("number")));
    }

    #[test]
    fn pairs_of_nested_lists_are_none_of_the_list() {
        let inner = string_pair("name", "inner");
        let packed = list(&[
            &pair("one", NVLIST, 1, &[0; 24]),
            &inner,
            &END,
            &pair("two", NVLIST_ARRAY, 2, &[0; 64]),
            &inner,
            &END,
            &END,
            &string_pair("name", "outer"),
        ]);
        let list = Nvlist::parse(&packed).unwrap();
        assert_eq!(list.text("name").unwrap().map(|(name, _)| name), Some("outer"));
        assert!(list.has("one") && list.has("two"));
    }

    #[test]
    fn what_is_no_list_is_refused_by_what_is_wrong() {
        let text = string_pair("name", "value");
        let with = |at: usize, byte| {
            let mut packed = list(&[&text]);
            packed[at] = byte;
            error(&packed)
        };
        assert_eq!(error(&list(&[&text, &text])), NvlistError::Twice("name".to_owned()));
        assert_eq!(error(&[list(&[]).as_slice(), &END].concat()), NvlistError::Trailing(4));
        assert_eq!(error(&START), NvlistError::Short);
        assert_eq!(error(&list(&[&text[..16]])), NvlistError::Short);
        for (at, byte) in [(0, 1), (1, 0), (4, 1)] {
            assert!(matches!(with(at, byte), NvlistError::Encoding(_)));
        }
        // The size, twice; the name's length, twice; the number of elements; the name; the value.
        for (at, byte) in
            [(12, 8), (15, 0x80), (16, 4), (17, 0x80), (20, 0), (28, 0xff), (36, 0xff)]
        {
            assert_eq!(with(at, byte), NvlistError::Malformed(HEADER), "{at}");
        }
    }
}
