//! Resume tokens: what `zfs get receive_resume_token` tells and `zfs send -t` takes. Knows nothing
//! of whether a dataset still has what a token asks for.
//!
//! A token is `1-CHECKSUM-SIZE-DATA`, as `zfs_send_resume_token_to_nvlist` of OpenZFS's
//! `libzfs_sendrecv.c` reads it: a version; the first word of the Fletcher-4 checksum of the
//! deflated data, in hex; the size of the inflated data in bytes, in hex; the data, a name-value
//! list, deflated by zlib, in hex.

use std::fmt;
use std::io::{Read, Write};
use std::ops::Range;
use std::str::FromStr;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::dataset::Guid;
use crate::names::SnapshotName;
use crate::nvlist::{self, Nvlist, NvlistError};

/// Bytes that a token may have, as text and inflated. Real ones have some 400 and 300; those of
/// redacted streams, with a GUID per snapshot, somewhat more.
const MAX_LEN: usize = 64 * 1024;

/// Where an interrupted receive stands, and how its stream was made: all of it the word of the
/// machine that gave the token.
#[derive(Clone, PartialEq, Eq)]
pub struct ResumeToken {
    /// The full name of the snapshot at the sender, unchecked.
    pub to_name: String,
    /// The snapshot that the stream makes.
    pub to_guid: Guid,
    /// The snapshot that an increment starts from; `None`: a full stream.
    pub from_guid: Option<Guid>,
    /// The object to go on with.
    pub object: u64,
    /// Where in that object, in bytes.
    pub offset: u64,
    /// Bytes of streams received so far, those of earlier tokens included.
    pub bytes: u64,
    /// The stream holds encrypted blocks as on disk (`-w`).
    pub raw: bool,
    /// It may hold blocks of more than 128 KiB (`-L`).
    pub large_blocks: bool,
    /// It may hold small blocks within their pointers (`-e`).
    pub embedded: bool,
    /// It holds blocks compressed as on disk (`-c`).
    pub compressed: bool,
    /// It is of redacted data, or starts from such.
    pub redacted: bool,
    /// It is of a partially received dataset (`-S`).
    pub saved: bool,
    text: String,
    packed: Vec<u8>,
    /// Where in `packed` the pair is that holds `to_name`.
    to_name_at: Range<usize>,
}

/// Why a text is no resume token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not four parts of the right alphabet.
    #[error("the resume token is not of the form 1-CHECKSUM-SIZE-DATA")]
    Form,
    /// A version that isn't 1.
    #[error("the resume token is of an unknown version ({0})")]
    Version(u64),
    /// As text, or by the size that it announces.
    #[error("the resume token is too long: {0} bytes, at most {MAX_LEN} can be right")]
    TooLong(u64),
    /// Some of it got lost or changed.
    #[error("the resume token's checksum does not fit its data")]
    Checksum,
    /// The data can't be inflated to the size that was announced.
    #[error("the resume token's data can't be inflated to the {0} bytes that it announces")]
    Deflate(u64),
    /// What is deflated is no list.
    #[error("the resume token's data can't be read: {0}")]
    List(#[from] NvlistError),
    /// A pair that every token has.
    #[error("the resume token lacks '{0}'")]
    Missing(&'static str),
}

impl ResumeToken {
    /// The token, as `zfs send -t` takes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The token that asks for the same from `snapshot`, which must be the one of `to_guid`:
    /// `zfs send -t` looks for that GUID in the pool and below the dataset that the name tells.
    ///
    /// Nothing else changes. The flags above all must not: a stream with other ones than the
    /// bytes received so far damages what is being received.
    pub fn at(&self, snapshot: &SnapshotName) -> String {
        let mut packed = self.packed[..self.to_name_at.start].to_vec();
        packed.extend(nvlist::string_pair("toname", &snapshot.to_string()));
        packed.extend(&self.packed[self.to_name_at.end..]);
        encode(&packed)
    }
}

impl FromStr for ResumeToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let packed = decode(text)?;
        let list = Nvlist::parse(&packed)?;
        let number = |name| list.number(name)?.ok_or(TokenError::Missing(name));
        let (to_name, to_name_at) = list.text("toname")?.ok_or(TokenError::Missing("toname"))?;
        Ok(Self {
            to_name: to_name.to_owned(),
            to_guid: Guid(number("toguid")?),
            from_guid: list.number("fromguid")?.filter(|&guid| guid != 0).map(Guid),
            object: number("object")?,
            offset: number("offset")?,
            bytes: number("bytes")?,
            raw: list.flag("rawok")?,
            large_blocks: list.flag("largeblockok")?,
            embedded: list.flag("embedok")?,
            compressed: list.flag("compressok")?,
            redacted: list.has("redact_snaps") || list.has("book_redact_snaps"),
            saved: list.flag("savedok")?,
            text: text.to_owned(),
            to_name_at,
            packed,
        })
    }
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResumeToken").field(&self.text).finish()
    }
}

/// The name-value list of a token, inflated.
fn decode(text: &str) -> Result<Vec<u8>, TokenError> {
    if text.len() > MAX_LEN {
        return Err(TokenError::TooLong(text.len() as u64));
    }
    let parts: Vec<_> = text.split('-').collect();
    let &[version, checksum, size, data] = parts.as_slice() else { return Err(TokenError::Form) };
    if version != "1" {
        return Err(version.parse().map_or(TokenError::Form, TokenError::Version));
    }
    let deflated = from_hex(data).ok_or(TokenError::Form)?;
    if number_from_hex(checksum)? != fletcher(&deflated) {
        return Err(TokenError::Checksum);
    }
    let size = number_from_hex(size)?;
    if size > MAX_LEN as u64 {
        return Err(TokenError::TooLong(size));
    }
    let mut packed = Vec::new();
    // One byte more than announced, so as to see that there is none.
    match ZlibDecoder::new(deflated.as_slice()).take(size + 1).read_to_end(&mut packed) {
        Ok(len) if len as u64 == size => Ok(packed),
        _ => Err(TokenError::Deflate(size)),
    }
}

fn encode(packed: &[u8]) -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    #[expect(clippy::expect_used, reason = "a Vec takes whatever is written to it")]
    let deflated =
        encoder.write_all(packed).and_then(|()| encoder.finish()).expect("deflating into memory");
    let hex: String = deflated.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("1-{:x}-{:x}-{hex}", fletcher(&deflated), packed.len())
}

/// The first word of the Fletcher-4 checksum. As in ZFS, bytes after the last whole word of four
/// don't count.
fn fletcher(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks();
    words.iter().map(|&word| u64::from(u32::from_le_bytes(word))).sum()
}

fn number_from_hex(text: &str) -> Result<u64, TokenError> {
    // Unlike `from_str_radix`, no sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| digits).ok_or(TokenError::Form)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, odd) = text.as_bytes().as_chunks();
    if !odd.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8)).collect()
}

#[cfg(test)]
mod tests;
