//! Sending many events of a webhook again: choosing, counting, and then watching it happen.

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{PageError, PageResult};
use super::form::Posted;
use super::native::Refusal;
use super::place::Place;
use super::resend_span::{Asked, Confirmed, PRESETS, Span, refused};
use super::shell::{Section, Shell};
use super::webhooks::Done;
use super::{Pages, html, webhook_form, webhooks, words};
use crate::domain::{
    Endpoint, Error, ErrorCode, Resend, ResendFilter, ResendKind, ResendScope, ResendState, Result,
};
use crate::store::{Page, ResendQuery, ResendsOf};

/// The latest resends on a webhook's page.
const RESENDS_SHOWN: u32 = 5;

pub(super) fn router() -> Router<Pages> {
    const AT: &str = "/env/{environment}/app/{application}/webhooks/{webhook}";
    Router::new()
        .route(&format!("{AT}/replay"), get(ask).post(begin))
        .route(&format!("{AT}/recover"), get(ask).post(begin))
        .route(&format!("{AT}/missing"), get(ask).post(begin))
        .route(&format!("{AT}/resends/{{resend}}"), get(progress))
        .route(&format!("{AT}/resends/{{resend}}/cancel"), post(cancel))
}

/// The kind that an address ends with.
struct Action(ResendKind);

impl FromRequestParts<Pages> for Action {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &Pages) -> Result<Action, PageError> {
        let path = parts.uri.path();
        let kind = ResendKind::ALL.into_iter().find(|kind| path.ends_with(kind.as_str()));
        kind.map(Action).ok_or_else(|| Error::not_found().into())
    }
}

type At = Path<(String, String, String)>;

/// What pages call a kind of resend.
struct Words {
    /// What it does, as the heading and as a link.
    action: &'static str,
    /// One of this kind, in lists.
    noun: &'static str,
    explained: &'static str,
    /// What is true of one event that is counted, and of several.
    counted: (&'static str, &'static str),
    /// How the button goes on after `Send 3 events`.
    again: &'static str,
}

const fn words_of(kind: ResendKind) -> Words {
    match kind {
        ResendKind::Replay => Words {
            action: "Replay everything",
            noun: "Replay",
            explained: "What was delivered to this webhook or has failed is sent again. What \
                waits, is being retried or was cancelled is left alone.",
            counted: ("was delivered or has failed", "were delivered or have failed"),
            again: " again",
        },
        ResendKind::Recover => Words {
            action: "Recover what failed",
            noun: "Recovery",
            explained: "What has failed for good is sent again, such as after an outage. What \
                was delivered, waits or is being retried is left alone.",
            counted: ("has failed", "have failed"),
            again: " again",
        },
        ResendKind::Missing => Words {
            action: "Send what was missed",
            noun: "Missed events",
            explained: "What this webhook takes, as it is set now, but was never sent to it goes \
                out: it was made, enabled or given these events later.",
            counted: ("was never sent to it", "were never sent to it"),
            again: "",
        },
    }
}

impl Words {
    fn counted(&self, count: u64) -> &'static str {
        if count == 1 { self.counted.0 } else { self.counted.1 }
    }
}

/// `1 event`, `1,204 events`.
fn events(count: u64) -> String {
    let noun = if count == 1 { "event" } else { "events" };
    format!("{} {noun}", words::number(count))
}

#[derive(Template)]
#[template(path = "resend.html")]
struct AskPage {
    shell: Shell,
    id: String,
    name: String,
    words: Words,
    delivers: bool,
    presets: Vec<Preset>,
    asked: Asked,
    /// What the form asks for, with its count, where it was sent.
    found: Option<Found>,
    refusal: Refusal,
}

/// A span of time that can be chosen at once.
struct Preset {
    word: &'static str,
    label: &'static str,
    since: String,
    chosen: bool,
}

struct Found {
    span: Span,
    since: String,
    until: String,
    count: u64,
}

async fn ask(
    State(pages): State<Pages>,
    place: Place,
    Action(kind): Action,
    Path((_, _, webhook)): At,
    Query(asked): Query<Asked>,
) -> PageResult {
    place.require_change()?;
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let (found, refusal) = match asked.span(pages.clock.now()) {
        Ok(None) => (None, Refusal::default()),
        Ok(Some(span)) => match count(&pages, &endpoint, kind, span).await {
            Ok(found) => (Some(found), Refusal::default()),
            Err(error) => (None, refusal(error)?),
        },
        Err(refusal) => (None, refusal),
    };
    ask_page(&pages, &place, &endpoint, kind, asked, (found, refusal)).await
}

/// What stands beside the form. Where too much runs at present, the same form may be sent later.
fn refusal(error: Error) -> Result<Refusal> {
    match error.code {
        ErrorCode::RateLimited => Ok(refused("", &error.detail)),
        _ => Refusal::of(error),
    }
}

async fn count(pages: &Pages, endpoint: &Endpoint, kind: ResendKind, span: Span) -> Result<Found> {
    let Span { since, until } = span;
    let scope = ResendScope { kind, since, until: Some(until), filter: ResendFilter::default() };
    let count = pages.store.count_resend(endpoint.destination(), scope).await?;
    Ok(Found { span, since: words::exact(since), until: words::exact(until), count })
}

async fn ask_page(
    pages: &Pages,
    place: &Place,
    endpoint: &Endpoint,
    kind: ResendKind,
    asked: Asked,
    (found, refusal): (Option<Found>, Refusal),
) -> PageResult {
    let now = pages.clock.now();
    let presets = PRESETS.iter().map(|(word, label, before)| Preset {
        word,
        label,
        since: words::exact(now.before(*before)),
        chosen: asked.is(word),
    });
    html(&AskPage {
        shell: Shell::of(pages, place, Section::Webhooks, None).await?,
        id: endpoint.id.to_string(),
        name: webhooks::name(endpoint),
        words: words_of(kind),
        delivers: endpoint.state.delivers(),
        presets: presets.collect(),
        asked,
        found,
        refusal,
    })
}

