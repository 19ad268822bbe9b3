//! The delivery log: which event went where, and what came of it.

use std::str::FromStr;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use serde::Deserialize;

use super::catalog::{self, Group};
use super::error::PageResult;
use super::place::Place;
use super::shell::{Section, Shell};
use super::{Pages, html, webhooks, words};
use crate::domain::{
    DeliveryId, DeliveryState, EndpointId, ErrorCode, MessageId, Outcome, Reference, Result,
    Timestamp,
};
use crate::store::{DeliveryFilter, DeliveryLine, DeliveryPage, DeliveryResult, LastAttempt, Page};

/// Deliveries on a page.
const DELIVERIES_PER_PAGE: u32 = 40;

pub(super) fn router() -> Router<Pages> {
    Router::new().route("/env/{environment}/app/{application}/deliveries", get(list))
}

/// What a filter can ask of the result, with the word in the address.
const RESULTS: [(&str, &str, DeliveryResult); 10] = [
    ("2xx", "2xx Success", DeliveryResult::Class(2)),
    ("3xx", "3xx Redirect", DeliveryResult::Class(3)),
    ("4xx", "4xx Client error", DeliveryResult::Class(4)),
    ("5xx", "5xx Server error", DeliveryResult::Class(5)),
    ("none", "No response", DeliveryResult::NoAnswer),
    ("pending", "Pending", DeliveryResult::Pending),
    ("retrying", "Retrying", DeliveryResult::Retrying),
    ("waiting", "Waiting", DeliveryResult::Waiting),
    ("failed", "Failed", DeliveryResult::Failed),
    ("cancelled", "Cancelled", DeliveryResult::Cancelled),
];

/// The filters as they stand in the address. What makes no sense is dropped.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Filters {
    #[serde(default)]
    pub(super) webhook: String,
    #[serde(default)]
    pub(super) event: String,
    #[serde(default)]
    pub(super) result: String,
    #[serde(default)]
    pub(super) from: String,
    #[serde(default)]
    pub(super) to: String,
    #[serde(default)]
    pub(super) id: String,
    /// Read on from here to what is older.
    #[serde(default)]
    older: String,
    /// Read on from here to what is newer.
    #[serde(default)]
    newer: String,
    /// The newest delivery that a page shows, when it asks for newer ones.
    #[serde(default)]
    newest: String,
}

impl Filters {
    fn is_empty(&self) -> bool {
        [&self.webhook, &self.event, &self.result, &self.from, &self.to, &self.id]
            .iter()
            .all(|text| text.is_empty())
    }

    /// The newest delivery that a page shows.
    pub(super) fn newest(&self) -> Option<DeliveryId> {
        cursor(&self.newest)
    }

