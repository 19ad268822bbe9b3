//! One delivery: what was sent, what came back at each attempt, what happens next. Where there
//! is no delivery: why there is none.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;

use super::conceal::{HIDDEN, Secrets};
use super::error::PageResult;
use super::form::Posted;
use super::place::Place;
use super::shell::{Section, Shell};
use super::webhooks::Done;
use super::{Pages, deliveries, html, webhook, webhooks, words};
use crate::contract::RenderInput;
use crate::domain::{
    AttemptId, Auth, DeliveryState, Endpoint, EndpointId, Error, Failure, FailureKind, Message,
    Outcome, Reference, Result, SecretText, Timestamp, Timing, Trigger,
};
use crate::store::{AttemptFilter, AttemptRow, DeliveryFilter, DeliveryLine, DeliveryRow, Page};

/// Attempts on the page.
const ATTEMPTS_SHOWN: u32 = 100;

pub(super) fn router() -> Router<Pages> {
    const AT: &str = "/env/{environment}/app/{application}/deliveries/{message}/{webhook}";
    Router::new().route(AT, get(show)).route(&format!("{AT}/retry"), post(retry))
}

/// A request as it goes out.
struct Shown {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    pretty: String,
    curl: String,
}

/// An attempt, opened.
struct Tried {
    number: u32,
    at: String,
    at_rfc3339: String,
    trigger: &'static str,
    succeeded: bool,
    status: Option<u16>,
    words: String,
    duration: String,
    url: String,
    phases: Vec<(&'static str, String)>,
    headers: Vec<(String, String)>,
    body: String,
    truncated: bool,
    causes: Vec<String>,
    advice: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    shell: Shell,
    path: String,
    message: String,
    event: String,
    event_id: String,
    test: bool,
    published_at: String,
    webhook: (String, String, bool),
    class: &'static str,
    word: &'static str,
    sentence: String,
    next: Option<(String, String)>,
    request: Result<Shown, String>,
    /// Whether the webhook was changed after the last attempt, so that what it got then may
    /// have looked different.
    changed_since: bool,
    attempts: Vec<Tried>,
    can_retry: bool,
    /// Whether something is about to happen, so that the page looks again by itself.
    moving: bool,
}

#[derive(Template)]
#[template(path = "no_delivery.html")]
struct NoDeliveryPage {
    shell: Shell,
    event: String,
    webhook: (String, String),
    reasons: Vec<String>,
}

async fn show(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, message, webhook)): Path<(String, String, String, String)>,
    Query(query): Query<Done>,
) -> PageResult {
    let application = place.application.id;
    let message = pages.store.get_message(application, &Reference(message)).await?;
    let all = pages.store.list_deliveries(application, message.id).await?;
    let named = |endpoint: &Endpoint| {
        endpoint.id.to_string() == webhook || endpoint.uid.as_ref() == Some(&webhook)
    };
    match all.into_iter().find(|(_, endpoint)| named(endpoint)) {
        Some((row, endpoint)) => {
            delivery(&pages, &place, (&message, &endpoint, row), &query.done).await
        }
        None => {
            let endpoint = place.endpoint(&pages, &webhook).await?;
            no_delivery(&pages, &place, &message, &endpoint).await
        }
    }
}

