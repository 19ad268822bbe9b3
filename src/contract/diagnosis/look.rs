//! One signature of the contract, looked for in one request.

use url::Url;

use super::difference::Difference;
use super::given::{FormFault, SIGNATURES, Target};
use super::judge::{Deviation, differences};
use super::keys::{Candidate, Key, keys};
use super::parts::{Check, MASK, Material, Values};
use super::pasted::RequestText;
use super::search::{Budget, Hit, MOST_DEVIATIONS, search};
use super::variants::{BODIES_BYTES, Variants};
use super::{Case, Computed, Diagnosis, Finding, Note, TOLERANCE, Tried, Verdict};
use crate::contract::json;
use crate::contract::secret::SecretRules;
use crate::contract::verifier::Part;
use crate::contract::{Algorithm, Contract};

/// Words in the names of headers that may hold a signature under another name.
const SIGNATURE_WORDS: [&str; 4] = ["sign", "hmac", "digest", "hash"];

pub(super) struct Look<'c> {
    check: Check<'c>,
    rules: &'c SecretRules,
    targets: Vec<Target>,
    /// Whether the header is there at all.
    has_header: bool,
    /// Whether it holds signatures that only the other kind of secret makes.
    other_kind: bool,
    /// The request as it was pasted.
    base: Material,
    sent: Vec<Material>,
    variants: Variants,
    notes: Vec<Note>,
}