    /// The address of the log with these filters and a cursor.
    fn query(&self, cursor: Option<(&str, String)>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("webhook", &self.webhook),
            ("event", &self.event),
            ("result", &self.result),
            ("from", &self.from),
            ("to", &self.to),
            ("id", &self.id),
        ];
        query.extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
        if let Some((name, place)) = cursor {
            query.append_pair(name, &place);
        }
        format!("?{}", query.finish())
    }

    /// What the store is asked; `None` where no delivery can match.
    pub(super) async fn filter(
        &self,
        pages: &Pages,
        place: &Place,
    ) -> Result<Option<DeliveryFilter>> {
        let message = match self.id.trim() {
            "" => None,
            id => {
                let reference = Reference(id.to_owned());
                match pages.store.get_message(place.application.id, &reference).await {
                    Ok(message) => Some(message.id),
                    Err(error) if error.code == ErrorCode::NotFound => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
        };
        let wanted = RESULTS.iter().find(|(word, _, _)| *word == self.result);
        Ok(Some(DeliveryFilter {
            endpoint: self.webhook.parse().ok(),
            message,
            event_types: Some(self.event.clone())
                .into_iter()
                .filter(|one| !one.is_empty())
                .collect(),
            result: wanted.map(|(_, _, result)| *result),
            after: utc(&self.from),
            before: utc(&self.to),
        }))
    }
}

/// A time as a form's field has it, in UTC: `2026-11-21T14:02`, with seconds or without.
fn utc(text: &str) -> Option<Timestamp> {
    let seconds = if text.len() == 16 { ":00Z" } else { "Z" };
    Timestamp::parse_rfc3339(&format!("{text}{seconds}"))
}

/// Where a page of the log starts, as it stands in the address.
fn cursor(text: &str) -> Option<DeliveryId> {
    let (message, endpoint) = text.split_once('.')?;
    Some(DeliveryId {
        message: MessageId::from_str(message).ok()?,
        endpoint: EndpointId::from_str(endpoint).ok()?,
    })
}

fn cursor_text(id: DeliveryId) -> String {
    format!("{}.{}", id.message, id.endpoint)
}

/// A row of the log.
pub(super) struct Line {
    pub(super) path: String,
    pub(super) at: String,
    pub(super) at_rfc3339: String,
    pub(super) event: String,
    pub(super) test: bool,
    pub(super) webhook: String,
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) status: Option<u16>,
    pub(super) retries: u32,
    pub(super) next: Option<(String, String)>,
    pub(super) duration: Option<String>,
    pub(super) error: Option<String>,
}

impl Line {
    pub(super) fn of(line: &DeliveryLine, now: Timestamp) -> Line {
        let (class, word) = standing(line);
        let last = line.last.as_ref();
        let at = last.map_or(line.published_at, |last| last.started_at);
        let webhook = match line.endpoint_name.trim() {
            "" => line.endpoint_url.clone(),
            name => name.to_owned(),
        };
        Line {
            path: format!("/deliveries/{}/{}", line.id.message, line.id.endpoint),
            at: words::exact(at),
            at_rfc3339: at.rfc3339(3),
            event: line.event_type.clone(),
            test: line.test,
            webhook: if line.endpoint_deleted { format!("{webhook} (deleted)") } else { webhook },
            class,
            word,
            status: last.and_then(|last| last.status),
            retries: line.attempts.saturating_sub(1),
            next: line.next_at.map(|at| (words::exact(at), words::relative(at, now))),
            duration: last.map(|last| words::took(last.duration)),
            error: last.and_then(error),
        }
    }
}

/// The class and the word of where a delivery stands.
pub(super) fn standing(line: &DeliveryLine) -> (&'static str, &'static str) {
    match line.state {
        DeliveryState::Succeeded => ("delivered", "Delivered"),
        DeliveryState::Failed => ("failed", "Failed"),
        DeliveryState::Discarded => ("cancelled", "Cancelled"),
        DeliveryState::Pending if line.waits => ("waiting", "Waiting"),
        DeliveryState::Pending if line.last.is_some() => ("retrying", "Retrying"),
        DeliveryState::Pending => ("pending", "Pending"),
    }
}

/// A failed attempt in a few words.
fn error(last: &LastAttempt) -> Option<String> {
    match (last.succeeded, last.status, &last.failure) {
        (true, _, _) => None,
        (false, Some(status), _) => Some(format!("The endpoint answered {status}")),
        (false, None, Some(failure)) => failure.causes.first().cloned(),
        (false, None, None) => Some("No response".to_owned()),
    }
}

/// What an attempt brought, in a few words that a sentence goes on from.
pub(super) fn outcome_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(answer) => format!("The endpoint answered {}", answer.status),
        Outcome::Failed(failure) => {
            let cause = failure.causes.first().map(|cause| cause.trim_end_matches('.'));
            cause.unwrap_or("No response").to_owned()
        }
    }
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct LogPage {
    shell: Shell,
    filters: Filters,
    webhooks: Vec<(String, String)>,
    groups: Vec<Group>,
    lines: Vec<Line>,
    newer: Option<String>,
    older: Option<String>,
    /// How far back was looked, where that ended before the page was full.
    searched_to: Option<String>,
    clear: String,
    /// Where the page learns of newer deliveries; `None` where it doesn't show the newest.
    live: Option<String>,
}

