//! The paths that contracts declare: each company's own API, for its customers.
//!
//! A request's key decides the environment, the environment its contract, the contract its
//! routes. A route is translated to a call of the native API, made in this process with the
//! caller already known, so that the same checks apply; the answer is translated back.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use tower_http::catch_panic::CatchPanicLayer;

use super::auth::{self, Caller};
use super::error::{ApiError, status};
use super::local::LocalApi;
use super::{ApiState, contract_operations, extract, panicked, unknown_path};
use crate::contract::routes::{CustomerRequest, ErrorReply, KeyRules, Matched, Route, Routes};
use crate::domain::{Application, Error, ErrorCode, Result};
use crate::environment::Environment;

/// Names the application where a key covers a whole environment and the path doesn't.
pub const APPLICATION_HEADER: &str = "hookwright-application";

/// What serves contracts' routes.
#[derive(Clone)]
pub(super) struct Customers {
    pub(super) state: ApiState,
    /// The native API.
    pub(super) native: LocalApi,
}

impl Customers {
    /// The service for every path that isn't the native API's.
    pub(super) fn into_router(self) -> Router {
        let max_body_bytes = self.state.limits.max_body_bytes;
        Router::new()
            .fallback(serve)
            .layer(DefaultBodyLimit::max(max_body_bytes))
            .layer(CatchPanicLayer::custom(panicked))
            .with_state(self)
    }
}

async fn serve(State(customers): State<Customers>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let state = &customers.state;
    let (caller, error) = match authenticate(state, &parts).await {
        Ok(caller) => (Some(caller), None),
        Err(error) => (None, Some(error)),
    };
    let environment = caller.as_ref().map(|caller| caller.environment.clone());
    let environment = environment.or_else(|| likely(state, &parts));
    let Some(environment) = environment.filter(|one| !one.contract.routes().is_empty()) else {
        return unknown_path(Request::from_parts(parts, body)).await.into_response();
    };
    let routes = environment.contract.routes();
    let matched = routes.find(&parts.method, parts.uri.path());
    let route = match &matched {
        Matched::Route(route, _) => Some(*route),
        Matched::OtherMethods(_) | Matched::Nothing => None,
    };
    let answer = match (caller, error) {
        (Some(caller), _) => {
            answer(&customers, &caller, &matched, Request::from_parts(parts, body)).await
        }
        (None, error) => Err(error.unwrap_or_else(|| unauthenticated(routes.keys()))),
    };
    answer.unwrap_or_else(|error| refuse(&environment, &error, route, &matched))
}

async fn answer(
    customers: &Customers,
    caller: &Caller,
    matched: &Matched<'_>,
    request: Request,
) -> Result<Response> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (route, parameters) = match matched {
        Matched::Route(route, parameters) => (*route, parameters),
        Matched::OtherMethods(_) => {
            let detail = format!("This path doesn't take {method}");
            return Err(Error::new(ErrorCode::MethodNotAllowed, detail));
        }
        Matched::Nothing => {
            let path: String = path.chars().take(200).collect();
            return Err(Error::new(ErrorCode::NotFound, format!("There is nothing at {path}")));
        }
    };
    let routes = caller.environment.contract.routes();
    let request = customer_request(&customers.state, parameters, request).await?;
    let (headers, request) = request;
    let mut call = routes.read(route, &request)?;
    let application =
        application(&customers.state, caller, call.application.take(), &headers).await?;
    call.about(&application.public_id(), &application.name, &caller.environment.name);
    let one = Caller { only_application: Some(application.id), ..caller.clone() };
    let answers = contract_operations::perform(customers, &one, &application, route, &call).await?;
    let body = routes.answer(route, &call, &answers).map_err(Error::internal)?;
    Ok(match body {
        None => route.status.into_response(),
        Some(body) => json(route.status, body),
    })
}

fn json(status: StatusCode, body: String) -> Response {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, json, body).into_response()
}

/// Decodes what the customer sent.
async fn customer_request(
    state: &ApiState,
    parameters: &[(String, String)],
    request: Request,
) -> Result<(axum::http::HeaderMap, CustomerRequest)> {
    let decoded = parameters.iter().map(|(name, value)| {
        let text = percent_decode_str(value).decode_utf8().ok()?;
        Some((name.clone(), text.into_owned()))
    });
    let path = decoded.collect::<Option<Vec<_>>>().ok_or_else(Error::not_found)?;
    let query = request.uri().query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let headers = request.headers().clone();
    let body = match *request.method() {
        Method::GET | Method::HEAD | Method::DELETE => Vec::new(),
        _ => extract::read_body(request, state).await?.to_vec(),
    };
    Ok((headers, CustomerRequest { path, query, body }))
}

