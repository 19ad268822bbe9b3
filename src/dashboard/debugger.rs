//! The debugger: why does my handler refuse this signature? Nothing that is pasted is stored.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;

use super::conceal::{HIDDEN, Secrets};
use super::error::PageResult;
use super::form::Posted;
use super::native::Refusal;
use super::place::Place;
use super::shell::{Section, Shell};
use super::{Pages, html, webhooks};
use crate::contract::RenderInput;
use crate::contract::diagnosis::{Candidate, Case, Diagnosis, Owner, RequestText, Signs};
use crate::domain::{
    AttemptId, Endpoint, Error, ErrorCode, Message, Reference, Result, SecretText, Transport,
};
use crate::store::{AttemptFilter, DeliveryFilter, Page};

mod findings;
mod shown;
mod turns;
mod words;

use shown::Shown;
use turns::Turns;

/// Attempts of an event that a request is compared with.
const ATTEMPTS_COMPARED: u32 = 20;

/// Events of a webhook that a request is compared with, where it doesn't say which one it is.
const RECENT_EVENTS: u32 = 20;

/// What the bodies of those may come to together, in bytes.
const COMPARED_BYTES: usize = 4 << 20;

/// Texts of a request that are looked up as its event's id.
const IDS_LOOKED_UP: usize = 4;

pub(super) fn router() -> Router<Pages> {
    const AT: &str = "/env/{environment}/app/{application}/debugger";
    Router::new().route(AT, get(show).post(check)).layer(Extension(Turns::new()))
}

/// The form. The secret never goes back into it.
#[derive(Default, Deserialize)]
struct Fields {
    /// The id of the webhook whose secret is used; empty for the pasted one.
    #[serde(default)]
    webhook: String,
    #[serde(default)]
    secret: SecretField,
    /// The event's id.
    #[serde(default)]
    message: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    headers: String,
    #[serde(default)]
    body: String,
    /// The signature that the receiver's code came to.
    #[serde(default)]
    computed: String,
}

/// A secret that may be missing.
#[derive(Deserialize)]
#[serde(transparent)]
struct SecretField(SecretText);

impl Default for SecretField {
    fn default() -> SecretField {
        SecretField(SecretText::new(""))
    }
}

#[derive(Template)]
#[template(path = "debugger.html")]
struct DebuggerPage {
    shell: Shell,
    /// What receivers verify here, or why they can't; `None` where nothing is signed.
    signs: Option<Result<Signs, String>>,
    webhooks: Vec<(String, String)>,
    /// Whether the webhooks' own secrets may be used.
    own_secrets: bool,
    fields: Fields,
    refusal: Refusal,
    result: Option<Shown>,
}

impl DebuggerPage {
    /// The class of a field's box.
    fn wrong(&self, field: &str) -> &'static str {
        if self.refusal.at(field).is_some() { " wrong" } else { "" }
    }
}

/// What the form is filled in from.
#[derive(Deserialize)]
struct From {
    #[serde(default)]
    message: String,
    #[serde(default)]
    webhook: String,
}

async fn show(State(pages): State<Pages>, place: Place, Query(from): Query<From>) -> PageResult {
    let endpoints = webhooks::all(&pages, &place).await?;
    let mut fields = Fields { webhook: from.webhook, message: from.message, ..Fields::default() };
    let chosen = chosen(&endpoints, &fields).cloned();
    if let Some(endpoint) = &chosen
        && !fields.message.is_empty()
    {
        let reference = Reference(fields.message.clone());
        let message = pages.store.get_message(place.application.id, &reference).await?;
        let sent = sent(&pages, &place, &message, endpoint).await?;
        fill_in(&mut fields, sent.first(), &Secrets::of(endpoint));
    } else if chosen.is_none()
        && let [only] = &endpoints[..]
    {
        fields.webhook = only.id.to_string();
    }
    page(&pages, &place, endpoints, fields, (Refusal::default(), None)).await
}

