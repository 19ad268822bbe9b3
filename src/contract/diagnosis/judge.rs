//! What a search has found, said as what differs and how.

use url::Url;

use super::difference::Difference;
use super::given::FormFault;
use super::keys::{Owner, SecretFault};
use super::parts::{Check, Material, Place};
use super::prints::{PRINTS, Print};
use super::variants::ContentFault;
use crate::contract::json;
use crate::domain::Timestamp;

/// Something that keeps a signature from being good, or that somebody should know of one that
/// is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// The signature stands in another header.
    HeaderName {
        expected: String,
        found: String,
    },
    Form(FormFault),
    Secret {
        owner: Owner,
        fault: Option<SecretFault>,
    },
    Body {
        fault: BodyFault,
        difference: Option<Difference>,
    },
    /// A signed value differs from what was signed; `None` where it is missing.
    Value {
        place: Place,
        signed: Option<String>,
        given: Option<String>,
    },
    Url {
        signed: String,
        given: Option<String>,
        differs: Vec<UrlPart>,
    },
    Method {
        signed: String,
        given: String,
    },
    Content(ContentFault),
    /// Names of hash functions; `keyed` says whether a key went into it.
    Algorithm {
        expected: &'static str,
        found: &'static str,
        keyed: bool,
    },
}

/// How a body came to be another than the one that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// Only its line ends are others.
    LineEnds,
    /// Only line breaks or spaces at its ends.
    Ends,
    /// It was parsed and printed again, in one of these ways.
    Reprinted(Vec<Print>),
    /// It is the same JSON, printed in a way of its own.
    SameJson,
    /// What is signed is the canonical form, and this isn't in it; in which way it is printed.
    NotCanonical(Vec<Print>),
    /// UTF-8 that was read in another character set.
    Charset,
    /// It was put into a JSON string, into base64, or behind a byte order mark.
    Wrapped,
    Empty,
    /// It is another text.
    Other,
}

/// A part of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlPart {
    Scheme,
    Host,
    Port,
    TrailingSlash,
    Path,
    Query,
}

impl Deviation {
    /// Whether a signature is as good with it at this time.
    pub(super) fn is_harmless(&self, now: Timestamp) -> bool {
        match self {
            Deviation::Body { fault, .. } => *fault == BodyFault::LineEnds,
            Deviation::Secret { owner, fault } => {
                owner.chosen && fault.is_none() && owner.until.is_none_or(|end| now < end)
            }
            _ => false,
        }
    }
}

/// What differs between the material that was signed and the one that is at hand.
pub(super) fn differences(
    check: &Check<'_>,
    signed: &Material,
    given: &Material,
) -> Vec<Deviation> {
    let mut found = Vec::new();
    if signed.body != given.body {
        let difference = Difference::between(&signed.body, &given.body);
        let fault = body_fault(check, &signed.body, &given.body);
        found.push(Deviation::Body { fault, difference });
    }
    for ((place, signed), (_, given)) in signed.values.places(check).zip(given.values.places(check))
    {
        if signed != given {
            let owned = |value: Option<&str>| value.map(str::to_owned);
            found.push(Deviation::Value { place, signed: owned(signed), given: owned(given) });
        }
    }
    if signed.method != given.method {
        let (signed, given) = (signed.method.clone(), given.method.clone());
        found.push(Deviation::Method { signed, given });
    }
    if let Some(url) = &signed.url
        && signed.url != given.url
    {
        let differs = given.url.as_ref().map(|given| url_parts(url, given)).unwrap_or_default();
        let given = given.url.as_ref().map(Url::to_string);
        found.push(Deviation::Url { signed: url.to_string(), given, differs });
    }
    found
}

fn body_fault(check: &Check<'_>, signed: &str, given: &str) -> BodyFault {
    let unix = |text: &str| text.replace("\r\n", "\n");
    if given.is_empty() {
        return BodyFault::Empty;
    }
    if unix(signed) == unix(given) {
        return BodyFault::LineEnds;
    }
    if signed.trim() == given.trim() {
        return BodyFault::Ends;
    }
    // One byte more than what is there, for the line break that some print behind it.
    let printed = |print: &Print| print.print(signed, given.len() + 1);
    let is_given = |text: String| text.trim_end() == given.trim_end();
    let ways: Vec<Print> =
        PRINTS.into_iter().filter(|print| printed(print).is_ok_and(is_given)).collect();
    let canonical = |text: &str| json::canonical(text).ok();
    if check.canonical && canonical(given).is_some_and(|text| text == signed) {
        return BodyFault::NotCanonical(ways);
    }
    if !ways.is_empty() {
        return BodyFault::Reprinted(ways);
    }
    // Numbers that were read and written again are the same to JavaScript.
    let same = |text: &str| canonical(&json::stringified(text).ok()?);
    if let (Some(one), Some(other)) = (same(signed), same(given))
        && one == other
    {
        return BodyFault::SameJson;
    }
    if is_latin1_of(signed, given) {
        return BodyFault::Charset;
    }
    if is_wrapped(signed, given) {
        return BodyFault::Wrapped;
    }
    BodyFault::Other
}

/// Whether one is the bytes of the other, read as Latin-1.
fn is_latin1_of(signed: &str, given: &str) -> bool {
    let read = |text: &str| text.bytes().map(char::from).collect::<String>();
    !signed.is_ascii() && read(signed) == given
}

fn is_wrapped(signed: &str, given: &str) -> bool {
    let trimmed = given.trim();
    let in_string = || json::content(trimmed).is_ok_and(|text| text == signed);
    let in_base64 = || {
        let bytes = crate::contract::Encoding::Base64.read(trimmed);
        bytes.is_some_and(|bytes| bytes == signed.as_bytes())
    };
    given.strip_prefix('\u{feff}') == Some(signed)
        || (trimmed.starts_with('"') && in_string())
        || in_base64()
}

fn url_parts(signed: &Url, given: &Url) -> Vec<UrlPart> {
    let mut parts = Vec::new();
    let mut add = |differs: bool, part| {
        if differs {
            parts.push(part);
        }
    };
    let (path, other) = (signed.path(), given.path());
    let slash = path != other && path.trim_end_matches('/') == other.trim_end_matches('/');
    add(signed.scheme() != given.scheme(), UrlPart::Scheme);
    add(signed.host_str() != given.host_str(), UrlPart::Host);
    add(signed.port() != given.port(), UrlPart::Port);
    add(slash, UrlPart::TrailingSlash);
    add(path != other && !slash, UrlPart::Path);
    add(signed.query() != given.query(), UrlPart::Query);
    parts
}
