//! What goes on in a connection once TLS was agreed: data, key updates, alerts. Does no I/O.
//!
//! rustls does the handshake and derives every key. It hands them over as it does for TLS in the kernel
//! ([`rustls::kernel`]), since its own records are copied three times on their way in: here they are opened in the
//! very memory that they were read into.

use rustls::kernel::KernelConnection;
use rustls::{
    AlertDescription, ConnectionTrafficSecrets, ContentType, Error, ExtractedSecrets,
    HandshakeType, InvalidMessage, PeerMisbehaved, ProtocolVersion,
};

use super::key::{HEADER, Key, MOST_DATA, length};

/// So many records in a row may bring no data. Each costs something, and a peer has no reason to send more.
const MOST_IDLE: u32 = 32;
/// The longest message of a handshake that may come after it, a ticket.
const LONGEST_MESSAGE: usize = 64 << 10;

/// Derives keys, as only rustls can.
pub(super) trait Keys: Send {
    /// The key that this end seals with next.
    fn next_sending(&mut self) -> Result<(u64, ConnectionTrafficSecrets), Error>;
    /// The key that the peer seals with next.
    fn next_receiving(&mut self) -> Result<(u64, ConnectionTrafficSecrets), Error>;
}

impl<Data: Send> Keys for KernelConnection<Data> {
    fn next_sending(&mut self) -> Result<(u64, ConnectionTrafficSecrets), Error> {
        self.update_tx_secret()
    }

    fn next_receiving(&mut self) -> Result<(u64, ConnectionTrafficSecrets), Error> {
        self.update_rx_secret()
    }
}

/// What a client may hear from its server after the handshake, in TLS 1.3. Nobody may begin a new one in TLS 1.2.
pub(super) const FROM_SERVER: &[HandshakeType] =
    &[HandshakeType::KeyUpdate, HandshakeType::NewSessionTicket];
/// What a server may hear from its client.
pub(super) const FROM_CLIENT: &[HandshakeType] = &[HandshakeType::KeyUpdate];

/// Both directions of a connection.
pub(super) struct Records {
    version: ProtocolVersion,
    /// So many records may be sealed with one key.
    limit: u64,
    sending: Key,
    receiving: Key,
    keys: Box<dyn Keys>,
    /// The messages of a handshake that the peer may send now.
    expected: &'static [HandshakeType],
    /// A message of a handshake that has not come whole.
    message: Vec<u8>,
    /// How many records in a row brought no data.
    idle: u32,
    /// The peer wants this end to change its key.
    asked_for_update: bool,
    received_close_notify: bool,
    sent_close_notify: bool,
}

impl Records {
    pub(super) fn new<Data>(
        secrets: ExtractedSecrets,
        keys: KernelConnection<Data>,
        expected: &'static [HandshakeType],
    ) -> Result<Self, Error>
    where
        KernelConnection<Data>: Keys + 'static,
    {
        let version = keys.protocol_version();
        let suite = keys.negotiated_cipher_suite();
        let limit = match suite {
            rustls::SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit,
            rustls::SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
        };
        Ok(Self {
            version,
            limit,
            sending: Key::new(version, limit, secrets.tx)?,
            receiving: Key::new(version, limit, secrets.rx)?,
            keys: Box::new(keys),
            expected,
            message: Vec::new(),
            idle: 0,
            asked_for_update: false,
            received_close_notify: false,
            sent_close_notify: false,
        })
    }

    /// How many records the key of this end has sealed.
    #[cfg(test)]
    pub(super) fn sealed(&self) -> u64 {
        self.sending.sequence()
    }

    /// As if every key could seal only so many.
    #[cfg(test)]
    pub(super) fn seal_at_most(&mut self, records: u64) {
        self.limit = records;
        self.sending.set_limit(records);
    }

    /// Whether the peer has said that it sends no more.
    pub(super) fn received_close_notify(&self) -> bool {
        self.received_close_notify
    }

    /// Seals `data`, at most [`MOST_DATA`] of it, behind what has to be said first.
    pub(super) fn seal(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        debug_assert!(data.len() <= MOST_DATA);
        self.keep_key_fresh(out)?;
        self.sending.seal(ContentType::ApplicationData, data, out)
    }

    /// Changes the key of this end if the peer asked for that, or the key has sealed as much as it may.
    fn keep_key_fresh(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.asked_for_update && !self.sending.is_used_up() {
            return Ok(());
        }
        if self.version != ProtocolVersion::TLSv1_3 {
            return Err(Error::General("the key of TLS 1.2 is used up".to_owned()));
        }
        let next = Key::new(self.version, self.limit, self.keys.next_sending()?)?;
        // Its body: the peer need not do the same.
        let message = [HandshakeType::KeyUpdate.into(), 0, 0, 1, 0];
        self.sending.seal(ContentType::Handshake, &message, out)?;
        self.sending = next;
        self.asked_for_update = false;
        Ok(())
    }

    /// Says that nothing more will be sent, once.
    pub(super) fn close_notify(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if std::mem::replace(&mut self.sent_close_notify, true) {
            return Ok(());
        }
        self.send_alert(1, AlertDescription::CloseNotify, out)
    }