async fn delivery(
    pages: &Pages,
    place: &Place,
    (message, endpoint, row): (&Arc<Message>, &Arc<Endpoint>, DeliveryRow),
    done: &str,
) -> PageResult {
    let now = pages.clock.now();
    let line = line(pages, place, &row).await?;
    let attempts = attempts(pages, place, &row).await?;
    let last_start = attempts.first().map_or(now, |last| last.attempt.started_at);
    let (class, word) = deliveries::standing(&line);
    let notice = match done {
        "tested" => Some("The test event was sent.".to_owned()),
        "retried" => Some("A new attempt was started.".to_owned()),
        _ => None,
    };
    let secrets = Secrets::of(endpoint);
    let number = attempts.first().map_or(1, |last| last.attempt.number);
    let due_soon = row.next_at.is_some_and(|at| at <= now + std::time::Duration::from_secs(5));
    html(&DeliveryPage {
        shell: Shell::of(pages, place, Section::Deliveries, notice).await?,
        path: format!("{}/deliveries/{}/{}", place.base(), message.id, endpoint.id),
        message: message.id.to_string(),
        event: message.event_type.clone(),
        event_id: message.public_event_id(),
        test: message.test,
        published_at: words::exact(message.created_at),
        webhook: (endpoint.id.to_string(), webhooks::name(endpoint), line.endpoint_deleted),
        class,
        word,
        sentence: sentence(&line, &attempts, now),
        next: line.next_at.map(|at| (words::exact(at), words::relative(at, now))),
        request: request(place, message, endpoint, (number, last_start)),
        changed_since: !attempts.is_empty() && endpoint.updated_at > last_start,
        attempts: attempts.into_iter().map(|row| tried(row, &secrets)).collect(),
        can_retry: !place.viewer.read_only()
            && !line.endpoint_deleted
            && !message.payload_expired()
            && endpoint.state.delivers(),
        moving: row.state == DeliveryState::Pending && endpoint.state.delivers() && due_soon,
    })
}

/// The delivery as the log has it.
async fn line(pages: &Pages, place: &Place, row: &DeliveryRow) -> Result<DeliveryLine> {
    let filter = DeliveryFilter {
        endpoint: Some(row.id.endpoint),
        message: Some(row.id.message),
        ..DeliveryFilter::default()
    };
    let page = Page { after: None, descending: true, limit: 1 };
    let found = pages.store.list_log(place.application.id, filter, page).await?;
    found.lines.into_iter().next().ok_or_else(Error::not_found)
}

async fn attempts(pages: &Pages, place: &Place, row: &DeliveryRow) -> Result<Vec<AttemptRow>> {
    let filter = AttemptFilter {
        endpoint: Some(row.id.endpoint),
        message: Some(row.id.message),
        ..AttemptFilter::default()
    };
    let page = Page::<AttemptId> { after: None, descending: true, limit: ATTEMPTS_SHOWN };
    pages.store.list_attempts(place.application.id, filter, page).await
}

/// How it stands, in words that answer "did you send it?".
fn sentence(line: &DeliveryLine, attempts: &[AttemptRow], now: Timestamp) -> String {
    let count = match line.attempts {
        0 => "No attempt yet".to_owned(),
        1 => "1 attempt".to_owned(),
        count => format!("{count} attempts"),
    };
    let last = attempts.first().map(|row| {
        let what = deliveries::outcome_words(&row.attempt.outcome);
        format!("{what} at {}", words::exact(row.attempt.started_at))
    });
    let last = last.map(|last| format!(" {last}.")).unwrap_or_default();
    match line.state {
        DeliveryState::Succeeded => format!("Delivered in {count}.{last}"),
        DeliveryState::Failed => {
            format!("Failed after {count}.{last} No more will follow by themselves.")
        }
        DeliveryState::Discarded => {
            format!(
                "Cancelled: the webhook was deleted, or what waited was dropped. {count}.{last}"
            )
        }
        DeliveryState::Pending if line.waits => {
            format!("Waiting until somebody enables the webhook again. {count}.{last}")
        }
        DeliveryState::Pending => match line.next_at.filter(|at| *at > now) {
            Some(at) => format!(
                "{count}.{last} The next attempt is at {}, {}.",
                words::exact(at),
                words::relative(at, now)
            ),
            None => format!("{count}.{last} An attempt is under way or about to begin."),
        },
    }
}

