//! What can be done with a webhook, each on a page of its own that says what will happen.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::catalog::{self, Group};
use super::error::PageResult;
use super::form::Posted;
use super::native::Refusal;
use super::place::Place;
use super::shell::{Section, Shell};
use super::{Pages, html, webhook_form, webhooks, words};
use crate::domain::{Endpoint, EndpointState, ErrorCode};

pub(super) fn router() -> Router<Pages> {
    const AT: &str = "/env/{environment}/app/{application}/webhooks/{webhook}";
    Router::new()
        .route(&format!("{AT}/secret"), get(secret))
        .route(&format!("{AT}/secret/regenerate"), get(ask_regenerate).post(regenerate))
        .route(&format!("{AT}/test"), get(choose_test).post(send_test))
        .route(&format!("{AT}/enable"), get(ask_enable).post(enable))
        .route(&format!("{AT}/disable"), get(ask_disable).post(disable))
        .route(&format!("{AT}/delete"), get(ask_delete).post(delete))
}

type At = Path<(String, String, String)>;

#[derive(Deserialize)]
struct Nothing {}

/// A webhook as the head of these pages names it.
struct Named {
    id: String,
    name: String,
}

impl Named {
    fn of(endpoint: &Endpoint) -> Named {
        Named { id: endpoint.id.to_string(), name: webhooks::name(endpoint) }
    }
}

#[derive(Template)]
#[template(path = "webhook_secret.html")]
struct SecretPage {
    shell: Shell,
    webhook: Named,
    /// `None` where the contract never shows it again.
    secret: Option<String>,
    why_not: String,
    headers: Vec<String>,
    can_regenerate: bool,
}

async fn secret(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): At,
    Query(query): Query<webhooks::Done>,
) -> PageResult {
    place.require_change()?;
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let path = format!("/endpoint/{}/secret", endpoint.id);
    let (secret, why_not) = match place.read::<Shown>(&pages, &path).await {
        Ok(Shown { key }) => (Some(key), String::new()),
        Err(error) if error.code == ErrorCode::Forbidden => {
            (None, "For safety it isn’t shown again after it was set.".to_owned())
        }
        Err(error) if error.code == ErrorCode::NotFound => {
            (None, "This webhook has no signing secret, so its requests aren’t signed.".to_owned())
        }
        Err(error) => return Err(error.into()),
    };
    let notice = (query.done == "regenerated").then(|| "There is a new signing secret.".to_owned());
    let contract = &place.environment.contract;
    html(&SecretPage {
        shell: Shell::of(&pages, &place, Section::Webhooks, notice).await?,
        webhook: Named::of(&endpoint),
        secret,
        why_not,
        headers: contract.signature_headers().map(ToString::to_string).collect(),
        can_regenerate: super::webhook::has_secrets(&place),
    })
}

#[derive(Deserialize)]
struct Shown {
    key: String,
}

#[derive(Template)]
#[template(path = "webhook_regenerate.html")]
struct RegeneratePage {
    shell: Shell,
    webhook: Named,
    /// How long the old secret goes on signing beside the new one.
    overlap: Option<String>,
    /// Whether the customer chooses it.
    given: bool,
    refusal: Refusal,
}

async fn regenerate_page(
    pages: &Pages,
    place: &Place,
    endpoint: &Endpoint,
    refusal: Refusal,
) -> PageResult {
    let rules = place.environment.contract.secret();
    let now = pages.clock.now();
    let overlap = (!rules.overlap.is_zero()).then(|| words::distance(now + rules.overlap, now));
    html(&RegeneratePage {
        shell: Shell::of(pages, place, Section::Webhooks, None).await?,
        webhook: Named::of(endpoint),
        overlap,
        given: rules.origin != crate::contract::SecretOrigin::Generated,
        refusal,
    })
}

async fn ask_regenerate(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): At,
) -> PageResult {
    place.require_change()?;
    let endpoint = place.endpoint(&pages, &webhook).await?;
    regenerate_page(&pages, &place, &endpoint, Refusal::default()).await
}

#[derive(Deserialize)]
struct NewSecret {
    #[serde(default)]
    key: String,
}

async fn regenerate(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): At,
    Posted(NewSecret { key }): Posted<NewSecret>,
) -> PageResult {
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let input = if key.is_empty() { json!({}) } else { json!({ "key": key }) };
    let path = format!("/endpoint/{}/secret/rotate", endpoint.id);
    match place.change(&pages, Method::POST, &path, &input).await {
        Ok(_) => Ok(to_webhook(&place, &endpoint, "/secret?done=regenerated")),
        Err(error) => regenerate_page(&pages, &place, &endpoint, Refusal::of(error)?).await,
    }
}

fn to_webhook(place: &Place, endpoint: &Endpoint, rest: &str) -> axum::response::Response {
    Redirect::to(&format!("{}/webhooks/{}{rest}", place.base(), endpoint.id)).into_response()
}

#[derive(Template)]
#[template(path = "webhook_test.html")]
struct TestPage {
    shell: Shell,
    webhook: Named,
    delivers: bool,
    groups: Vec<Group>,
    chosen: String,
    example: Option<String>,
    refusal: Refusal,
}

#[derive(Deserialize)]
struct Chosen {
    #[serde(default)]
    event: String,
}

