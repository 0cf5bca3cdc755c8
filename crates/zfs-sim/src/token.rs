//! Resume tokens: `1-<checksum>-<size>-<deflated nvlist in hex>`, as `zfs_send_resume_token_to_nvlist` of
//! libzfs reads them.

use std::io::{Read, Write};

use anyhow::Result;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::nvlist::{Nvlist, Value};
use crate::state::{Progress, Receiving};
use crate::stream::Fletcher4;

/// DMU_BACKUP_FEATURE bits, and the flag of the token that each asks for.
pub(crate) const FLAGS: [(u64, &str); 3] =
    [(1 << 19, "largeblockok"), (1 << 16, "embedok"), (1 << 22, "compressok")];
/// The most that a token may unpack to; a real one's longest string is a name.
const MAX_PACKED: u64 = 64 << 10;

/// The token that would go on with a receive.
pub(crate) fn encode(receiving: &Receiving, progress: Progress) -> Result<String> {
    let mut list = Nvlist::default();
    if receiving.fromguid != 0 {
        list.push("fromguid", Value::Number(receiving.fromguid));
    }
    list.push("object", Value::Number(progress.object));
    list.push("offset", Value::Number(progress.offset));
    list.push("bytes", Value::Number(progress.bytes));
    list.push("toguid", Value::Number(receiving.toguid));
    list.push("toname", Value::Text(receiving.toname.clone()));
    for (_, flag) in FLAGS.iter().filter(|(feature, _)| receiving.features & feature != 0) {
        list.push(flag, Value::Flag);
    }
    let packed = list.pack()?;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&packed)?;
    let deflated = encoder.finish()?;
    let hex: String = deflated.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("1-{:x}-{:x}-{hex}", checksum(&deflated), packed.len()))
}

/// What a token holds, or in libzfs's words why that can't be told.
pub(crate) fn decode(token: &str) -> Result<Nvlist, String> {
    let parts: Vec<_> = token.splitn(4, '-').collect();
    let [version, sum, size, hex] = parts.as_slice() else { return Err(invalid_format()) };
    let version: u32 = version.parse().map_err(|_| invalid_format())?;
    let sum = u64::from_str_radix(sum, 16).map_err(|_| invalid_format())?;
    let size = u64::from_str_radix(size, 16).map_err(|_| invalid_format())?;
    if version != 1 {
        return Err(format!("invalid version {version}"));
    }
    let deflated = bytes(hex).ok_or("payload is not hex-encoded")?;
    if checksum(&deflated) != sum {
        return Err("incorrect checksum".to_owned());
    }
    let mut packed = Vec::new();
    let inflated = ZlibDecoder::new(deflated.as_slice()).take(MAX_PACKED).read_to_end(&mut packed);
    if inflated.is_err() || packed.len() as u64 > size {
        return Err("decompression failed".to_owned());
    }
    Nvlist::unpack(&packed).ok_or_else(|| "nvlist_unpack failed".to_owned())
}

fn invalid_format() -> String {
    "invalid format".to_owned()
}

/// Bytes from pairs of hex digits; like `sscanf`, a lone last digit counts as a byte.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    hex.as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
        .collect()
}

fn checksum(deflated: &[u8]) -> u64 {
    let mut sum = Fletcher4::default();
    sum.update(deflated);
    sum.first()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token of OpenZFS 2.3.2, and what it had received.
    const REAL: &str = "1-98dd5bcf1-b8-789c636064000310a500c4ec50360710e72765a52697303030419460caa7a515a7968064b4e0f26c48f24\
        99525a9c540fa828a0e56fd25f9e9a599290c0c5c723b9efadf3befac8124cf0996cf4bcc4d05d28979d9fa890ec5860c0800000db415a2";

    fn receiving() -> (Receiving, Progress) {
        let receiving = Receiving {
            id: 1,
            toguid: 0x43cf_de4f_e5b8_1e0a,
            fromguid: 0,
            toname: "tank/a@s1".to_owned(),
            features: 0,
            resumable: true,
        };
        (receiving, Progress { object: 2, offset: 0x2a_0000, bytes: 0x2c_24d0 })
    }

    #[test]
    fn a_token_holds_what_a_real_one_holds() {
        let (receiving, progress) = receiving();
        let ours = encode(&receiving, progress).unwrap();
        let packed = |token| decode(token).unwrap().pack().unwrap();
        assert_eq!(packed(&ours), packed(REAL));
        assert_eq!(packed(REAL).len(), 0xb8);
        let list = decode(REAL).unwrap();
        assert_eq!(list.number("toguid"), Some(receiving.toguid));
        assert_eq!(list.text("toname"), Some("tank/a@s1"));
    }

    #[test]
    fn an_increments_token_names_its_base_first() {
        let (receiving, progress) = receiving();
        let token = encode(&Receiving { fromguid: 7, features: 1 << 22, ..receiving }, progress);
        let names: Vec<_> =
            decode(&token.unwrap()).unwrap().0.into_iter().map(|(name, _)| name).collect();
        let expected = ["fromguid", "object", "offset", "bytes", "toguid", "toname", "compressok"];
        assert_eq!(names, expected);
    }
}
