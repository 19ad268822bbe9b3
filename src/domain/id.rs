//! Ids: a prefix that says what it is, and a time-ordered part.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use super::Timestamp;

/// A UUID version 7 (RFC 9562), written as a prefix and 22 characters of base 62.
///
/// The text sorts like the id, and the id like the time it was made, down to about a
/// microsecond: the twelve bits after the version hold the fraction of the millisecond.
pub struct Id<K> {
    bytes: [u8; 16],
    kind: PhantomData<fn() -> K>,
}

/// What an id belongs to.
pub trait IdKind {
    /// The prefix of its text form, underscore included.
    const PREFIX: &'static str;
}

macro_rules! id_kinds {
    ($($(#[$doc:meta])* $kind:ident $alias:ident $prefix:literal;)*) => {$(
        /// The kind of an id.
        pub enum $kind {}
        impl IdKind for $kind {
            const PREFIX: &'static str = $prefix;
        }
        $(#[$doc])*
        pub type $alias = Id<$kind>;
    )*};
}

id_kinds! {
    /// The id of an application, `app_…`.
    ApplicationKind ApplicationId "app_";
    /// The id of an endpoint, `ep_…`.
    EndpointKind EndpointId "ep_";
    /// The id of a message, `msg_…`.
    MessageKind MessageId "msg_";
    /// The id of an attempt, `atmpt_…`.
    AttemptKind AttemptId "atmpt_";
    /// The id of an API key, `key_…`.
    KeyKind KeyId "key_";
    /// The id of a server process, which owns the leases that it takes.
    NodeKind NodeId "node_";
    /// The id of an entry in an endpoint's history, `hist_…`.
    HistoryKind HistoryId "hist_";
    /// The id of a resend, `qtask_…`: to Svix clients it is a background task.
    ResendIdKind ResendId "qtask_";
}

// In ASCII order, so that text compares like the number.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const TEXT_LENGTH: usize = 22;
/// How many digits of base 62 a `u64` holds.
const DIGITS_PER_PART: usize = 10;
const PART: u128 = 62_u128.pow(DIGITS_PER_PART as u32);

impl<K> Id<K> {
    /// Before and behind all that there can be, for places in lists.
    pub const MIN: Id<K> = Id { bytes: [0; 16], kind: PhantomData };
    pub const MAX: Id<K> = Id { bytes: [0xff; 16], kind: PhantomData };

    /// The id of something made at `time`, told apart by `random`.
    pub fn at(time: Timestamp, random: [u8; 8]) -> Id<K> {
        let micros = u64::try_from(time.as_micros()).unwrap_or(0);
        let (millis, fraction) = (micros / 1_000, micros % 1_000 * 4_096 / 1_000);
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6] = 0x70 | (fraction >> 8) as u8;
        bytes[7] = fraction as u8;
        bytes[8..].copy_from_slice(&random);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Id::from_bytes(bytes)
    }

    /// The smallest id that anything made at `time` can have: for ranges of time.
    pub fn floor(time: Timestamp) -> Id<K> {
        Id::at(time, [0; 8])
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Id<K> {
        Id { bytes, kind: PhantomData }
    }

    pub const fn bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// Lower than every id that is ever made.
    pub const LOWEST: Id<K> = Id::from_bytes([0; 16]);

    /// The next higher id.
    pub fn successor(&self) -> Id<K> {
        Id::from_bytes(u128::from_be_bytes(self.bytes).saturating_add(1).to_be_bytes())
    }

    /// The time that it was made at, or a microsecond before. It grows with the id.
    pub fn time(&self) -> Timestamp {
        let [a, b, c, d, e, f, high, low, ..] = self.bytes;
        let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let fraction = i64::from(u16::from_be_bytes([high & 0x0f, low]));
        Timestamp::from_micros(
            millis.saturating_mul(1_000).saturating_add(fraction * 1_000 / 4_096),
        )
    }

    /// The usual text of a UUID, for contracts whose ids are UUIDs.
    pub fn uuid(&self) -> String {
        let hex = hex::encode(self.bytes);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// The text without the prefix.
    pub fn suffix(&self) -> String {
        let mut number = u128::from_be_bytes(self.bytes);
        let mut text = [b'0'; TEXT_LENGTH];
        // In parts that fit into 64 bits, which are divided ten times as fast.
        for part in text.rchunks_mut(DIGITS_PER_PART) {
            let mut digits = (number % PART) as u64;
            number /= PART;
            for place in part.iter_mut().rev() {
                *place = ALPHABET[(digits % 62) as usize];
                digits /= 62;
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Reads what [`Id::uuid`] writes.
    pub fn from_uuid(text: &str) -> Option<Id<K>> {
        let hyphens =
            text.len() == 36 && [8, 13, 18, 23].iter().all(|&at| text.as_bytes()[at] == b'-');
        let bytes = hex::decode(text.replace('-', "")).ok()?;
        bytes.try_into().ok().filter(|_| hyphens).map(Id::from_bytes)
    }

    /// Reads what [`Id::suffix`] writes.
    pub fn from_suffix(text: &str) -> Option<Id<K>> {
        if text.len() != TEXT_LENGTH {
            return None;
        }
        let mut number: u128 = 0;
        for byte in text.bytes() {
            let digit = ALPHABET.binary_search(&byte).ok()?;
            number = number.checked_mul(62)?.checked_add(digit as u128)?;
        }
        Some(Id::from_bytes(number.to_be_bytes()))
    }
}

/// The text is not an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

impl<K: IdKind> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Id<K>, InvalidId> {
        text.strip_prefix(K::PREFIX).and_then(Id::from_suffix).ok_or(InvalidId)
    }
}

impl<K: IdKind> serde::Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: IdKind> serde::Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Id<K>, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", K::PREFIX, self.suffix())
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Id<K> {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Id<K>) -> bool {
        self.bytes == other.bytes
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Id<K>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Id<K>) -> std::cmp::Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The random half, which alone tells ids apart; hashing all of it takes twice as long.
        state.write_u64(u64::from_be_bytes(*self.bytes.last_chunk().unwrap_or(&[0; 8])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_there_and_back_and_sorts_like_time() {
        let mut last = String::new();
        for micros in [0, 1, 999, 1_000, 1_752_575_400_123_456, 4_000_000_000_000_000] {
            let id = MessageId::at(Timestamp::from_micros(micros), [0xab; 8]);
            let text = id.to_string();
            assert_eq!(text.parse(), Ok(id));
            assert!(text > last, "{text} sorts after {last}");
            last = text;
        }
    }

    #[test]
    fn other_kinds_and_overlong_numbers_are_refused() {
        let id = MessageId::at(Timestamp::from_seconds(1), [1; 8]).to_string();
        assert!(id.parse::<EndpointId>().is_err());
        assert!("msg_".parse::<MessageId>().is_err());
        assert!("msg_zzzzzzzzzzzzzzzzzzzzzz".parse::<MessageId>().is_err());
        assert!(format!("{id}0").parse::<MessageId>().is_err());
    }

    #[test]
    fn it_is_a_version_7_uuid() {
        let id = MessageId::at(Timestamp::from_micros(1_645_557_742_000_500), [0xff; 8]);
        assert_eq!(id.uuid(), "017f22e2-79b0-7800-bfff-ffffffffffff");
        assert_eq!(Id::from_uuid(&id.uuid()), Some(id));
        for text in ["", "017f22e279b07800bfffffffffffffff", "017f22e2-79b0-7800-bfff-fffffffffff-"]
        {
            assert_eq!(MessageId::from_uuid(text), None);
        }
    }
}