/// Fills the form in with a request as it went out, but for credentials.
fn fill_in(fields: &mut Fields, request: Option<&(RequestText, Vec<String>)>, secrets: &Secrets) {
    let Some((request, credentials)) = request else { return };
    fields.method.clone_from(&request.method);
    fields.url = secrets.concealed(request.url.clone());
    fields.body = secrets.concealed(request.body.clone());
    let lines = request.headers.iter().map(|(name, value)| match credentials.contains(name) {
        true => format!("{name}: {HIDDEN}"),
        false => format!("{name}: {}", secrets.concealed(value.clone())),
    });
    fields.headers = lines.collect::<Vec<_>>().join("\n");
}

fn chosen<'e>(endpoints: &'e [Arc<Endpoint>], fields: &Fields) -> Option<&'e Arc<Endpoint>> {
    endpoints.iter().find(|endpoint| endpoint.id.to_string() == fields.webhook)
}

async fn check(
    State(pages): State<Pages>,
    place: Place,
    Extension(turns): Extension<Turns>,
    Posted(fields): Posted<Fields>,
) -> PageResult {
    let endpoints = webhooks::all(&pages, &place).await?;
    let mut pasted = RequestText {
        method: fields.method.trim().to_ascii_uppercase(),
        url: fields.url.trim().to_owned(),
        headers: Vec::new(),
        body: fields.body.clone(),
    };
    let mut unread = pasted.read_headers(&fields.headers);
    unread.extend(pasted.unframe());
    let refusal = refusal(&place, &endpoints, &fields);
    if !refusal.is_empty() {
        return page(&pages, &place, endpoints, fields, (refusal, None)).await;
    }
    let message = match event(&pages, &place, &fields, &pasted).await {
        Ok(message) => message,
        Err(error) => {
            let refusal = Refusal::of(error)?;
            return page(&pages, &place, endpoints, fields, (refusal, None)).await;
        }
    };
    let case = case(&pages, &place, &endpoints, (&fields, pasted, message.as_deref())).await?;
    let (now, pasted) = (case.now, !fields.secret.0.expose().is_empty());
    let diagnosis = match diagnose(&place, &turns, case).await {
        Ok(diagnosis) => diagnosis,
        Err(error) => {
            let refusal = Refusal::of(error)?;
            return page(&pages, &place, endpoints, fields, (refusal, None)).await;
        }
    };
    let event = message.map(|message| message.public_event_id());
    let shown = Shown::of(&diagnosis, (now, pasted), (event, &unread));
    page(&pages, &place, endpoints, fields, (Refusal::default(), Some(shown))).await
}

/// Nothing to check with, or nothing to check.
fn refusal(place: &Place, endpoints: &[Arc<Endpoint>], fields: &Fields) -> Refusal {
    let mut refusal = Refusal::default();
    let mut refuse =
        |field: &str, sentence: &str| refusal.fields.push((field.to_owned(), sentence.to_owned()));
    let has_webhook = chosen(endpoints, fields).is_some();
    if !has_webhook && !fields.webhook.is_empty() {
        refuse("webhook", "This webhook is gone. Choose another one.");
    } else if fields.secret.0.expose().is_empty() && (!has_webhook || !own_secrets(place)) {
        let sentence = match own_secrets(place) && !endpoints.is_empty() {
            true => "Choose a webhook, or paste the secret that your code verifies with.",
            false => "Paste the secret that your code verifies with.",
        };
        refuse("secret", sentence);
    }
    if fields.headers.trim().is_empty() && !fields.body.contains("\"headers\"") {
        refuse("headers", "Paste the headers: the signature stands in one of them.");
    }
    refusal
}

/// Whether requests are tried with the webhooks' own secrets. Where a secret itself is sent,
/// who may only look could find one out by trying.
fn own_secrets(place: &Place) -> bool {
    !(place.viewer.read_only() && place.environment.contract.sends_secret())
}