impl<'c> Look<'c> {
    /// `bodies_bytes` is what the forms of the body may come to together.
    pub(super) fn new(
        contract: &'c Contract,
        check: Check<'c>,
        (case, bodies_bytes): (&Case, usize),
    ) -> Look<'c> {
        let rules = contract.secret();
        let targets = targets(&check, &case.pasted);
        let fields = targets.first().map(|target| target.fields.clone()).unwrap_or_default();
        let mut notes = Vec::new();
        let request = completed(&check, case, &mut notes);
        let base = material(&check, &request, fields);
        let of = |request: &RequestText| {
            let read = request.header(&check.header).map(|value| check.read(value));
            let first = read.and_then(|targets| targets.into_iter().next());
            material(&check, request, first.map(|target| target.fields).unwrap_or_default())
        };
        let sent: Vec<Material> = case.sent.iter().map(of).collect();
        let recent: Vec<Material> = case.recent.iter().map(of).collect();
        let registered = registered(&base, case);
        let others: Vec<Material> = sent.iter().cloned().chain(registered).chain(recent).collect();
        let keys = keys(rules, check.signature.algorithm, &case.candidates);
        let variants = Variants::around(&check, (&base, &others), keys, (&targets, bodies_bytes));
        let values = case.pasted.headers.iter().filter(|(name, _)| *name == check.header);
        let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
        Look {
            has_header: !values.is_empty(),
            other_kind: values.iter().any(|value| is_of_other_kind(contract, &check, value)),
            check,
            rules,
            targets,
            base,
            sent,
            variants,
            notes,
        }
    }

    pub(super) fn search(&self, deviations: usize, budget: &mut Budget) -> Option<Hit> {
        search(&self.check, &self.targets, &self.variants, deviations, budget)
    }

    /// How likely it is that the request was meant to carry this signature.
    pub(super) fn aptness(&self) -> (bool, bool, bool, std::cmp::Reverse<usize>) {
        let framed = self.targets.iter().any(|target| target.framed);
        let symmetric = usize::from(self.check.signature.algorithm == Algorithm::Ed25519);
        (framed, !self.variants.keys.is_empty(), self.has_header, std::cmp::Reverse(symmetric))
    }

    pub(super) fn explained(&self, case: &Case, hit: &Hit, mut budget: Budget) -> Diagnosis {
        let signed = self.variants.material(hit.at);
        let key = &self.variants.keys[hit.at[0]];
        let deviations = self.deviations(hit, (&signed, &self.base));
        let harmful = deviations.iter().any(|one| !one.is_harmless(case.now));
        let verdict = match harmful {
            true => Verdict::Explained(deviations),
            false => Verdict::Valid { owner: key.owner.clone(), remarks: deviations },
        };
        let difference = self.content_difference(hit, (&signed, &self.base));
        let computed = self.computed(case, &signed, &mut budget);
        self.diagnosis(verdict, (&signed, difference), computed, budget)
    }

    /// Where the content that gives the signature parts from the one that it should be.
    fn content_difference(
        &self,
        hit: &Hit,
        (signed, given): (&Material, &Material),
    ) -> Option<Difference> {
        let content = signed.content(&self.variants.contents[hit.at[5]].0, MASK)?;
        Difference::between(&content, &given.content(&self.check.parts, MASK)?)
    }

    fn deviations(&self, hit: &Hit, (signed, given): (&Material, &Material)) -> Vec<Deviation> {
        let target = &self.targets[hit.target];
        let mut found = Vec::new();
        if let Some(header) = &target.found_in {
            let expected = self.check.spelling.clone();
            found.push(Deviation::HeaderName { expected, found: header.clone() });
        }
        found.extend(keyed(&self.variants.keys[hit.at[0]]));
        found.extend(differences(&self.check, signed, given));
        found.extend(made(&self.check, &self.variants, hit));
        if !target.framed {
            found.push(Deviation::Form(FormFault::Frame { expected: self.check.form() }));
        }
        found
    }

    /// What the signature of the receiver's own code is made over, where `right` is what it
    /// should be.
    fn computed(&self, case: &Case, right: &Material, budget: &mut Budget) -> Computed {
        if case.computed.trim().is_empty() {
            return Computed::None;
        }
        let given = case.computed.trim();
        let mut targets = self.check.read_loosely(given);
        targets.extend(self.check.read(given));
        targets.truncate(SIGNATURES - 1);
        let whole = Target {
            text: given.to_owned(),
            framed: false,
            found_in: None,
            fields: right.values.fields.clone(),
        };
        targets.push(whole);
        let others: Vec<Material> =
            std::iter::once(&self.base).chain(&self.sent).cloned().collect();
        let keys = keys(self.rules, self.check.signature.algorithm, &case.candidates);
        let variants =
            Variants::around(&self.check, (right, &others), keys, (&targets, BODIES_BYTES));
        for deviations in 0..=MOST_DEVIATIONS {
            let hit = search(&self.check, &targets, &variants, deviations, budget);
            let Some(hit) = hit else { continue };
            let theirs = variants.material(hit.at);
            let mut found: Vec<Deviation> = keyed(&variants.keys[hit.at[0]]).collect();
            found.extend(differences(&self.check, right, &theirs));
            found.extend(made(&self.check, &variants, &hit));
            if found.is_empty() {
                return Computed::Right;
            }
            let ours = right.content(&self.check.parts, MASK);
            let content = theirs.content(&variants.contents[hit.at[5]].0, MASK);
            let difference = ours.zip(content);
            let difference = difference.and_then(|(one, other)| Difference::between(&one, &other));
            return Computed::Explained(found, difference);
        }
        Computed::Unexplained
    }

    pub(super) fn unexplained(
        &self,
        contract: &Contract,
        case: &Case,
        mut budget: Budget,
    ) -> Diagnosis {
        let mut findings = self.header_findings(case);
        findings.extend(self.content_findings(contract));
        findings.extend(self.secret_findings(&case.candidates));
        if let Some(sent) = self.nearest() {
            let differs = differences(&self.check, sent, &self.base);
            findings.push(match differs.is_empty() {
                true => Finding::AsSent,
                false => Finding::Differs(differs),
            });
        }
        let computed = self.computed(case, &self.base, &mut budget);
        self.diagnosis(Verdict::Unexplained(findings), (&self.base, None), computed, budget)
    }

    /// The attempt that the request is most like.
    fn nearest(&self) -> Option<&Material> {
        let base = &self.base;
        let differing = |sent: &&Material| {
            let places = sent.values.places(&self.check).zip(base.values.places(&self.check));
            usize::from(sent.body != base.body) + places.filter(|(one, other)| one != other).count()
        };
        self.sent.iter().min_by_key(differing)
    }

    fn header_findings(&self, case: &Case) -> Vec<Finding> {
        let framed: Vec<&Target> = self.targets.iter().filter(|target| target.framed).collect();
        if !self.has_header {
            let mut alike: Vec<String> =
                self.targets.iter().filter_map(|target| target.found_in.clone()).collect();
            alike.dedup();
            return vec![Finding::MissingHeader { alike }];
        }
        if self.other_kind && framed.is_empty() {
            return vec![Finding::OtherKind];
        }
        if framed.is_empty() {
            return vec![Finding::Malformed];
        }
        let Some(expected) = self.check.digest_bytes() else { return Vec::new() };
        let fits = |target: &&Target| target.could_be(expected);
        if case.pasted.headers.is_empty() || framed.iter().any(fits) {
            return Vec::new();
        }
        let lengths = framed.iter().flat_map(|target| target.decoded());
        let found = lengths.map(|bytes| bytes.len()).next();
        found.map(|found| Finding::Length { found, expected }).into_iter().collect()
    }

    fn content_findings(&self, contract: &Contract) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (place, value) in self.base.values.places(&self.check) {
            if value.is_none_or(str::is_empty) {
                findings.push(Finding::MissingValue(place));
            }
        }
        if self.base.url.is_none() && self.check.signs_url() {
            findings.push(Finding::NoUrl);
        }
        let signs_body = self.check.parts.contains(&Part::Body);
        if let Err(error) = json::validate_body(&self.base.body)
            && contract.sends_json()
            && signs_body
        {
            findings.push(Finding::NotJson { offset: error.offset });
        }
        findings
    }

    fn secret_findings(&self, candidates: &[Candidate]) -> Vec<Finding> {
        let pasted = candidates.iter().filter(|candidate| candidate.owner.webhook.is_none());
        let wrong = pasted.filter_map(|candidate| {
            let text = candidate.text.expose();
            let pair = self.rules.key_pair.as_ref();
            let is_public = pair.is_some_and(|pair| pair.public_key(text).is_some());
            if is_public { None } else { self.rules.check(text).err() }
        });
        let mut findings: Vec<Finding> = wrong.map(Finding::SecretForm).collect();
        if self.variants.keys.is_empty() && findings.is_empty() {
            findings.push(Finding::NoSecret);
        }
        findings
    }

    fn diagnosis(
        &self,
        verdict: Verdict,
        (signed, difference): (&Material, Option<Difference>),
        computed: Computed,
        budget: Budget,
    ) -> Diagnosis {
        Diagnosis {
            verdict,
            header: self.check.spelling.clone(),
            form: self.check.form(),
            signed: signed.shown(&self.check),
            difference,
            computed,
            notes: self.notes.clone(),
            tried: Tried {
                signatures: budget.tries,
                secrets: self.variants.keys.iter().filter(|key| key.fault.is_none()).count(),
                bodies: self.variants.bodies.len(),
                attempts: self.sent.len(),
                cut: budget.exhausted || self.variants.cut,
            },
        }
    }
}

