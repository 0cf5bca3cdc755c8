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
    let mut list = Nvlist::new();
    list.pair("object", UINT64, &progress.object.to_le_bytes(), 1)?;
    list.pair("offset", UINT64, &progress.offset.to_le_bytes(), 1)?;
    list.pair("bytes", UINT64, &progress.bytes.to_le_bytes(), 1)?;
    list.pair("toguid", UINT64, &receiving.toguid.to_le_bytes(), 1)?;
    list.pair("toname", STRING, format!("{}\0", receiving.toname).as_bytes(), 1)?;
    for (_, flag) in FLAGS.iter().filter(|(feature, _)| receiving.features & feature != 0) {
        list.pair(flag, BOOLEAN, &[], 0)?;
    }
    let packed = list.finish();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&packed)?;
    let deflated = encoder.finish()?;
    let mut sum = Fletcher4::default();
    sum.update(&deflated);
    let hex: String = deflated.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("1-{:x}-{:x}-{hex}", sum.first(), packed.len()))
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