async fn choose_test(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): At,
    Query(Chosen { event }): Query<Chosen>,
) -> PageResult {
    place.require_change()?;
    let endpoint = place.endpoint(&pages, &webhook).await?;
    test_page(&pages, &place, &endpoint, (event, Refusal::default())).await
}

async fn test_page(
    pages: &Pages,
    place: &Place,
    endpoint: &Endpoint,
    (event, refusal): (String, Refusal),
) -> PageResult {
    let groups = catalog::read(pages, place).await?;
    let events = || groups.iter().flat_map(|group| &group.events);
    let taken = |name: &str, group: Option<&str>| endpoint.subscription.takes(name, group);
    let first = events().find(|one| taken(&one.name, one.group_name.as_deref()));
    let chosen = match event.is_empty() {
        true => first.or_else(|| events().next()).map(|one| one.name.clone()).unwrap_or_default(),
        false => event,
    };
    let example = catalog::example(pages, place, &chosen).await?;
    html(&TestPage {
        shell: Shell::of(pages, place, Section::Webhooks, None).await?,
        webhook: Named::of(endpoint),
        delivers: endpoint.state.delivers(),
        groups,
        chosen,
        example,
        refusal,
    })
}

async fn send_test(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): At,
    Posted(Chosen { event }): Posted<Chosen>,
) -> PageResult {
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let path = format!("/endpoint/{}/send-example", endpoint.id);
    let input = json!({ "eventType": event });
    match place.change(&pages, Method::POST, &path, &input).await {
        Ok(answer) => {
            let message = webhook_form::id_of(&answer)?;
            let to = format!("{}/deliveries/{message}/{}?done=tested", place.base(), endpoint.id);
            Ok(Redirect::to(&to).into_response())
        }
        Err(error) => test_page(&pages, &place, &endpoint, (event, Refusal::of(error)?)).await,
    }
}

#[derive(Template)]
#[template(path = "webhook_enable.html")]
struct EnablePage {
    shell: Shell,
    webhook: Named,
    waiting: u64,
    reason: Option<String>,
}

async fn ask_enable(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): At,
) -> PageResult {
    place.require_change()?;
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let reason = match &endpoint.state {
        EndpointState::Enabled => None,
        EndpointState::Paused { reason, .. } | EndpointState::Disabled { reason, .. } => {
            Some(reason.clone())
        }
    };
    html(&EnablePage {
        shell: Shell::of(&pages, &place, Section::Webhooks, None).await?,
        webhook: Named::of(&endpoint),
        waiting: pages.store.count_waiting(place.application.id, endpoint.id).await?,
        reason,
    })
}

#[derive(Deserialize)]
struct WhatWaits {
    #[serde(default)]
    pending: String,
}

async fn enable(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): At,
    Posted(WhatWaits { pending }): Posted<WhatWaits>,
) -> PageResult {
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let (pending, done) = match pending.as_str() {
        "drop" => ("drop", "?done=enabled-dropped"),
        _ => ("send", "?done=enabled"),
    };
    let path = format!("/endpoint/{}/enable", endpoint.id);
    place.change(&pages, Method::POST, &path, &json!({ "pending": pending })).await?;
    Ok(to_webhook(&place, &endpoint, done))
}

#[derive(Template)]
#[template(path = "webhook_disable.html")]
struct DisablePage {
    shell: Shell,
    webhook: Named,
}

async fn ask_disable(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): At,
) -> PageResult {
    place.require_change()?;
    let endpoint = place.endpoint(&pages, &webhook).await?;
    html(&DisablePage {
        shell: Shell::of(&pages, &place, Section::Webhooks, None).await?,
        webhook: Named::of(&endpoint),
    })
}

async fn disable(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): At,
    Posted(Nothing {}): Posted<Nothing>,
) -> PageResult {
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let path = format!("/endpoint/{}", endpoint.id);
    place.change(&pages, Method::PATCH, &path, &json!({ "disabled": true })).await?;
    Ok(to_webhook(&place, &endpoint, "?done=disabled"))
}

#[derive(Template)]
#[template(path = "webhook_delete.html")]
struct DeletePage {
    shell: Shell,
    webhook: Named,
    typed: String,
    wrong: bool,
}

async fn delete_page(
    pages: &Pages,
    place: &Place,
    endpoint: &Endpoint,
    typed: Option<String>,
) -> PageResult {
    html(&DeletePage {
        shell: Shell::of(pages, place, Section::Webhooks, None).await?,
        webhook: Named::of(endpoint),
        wrong: typed.is_some(),
        typed: typed.unwrap_or_default(),
    })
}

async fn ask_delete(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): At,
) -> PageResult {
    place.require_change()?;
    let endpoint = place.endpoint(&pages, &webhook).await?;
    delete_page(&pages, &place, &endpoint, None).await
}

#[derive(Deserialize)]
struct Typed {
    #[serde(default)]
    name: String,
}

async fn delete(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): At,
    Posted(Typed { name }): Posted<Typed>,
) -> PageResult {
    place.require_change()?;
    let endpoint = place.endpoint(&pages, &webhook).await?;
    if name.trim() != webhooks::name(&endpoint) {
        return delete_page(&pages, &place, &endpoint, Some(name)).await;
    }
    let path = format!("/endpoint/{}", endpoint.id);
    place.change(&pages, Method::DELETE, &path, &Value::Null).await?;
    Ok(Redirect::to(&format!("{}/webhooks?done=deleted", place.base())).into_response())
}
