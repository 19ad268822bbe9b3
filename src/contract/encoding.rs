//! How bytes are written: signatures, secrets, digests.

use base64::Engine as _;
use base64::alphabet::{STANDARD as STANDARD_ALPHABET, URL_SAFE as URL_SAFE_ALPHABET};
use base64::engine::general_purpose::{
    NO_PAD, STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD,
};
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use serde::Deserialize;

/// Writes the alphabet for URLs without padding.
pub(super) const URL_SAFE_UNPADDED: GeneralPurpose = URL_SAFE_NO_PAD;

/// Reads the alphabet for URLs with or without padding.
pub(super) const URL_SAFE_EITHER: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE_ALPHABET,
    NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the standard alphabet with or without padding.
const STANDARD_EITHER: GeneralPurpose = GeneralPurpose::new(
    &STANDARD_ALPHABET,
    NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Lower-case hexadecimal digits.
    #[default]
    Hex,
    /// Upper-case hexadecimal digits.
    HexUpper,
    /// Standard alphabet, with padding.
    Base64,
    /// Standard alphabet, without padding.
    Base64Unpadded,
    /// The alphabet for URLs, with padding.
    Base64url,
    /// The alphabet for URLs, without padding.
    Base64urlUnpadded,
}

impl Encoding {
    /// The bytes, written.
    pub(super) fn write(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => hex::encode(bytes),
            Encoding::HexUpper => hex::encode_upper(bytes),
            Encoding::Base64 => STANDARD.encode(bytes),
            Encoding::Base64Unpadded => STANDARD_NO_PAD.encode(bytes),
            Encoding::Base64url => URL_SAFE.encode(bytes),
            Encoding::Base64urlUnpadded => URL_SAFE_UNPADDED.encode(bytes),
        }
    }

    /// The bytes behind a text; with or without padding, in either case.
    pub(super) fn read(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Encoding::Hex | Encoding::HexUpper => hex::decode(text).ok(),
            Encoding::Base64 | Encoding::Base64Unpadded => STANDARD_EITHER.decode(text).ok(),
            Encoding::Base64url | Encoding::Base64urlUnpadded => URL_SAFE_EITHER.decode(text).ok(),
        }
    }

    /// What people call it.
    pub const fn words(self) -> &'static str {
        match self {
            Encoding::Hex => "hexadecimal digits",
            Encoding::HexUpper => "hexadecimal digits in upper case",
            Encoding::Base64 => "base64",
            Encoding::Base64Unpadded => "base64 without padding",
            Encoding::Base64url => "base64url",
            Encoding::Base64urlUnpadded => "base64url without padding",
        }
    }
}