async fn list(
    State(pages): State<Pages>,
    place: Place,
    Query(filters): Query<Filters>,
) -> PageResult {
    let now = pages.clock.now();
    let webhooks = webhooks::all(&pages, &place).await?;
    let webhooks = webhooks.iter().map(|one| (one.id.to_string(), webhooks::name(one)));
    let found = match filters.filter(&pages, &place).await? {
        Some(filter) => page(&pages, &place, &filters, filter).await?,
        None => Found::default(),
    };
    let newest = found.newest.map(|newest| newest.map(cursor_text).unwrap_or_default());
    let live = newest.map(|newest| filters.query(Some(("newest", newest))));
    html(&LogPage {
        shell: Shell::of(&pages, &place, Section::Deliveries, None).await?,
        webhooks: webhooks.collect(),
        groups: catalog::read(&pages, &place).await?,
        lines: found.lines.iter().map(|line| Line::of(line, now)).collect(),
        newer: found.newer.map(|id| filters.query(Some(("newer", cursor_text(id))))),
        older: found.older.map(|id| filters.query(Some(("older", cursor_text(id))))),
        searched_to: found.searched_to.map(words::exact),
        clear: format!("{}/deliveries", place.base()),
        live: live.map(|query| format!("{}/deliveries/live{query}", place.base())),
        filters,
    })
}

/// A page of the log.
#[derive(Default)]
struct Found {
    lines: Vec<DeliveryLine>,
    newer: Option<DeliveryId>,
    older: Option<DeliveryId>,
    /// How far back was looked, where that ended before the page was full.
    searched_to: Option<Timestamp>,
    /// On the page of the newest: the newest of all, whether it passes the filters or not.
    newest: Option<Option<DeliveryId>>,
}

async fn page(
    pages: &Pages,
    place: &Place,
    filters: &Filters,
    filter: DeliveryFilter,
) -> Result<Found> {
    let at = |after: Option<DeliveryId>, descending: bool| {
        let page = Page { after, descending, limit: DELIVERIES_PER_PAGE };
        pages.store.list_log(place.application.id, filter.clone(), page)
    };
    if let Some(after) = cursor(&filters.newer) {
        let found = at(Some(after), false).await?;
        // Where nothing newer is found, or less than a page, it is the newest page, which is
        // full like any other.
        if found.has_more && !found.lines.is_empty() {
            return Ok(newer(found));
        }
        return Ok(older(at(None, true).await?, None));
    }
    let after = cursor(&filters.older);
    Ok(older(at(after, true).await?, after))
}

/// A page that was read from older to newer.
fn newer(DeliveryPage { mut lines, reached, .. }: DeliveryPage) -> Found {
    let is_full = lines.len() == DELIVERIES_PER_PAGE as usize;
    let end = if is_full { lines.last().map(|one| one.id) } else { reached.map(|(id, _)| id) };
    lines.reverse();
    Found { newer: end, older: lines.last().map(|one| one.id), lines, ..Found::default() }
}

/// A page that was read from newer to older, starting behind `after`.
fn older(page: DeliveryPage, after: Option<DeliveryId>) -> Found {
    let DeliveryPage { lines, first, reached, has_more } = page;
    let ended_early = has_more && lines.len() < DELIVERIES_PER_PAGE as usize;
    let end = if ended_early { reached.map(|(id, _)| id) } else { lines.last().map(|one| one.id) };
    Found {
        newer: after.and(lines.first().map(|one| one.id)),
        older: end.filter(|_| has_more),
        searched_to: reached.map(|(_, at)| at).filter(|_| ended_early),
        newest: after.is_none().then_some(first),
        lines,
    }
}
