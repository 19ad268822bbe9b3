//! One webhook: how it stands, what it is set to, what happened to it.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;

use super::error::PageResult;
use super::place::Place;
use super::shell::{Section, Shell};
use super::spark::{self, Spark};
use super::webhooks::{self, Done, StateTag};
use super::{Pages, deliveries, html, resend, words};
use crate::contract::SecretOrigin;
use crate::domain::{
    Auth, Endpoint, EndpointState, HistoryEntry, HistoryEvent, Reference, Result, Transport,
};
use crate::store::{DeliveryFilter, Page};

/// Entries of the history on the page.
const HISTORY_SHOWN: u32 = 10;

/// Latest deliveries on the page.
const DELIVERIES_SHOWN: u32 = 5;

pub(super) fn router() -> Router<Pages> {
    Router::new().route("/env/{environment}/app/{application}/webhooks/{webhook}", get(show))
}

/// A line of a webhook's history.
struct Happened {
    at: String,
    at_rfc3339: String,
    what: &'static str,
    by: &'static str,
    why: Option<String>,
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct WebhookPage {
    shell: Shell,
    id: String,
    name: String,
    url: String,
    method: String,
    state: StateTag,
    delivers: bool,
    paused: bool,
    /// How many deliveries wait for somebody to enable it.
    waiting: u64,
    events: Vec<String>,
    takes_all: bool,
    auth: String,
    headers: Vec<String>,
    secret: bool,
    created_at: String,
    spark: Spark,
    latest: Vec<deliveries::Line>,
    /// Whether older ones were not looked for.
    searched_in_part: bool,
    resends: Vec<resend::Line>,
    history: Vec<Happened>,
}

async fn show(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): Path<(String, String, String)>,
    Query(query): Query<Done>,
) -> PageResult {
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let now = pages.clock.now();
    let hours = pages.store.endpoint_hours(place.application.id, spark::since(now)).await?;
    let filter = DeliveryFilter { endpoint: Some(endpoint.id), ..DeliveryFilter::default() };
    let page = Page { after: None, descending: true, limit: DELIVERIES_SHOWN };
    let latest = pages.store.list_log(place.application.id, filter, page).await?;
    let history = history(&pages, &place, &endpoint).await?;
    let waiting = match endpoint.state.delivers() {
        true => 0,
        false => pages.store.count_waiting(place.application.id, endpoint.id).await?,
    };
    let spark = Spark::of(endpoint.id, &hours, now);
    html(&WebhookPage {
        shell: Shell::of(&pages, &place, Section::Webhooks, notice(&query.done)).await?,
        id: endpoint.id.to_string(),
        name: webhooks::name(&endpoint),
        url: endpoint.url.clone(),
        method: method(&endpoint),
        state: StateTag::of(&endpoint, spark.is_failing()),
        delivers: endpoint.state.delivers(),
        paused: matches!(endpoint.state, EndpointState::Paused { .. }),
        waiting,
        events: events(&endpoint),
        takes_all: webhooks::takes_all(&endpoint.subscription),
        auth: auth(&endpoint.auth),
        headers: endpoint.headers.iter().map(|(name, _)| name.clone()).collect(),
        secret: !endpoint.secrets.is_empty() && has_secrets(&place),
        created_at: words::exact(endpoint.created_at),
        spark,
        searched_in_part: latest.has_more,
        latest: latest.lines.iter().map(|line| deliveries::Line::of(line, now)).collect(),
        resends: resend::latest(&pages, &endpoint).await?,
        history,
    })
}

/// Whether webhooks have signing secrets here.
pub(super) fn has_secrets(place: &Place) -> bool {
    place.environment.contract.secret().origin != SecretOrigin::None
}

fn notice(done: &str) -> Option<String> {
    let sentence = match done {
        "created" => "The webhook was created. Try it with a test event.",
        "changed" => "Your changes were saved.",
        "disabled" => "The webhook was disabled. New events are not kept for it.",
        "enabled" => "The webhook was enabled. What waited goes out now, oldest first.",
        "enabled-dropped" => "The webhook was enabled. What waited was dropped.",
        "regenerated" => "There is a new signing secret.",
        _ => return None,
    };
    Some(sentence.to_owned())
}

fn method(endpoint: &Endpoint) -> String {
    match endpoint.transport {
        Transport::Webhook => format!("Webhook (HTTP {})", endpoint.method),
        Transport::Websocket => "Websocket".to_owned(),
    }
}

/// What a webhook takes, each by its name.
pub(super) fn events(endpoint: &Endpoint) -> Vec<String> {
    let groups = endpoint.subscription.groups().unwrap_or_default();
    let groups = groups.iter().map(|group| format!("All of {group}"));
    let types = endpoint.subscription.types().unwrap_or_default();
    groups.chain(types.iter().cloned()).collect()
}

fn auth(auth: &Auth) -> String {
    match auth {
        Auth::None => "None".to_owned(),
        Auth::Basic { .. } => "Basic auth".to_owned(),
        Auth::Header { name, .. } => format!("Custom header {name}"),
    }
}

async fn history(pages: &Pages, place: &Place, endpoint: &Endpoint) -> Result<Vec<Happened>> {
    let reference = Reference(endpoint.id.to_string());
    let page = Page { after: None, descending: true, limit: HISTORY_SHOWN };
    let entries = pages.store.list_history(place.application.id, &reference, page).await?;
    Ok(entries.into_iter().map(happened).collect())
}

fn happened(entry: HistoryEntry) -> Happened {
    let why = match (entry.reason, entry.last_failure) {
        (Some(reason), Some(failure)) => Some(format!("{reason}; last: {failure}")),
        (reason, failure) => reason.or(failure),
    };
    Happened {
        at: words::exact(entry.at),
        at_rfc3339: entry.at.rfc3339(0),
        what: match entry.event {
            HistoryEvent::Created => "Created",
            HistoryEvent::Changed => "Changed",
            HistoryEvent::SecretRotated => "Signing secret regenerated",
            HistoryEvent::Paused => "Paused",
            HistoryEvent::Disabled => "Disabled",
            HistoryEvent::Enabled => "Enabled",
            HistoryEvent::PendingDiscarded => "Waiting deliveries dropped",
            HistoryEvent::Deleted => "Deleted",
        },
        by: match entry.by {
            crate::domain::Actor::Api => "by hand or through the API",
            crate::domain::Actor::Rule => "by a rule",
            crate::domain::Actor::Receiver => "by the receiver’s answer",
        },
        why,
    }
}