/// The request, made once more from the event and the webhook as it is now.
fn request(
    place: &Place,
    message: &Message,
    endpoint: &Endpoint,
    (attempt, now): (u32, Timestamp),
) -> Result<Shown, String> {
    if message.payload_expired() {
        return Err("the event’s content is no longer kept. What is on this page still is.".into());
    }
    let input = RenderInput { message, endpoint, attempt, now };
    let contract = &place.environment.contract;
    let request = contract
        .render(&input)
        .map_err(|failure| failure.causes.first().cloned().unwrap_or_default())?;
    let (credentials, secrets) = (credentials(endpoint), Secrets::of(endpoint));
    let headers: Vec<(String, String)> = request
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let hide = credentials.contains(&value.as_str());
            (name.to_string(), if hide { HIDDEN.to_owned() } else { secrets.concealed(value) })
        })
        .collect();
    let body = secrets.concealed(String::from_utf8_lossy(&request.body).into_owned());
    let (method, url) = (request.method.to_string(), secrets.concealed(request.url.to_string()));
    let curl = curl(&method, &url, &headers, &body);
    Ok(Shown { pretty: words::pretty(&body), method, url, headers, body, curl })
}

/// What the receiver shall know us by, beside the signature.
fn credentials(endpoint: &Endpoint) -> Vec<&str> {
    let headers = endpoint.headers.iter().map(|(_, value)| value);
    let auth = match &endpoint.auth {
        Auth::None => None,
        Auth::Basic { token } => Some(token),
        Auth::Header { value, .. } => Some(value),
    };
    headers.chain(auth).map(SecretText::expose).collect()
}

/// The request as a command line. Credentials stay hidden in it.
fn curl(method: &str, url: &str, headers: &[(String, String)], body: &str) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let mut command = format!("curl -X {method} {}", quote(url));
    for (name, value) in headers {
        command.push_str(&format!(" \\\n  -H {}", quote(&format!("{name}: {value}"))));
    }
    if !body.is_empty() {
        command.push_str(&format!(" \\\n  --data-raw {}", quote(body)));
    }
    command
}

/// An attempt. Receivers may say in their answers what they got.
fn tried(row: AttemptRow, secrets: &Secrets) -> Tried {
    let attempt = row.attempt;
    let words = deliveries::outcome_words(&attempt.outcome);
    let (status, headers, body, truncated, failure) = match attempt.outcome {
        Outcome::Answered(answer) => {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            let headers = answer.headers.into_iter();
            let headers = headers.map(|(name, value)| (name, secrets.concealed(value))).collect();
            (Some(answer.status), headers, secrets.concealed(body), answer.truncated, None)
        }
        Outcome::Failed(failure) => (None, Vec::new(), String::new(), false, Some(failure)),
    };
    Tried {
        number: attempt.number,
        at: words::exact(attempt.started_at),
        at_rfc3339: attempt.started_at.rfc3339(3),
        trigger: match attempt.trigger {
            Trigger::Scheduled => "automatic",
            Trigger::Manual => "by hand",
        },
        succeeded: attempt.succeeded,
        advice: match attempt.succeeded {
            true => None,
            false => advice(status, failure.as_ref()),
        },
        status,
        words,
        duration: words::took(attempt.duration),
        url: attempt.url,
        phases: phases(&attempt.timing),
        headers,
        body: words::pretty(&body),
        truncated,
        causes: failure.map(|failure| failure.causes).unwrap_or_default(),
    }
}

/// The phases that took time.
fn phases(timing: &Timing) -> Vec<(&'static str, String)> {
    let all = [
        ("Looking the name up", timing.resolve_us),
        ("Connecting", timing.connect_us),
        ("TLS handshake", timing.tls_us),
        ("Waiting for the answer", timing.wait_us),
        ("Reading the answer", timing.receive_us),
    ];
    let some = all.into_iter().filter(|(_, micros)| *micros > 0);
    some.map(|(name, us)| (name, words::took(std::time::Duration::from_micros(us)))).collect()
}

