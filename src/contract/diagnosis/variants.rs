//! How a request may differ from the one that was signed.

use std::collections::HashSet;

use url::Url;

use super::given::Target;
use super::keys::Key;
use super::parts::{Check, Material, PartKind, Values, kind};
use super::prints::{PRINTS, Unprinted};
use crate::contract::encoding::Encoding;
use crate::contract::json;
use crate::contract::signature::Algorithm;
use crate::contract::verifier::Part;
use crate::contract::websocket;
use crate::domain::Method;

/// What the forms of one body may come to together, in bytes, over all signatures.
pub(super) const BODIES_BYTES: usize = 8 * 1024 * 1024;

/// A mistake in what is put together to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentFault {
    BodyOnly,
    /// What stands between the parts is missing.
    NoLiterals,
    /// This part is missing.
    Without(PartKind),
    /// The query stands in it as it was sent.
    QueryAsSent,
    /// The query still stands in the URL too.
    QueryInUrl,
}

/// All that is tried, in every dimension what is right first.
pub(super) struct Variants {
    pub(super) contents: Vec<(Vec<Part>, Option<ContentFault>)>,
    pub(super) bodies: Vec<String>,
    pub(super) methods: Vec<String>,
    pub(super) urls: Vec<Option<Url>>,
    pub(super) values: Vec<Values>,
    pub(super) keys: Vec<Key>,
    pub(super) algorithms: Vec<Algorithm>,
    /// Whether forms of the body were left out because it is large.
    pub(super) cut: bool,
}

impl Variants {
    pub(super) fn around(
        check: &Check<'_>,
        (base, others): (&Material, &[Material]),
        keys: Vec<Key>,
        (targets, bodies_bytes): (&[Target], usize),
    ) -> Variants {
        let uses = |part: &Part| check.parts.contains(part);
        let (bodies, cut) = match uses(&Part::Body) {
            true => {
                bodies(&base.body, others.iter().map(|other| other.body.as_str()), bodies_bytes)
            }
            false => (vec![base.body.clone()], false),
        };
        let mut values = vec![base.values.clone()];
        for other in others {
            if !values.contains(&other.values) {
                values.push(other.values.clone());
            }
        }
        Variants {
            contents: contents(check),
            bodies,
            methods: if check.signs_method() {
                methods(base, others)
            } else {
                vec![base.method.clone()]
            },
            urls: if check.signs_url() { urls(base, others) } else { vec![base.url.clone()] },
            values,
            keys,
            algorithms: algorithms(check.signature.algorithm, targets),
            cut,
        }
    }

    /// How many there are in each dimension.
    pub(super) fn sizes(&self) -> [usize; DIMENSIONS] {
        [
            self.keys.len(),
            self.bodies.len(),
            self.values.len(),
            self.urls.len(),
            self.methods.len(),
            self.contents.len(),
            self.algorithms.len(),
        ]
    }

    /// The material at these places.
    pub(super) fn material(&self, at: [usize; DIMENSIONS]) -> Material {
        let [_, body, values, url, method, _, _] = at;
        Material {
            method: self.methods[method].clone(),
            url: self.urls[url].clone(),
            body: self.bodies[body].clone(),
            values: self.values[values].clone(),
        }
    }
}

/// Keys, bodies, values, URLs, methods, contents, algorithms.
pub(super) const DIMENSIONS: usize = 7;

/// Each text once, in the order in which they come.
struct Distinct {
    seen: HashSet<String>,
    all: Vec<String>,
    /// Bytes that there is still room for.
    left: usize,
    cut: bool,
}

impl Distinct {
    fn add(&mut self, text: impl Into<String>) {
        let text = text.into();
        if text.len() > self.left && !self.all.is_empty() {
            self.cut = true;
        } else if self.seen.insert(text.clone()) {
            self.left = self.left.saturating_sub(text.len());
            self.all.push(text);
        }
    }
}

fn bodies<'b>(
    base: &'b str,
    others: impl Iterator<Item = &'b str>,
    limit: usize,
) -> (Vec<String>, bool) {
    let mut forms = Distinct { seen: HashSet::new(), all: Vec::new(), left: limit, cut: false };
    forms.add(base);
    for other in others {
        forms.add(other);
    }
    // A form's field has lost which line ends it was filled with.
    forms.add(base.replace('\n', "\r\n"));
    forms.add(base.trim_end_matches(['\n', '\r']));
    forms.add(base.trim());
    forms.add(format!("{base}\n"));
    if let Some(inner) = unwrapped(base) {
        forms.add(inner);
    }
    if let Some(text) = as_latin1(base) {
        forms.add(text);
    }
    if let Ok(canonical) = json::canonical(base) {
        forms.add(canonical);
    }
    for print in &PRINTS {
        if forms.cut {
            break;
        }
        match print.print(base, forms.left) {
            Ok(text) => forms.add(text),
            Err(Unprinted::TooLong) => forms.cut = true,
            Err(Unprinted::NotJson) => {}
        }
    }
    (forms.all, forms.cut)
}

