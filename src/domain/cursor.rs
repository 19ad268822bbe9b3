//! Cursors: how far somebody has read an application's events.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::{ApplicationId, MessageId};

const PREFIX: &str = "cur_";

/// Bytes of the event's id, and of the check behind it.
const ID_BYTES: usize = 16;
const CHECK_BYTES: usize = 4;

/// A place among an application's events: everything up to it has been read.
///
/// Its text holds the id of an event, and a check that ties it to the application. The check is there
/// to find mistakes, not to keep anybody out: a cursor opens nothing that its bearer's key
/// doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub application: ApplicationId,
    /// The last event that was read or passed over, [`MessageId::LOWEST`] before the first.
    pub after: MessageId,
}

/// The text is not a cursor of this application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this application's events")]
pub struct InvalidCursor;

impl Cursor {
    /// Reads the text of a cursor.
    ///
    /// # Errors
    /// Where it is damaged, or belongs to another application.
    pub fn parse(application: ApplicationId, text: &str) -> Result<Cursor, InvalidCursor> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidCursor)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| InvalidCursor)?;
        let id = *bytes.first_chunk::<ID_BYTES>().ok_or(InvalidCursor)?;
        let cursor = Cursor { application, after: MessageId::from_bytes(id) };
        if cursor.bytes().as_slice() == bytes { Ok(cursor) } else { Err(InvalidCursor) }
    }

    fn bytes(&self) -> [u8; ID_BYTES + CHECK_BYTES] {
        let id = self.after.bytes();
        let check = Sha256::new().chain_update(self.application.bytes()).chain_update(id);
        let mut bytes = [0; ID_BYTES + CHECK_BYTES];
        bytes[..ID_BYTES].copy_from_slice(id);
        bytes[ID_BYTES..].copy_from_slice(&check.finalize()[..CHECK_BYTES]);
        bytes
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(self.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Id, Timestamp};

    fn id<K>(seed: u8) -> Id<K> {
        Id::at(Timestamp::from_seconds(1_750_000_000), [seed; 8])
    }

    #[test]
    fn a_cursor_is_read_back_by_its_own_application_only() {
        for after in [MessageId::LOWEST, id(3), MessageId::from_bytes([0xff; 16])] {
            let cursor = Cursor { application: id(1), after };
            let text = cursor.to_string();
            assert_eq!(text.len(), 31, "{text}");
            assert_eq!(Cursor::parse(id(1), &text), Ok(cursor));
            assert_eq!(Cursor::parse(id(2), &text), Err(InvalidCursor));
        }
    }

    // As computed by Python's hashlib and base64.
    #[test]
    fn its_text_never_changes() {
        let text = Cursor { application: id(7), after: id(9) }.to_string();
        assert_eq!(text, "cur_AZd0INwAcACJCQkJCQkJCapeJuE");
    }

    #[test]
    fn any_changed_character_is_noticed() {
        let text = Cursor { application: id(1), after: id(5) }.to_string();
        for place in 0..text.len() {
            for other in ["A", "z", "-", " ", "=", ""] {
                let changed = format!("{}{other}{}", &text[..place], &text[place + 1..]);
                let unchanged = changed == text;
                assert_eq!(Cursor::parse(id(1), &changed).is_ok(), unchanged, "{changed}");
            }
        }
        for text in ["", "cur_", "cur_AAAA", "77", "latest", "cur_é", &format!("{text}A")] {
            assert_eq!(Cursor::parse(id(1), text), Err(InvalidCursor), "{text}");
        }
    }
}
