//! What a signature is made over, put together from a request as its receiver has it.

use std::borrow::Cow;

use url::{Position, Url};

use super::pasted::RequestText;
use crate::contract::Contract;
use crate::contract::form;
use crate::contract::scope::without_query;
use crate::contract::signature::{Algorithm, Signature, SignedBy};
use crate::contract::verifier::Part;
use crate::contract::verifier::expression::{Piece, pieces};
use crate::domain::Timestamp;

/// What stands for a secret in content that is shown.
pub const MASK: &str = "‹the secret›";

/// A signature that a receiver can check.
pub(super) struct Check<'c> {
    pub(super) signature: &'c Signature,
    /// Its header, in lower case.
    pub(super) header: String,
    /// The same as the contract writes it.
    pub(super) spelling: String,
    pub(super) parts: Vec<Part>,
    pub(super) format: Vec<Piece>,
    /// What its header holds beside signatures, as expressions.
    pub(super) fields: Vec<String>,
    /// What parts its signatures from others in the same header.
    pub(super) shared: Option<String>,
    /// Whether the body is signed in canonical form, so that one in another form is as good.
    pub(super) canonical: bool,
    /// The header or field that says when the request was made.
    pub(super) time: Option<(Place, TimeForm)>,
}

/// Where a signed value stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Header(String),
    /// Beside the signatures in their header; an expression of the contract.
    Field(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeForm {
    Seconds,
    Millis,
    Rfc3339,
}

/// What a part of signed content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind {
    Literal,
    Body,
    CanonicalBody,
    Method,
    Url,
    FullUrl,
    Host,
    Path,
    Secret,
    Query,
    SortedQuery,
    Value(Place),
}

/// A part of signed content, with what it is in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPart {
    pub kind: PartKind,
    /// Where it is missing, nothing can be signed.
    pub value: Option<String>,
}

impl Contract {
    /// The signatures that receivers can check.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) fn checks(&self) -> Result<Vec<Check<'_>>, String> {
        let in_headers = self.signatures.iter().filter(|signature| {
            signature.header.is_some() && signature.signed_by != SignedBy::Previous
        });
        let mut why = "The signature doesn't stand in a header".to_owned();
        let mut checks = Vec::new();
        for signature in in_headers {
            match self.check(signature) {
                Ok(check) => checks.push(check),
                Err(problem) => why = problem,
            }
        }
        if checks.is_empty() { Err(why) } else { Ok(checks) }
    }

    fn check<'c>(&'c self, signature: &'c Signature) -> Result<Check<'c>, String> {
        let format = pieces(signature.format.source())?;
        let is_field = |text: &&String| *text != "signature" && !text.starts_with("signatures|");
        let fields: Vec<String> =
            format.iter().filter_map(expression).filter(is_field).cloned().collect();
        let numbered: Vec<(String, usize)> = fields.iter().cloned().zip(0..).collect();
        let content = match signature.algorithm {
            // The secret itself is sent.
            Algorithm::Token => vec![Piece::Expression("secret".to_owned())],
            _ => pieces(signature.content.source())?,
        };
        let canonical = content.contains(&Piece::Expression("body|canonical".to_owned()));
        let parts: Result<Vec<Part>, String> =
            content.iter().map(|piece| self.part(piece.clone(), &numbered)).collect();
        let parts = parts?;
        let header = signature.header.as_ref().ok_or("The signature doesn't stand in a header")?;
        let time = content.iter().zip(&parts).find_map(|(piece, part)| time(piece, part, &fields));
        Ok(Check {
            signature,
            header: header.as_str().to_owned(),
            spelling: self.spelling(header).to_owned(),
            parts,
            format,
            fields,
            shared: self.shared(signature),
            canonical,
            time,
        })
    }
}

impl Check<'_> {
    pub(super) fn signs_method(&self) -> bool {
        self.parts.contains(&Part::Method)
    }

    /// Whether any part of the URL is signed.
    pub(super) fn signs_url(&self) -> bool {
        use Part::{FullUrl, Host, Path, Query, SortedQuery, Url};
        let of_url =
            |part: &Part| matches!(part, Url | FullUrl | Host | Path | Query | SortedQuery);
        self.parts.iter().any(of_url)
    }
}

fn expression(piece: &Piece) -> Option<&String> {
    match piece {
        Piece::Expression(text) => Some(text),
        Piece::Literal(_) => None,
    }
}

fn time(piece: &Piece, part: &Part, fields: &[String]) -> Option<(Place, TimeForm)> {
    let form = match expression(piece)?.strip_prefix("timestamp|")? {
        "unix" => TimeForm::Seconds,
        "unix_ms" => TimeForm::Millis,
        "rfc3339" | "rfc3339_ms" | "rfc3339_us" => TimeForm::Rfc3339,
        _ => return None,
    };
    Some((place(part, fields)?, form))
}

fn place(part: &Part, fields: &[String]) -> Option<Place> {
    match part {
        Part::Header(name) => Some(Place::Header(name.clone())),
        Part::Field(number) => fields.get(*number).cloned().map(Place::Field),
        _ => None,
    }
}