/// The event that the request is about, where that can be told.
async fn event(
    pages: &Pages,
    place: &Place,
    fields: &Fields,
    pasted: &RequestText,
) -> Result<Option<Arc<Message>>> {
    let said = fields.message.trim();
    let ids = match said {
        "" => place.environment.contract.event_ids(pasted),
        said => vec![said.to_owned()],
    };
    for id in ids.into_iter().take(IDS_LOOKED_UP) {
        match pages.store.get_message(place.application.id, &Reference(id)).await {
            Ok(message) => return Ok(Some(message)),
            Err(error) if error.code == ErrorCode::NotFound && said.is_empty() => {}
            Err(error) if error.code == ErrorCode::NotFound => {
                return Err(Error::field("message", "There is no such event here."));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn case(
    pages: &Pages,
    place: &Place,
    endpoints: &[Arc<Endpoint>],
    (fields, pasted, message): (&Fields, RequestText, Option<&Message>),
) -> Result<Case> {
    let chosen = chosen(endpoints, fields);
    let (mut sent_then, mut recent) = (Vec::new(), Vec::new());
    match (message, chosen) {
        (Some(message), Some(endpoint)) => {
            sent_then = comparable(place, sent(pages, place, message, endpoint).await?, endpoint);
        }
        (Some(message), None) => {
            let all = pages.store.list_deliveries(place.application.id, message.id).await?;
            if let Some((_, endpoint)) = all.first() {
                sent_then =
                    comparable(place, sent(pages, place, message, endpoint).await?, endpoint);
            }
        }
        (None, Some(endpoint)) => recent = recently_sent(pages, place, endpoint).await?,
        (None, None) => {}
    }
    Ok(Case {
        pasted,
        computed: fields.computed.clone(),
        candidates: candidates(place, endpoints, fields),
        registered: chosen.map(|endpoint| registered(endpoint)).unwrap_or_default(),
        sent: sent_then,
        recent,
        now: pages.clock.now(),
    })
}

/// The pasted secret, or those of the chosen webhook; then those of the application's others.
fn candidates(place: &Place, endpoints: &[Arc<Endpoint>], fields: &Fields) -> Vec<Candidate> {
    let pasted = &fields.secret.0;
    let is_pasted = !pasted.expose().is_empty();
    let owner = Owner { webhook: None, chosen: true, until: None };
    let mut all: Vec<Candidate> =
        is_pasted.then(|| Candidate { owner, text: pasted.clone() }).into_iter().collect();
    if !own_secrets(place) {
        return all;
    }
    let is_chosen = |endpoint: &Endpoint| endpoint.id.to_string() == fields.webhook;
    let (first, others): (Vec<_>, Vec<_>) =
        endpoints.iter().partition(|endpoint| is_chosen(endpoint));
    for endpoint in first.into_iter().chain(others) {
        let chosen = is_chosen(endpoint) && !is_pasted;
        all.extend(endpoint.secrets.iter().map(|secret| Candidate {
            owner: Owner {
                webhook: Some(webhooks::name(endpoint)),
                chosen,
                until: secret.expires_at,
            },
            text: secret.text.clone(),
        }));
    }
    all
}

fn registered(endpoint: &Endpoint) -> RequestText {
    let method = match endpoint.transport {
        Transport::Webhook => endpoint.method.as_str(),
        Transport::Websocket => crate::contract::WEBSOCKET_METHOD,
    };
    RequestText { method: method.to_owned(), url: endpoint.url.clone(), ..RequestText::default() }
}

/// An event as a webhook got it, once for each of the last attempts, and which of the headers
/// are credentials. Where there was none yet, as it would be sent now.
async fn sent(
    pages: &Pages,
    place: &Place,
    message: &Message,
    endpoint: &Endpoint,
) -> Result<Vec<(RequestText, Vec<String>)>> {
    if message.payload_expired() {
        return Ok(Vec::new());
    }
    let filter = AttemptFilter {
        endpoint: Some(endpoint.id),
        message: Some(message.id),
        ..AttemptFilter::default()
    };
    let page = Page::<AttemptId> { after: None, descending: true, limit: ATTEMPTS_COMPARED };
    let rows = pages.store.list_attempts(place.application.id, filter, page).await?;
    let mut times: Vec<_> =
        rows.iter().map(|row| (row.attempt.number, row.attempt.started_at)).collect();
    if times.is_empty() {
        times.push((1, pages.clock.now()));
    }
    let contract = &place.environment.contract;
    let rendered = times.into_iter().map(|(attempt, now)| {
        let input = RenderInput { message, endpoint, attempt, now };
        contract.sent(&input)
    });
    // What can't be rendered any more can't be compared with.
    let mut requests: Vec<_> = Vec::new();
    for sent in rendered.filter_map(std::result::Result::ok) {
        let bytes = |(request, _): &(RequestText, Vec<String>)| request.body.len();
        if requests.iter().map(bytes).sum::<usize>() >= COMPARED_BYTES {
            break;
        }
        requests.push(sent);
    }
    Ok(requests)
}

/// The requests that may be compared with what is pasted: where they differ is shown, and so
/// would be a secret that stands there.
fn comparable(
    place: &Place,
    requests: Vec<(RequestText, Vec<String>)>,
    endpoint: &Endpoint,
) -> Vec<RequestText> {
    let (secrets, sends) = (Secrets::of(endpoint), place.environment.contract.sends_secret());
    let may = |(request, credentials): &(RequestText, Vec<String>)| {
        !sends || !secrets.are_sent(request, credentials)
    };
    requests.into_iter().filter(may).map(|(request, _)| request).collect()
}

/// The last events of a webhook, as they would be sent now.
async fn recently_sent(
    pages: &Pages,
    place: &Place,
    endpoint: &Endpoint,
) -> Result<Vec<RequestText>> {
    let filter = DeliveryFilter { endpoint: Some(endpoint.id), ..DeliveryFilter::default() };
    let page = Page { after: None, descending: true, limit: RECENT_EVENTS };
    let log = pages.store.list_log(place.application.id, filter, page).await?;
    let mut requests: Vec<(RequestText, Vec<String>)> = Vec::new();
    for line in &log.lines {
        let bytes = requests.iter().map(|(request, _)| request.body.len());
        if bytes.sum::<usize>() >= COMPARED_BYTES {
            break;
        }
        let reference = Reference(line.id.message.to_string());
        let message = match pages.store.get_message(place.application.id, &reference).await {
            Ok(message) => message,
            // It grew too old meanwhile.
            Err(error) if error.code == ErrorCode::NotFound => continue,
            Err(error) => return Err(error),
        };
        let now = pages.clock.now();
        let input = RenderInput { message: &message, endpoint, attempt: 1, now };
        if !message.payload_expired() {
            requests.extend(place.environment.contract.sent(&input).ok());
        }
    }
    Ok(comparable(place, requests, endpoint))
}

async fn diagnose(place: &Place, turns: &Turns, case: Case) -> Result<Diagnosis> {
    let turn = turns.take(place.application.id).await?;
    let contract = Arc::clone(&place.environment.contract);
    let work = move || {
        let _turn = turn;
        contract.diagnose(&case)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal(error.to_string()))
}

async fn page(
    pages: &Pages,
    place: &Place,
    endpoints: Vec<Arc<Endpoint>>,
    fields: Fields,
    (refusal, result): (Refusal, Option<Shown>),
) -> PageResult {
    let named = endpoints.iter().map(|one| (one.id.to_string(), webhooks::name(one)));
    html(&DebuggerPage {
        shell: Shell::of(pages, place, Section::Debugger, None).await?,
        signs: place.environment.contract.signs(),
        webhooks: named.collect(),
        own_secrets: own_secrets(place),
        fields: Fields { secret: SecretField::default(), ..fields },
        refusal,
        result,
    })
}