/// The application that a request is about: the one that the route names, the key's own, or
/// the one named in a header.
async fn application(
    state: &ApiState,
    caller: &Caller,
    named: Option<String>,
    headers: &axum::http::HeaderMap,
) -> Result<Arc<Application>> {
    let own = caller.only_application.map(|id| id.to_string());
    let header = headers.get(APPLICATION_HEADER);
    let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let name = named.or(header).or(own).ok_or_else(|| {
        let detail = format!(
            "This key opens several applications: name one in the header `{APPLICATION_HEADER}`"
        );
        Error::new(ErrorCode::Forbidden, detail)
    })?;
    caller.application(state, name).await
}

/// The caller, by a key that travels the way its own contract wants it.
async fn authenticate(state: &ApiState, parts: &Parts) -> Result<Caller> {
    let mut refusal = None;
    let mut tried: Vec<&KeyRules> = Vec::new();
    for environment in with_routes(state) {
        let rules = environment.contract.routes().keys();
        if tried.iter().any(|known| travels_alike(known, rules)) {
            continue;
        }
        tried.push(rules);
        let Some(credential) = rules.credential(&parts.headers) else { continue };
        match auth::caller(state, credential, &parts.headers).await {
            Ok(caller) if travels_alike(rules, caller.environment.contract.routes().keys()) => {
                return Ok(caller);
            }
            // A key of a company whose keys travel in another header.
            Ok(_) => {}
            Err(error) if error.code == ErrorCode::AuthenticationFailed => {}
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) => Err(error),
        None => {
            let environment = likely(state, parts);
            let rules = environment.as_ref().map(|one| one.contract.routes().keys());
            Err(unauthenticated(rules.unwrap_or(&KeyRules::default())))
        }
    }
}

fn unauthenticated(rules: &KeyRules) -> Error {
    Error::new(ErrorCode::AuthenticationFailed, rules.hint())
}

fn travels_alike(one: &KeyRules, other: &KeyRules) -> bool {
    one.header == other.header && one.scheme == other.scheme
}

fn with_routes(state: &ApiState) -> impl Iterator<Item = &Arc<Environment>> {
    state.environments.configured().filter(|one| !one.contract.routes().is_empty())
}

/// Whose customer a request without a valid key probably comes from: the contract whose path
/// it names and whose kind of key it carries. Only the form of the refusal depends on it.
fn likely(state: &ApiState, parts: &Parts) -> Option<Arc<Environment>> {
    let score = |environment: &Environment| {
        let routes = environment.contract.routes();
        let known = !matches!(routes.find(&parts.method, parts.uri.path()), Matched::Nothing);
        let key = routes.keys().credential(&parts.headers);
        let prefixed = key.is_some_and(|key| key.starts_with(&routes.keys().prefix));
        (u8::from(known), u8::from(prefixed), u8::from(key.is_some()))
    };
    let mut best: Option<(_, &Arc<Environment>)> = None;
    for environment in with_routes(state) {
        let score = score(environment);
        if score.0 > 0 && best.as_ref().is_none_or(|(known, _)| score > *known) {
            best = Some((score, environment));
        }
    }
    let only = || {
        let mut all = with_routes(state);
        let first = all.next();
        let name = first.map(|one| one.contract.name());
        first.filter(|_| all.all(|one| Some(one.contract.name()) == name))
    };
    best.map(|(_, environment)| environment).or_else(only).cloned()
}

/// An error in the contract's words.
fn refuse(
    environment: &Environment,
    error: &Error,
    route: Option<&Route>,
    matched: &Matched<'_>,
) -> Response {
    let routes = environment.contract.routes();
    if error.code == ErrorCode::Internal {
        let contract = environment.contract.name();
        tracing::error!(contract, detail = %error.detail, "internal error");
    }
    let mut response = match routes.error(error, status(error.code), route) {
        Ok(Some(ErrorReply { status, body })) => {
            let native = ApiError(error.clone()).into_response();
            let mut response = json(status, body);
            carry_over(native, &mut response, routes);
            response
        }
        Ok(None) => ApiError(error.clone()).into_response(),
        Err(reason) => {
            tracing::error!(contract = environment.contract.name(), %reason, "an error can't be written");
            ApiError(error.clone()).into_response()
        }
    };
    if let Matched::OtherMethods(methods) = matched {
        let allowed: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
        if let Ok(value) = HeaderValue::from_str(&allowed.join(", ")) {
            response.headers_mut().insert(header::ALLOW, value);
        }
    }
    response
}

/// The headers that say when to try again and how to authenticate.
fn carry_over(native: Response, response: &mut Response, routes: &Routes) {
    let keys = routes.keys();
    for (name, value) in native.headers() {
        let challenge = *name == header::WWW_AUTHENTICATE && keys.header == header::AUTHORIZATION;
        if *name == header::RETRY_AFTER || challenge {
            response.headers_mut().insert(HeaderName::clone(name), value.clone());
        }
    }
}