/// What is wrong with the key that a signature was made with.
fn keyed(key: &Key) -> impl Iterator<Item = Deviation> + use<> {
    let (owner, fault) = (key.owner.clone(), key.fault);
    (!key.is_right()).then_some(Deviation::Secret { owner, fault }).into_iter()
}

/// What is wrong with how a signature was made and written.
fn made(check: &Check<'_>, variants: &Variants, hit: &Hit) -> Vec<Deviation> {
    let mut found: Vec<Deviation> = Vec::new();
    found.extend(variants.contents[hit.at[5]].1.clone().map(Deviation::Content));
    let algorithm = variants.algorithms[hit.at[6]];
    if algorithm != check.signature.algorithm {
        found.push(Deviation::Algorithm {
            expected: check.signature.algorithm.hash_name().unwrap_or_default(),
            found: algorithm.hash_name().unwrap_or_default(),
            keyed: !algorithm.is_plain_digest(),
        });
    }
    if let Some(encoding) = hit.encoding {
        let expected = check.signature.encoding;
        found.push(Deviation::Form(FormFault::Encoding { found: encoding, expected }));
    }
    found
}

/// The signatures of a request: those in the header, else those that may be under another name.
pub(super) fn targets(check: &Check<'_>, request: &RequestText) -> Vec<Target> {
    let own = request.headers.iter().filter(|(name, _)| *name == check.header);
    let values: Vec<&str> = own.map(|(_, value)| value.trim()).collect();
    let framed = values.iter().flat_map(|value| check.read(value));
    let framed: Vec<Target> = framed.take(SIGNATURES).collect();
    if !framed.is_empty() {
        return framed;
    }
    if !values.is_empty() {
        let loose = values.iter().flat_map(|value| check.read_loosely(value));
        return loose.take(SIGNATURES).collect();
    }
    let mut found = Vec::new();
    for (name, value) in &request.headers {
        if !SIGNATURE_WORDS.iter().any(|word| name.contains(word)) {
            continue;
        }
        let framed = check.read(value);
        let read = if framed.is_empty() { check.read_loosely(value) } else { framed };
        found.extend(read.into_iter().map(|target| {
            let found_in = Some(name.clone());
            Target { found_in, ..target }
        }));
    }
    found.truncate(SIGNATURES);
    found
}