async fn begin(
    State(pages): State<Pages>,
    place: Place,
    Action(kind): Action,
    Path((_, _, webhook)): At,
    Posted(confirmed): Posted<Confirmed>,
) -> PageResult {
    place.require_change()?;
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let span = confirmed.span()?;
    let route = match kind {
        ResendKind::Replay => "bulk-replay",
        ResendKind::Recover => "recover",
        ResendKind::Missing => "replay-missing",
    };
    let path = format!("/endpoint/{}/{route}", endpoint.id);
    let input = json!({ "since": span.since.to_string(), "until": span.until.to_string() });
    match place.change(&pages, Method::POST, &path, &input).await {
        Ok(answer) => {
            let resend = webhook_form::id_of(&answer)?;
            Ok(to(&place, &endpoint, &format!("/resends/{resend}?done=started")))
        }
        Err(error) => {
            let refused = (None, refusal(error)?);
            ask_page(&pages, &place, &endpoint, kind, Asked::of(span), refused).await
        }
    }
}

fn to(place: &Place, endpoint: &Endpoint, rest: &str) -> axum::response::Response {
    Redirect::to(&format!("{}/webhooks/{}{rest}", place.base(), endpoint.id)).into_response()
}

/// A resend as pages show it.
pub(super) struct Line {
    pub(super) id: String,
    pub(super) noun: &'static str,
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) running: bool,
    pub(super) sent: String,
    pub(super) counted: String,
    /// Of a bar, and how far it is.
    pub(super) total: u64,
    pub(super) done: u64,
    pub(super) since: String,
    pub(super) until: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) began: String,
    pub(super) began_rfc3339: String,
    pub(super) changed: String,
}

impl Line {
    fn of(resend: &Resend) -> Line {
        let (class, word) = match resend.state {
            ResendState::Running => ("retrying", "Running"),
            ResendState::Finished => ("delivered", "Finished"),
            ResendState::Cancelled => ("cancelled", "Cancelled"),
            ResendState::Failed => ("failed", "Stopped"),
        };
        // A bar without a length is never full.
        let total = resend.counted.max(resend.sent).max(1);
        let finished = resend.state == ResendState::Finished;
        Line {
            id: resend.id.to_string(),
            noun: words_of(resend.scope.kind).noun,
            class,
            word,
            running: resend.state == ResendState::Running,
            sent: words::number(resend.sent),
            counted: words::number(resend.counted),
            total,
            done: if finished { total } else { resend.sent },
            since: words::exact(resend.scope.since),
            until: resend.scope.until.map(words::exact),
            reason: resend.reason.clone(),
            began: words::exact(resend.created_at),
            began_rfc3339: resend.created_at.rfc3339(0),
            changed: words::exact(resend.updated_at),
        }
    }
}

/// The latest resends of a webhook, newest first.
///
/// # Errors
/// Those of the store.
pub(super) async fn latest(pages: &Pages, endpoint: &Endpoint) -> Result<Vec<Line>> {
    let environment = endpoint.environment.clone();
    let of = ResendsOf::Endpoint(endpoint.id);
    let query = ResendQuery { environment, of, states: Vec::new(), kind: None };
    let page = Page { after: None, descending: true, limit: RESENDS_SHOWN };
    let resends = pages.store.list_resends(query, page).await?;
    Ok(resends.iter().map(Line::of).collect())
}

#[derive(Template)]
#[template(path = "resend_progress.html")]
struct ProgressPage {
    shell: Shell,
    id: String,
    name: String,
    line: Line,
    /// Its events in the log.
    log: String,
}

type AtResend = Path<(String, String, String, String)>;

/// A resend of a webhook, by the ids in the address.
async fn find(pages: &Pages, place: &Place, endpoint: &Endpoint, resend: &str) -> Result<Resend> {
    let id = resend.parse().map_err(|_| Error::not_found())?;
    let resend = pages.store.get_resend(&place.environment.name, id).await?;
    match resend.endpoint_id == endpoint.id {
        true => Ok(resend),
        false => Err(Error::not_found()),
    }
}

async fn progress(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook, resend)): AtResend,
    Query(query): Query<Done>,
) -> PageResult {
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let resend = find(&pages, &place, &endpoint, &resend).await?;
    let notice = match query.done.as_str() {
        "started" => Some("It has begun. You may leave this page: it goes on by itself."),
        "cancelled" => Some("Nothing more is queued. What was queued already is still sent."),
        _ => None,
    };
    html(&ProgressPage {
        shell: Shell::of(&pages, &place, Section::Webhooks, notice.map(str::to_owned)).await?,
        id: endpoint.id.to_string(),
        name: webhooks::name(&endpoint),
        log: Span::log(&resend),
        line: Line::of(&resend),
    })
}

#[derive(Deserialize)]
struct Nothing {}

async fn cancel(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook, resend)): AtResend,
    Posted(Nothing {}): Posted<Nothing>,
) -> PageResult {
    place.require_change()?;
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let id = find(&pages, &place, &endpoint, &resend).await?.id;
    let path = format!("/api/v1/background-task/{id}/cancel");
    let input = Value::Null.to_string();
    let answer = pages.local.call(&place.caller(), Method::POST, &path, input).await?;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    let done = if answer["data"]["state"] == "cancelled" { "?done=cancelled" } else { "" };
    Ok(to(&place, &endpoint, &format!("/resends/{id}{done}")))
}