    /// Tells the peer why this end gives up, unless the peer has said so itself.
    pub(super) fn give_up(&mut self, about: &Error, out: &mut Vec<u8>) -> Result<(), Error> {
        let what = match about {
            Error::AlertReceived(_) => return Ok(()),
            Error::DecryptError => AlertDescription::BadRecordMac,
            Error::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
            Error::InvalidMessage(InvalidMessage::MessageTooLarge) => {
                AlertDescription::RecordOverflow
            }
            Error::InvalidMessage(_) => AlertDescription::DecodeError,
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(_) => AlertDescription::UnexpectedMessage,
            _ => AlertDescription::InternalError,
        };
        self.sent_close_notify = true;
        self.send_alert(2, what, out)
    }

    fn send_alert(
        &mut self,
        level: u8,
        what: AlertDescription,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.sending.seal(ContentType::Alert, &[level, what.into()], out)
    }

    /// Opens the records that are whole in `memory`, and leaves their data at its start. What comes after an error or a
    /// close_notify is of no meaning.
    pub(super) fn open(&mut self, memory: &mut [u8]) -> Opened {
        let (mut data, mut rest) = (0, 0);
        let error = loop {
            let end = match whole_record(&memory[rest..]) {
                Ok(Some(length)) => rest + length,
                Ok(None) => return Opened { data, rest, error: None },
                Err(error) => break Some(error),
            };
            match self.open_one(&mut memory[data..end], rest - data) {
                Ok(more) => data += more,
                Err(error) => break Some(error),
            }
            rest = end;
            if self.received_close_notify {
                break None;
            }
        };
        Opened { data, rest: memory.len(), error }
    }

    /// Opens the record that `memory` ends with, `at` bytes after its start. Tells how much data is at the start now.
    fn open_one(&mut self, memory: &mut [u8], at: usize) -> Result<usize, Error> {
        let (kind, length) = self.receiving.open(memory, at)?;
        if kind == ContentType::ApplicationData && length > 0 {
            self.idle = 0;
        } else {
            self.idle += 1;
        }
        if self.idle > MOST_IDLE {
            return Err(PeerMisbehaved::TooManyEmptyFragments.into());
        }
        if !self.message.is_empty() && kind != ContentType::Handshake {
            return Err(PeerMisbehaved::MessageInterleavedWithHandshakeMessage.into());
        }
        match kind {
            ContentType::ApplicationData => return Ok(length),
            ContentType::Alert => self.receive_alert(&memory[..length])?,
            ContentType::Handshake => self.receive_handshake(&memory[..length])?,
            got_type => {
                let expect_types =
                    vec![ContentType::ApplicationData, ContentType::Alert, ContentType::Handshake];
                return Err(Error::InappropriateMessage { expect_types, got_type });
            }
        }
        Ok(0)
    }

    fn receive_alert(&mut self, alert: &[u8]) -> Result<(), Error> {
        let [level, what] = alert else { return Err(InvalidMessage::MessageTooShort.into()) };
        match (AlertDescription::from(*what), level) {
            (AlertDescription::CloseNotify, _) => self.received_close_notify = true,
            // A close_notify follows.
            (AlertDescription::UserCanceled, _) => {}
            (_, 1) if self.version != ProtocolVersion::TLSv1_3 => {}
            (what, _) => return Err(Error::AlertReceived(what)),
        }
        Ok(())
    }

    /// Takes part of what the peer says in messages of a handshake.
    fn receive_handshake(&mut self, part: &[u8]) -> Result<(), Error> {
        if part.is_empty() {
            return Err(InvalidMessage::InvalidEmptyPayload.into());
        }
        self.message.extend_from_slice(part);
        let mut heard = 0;
        while let [kind, high, middle, low, body @ ..] = &self.message[heard..] {
            let kind = HandshakeType::from(*kind);
            let expect_types = self.expected;
            if self.version != ProtocolVersion::TLSv1_3 || !expect_types.contains(&kind) {
                return Err(Error::InappropriateHandshakeMessage {
                    expect_types: expect_types.to_vec(),
                    got_type: kind,
                });
            }
            let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            if length > LONGEST_MESSAGE {
                return Err(InvalidMessage::HandshakePayloadTooLarge.into());
            }
            let Some((body, rest)) = body.split_at_checked(length) else { break };
            if kind == HandshakeType::KeyUpdate {
                self.asked_for_update |= match body {
                    [0] => false,
                    [1] => true,
                    _ => return Err(InvalidMessage::InvalidKeyUpdate.into()),
                };
                // What follows is sealed with the new key, in another record.
                if !rest.is_empty() {
                    return Err(PeerMisbehaved::KeyEpochWithPendingFragment.into());
                }
                self.receiving = Key::new(self.version, self.limit, self.keys.next_receiving()?)?;
            }
            // A ticket is for another connection, and none begins with one here.
            heard = self.message.len() - rest.len();
        }
        self.message.drain(..heard);
        Ok(())
    }
}

/// What became of some records.
pub(super) struct Opened {
    /// How many bytes of data they held.
    pub(super) data: usize,
    /// Where the record begins that isn't whole.
    pub(super) rest: usize,
    /// What was wrong after that data.
    pub(super) error: Option<Error>,
}

/// The length of the record that `bytes` begin with, if it is whole.
pub(super) fn whole_record(bytes: &[u8]) -> Result<Option<usize>, Error> {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    Ok(Some(length(*header)?).filter(|length| *length <= bytes.len()))
}

#[cfg(test)]
mod tests;
