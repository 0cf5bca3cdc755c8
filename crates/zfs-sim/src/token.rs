//! Resume tokens: `1-<checksum>-<size>-<deflated nvlist in hex>`, as `zfs_send_resume_token_to_nvlist` of
//! libzfs reads them.

use std::io::Write;

use anyhow::Result;
use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::state::{Progress, Receiving};
use crate::stream::Fletcher4;

/// DMU_BACKUP_FEATURE bits, and the flag of the token that each asks for.
const FLAGS: [(u64, &str); 3] =
    [(1 << 21, "largeblockok"), (1 << 16, "embedok"), (1 << 22, "compressok")];

const BOOLEAN: i32 = 1;
const UINT64: i32 = 8;
const STRING: i32 = 9;

/// The token that would go on with a receive.
pub(crate) fn encode(receiving: &Receiving, progress: Progress) -> Result<String> {
    let packed = pack(receiving, progress)?;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&packed)?;
    let deflated = encoder.finish()?;
    let hex: String = deflated.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("1-{:x}-{:x}-{hex}", checksum(&deflated), packed.len()))
}

fn checksum(deflated: &[u8]) -> u64 {
    let mut sum = Fletcher4::default();
    sum.update(deflated);
    sum.first()
}

fn pack(receiving: &Receiving, progress: Progress) -> Result<Vec<u8>> {
    let mut list = Nvlist::new();
    list.pair("object", UINT64, &progress.object.to_le_bytes(), 1)?;
    list.pair("offset", UINT64, &progress.offset.to_le_bytes(), 1)?;
    list.pair("bytes", UINT64, &progress.bytes.to_le_bytes(), 1)?;
    list.pair("toguid", UINT64, &receiving.toguid.to_le_bytes(), 1)?;
    list.pair("toname", STRING, format!("{}\0", receiving.toname).as_bytes(), 1)?;
    for (_, flag) in FLAGS.iter().filter(|(feature, _)| receiving.features & feature != 0) {
        list.pair(flag, BOOLEAN, &[], 0)?;
    }
    Ok(list.finish())
}

/// A packed nvlist in native encoding on a little-endian machine.
struct Nvlist(Vec<u8>);

impl Nvlist {
    fn new() -> Self {
        // Encoding native, little-endian; version 0, unique names.
        Self(vec![0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    }

    fn pair(&mut self, name: &str, kind: i32, value: &[u8], elements: i32) -> Result<()> {
        let header = 16 + name.len() + 1;
        let size = header.next_multiple_of(8) + value.len().next_multiple_of(8);
        let start = self.0.len();
        self.0.extend(i32::try_from(size)?.to_le_bytes());
        self.0.extend(i16::try_from(name.len() + 1)?.to_le_bytes());
        self.0.extend([0; 2]);
        self.0.extend(elements.to_le_bytes());
        self.0.extend(kind.to_le_bytes());
        self.0.extend(name.as_bytes());
        self.0.resize(start + header.next_multiple_of(8), 0);
        self.0.extend(value);
        self.0.resize(start + size, 0);
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend([0; 4]);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::ZlibDecoder;

    use super::*;

    /// A token of OpenZFS 2.3.2, and what it had received.
    const REAL: &str = "1-98dd5bcf1-b8-789c636064000310a500c4ec50360710e72765a52697303030419460caa7a515a7968064b4e0f26c48f24\
        99525a9c540fa828a0e56fd25f9e9a599290c0c5c723b9efadf3befac8124cf0996cf4bcc4d05d28979d9fa890ec5860c0800000db415a2";

    fn receiving() -> (Receiving, Progress) {
        let receiving = Receiving {
            toguid: 0x43cf_de4f_e5b8_1e0a,
            toname: "tank/a@s1".to_owned(),
            features: 0,
            resumable: true,
        };
        (receiving, Progress { object: 2, offset: 0x2a_0000, bytes: 0x2c_24d0 })
    }

    #[test]
    fn a_token_holds_what_a_real_one_holds() {
        let deflated = |token: &str| -> Vec<u8> {
            let hex = token.rsplit('-').next().unwrap();
            (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect()
        };
        let packed = |token: &str| {
            let mut packed = Vec::new();
            ZlibDecoder::new(deflated(token).as_slice()).read_to_end(&mut packed).unwrap();
            packed
        };
        let (receiving, progress) = receiving();
        let ours = encode(&receiving, progress).unwrap();
        assert_eq!(packed(&ours), packed(REAL));
        for token in [REAL, ours.as_str()] {
            let parts: Vec<_> = token.split('-').collect();
            assert_eq!(
                u64::from_str_radix(parts[1], 16).unwrap(),
                checksum(&deflated(token)),
                "{token}"
            );
            assert_eq!(
                usize::from_str_radix(parts[2], 16).unwrap(),
                packed(token).len(),
                "{token}"
            );
        }
    }
}
