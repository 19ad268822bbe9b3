//! The list of an application's webhooks.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use serde::Deserialize;

use super::error::PageResult;
use super::place::Place;
use super::shell::{Section, Shell};
use super::spark::{self, Spark};
use super::{Pages, html, words};
use crate::domain::{ALL_EVENTS, Endpoint, EndpointId, EndpointState, Result, Subscription};
use crate::store::{EndpointHour, Page};

/// Webhooks read from the store at a time.
const WEBHOOKS_AT_ONCE: u32 = 250;

pub(super) fn router() -> Router<Pages> {
    Router::new().route("/env/{environment}/app/{application}/webhooks", get(list))
}

/// What a webhook's state looks like: a sign, a word, and why.
pub(super) struct StateTag {
    /// The class of the tag, which also picks its sign.
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) since: Option<String>,
    pub(super) reason: Option<String>,
}

impl StateTag {
    pub(super) fn of(endpoint: &Endpoint, failing: bool) -> StateTag {
        let (class, word, at, reason) = match &endpoint.state {
            EndpointState::Enabled if failing => ("failing", "Failing", None, None),
            EndpointState::Enabled => ("enabled", "Enabled", None, None),
            EndpointState::Paused { at, reason } => ("paused", "Paused", Some(*at), Some(reason)),
            EndpointState::Disabled { at, reason } => {
                ("disabled", "Disabled", Some(*at), Some(reason))
            }
        };
        StateTag { class, word, since: at.map(words::exact), reason: reason.cloned() }
    }
}

struct Row {
    id: String,
    name: String,
    url: String,
    events: String,
    state: StateTag,
    spark: Spark,
    delivers: bool,
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<Row>,
    attention: usize,
    has_secrets: bool,
}

/// What somebody has just done, by a word in the address.
#[derive(Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    pub(super) done: String,
}

async fn list(State(pages): State<Pages>, place: Place, Query(query): Query<Done>) -> PageResult {
    let now = pages.clock.now();
    let endpoints = all(&pages, &place).await?;
    let hours = pages.store.endpoint_hours(place.application.id, spark::since(now)).await?;
    let mut hours_of: HashMap<EndpointId, Vec<EndpointHour>> = HashMap::new();
    for hour in hours {
        hours_of.entry(hour.endpoint).or_default().push(hour);
    }
    let rows: Vec<Row> = endpoints
        .iter()
        .map(|endpoint| {
            let hours = hours_of.remove(&endpoint.id).unwrap_or_default();
            row(endpoint, Spark::of(endpoint.id, &hours, now))
        })
        .collect();
    let attention = rows.iter().filter(|row| row.state.class != "enabled").count();
    let shell = Shell::of(&pages, &place, Section::Webhooks, notice(&query.done)).await?;
    let has_secrets = place.environment.contract.signature_headers().next().is_some();
    html(&ListPage { shell, rows, attention, has_secrets })
}

/// The sentence for what was done.
fn notice(done: &str) -> Option<String> {
    let sentence = match done {
        "created" => "The webhook was created.",
        "deleted" => "The webhook was deleted. What was waiting for it was cancelled.",
        _ => return None,
    };
    Some(sentence.to_owned())
}

/// All webhooks of an application, of which there can't be many, oldest first.
pub(super) async fn all(pages: &Pages, place: &Place) -> Result<Vec<Arc<Endpoint>>> {
    let mut all: Vec<Arc<Endpoint>> = Vec::new();
    loop {
        let after = all.last().map(|endpoint| endpoint.id);
        let page = Page { after, descending: false, limit: WEBHOOKS_AT_ONCE };
        let rows = pages.store.list_endpoints(place.application.id, page).await?;
        let done = rows.len() < WEBHOOKS_AT_ONCE as usize;
        all.extend(rows);
        if done {
            return Ok(all);
        }
    }
}

fn row(endpoint: &Endpoint, spark: Spark) -> Row {
    Row {
        id: endpoint.id.to_string(),
        name: name(endpoint),
        url: endpoint.url.clone(),
        events: events(&endpoint.subscription),
        state: StateTag::of(endpoint, spark.is_failing()),
        spark,
        delivers: endpoint.state.delivers(),
    }
}

/// A webhook's name; its address where it has none.
pub(super) fn name(endpoint: &Endpoint) -> String {
    match endpoint.name.trim() {
        "" => endpoint.url.clone(),
        name => name.to_owned(),
    }
}

/// Whether a webhook takes everything.
pub(super) fn takes_all(subscription: &Subscription) -> bool {
    let types = subscription.types().unwrap_or_default();
    *subscription == Subscription::All || types.iter().any(|name| name == ALL_EVENTS)
}

/// What a webhook takes, in a few words.
pub(super) fn events(subscription: &Subscription) -> String {
    let types = subscription.types().unwrap_or_default();
    let groups = subscription.groups().unwrap_or_default();
    if takes_all(subscription) {
        return "All events".to_owned();
    }
    match (types, groups) {
        ([one], []) => one.clone(),
        ([], [one]) => format!("All of {one}"),
        (types, groups) => {
            let mut parts = Vec::new();
            match groups.len() {
                0 => {}
                1 => parts.push("1 group".to_owned()),
                count => parts.push(format!("{count} groups")),
            }
            match types.len() {
                0 => {}
                1 => parts.push("1 event".to_owned()),
                count => parts.push(format!("{count} events")),
            }
            parts.join(", ")
        }
    }
}