/// What was written into a JSON string, or in base64, or behind a byte order mark.
fn unwrapped(body: &str) -> Option<String> {
    let trimmed = body.trim();
    if let Some(rest) = body.strip_prefix('\u{feff}') {
        return Some(rest.to_owned());
    }
    if trimmed.starts_with('"') {
        return json::content(trimmed).ok().filter(|text| !text.is_empty());
    }
    String::from_utf8(Encoding::Base64.read(trimmed)?).ok().filter(|text| !text.is_empty())
}

/// UTF-8 that was read as Latin-1, read again as what it is.
fn as_latin1(body: &str) -> Option<String> {
    if body.is_ascii() {
        return None;
    }
    let bytes: Result<Vec<u8>, _> = body.chars().map(|one| u8::try_from(u32::from(one))).collect();
    String::from_utf8(bytes.ok()?).ok()
}

fn methods(base: &Material, others: &[Material]) -> Vec<String> {
    let mut all = vec![base.method.clone()];
    let known = others.iter().map(|other| other.method.as_str());
    let usual = Method::ALL.iter().map(|method| method.as_str());
    let lower = base.method.to_lowercase();
    for method in known.chain(usual).chain([websocket::METHOD, lower.as_str()]) {
        if !all.iter().any(|known| known == method) {
            all.push(method.to_owned());
        }
    }
    all
}

fn urls(base: &Material, others: &[Material]) -> Vec<Option<Url>> {
    let mut all = vec![base.url.clone()];
    let mut add = |url: Option<Url>| {
        if url.is_some() && !all.contains(&url) {
            all.push(url);
        }
    };
    for other in others {
        add(other.url.clone());
    }
    let Some(url) = &base.url else { return all };
    let with = |change: &dyn Fn(&mut Url)| {
        let mut changed = url.clone();
        change(&mut changed);
        Some(changed)
    };
    let other_scheme = if url.scheme() == "https" { "http" } else { "https" };
    let other_path = match url.path().strip_suffix('/') {
        Some(shorter) => shorter.to_owned(),
        None => format!("{}/", url.path()),
    };
    // URLs of these schemes have a host, so that these can't fail.
    add(with(&|url| {
        let _ = url.set_scheme(other_scheme);
    }));
    add(with(&|url| url.set_path(&other_path)));
    add(with(&|url| {
        let _ = url.set_port(None);
    }));
    add(with(&|url| url.set_query(None)));
    add(with(&|url| {
        let _ = url.set_port(None);
        let _ = url.set_scheme(other_scheme);
    }));
    all
}

fn contents(check: &Check<'_>) -> Vec<(Vec<Part>, Option<ContentFault>)> {
    let parts = &check.parts;
    let mut all = vec![(parts.clone(), None)];
    let mut add = |content: Vec<Part>, fault| {
        let is_new = !content.is_empty() && all.iter().all(|(known, _)| *known != content);
        if is_new {
            all.push((content, Some(fault)));
        }
    };
    if parts.contains(&Part::Body) {
        add(vec![Part::Body], ContentFault::BodyOnly);
    }
    let is_literal = |part: &Part| matches!(part, Part::Literal(_));
    let values = parts.iter().filter(|part| !is_literal(part)).cloned();
    add(values.collect(), ContentFault::NoLiterals);
    let swapped = |from: &Part, to: Part| -> Vec<Part> {
        parts.iter().map(|part| if part == from { to.clone() } else { part.clone() }).collect()
    };
    add(swapped(&Part::SortedQuery, Part::Query), ContentFault::QueryAsSent);
    add(swapped(&Part::Url, Part::FullUrl), ContentFault::QueryInUrl);
    for (at, part) in parts.iter().enumerate() {
        if is_literal(part) {
            continue;
        }
        let mut fewer = parts.clone();
        fewer.remove(at);
        // With what parted it from the next, or from the one before.
        let beside = if at < fewer.len() { at } else { at.saturating_sub(1) };
        if fewer.get(beside).is_some_and(is_literal) {
            fewer.remove(beside);
        }
        add(fewer, ContentFault::Without(kind(part, check)));
    }
    all
}

/// The algorithm, and those that make signatures as long as what is there.
fn algorithms(right: Algorithm, targets: &[Target]) -> Vec<Algorithm> {
    use Algorithm::{HmacMd5, HmacSha1, HmacSha256, HmacSha384, HmacSha512};
    use Algorithm::{Md5, Sha1, Sha256, Sha384, Sha512};
    let mut all = vec![right];
    if matches!(right, Algorithm::Ed25519 | Algorithm::Token) {
        return all;
    }
    let others =
        [HmacSha256, HmacSha1, HmacSha512, HmacSha384, HmacMd5, Sha256, Sha1, Sha512, Sha384, Md5];
    let fits = |algorithm: &Algorithm| {
        let bytes = algorithm.compute(&[], &[]).len();
        *algorithm != right && targets.iter().any(|target| target.could_be(bytes))
    };
    all.extend(others.into_iter().filter(fits));
    all
}
