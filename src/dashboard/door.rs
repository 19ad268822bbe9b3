//! The two doors: operators sign in with a key, an application's own people come by a link that
//! the company made for them.

use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::error::PageResult;
use super::form::{Anonymous, Posted};
use super::place::{base, environments_of};
use super::shell::{Section, Shell, brand};
use super::viewer::{Viewer, Who, set_cookie, viewer};
use super::{Pages, html, words};
use crate::api::auth::hash_key;
use crate::api::path_step;
use crate::domain::{Application, ErrorCode, Holder, Pass, PassKind, Reference, Scope};
use crate::environment::Environment;
use crate::store::{Page, Standing};

/// How long an operator stays signed in.
const OPERATOR_SESSION: Duration = Duration::from_secs(12 * 3_600);

/// Applications on a page of an environment.
const APPLICATIONS_PER_PAGE: u32 = 50;

pub(super) fn router() -> Router<Pages> {
    Router::new()
        .route("/", get(home))
        .route("/sign-in", get(sign_in).post(signed_in))
        .route("/sign-out", post(sign_out))
        .route("/enter/{link}", get(enter).post(entered))
        .route("/env/{environment}", get(applications))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    brand: String,
    version: &'static str,
    next: String,
    problem: Option<&'static str>,
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

async fn sign_in(
    State(pages): State<Pages>,
    Query(Next { next }): Query<Next>,
    parts: Parts,
) -> PageResult {
    if viewer(&parts, &pages).await?.is_some() {
        return Ok(Redirect::to(&inside(&next)).into_response());
    }
    html(&sign_in_page(&pages, next, None))
}

fn sign_in_page(pages: &Pages, next: String, problem: Option<&'static str>) -> SignInPage {
    SignInPage { brand: brand(pages, None), version: env!("CARGO_PKG_VERSION"), next, problem }
}

/// Where to go on after signing in: one of our pages, whatever the address says.
fn inside(next: &str) -> String {
    let ours = next.starts_with("/dashboard/") && !next.contains("//") && !next.contains('\\');
    if ours { next.to_owned() } else { "/dashboard".to_owned() }
}

#[derive(Deserialize)]
struct Key {
    #[serde(default)]
    key: String,
    #[serde(default)]
    next: String,
}

async fn signed_in(
    State(pages): State<Pages>,
    Anonymous(Key { key, next }): Anonymous<Key>,
) -> PageResult {
    let key_hash = hash_key(key.trim());
    match pages.authenticator.scope_of_key(key_hash).await {
        Ok(_) => {}
        Err(error) if error.code == ErrorCode::AuthenticationFailed => {
            let problem = match key.trim() {
                "" => "Enter an API key.",
                _ => "Nobody issued this key, or it was revoked.",
            };
            return html(&sign_in_page(&pages, next, Some(problem)));
        }
        Err(error) => return Err(error.into()),
    }
    let (text, hash) = new_text(&pages);
    let now = pages.clock.now();
    let holder = Holder::Operator { key_hash };
    let expires_at = now + OPERATOR_SESSION;
    let pass = Pass { hash, kind: PassKind::Session, holder, expires_at };
    pages.store.create_pass(pass, now).await?;
    let cookie = set_cookie(&pages, &text, OPERATOR_SESSION.as_secs());
    Ok(with_cookie(cookie, &inside(&next)))
}

/// A session's text, and what is stored of it.
fn new_text(pages: &Pages) -> (String, [u8; 32]) {
    let text = hex::encode(pages.entropy.bytes::<32>());
    let hash = hash_key(&text);
    (text, hash)
}

fn with_cookie(cookie: String, to: &str) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

#[derive(Deserialize)]
struct Nothing {}

async fn sign_out(
    State(pages): State<Pages>,
    viewer: Viewer,
    Posted(Nothing {}): Posted<Nothing>,
) -> PageResult {
    pages.store.delete_pass(viewer.session).await?;
    Ok(with_cookie(set_cookie(&pages, "", 0), "/dashboard/sign-in"))
}

#[derive(Template)]
#[template(path = "enter.html")]
struct EnterPage {
    brand: String,
    version: &'static str,
    /// Whether the link is good.
    good: bool,
}

/// Shows a button rather than going straight on: programs that look at links in mails and chats
/// would use up a link that is good once.
async fn enter(State(pages): State<Pages>, Path(link): Path<String>) -> PageResult {
    let now = pages.clock.now();
    let pass = pages.store.find_pass(hash_key(&link), PassKind::Link, now).await?;
    let environment = pass.as_ref().and_then(|pass| match &pass.holder {
        Holder::Tenant { applications, .. } => applications.first().map(|(name, _)| name),
        Holder::Operator { .. } => None,
    });
    let environment = environment.map(|name| pages.environments.get(name));
    let brand = brand(&pages, environment.as_ref());
    html(&EnterPage { brand, version: env!("CARGO_PKG_VERSION"), good: pass.is_some() })
}

async fn entered(
    State(pages): State<Pages>,
    Path(link): Path<String>,
    Anonymous(Nothing {}): Anonymous<Nothing>,
) -> PageResult {
    let (text, session) = new_text(&pages);
    let now = pages.clock.now();
    match pages.store.redeem_link(hash_key(&link), session, now).await {
        Ok(pass) => {
            let seconds = pass.expires_at.since(now).as_secs();
            Ok(with_cookie(set_cookie(&pages, &text, seconds), "/dashboard"))
        }
        Err(error) if error.code == ErrorCode::NotFound => {
            let brand = brand(&pages, None);
            html(&EnterPage { brand, version: env!("CARGO_PKG_VERSION"), good: false })
        }
        Err(error) => Err(error.into()),
    }
}

/// The first page: a tenant's own webhooks, or an operator's environments.
async fn home(State(pages): State<Pages>, viewer: Viewer) -> PageResult {
    match &viewer.who {
        Who::Tenant { applications, .. } => {
            for (environment, application) in applications {
                let reference = Reference(application.to_string());
                if let Ok(found) = pages.store.get_application(environment, &reference).await {
                    let to = format!("{}/webhooks", base(environment, &found.public_id()));
                    return Ok(Redirect::to(&to).into_response());
                }
            }
            Err(crate::domain::Error::not_found().into())
        }
        Who::Operator(Scope::Application { environment, application }) => {
            let to = format!("{}/webhooks", base(environment, &application.to_string()));
            Ok(Redirect::to(&to).into_response())
        }
        Who::Operator(_) => {
            let environments = environments_of(&pages, &viewer);
            if let [only] = &environments[..] {
                let to = format!("/dashboard/env/{}/overview", path_step(&only.name));
                return Ok(Redirect::to(&to).into_response());
            }
            let shell = Shell::outside(&pages, &viewer, None);
            let mut rows = Vec::new();
            for one in environments {
                let standing = pages.store.standing(&one.name, 1).await?;
                rows.push(environment_row(&one, &standing));
            }
            html(&HomePage { shell, environments: rows })
        }
    }
}

struct EnvironmentRow {
    name: String,
    contract: String,
    href: String,
    pending: String,
    failing: u64,
    paused: u64,
}

fn environment_row(environment: &Environment, standing: &Standing) -> EnvironmentRow {
    EnvironmentRow {
        name: environment.name.to_string(),
        contract: environment.contract.title().to_owned(),
        href: format!("/dashboard/env/{}", path_step(&environment.name)),
        pending: words::number(standing.pending),
        failing: standing.failing.count,
        paused: standing.paused.count,
    }
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    shell: Shell,
    environments: Vec<EnvironmentRow>,
}

#[derive(Template)]
#[template(path = "applications.html")]
struct ApplicationsPage {
    shell: Shell,
    environment: String,
    find: String,
    problem: Option<String>,
    rows: Vec<ApplicationRow>,
    older: Option<String>,
}

struct ApplicationRow {
    name: String,
    uid: String,
    href: String,
}

#[derive(Deserialize)]
struct ApplicationsQuery {
    #[serde(default)]
    after: String,
    /// The uid or id to go to.
    #[serde(default)]
    find: String,
}

async fn applications(
    State(pages): State<Pages>,
    viewer: Viewer,
    Path(environment): Path<String>,
    Query(query): Query<ApplicationsQuery>,
) -> PageResult {
    let environment = super::place::operated(&pages, &viewer, &environment)?;
    let find = query.find.trim().to_owned();
    if !find.is_empty() {
        let reference = Reference(find.clone());
        if let Ok(found) = pages.store.get_application(&environment.name, &reference).await {
            let to = format!("{}/webhooks", base(&environment.name, &found.public_id()));
            return Ok(Redirect::to(&to).into_response());
        }
    }
    let after = query.after.parse().ok();
    let page = Page { after, descending: true, limit: APPLICATIONS_PER_PAGE + 1 };
    let mut rows = pages.store.list_applications(&environment.name, page).await?;
    let has_more = rows.len() > APPLICATIONS_PER_PAGE as usize;
    rows.truncate(APPLICATIONS_PER_PAGE as usize);
    let older = rows.last().filter(|_| has_more).map(|last| last.id.to_string());
    let problem = (!find.is_empty()).then(|| format!("There is no application {find} here."));
    html(&ApplicationsPage {
        shell: Shell::of_environment(&pages, &viewer, &environment, Section::Applications),
        environment: environment.name.to_string(),
        find,
        problem,
        rows: rows.iter().map(|one| application_row(&environment.name, one)).collect(),
        older,
    })
}

fn application_row(environment: &str, application: &Application) -> ApplicationRow {
    let uid = application.public_id();
    ApplicationRow {
        name: application.name.clone(),
        href: format!("{}/webhooks", base(environment, &uid)),
        uid,
    }
}