/// What to do about a failure.
const fn advice(status: Option<u16>, failure: Option<&Failure>) -> Option<&'static str> {
    if let Some(status) = status {
        return Some(match status {
            300..=399 => {
                "Redirects are not followed, as they would lead a signed request elsewhere. Set the webhook to the address that answers itself."
            }
            401 | 403 => {
                "The endpoint refuses us. Check what it wants for authentication, and that it verifies the signature over the raw body with the present secret."
            }
            404 | 405 => {
                "Nothing takes this request at that address. Check the path and the method."
            }
            408 | 504 => {
                "Something in front of the endpoint gave up waiting for it. Acknowledge first, and work afterwards."
            }
            410 => "The endpoint says that it is gone for good.",
            413 => "The endpoint takes no body as large as this one. Raise its limit.",
            429 => "The endpoint asks for fewer requests at a time.",
            400..=499 => {
                "The endpoint doesn’t accept the request. Its answer below may say why; so may its log."
            }
            _ => "The endpoint failed. Its answer below may say why; so may its log.",
        });
    }
    let Some(failure) = failure else { return None };
    Some(match failure.kind {
        FailureKind::Render => {
            "The request could not be made. This is for whoever runs this service to mend."
        }
        FailureKind::Url => "The address can’t be used. Edit the webhook.",
        FailureKind::Dns => {
            "The name has no address. Check its spelling, and its records in the DNS."
        }
        FailureKind::Blocked => {
            "The name leads to an address inside a private network, which may not be reached from here."
        }
        FailureKind::Connect => {
            "Nobody takes connections there. Check that the endpoint runs, and that its firewall lets our addresses in."
        }
        FailureKind::Tls => {
            "The encrypted connection failed. Check the certificate: its name, its dates, and that the whole chain is sent."
        }
        FailureKind::Timeout => {
            "The endpoint took too long. Acknowledge first, and work afterwards."
        }
        FailureKind::Reset => {
            "The connection broke before there was an answer. A proxy or a crash in the endpoint may be the cause."
        }
        FailureKind::Protocol => {
            "What came back isn’t HTTP. Check the port, and whether it expects http or https."
        }
        FailureKind::Local => "This server had no resources left.",
    })
}

async fn no_delivery(
    pages: &Pages,
    place: &Place,
    message: &Message,
    endpoint: &Endpoint,
) -> PageResult {
    html(&NoDeliveryPage {
        shell: Shell::of(pages, place, Section::Deliveries, None).await?,
        event: format!("{} {}", message.event_type, message.public_event_id()),
        webhook: (endpoint.id.to_string(), webhooks::name(endpoint)),
        reasons: why_not(message, endpoint),
    })
}

/// Why an event made no delivery for a webhook, as far as can be told from how they are now.
fn why_not(message: &Message, endpoint: &Endpoint) -> Vec<String> {
    let mut reasons = Vec::new();
    if endpoint.created_at > message.created_at {
        reasons.push(format!(
            "The webhook was made at {}, after the event at {}.",
            words::exact(endpoint.created_at),
            words::exact(message.created_at)
        ));
    }
    let group = message.event_group.as_deref();
    if !endpoint.subscription.takes(&message.event_type, group) {
        let taken = webhook::events(endpoint).join(", ");
        reasons.push(format!(
            "The webhook doesn’t subscribe to {}. It takes: {taken}.",
            message.event_type
        ));
    }
    if let Some(channels) = &endpoint.channels
        && !channels.iter().any(|channel| message.channels.contains(channel))
    {
        let wanted = channels.join(", ");
        reasons.push(format!(
            "The webhook listens on the channels {wanted}, and the event was on none of them."
        ));
    }
    if message.test {
        reasons.push(
            "It is a test event, which goes to the webhook it was sent for and to nobody else."
                .to_owned(),
        );
    }
    if reasons.is_empty() {
        reasons.push(
            "The webhook was disabled when the event happened, or took other events than it does now. Its history says when it changed."
                .to_owned(),
        );
    }
    reasons
}

#[derive(Deserialize)]
struct Nothing {}

async fn retry(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, message, webhook)): Path<(String, String, String, String)>,
    Posted(Nothing {}): Posted<Nothing>,
) -> PageResult {
    let message = pages.store.get_message(place.application.id, &Reference(message)).await?;
    let endpoint: EndpointId = place.endpoint(&pages, &webhook).await?.id;
    let path = format!("/msg/{}/endpoint/{endpoint}/resend", message.id);
    place.change(&pages, Method::POST, &path, &Value::Null).await?;
    let to = format!("{}/deliveries/{}/{endpoint}?done=retried", place.base(), message.id);
    Ok(Redirect::to(&to).into_response())
}
