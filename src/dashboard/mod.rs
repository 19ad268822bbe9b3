//! The pages: Settings → Webhooks for an application's own people, and the same for operators.
//!
//! Rendered on the server, complete without JavaScript. Reading goes to the store, for an
//! application that `Place` has let the viewer into; whatever changes something
//! calls the native API, so the same checks apply and the same sentences come back.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use tokio_util::sync::CancellationToken;

use crate::api::{self, ApiParts, Authenticator, LocalApi};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::environment::Environments;
use crate::store::Store;

mod assets;
mod catalog;
mod conceal;
mod debugger;
mod deliveries;
mod delivery;
mod door;
mod error;
mod events;
mod form;
mod live;
mod native;
mod overview;
mod palette;
mod place;
mod resend;
mod resend_span;
mod settings;
mod shell;
mod spark;
mod viewer;
mod webhook;
mod webhook_actions;
mod webhook_form;
mod webhooks;
mod words;

pub use assets::is_colour;
pub use settings::{Brand, DashboardSettings};

/// The largest form, in bytes: payloads are pasted into the debugger.
const FORM_BYTES: usize = 2 << 20;

/// What the pages work with.
struct Parts {
    store: Arc<dyn Store>,
    local: LocalApi,
    environments: Arc<Environments>,
    authenticator: Arc<Authenticator>,
    clock: Clock,
    entropy: Entropy,
    settings: DashboardSettings,
    /// Cancelled when the server stops: pages that wait are let go then.
    stopping: CancellationToken,
}

/// What all pages share.
#[derive(Clone)]
struct Pages(Arc<Parts>);

impl std::ops::Deref for Pages {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The pages and, on every path outside `/dashboard`, the API.
pub fn service(parts: ApiParts, mut settings: DashboardSettings) -> Router {
    settings.public_url.clone_from(&parts.public_url);
    let (store, authenticator) = (parts.store.clone(), parts.authenticator.clone());
    let (clock, entropy) = (parts.clock.clone(), parts.entropy.clone());
    let (environments, stopping) = (parts.environments.clone(), parts.stopping.clone());
    let (rest, local) = api::service(parts);
    let pages = Pages(Arc::new(Parts {
        store,
        local,
        environments,
        authenticator,
        clock,
        entropy,
        settings,
        stopping,
    }));
    let inside = Router::new()
        .merge(door::router())
        .merge(webhooks::router())
        .merge(webhook_form::router())
        .merge(webhook::router())
        .merge(webhook_actions::router())
        .merge(resend::router())
        .merge(deliveries::router())
        .merge(delivery::router())
        .merge(live::router())
        .merge(events::router())
        .merge(debugger::router())
        .merge(overview::router())
        .route("/assets/{file}", get(assets::serve))
        .route("/brand.css", get(assets::brand))
        .fallback(error::no_such_page)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(middleware::map_response_with_state(pages.clone(), protect))
        .with_state(pages);
    let rest = rest.layer(middleware::from_fn(greet));
    Router::new().nest("/dashboard", inside).fallback_service(rest)
}

/// Leads people to the pages who only typed the server's name, or the pages' with a slash. For
/// programs there is nothing.
async fn greet(request: Request, next: Next) -> Response {
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_browser = accepts.is_some_and(|accepts| accepts.contains("text/html"));
    let is_door = matches!(request.uri().path(), "/" | "/dashboard/");
    if is_door && request.method() == Method::GET && is_browser {
        return Redirect::to("/dashboard").into_response();
    }
    next.run(request).await
}

/// Headers of every answer: nothing from elsewhere is loaded, nobody else may frame it, and what
/// it shows stays out of caches.
async fn protect(
    axum::extract::State(pages): axum::extract::State<Pages>,
    mut response: Response,
) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, pages.settings.content_security_policy());
    let fixed: [(HeaderName, &str); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A link to a portal must not reach the site that somebody goes to from there.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A page as an answer.
fn html(page: &impl askama::Template) -> Result<Response, error::PageError> {
    let text = page.render().map_err(|error| crate::domain::Error::internal(error.to_string()))?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
    Ok((kind, text).into_response())
}
