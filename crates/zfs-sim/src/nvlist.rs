//! Packed nvlists in native encoding on a little-endian machine, as resume tokens and resumed streams hold
//! them (`nvs_native` of OpenZFS's `nvpair.c`): numbers, strings and flags, nothing nested.

use anyhow::Result;

const BOOLEAN: i32 = 1;
const UINT64: i32 = 8;
const STRING: i32 = 9;

/// Encoding native, little-endian; version 0, unique names.
const HEADER: [u8; 12] = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
/// Bytes of a pair before its name.
const PAIR: usize = 16;

/// A value of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// It is there.
    Flag,
    Number(u64),
    Text(String),
}

/// Names and values, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nvlist(pub(crate) Vec<(String, Value)>);

impl Nvlist {
    pub(crate) fn push(&mut self, name: &str, value: Value) {
        self.0.push((name.to_owned(), value));
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.0.iter().find_map(|(found, value)| match value {
            Value::Number(number) if found == name => Some(*number),
            _ => None,
        })
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(found, value)| match value {
            Value::Text(text) if found == name => Some(text.as_str()),
            _ => None,
        })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| found == name)
    }

    pub(crate) fn pack(&self) -> Result<Vec<u8>> {
        let mut packed = HEADER.to_vec();
        for (name, value) in &self.0 {
            let (kind, bytes, elements) = match value {
                Value::Flag => (BOOLEAN, Vec::new(), 0),
                Value::Number(number) => (UINT64, number.to_le_bytes().to_vec(), 1),
                Value::Text(text) => (STRING, format!("{text}\0").into_bytes(), 1),
            };
            let header = PAIR + name.len() + 1;
            let size = header.next_multiple_of(8) + bytes.len().next_multiple_of(8);
            let start = packed.len();
            packed.extend(i32::try_from(size)?.to_le_bytes());
            packed.extend(i16::try_from(name.len() + 1)?.to_le_bytes());
            packed.extend([0; 2]);
            packed.extend(i32::to_le_bytes(elements));
            packed.extend(kind.to_le_bytes());
            packed.extend(name.as_bytes());
            packed.resize(start + header.next_multiple_of(8), 0);
            packed.extend(bytes);
            packed.resize(start + size, 0);
        }
        packed.extend([0; 4]);
        Ok(packed)
    }

    /// None for what isn't a list of these kinds.
    pub(crate) fn unpack(packed: &[u8]) -> Option<Self> {
        let mut rest = packed.strip_prefix(&HEADER)?;
        let mut list = Self::default();
        loop {
            let size = usize::try_from(i32::from_le_bytes(*rest.first_chunk()?)).ok()?;
            if size == 0 {
                return Some(list);
            }
            let (pair, after) = rest.split_at_checked(size)?;
            rest = after;
            let name_length = usize::from(u16::from_le_bytes(*pair.get(4..)?.first_chunk()?));
            let kind = i32::from_le_bytes(*pair.get(12..)?.first_chunk()?);
            let name = text(pair.get(PAIR..PAIR + name_length)?)?;
            let bytes = pair.get((PAIR + name_length).next_multiple_of(8)..)?;
            let value = match kind {
                BOOLEAN => Value::Flag,
                UINT64 => Value::Number(u64::from_le_bytes(*bytes.first_chunk()?)),
                STRING => Value::Text(text(bytes)?),
                _ => return None,
            };
            list.0.push((name, value));
        }
    }
}

/// What comes before the first NUL.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    String::from_utf8(bytes[..end].to_vec()).ok()
}
