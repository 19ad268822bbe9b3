//! HTTP in: the native API, wire-compatible with the Svix server's. One file per resource.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePath;
use utoipa_axum::router::OpenApiRouter;

use crate::clock::Clock;
use crate::domain::{Error, ErrorCode};
use crate::engine::Engine;
use crate::entropy::Entropy;
use crate::environment::Environments;
use crate::store::Store;
use contract_routes::Customers;
use error::ApiError;

mod application;
mod application_secret;
mod attempt;
pub mod auth;
mod catalog;
mod contract_operations;
mod contract_routes;
mod endpoint;
mod endpoint_headers;
mod endpoint_history;
mod endpoint_input;
mod endpoint_secret;
mod endpoint_state;
mod error;
mod event;
mod event_stream;
mod event_type;
mod example;
mod extract;
mod health;
mod jwt;
mod local;
mod message;
mod names;
mod openapi;
mod operational;
mod own_event_types;
mod page;
mod payload;
mod portal;
mod resend;
pub mod server;

pub use auth::{Authenticator, Caller};
pub use contract_routes::APPLICATION_HEADER;
pub use error::status;
pub use local::{LocalApi, path_step};

/// What the API works with.
pub struct ApiParts {
    pub store: Arc<dyn Store>,
    pub engine: Engine,
    pub environments: Arc<Environments>,
    pub authenticator: Arc<Authenticator>,
    pub clock: Clock,
    pub entropy: Entropy,
    pub limits: ApiLimits,
    /// Where browsers reach the server, without a slash at the end.
    pub public_url: String,
    /// Cancelled when the server stops: what waits is answered then.
    pub stopping: CancellationToken,
}

/// What the API takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiLimits {
    /// The largest request body, and so the largest payload, in bytes.
    pub max_body_bytes: usize,
    /// Endpoints of one application.
    pub endpoints_per_application: u32,
}

impl Default for ApiLimits {
    fn default() -> ApiLimits {
        ApiLimits { max_body_bytes: 1 << 20, endpoints_per_application: 1_000 }
    }
}

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct ApiState(Arc<Shared>);

pub(crate) struct Shared {
    parts: ApiParts,
    own_event_types: own_event_types::OwnEventTypes,
}

impl std::ops::Deref for ApiState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl std::ops::Deref for Shared {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.parts
    }
}

/// The API as a service. Trailing slashes are trimmed before routing, as the Svix SDKs send
/// them and people don't; the reference page needs its own, so it stands outside.
///
/// Beside it, its native part for calls from within this process.
pub fn service(parts: ApiParts) -> (Router, LocalApi) {
    let max_body_bytes = parts.limits.max_body_bytes;
    let state = ApiState(Arc::new(Shared { parts, own_event_types: Default::default() }));
    let (router, openapi) = routes().split_for_parts();
    let native = router
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(state.clone());
    let local = LocalApi(native.clone());
    let customers = Customers { state, native: local.clone() };
    let api = native.fallback_service(customers.into_router());
    let pages = openapi::pages(openapi).method_not_allowed_fallback(unknown_method);
    (pages.fallback_service(NormalizePath::trim_trailing_slash(api)), local)
}

/// The OpenAPI description of the native API, as JSON.
pub fn openapi_json() -> String {
    routes().into_openapi().to_pretty_json().unwrap_or_default()
}

fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(openapi::description())
        .merge(health::router())
        .merge(application::router())
        .merge(application_secret::router())
        .merge(event_type::router())
        .merge(example::router())
        .merge(endpoint::router())
        .merge(endpoint_secret::router())
        .merge(endpoint_headers::router())
        .merge(endpoint_state::router())
        .merge(endpoint_history::router())
        .merge(message::router())
        .merge(attempt::router())
        .merge(event::router())
        .merge(event_stream::router())
        .merge(operational::router())
        .merge(portal::router())
        .merge(resend::router())
}

async fn unknown_path(request: Request) -> ApiError {
    let path = request.uri().path().chars().take(200).collect::<String>();
    Error::new(ErrorCode::NotFound, format!("No such route: {} {path}", request.method())).into()
}

async fn unknown_method(request: Request) -> ApiError {
    let detail = format!("This route doesn't take {}", request.method());
    Error::new(ErrorCode::MethodNotAllowed, detail).into()
}

/// A panic is our defect; it costs one request.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError(Error::internal("a handler panicked")).into_response()
}