/// Whether a header holds a signature of the contract, but not this one.
fn is_of_other_kind(contract: &Contract, check: &Check<'_>, value: &str) -> bool {
    let others = contract.checks().unwrap_or_default();
    let same = |other: &Check<'_>| other.header == check.header && other.form() != check.form();
    check.read(value).is_empty()
        && others.iter().any(|other| same(other) && !other.read(value).is_empty())
}

/// The request with the method and the URL of the webhook, where they are signed and missing.
fn completed(check: &Check<'_>, case: &Case, notes: &mut Vec<Note>) -> RequestText {
    let mut request = case.pasted.clone();
    // A form's field has CRLF wherever there was a line break.
    request.body = request.body.replace("\r\n", "\n");
    let registered = &case.registered;
    if request.method.is_empty() && !registered.method.is_empty() {
        request.method.clone_from(&registered.method);
        if check.signs_method() {
            notes.push(Note::MethodTaken(request.method.clone()));
        }
    }
    if request.url.is_empty() && !registered.url.is_empty() {
        request.url.clone_from(&registered.url);
        if check.signs_url() {
            notes.push(Note::UrlTaken(request.url.clone()));
        }
    }
    if let Some((place, form)) = &check.time {
        let fields: Vec<Target> = targets(check, &request);
        let fields = fields.first().map(|target| target.fields.clone()).unwrap_or_default();
        let values = Values::of(check, &request, fields);
        let time = values.at(check, place).and_then(|text| form.read(text));
        if let Some(time) = time {
            if time + TOLERANCE < case.now {
                notes.push(Note::Old(time));
            } else if time.before(TOLERANCE) > case.now {
                notes.push(Note::Ahead(time));
            }
        }
    }
    request
}

fn material(check: &Check<'_>, request: &RequestText, fields: Vec<String>) -> Material {
    Material {
        method: request.method.clone(),
        url: url_of(request),
        body: request.body.clone(),
        values: Values::of(check, request, fields),
    }
}

/// The URL, which logs often have without its host.
fn url_of(request: &RequestText) -> Option<Url> {
    let text = request.url.trim();
    if !text.starts_with('/') {
        let url = Url::parse(text).ok()?;
        return url.has_host().then_some(url);
    }
    let host = request.header("x-forwarded-host").or(request.header("host"))?;
    let scheme = request.header("x-forwarded-proto").unwrap_or("https");
    Url::parse(&format!("{scheme}://{host}{text}")).ok()
}

/// The webhook's own URL and method, with the rest as it was pasted.
fn registered(base: &Material, case: &Case) -> Option<Material> {
    let url = Url::parse(&case.registered.url).ok()?;
    Some(Material { url: Some(url), method: case.registered.method.clone(), ..base.clone() })
}
