//! The key of one direction: how a record is sealed and opened.
//!
//! TLS 1.3: RFC 8446, 5.2 and 5.3. TLS 1.2: RFC 5246, 6.2.3.3, with RFC 5288 (AES-GCM) or RFC 7905 (ChaCha20).

use ring::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, InvalidMessage, PeerMisbehaved, ProtocolVersion,
};

/// Type, version and length, before what is sealed.
pub(super) const HEADER: usize = 5;
/// The most data in a record.
pub(super) const MOST_DATA: usize = 1 << 14;
/// The longest record, header and all. A key opens none that is longer.
pub(super) const LONGEST: usize = HEADER + MOST_DATA + 256;

const TAG: usize = 16;
const NONCE: usize = 12;
/// As much of the nonce is in each record of TLS 1.2 with AES.
const EXPLICIT: usize = 8;

/// How long the record is that begins with this header.
pub(super) fn length([kind, version, _, high, low]: [u8; HEADER]) -> Result<usize, Error> {
    if let ContentType::Unknown(_) = ContentType::from(kind) {
        return Err(InvalidMessage::InvalidContentType.into());
    }
    if version != 3 {
        return Err(InvalidMessage::UnknownProtocolVersion.into());
    }
    let length = HEADER + usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST { Err(InvalidMessage::MessageTooLarge.into()) } else { Ok(length) }
}

/// A key, and how often it was used.
pub(super) struct Key {
    aead: LessSafeKey,
    iv: [u8; NONCE],
    sequence: u64,
    /// So many records may be sealed with it.
    limit: u64,
    format: Format,
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    /// The type is sealed, too, behind the data.
    Tls13,
    /// So much of the nonce goes before the data.
    Tls12 { explicit: usize },
}

impl Key {
    /// What rustls agreed on: the number of the next record, and the secrets.
    pub(super) fn new(
        version: ProtocolVersion,
        limit: u64,
        (sequence, secrets): (u64, ConnectionTrafficSecrets),
    ) -> Result<Self, Error> {
        use ConnectionTrafficSecrets::{Aes128Gcm, Aes256Gcm, Chacha20Poly1305};
        let (algorithm, key, iv): (&'static Algorithm, _, _) = match &secrets {
            Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(Error::General("a cipher that isn't known here".to_owned())),
        };
        let unusable = |_| Error::General("a key of the wrong length".to_owned());
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(unusable)?;
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(iv.as_ref());
        let format = match version {
            ProtocolVersion::TLSv1_3 => Format::Tls13,
            _ if *algorithm == CHACHA20_POLY1305 => Format::Tls12 { explicit: 0 },
            _ => Format::Tls12 { explicit: EXPLICIT },
        };
        Ok(Self { aead: LessSafeKey::new(key), iv: nonce, sequence, limit, format })
    }

    /// Whether it may seal one more at most, which is to announce the next key.
    pub(super) fn is_used_up(&self) -> bool {
        self.sequence + 1 >= self.limit
    }

    #[cfg(test)]
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    #[cfg(test)]
    pub(super) fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    #[cfg(test)]
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Each number makes a nonce, once.
    fn next(&mut self) -> (u64, [u8; NONCE]) {
        let (sequence, mut nonce) = (self.sequence, self.iv);
        self.sequence += 1;
        for (byte, number) in nonce[NONCE - 8..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= number;
        }
        (sequence, nonce)
    }

    /// Appends a record to `out`. It holds at most [`MOST_DATA`].
    pub(super) fn seal(
        &mut self,
        kind: ContentType,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (sequence, nonce) = self.next();
        let (outer, explicit, inner) = match self.format {
            Format::Tls13 => (ContentType::ApplicationData, 0, 1),
            Format::Tls12 { explicit } => (kind, explicit, 0),
        };
        let header = header(outer, explicit + data.len() + inner + TAG);
        out.extend(header);
        out.extend(&nonce[NONCE - explicit..]);
        let start = out.len();
        out.extend_from_slice(data);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = if self.format == Format::Tls13 {
            out.push(kind.into());
            self.aead.seal_in_place_separate_tag(nonce, Aad::from(header), &mut out[start..])
        } else {
            let aad = Aad::from(numbered(sequence, kind, data.len()));
            self.aead.seal_in_place_separate_tag(nonce, aad, &mut out[start..])
        };
        out.extend(sealed.map_err(|_| Error::EncryptError)?.as_ref());
        Ok(())
    }

    /// Opens the record that `memory` ends with and that begins `at` bytes after its start, which is where the data
    /// goes. Tells its type and how much it is.
    pub(super) fn open(
        &mut self,
        memory: &mut [u8],
        at: usize,
    ) -> Result<(ContentType, usize), Error> {
        let (sequence, mut nonce) = self.next();
        let mut header = [0; HEADER];
        header.copy_from_slice(&memory[at..at + HEADER]);
        let outer = ContentType::from(header[0]);
        if header[1..3] != [3, 3] {
            return Err(InvalidMessage::UnknownProtocolVersion.into());
        }
        let body = memory.len() - at - HEADER;
        let start = at + HEADER;
        let (opened, kind) = match self.format {
            Format::Tls13 if outer != ContentType::ApplicationData => {
                return Err(Error::InappropriateMessage {
                    expect_types: vec![ContentType::ApplicationData],
                    got_type: outer,
                });
            }
            Format::Tls13 => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let aad = Aad::from(header);
                let opened = self.aead.open_within(nonce, aad, memory, start..);
                let inner = opened.map_err(|_| Error::DecryptError)?;
                if inner.len() > MOST_DATA + 1 {
                    return Err(Error::PeerSentOversizedRecord);
                }
                // Zeros may follow the type.
                let end = inner.iter().rposition(|byte| *byte != 0);
                let end = end.ok_or(PeerMisbehaved::IllegalTlsInnerPlaintext)?;
                (end, ContentType::from(inner[end]))
            }
            Format::Tls12 { explicit } => {
                let sealed = start + explicit;
                let data = body.checked_sub(explicit + TAG).ok_or(Error::DecryptError)?;
                nonce[NONCE - explicit..].copy_from_slice(&memory[start..sealed]);
                let nonce = Nonce::assume_unique_for_key(nonce);
                let aad = Aad::from(numbered(sequence, outer, data));
                let opened = self.aead.open_within(nonce, aad, memory, sealed..);
                (opened.map_err(|_| Error::DecryptError)?.len(), outer)
            }
        };
        if opened > MOST_DATA {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok((kind, opened))
    }
}

fn header(kind: ContentType, length: usize) -> [u8; HEADER] {
    let [high, low] = (length as u16).to_be_bytes();
    [kind.into(), 3, 3, high, low]
}

/// What TLS 1.2 authenticates with a record.
fn numbered(sequence: u64, kind: ContentType, length: usize) -> [u8; 8 + HEADER] {
    let mut all = [0; 8 + HEADER];
    all[..8].copy_from_slice(&sequence.to_be_bytes());
    all[8..].copy_from_slice(&header(kind, length));
    all
}