impl TimeForm {
    pub(super) fn read(self, text: &str) -> Option<Timestamp> {
        match self {
            TimeForm::Seconds => text.parse().ok().map(Timestamp::from_seconds),
            TimeForm::Millis => {
                let millis: i64 = text.parse().ok()?;
                millis.checked_mul(1_000).map(Timestamp::from_micros)
            }
            TimeForm::Rfc3339 => Timestamp::parse_rfc3339(text),
        }
    }
}

/// The values that content is put together from.
#[derive(Clone, Debug)]
pub(super) struct Material {
    pub(super) method: String,
    pub(super) url: Option<Url>,
    pub(super) body: String,
    pub(super) values: Values,
}

/// The signed values that stand in headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Values {
    /// Of the headers that are signed, by their names.
    pub(super) headers: Vec<(String, Option<String>)>,
    /// In the order of the check's fields.
    pub(super) fields: Vec<String>,
}

impl Values {
    /// Those of a request.
    pub(super) fn of(check: &Check<'_>, request: &RequestText, fields: Vec<String>) -> Values {
        let names = check.parts.iter().filter_map(|part| match part {
            Part::Header(name) => Some(name.clone()),
            _ => None,
        });
        let headers = names.map(|name| {
            let value = request.header(&name).map(str::to_owned);
            (name, value)
        });
        Values { headers: headers.collect(), fields }
    }

    pub(super) fn at(&self, check: &Check<'_>, place: &Place) -> Option<&str> {
        match place {
            Place::Header(wanted) => {
                let found = self.headers.iter().find(|(name, _)| name == wanted);
                found.and_then(|(_, value)| value.as_deref())
            }
            Place::Field(wanted) => {
                let number = check.fields.iter().position(|field| field == wanted)?;
                self.fields.get(number).map(String::as_str)
            }
        }
    }

    /// Each place with its value.
    pub(super) fn places<'v>(
        &'v self,
        check: &'v Check<'_>,
    ) -> impl Iterator<Item = (Place, Option<&'v str>)> {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (Place::Header(name.clone()), value.as_deref()));
        let fields = check.fields.iter().enumerate();
        headers.chain(fields.map(|(number, field)| {
            (Place::Field(field.clone()), self.fields.get(number).map(String::as_str))
        }))
    }
}

impl Material {
    /// What a part is here.
    fn value<'m>(&'m self, part: &'m Part, secret: &'m str) -> Option<Cow<'m, str>> {
        let url = self.url.as_ref();
        Some(match part {
            Part::Literal(text) => Cow::Borrowed(text),
            Part::Body => Cow::Borrowed(&self.body),
            Part::Method => Cow::Borrowed(&self.method),
            Part::Url => Cow::Owned(without_query(url?)),
            Part::FullUrl => Cow::Borrowed(&url?[..Position::AfterQuery]),
            Part::Host => Cow::Borrowed(&url?[Position::BeforeHost..Position::AfterPort]),
            Part::Path => Cow::Borrowed(url?.path()),
            Part::Secret => Cow::Borrowed(secret),
            Part::Query => Cow::Borrowed(url?.query().unwrap_or_default()),
            Part::SortedQuery => Cow::Owned(form::sorted_query(url?.query().unwrap_or_default())),
            Part::Header(name) => {
                let found = self.values.headers.iter().find(|(known, _)| known == name);
                Cow::Borrowed(found?.1.as_deref()?)
            }
            Part::Field(number) => Cow::Borrowed(self.values.fields.get(*number)?),
        })
    }

    /// The content; `None` where a part of it is missing.
    pub(super) fn content(&self, parts: &[Part], secret: &str) -> Option<String> {
        let mut content = String::with_capacity(self.body.len() + 128);
        for part in parts {
            content.push_str(&self.value(part, secret)?);
        }
        Some(content)
    }

    /// The same for people to see.
    pub(super) fn shown(&self, check: &Check<'_>) -> Vec<SignedPart> {
        let parts = check.parts.iter().map(|part| SignedPart {
            kind: kind(part, check),
            value: self.value(part, MASK).map(Cow::into_owned),
        });
        parts.collect()
    }
}

pub(super) fn kind(part: &Part, check: &Check<'_>) -> PartKind {
    match part {
        Part::Literal(_) => PartKind::Literal,
        Part::Body if check.canonical => PartKind::CanonicalBody,
        Part::Body => PartKind::Body,
        Part::Method => PartKind::Method,
        Part::Url => PartKind::Url,
        Part::FullUrl => PartKind::FullUrl,
        Part::Host => PartKind::Host,
        Part::Path => PartKind::Path,
        Part::Secret => PartKind::Secret,
        Part::Query => PartKind::Query,
        Part::SortedQuery => PartKind::SortedQuery,
        Part::Header(_) | Part::Field(_) => match place(part, &check.fields) {
            Some(place) => PartKind::Value(place),
            None => PartKind::Literal,
        },
    }
}
