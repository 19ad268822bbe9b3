//! Endpoints: where an application wants its events delivered.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::application_secret::{Keep, for_new_endpoint, is_shared};
use super::auth::Caller;
use super::endpoint_headers::is_sensitive;
use super::endpoint_input::{AuthIn, EndpointIn};
use super::endpoint_secret::{SecretWish, new_secret, replaced_secret};
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{Body, Path, Query, present};
use super::page::{List, Order, PageQuery};
use crate::contract::SecretRules;
use crate::domain::{
    Application, Auth, Endpoint, EndpointState, Metadata, Reference, Result, SecretText,
    SigningSecret, Subscription,
};
use crate::store::EndpointChange;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update, patch, delete))
}

/// An endpoint. Its secrets are not in it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointOut {
    id: String,
    uid: Option<String>,
    url: String,
    name: String,
    description: String,
    version: u16,
    /// Whether it takes no deliveries at present, for whichever reason.
    disabled: bool,
    /// Whether a rule of the contract stopped it. Its events wait; `disabled: false` enables
    /// it again and sends them.
    paused: bool,
    paused_at: Option<String>,
    pause_reason: Option<String>,
    disabled_at: Option<String>,
    disabled_reason: Option<String>,
    filter_types: Option<Vec<String>>,
    /// Whole groups that it takes beside these types.
    filter_groups: Option<Vec<String>>,
    channels: Option<Vec<String>>,
    /// The older name of `throttleRate`.
    rate_limit: Option<u16>,
    /// How many attempts may start in any one second.
    throttle_rate: Option<u16>,
    /// Whether it gets its events one by one, in the order of publishing.
    ordered: bool,
    /// `webhook` or `websocket`.
    transport: &'static str,
    method: &'static str,
    auth: AuthOut,
    environment: String,
    metadata: Metadata,
    created_at: String,
    updated_at: String,
}

/// How deliveries authenticate, without the credential.
#[derive(Serialize, ToSchema)]
struct AuthOut {
    /// `none`, `basic` or `header`.
    r#type: &'static str,
    /// The header's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl From<&Auth> for AuthOut {
    fn from(auth: &Auth) -> AuthOut {
        let name = match auth {
            Auth::None | Auth::Basic { .. } => None,
            Auth::Header { name, .. } => Some(name.clone()),
        };
        AuthOut { r#type: auth.kind().as_str(), name }
    }
}

impl From<&Endpoint> for EndpointOut {
    fn from(endpoint: &Endpoint) -> EndpointOut {
        let (paused, disabled) = match &endpoint.state {
            EndpointState::Enabled => (None, None),
            EndpointState::Paused { at, reason } => (Some((at.to_string(), reason.clone())), None),
            EndpointState::Disabled { at, reason } => {
                (None, Some((at.to_string(), reason.clone())))
            }
        };
        let (paused_at, pause_reason) = paused.unzip();
        let (disabled_at, disabled_reason) = disabled.unzip();
        EndpointOut {
            id: endpoint.id.to_string(),
            uid: endpoint.uid.clone(),
            url: endpoint.url.clone(),
            name: endpoint.name.clone(),
            description: endpoint.description.clone(),
            version: 1,
            disabled: !endpoint.state.delivers(),
            paused: paused_at.is_some(),
            paused_at,
            pause_reason,
            disabled_at,
            disabled_reason,
            filter_types: endpoint.subscription.types().map(<[String]>::to_vec),
            filter_groups: endpoint.subscription.groups().map(<[String]>::to_vec),
            channels: endpoint.channels.clone(),
            rate_limit: endpoint.throttle_rate.map(|rate| rate.get()),
            throttle_rate: endpoint.throttle_rate.map(|rate| rate.get()),
            ordered: endpoint.ordered,
            transport: endpoint.transport.as_str(),
            method: endpoint.method.as_str(),
            auth: (&endpoint.auth).into(),
            environment: endpoint.environment.to_string(),
            metadata: endpoint.metadata.clone(),
            created_at: endpoint.created_at.to_string(),
            updated_at: endpoint.updated_at.to_string(),
        }
    }
}

/// An endpoint for the response of a contract's route, as JSON: with its custom headers and,
/// where the response shows it, what the receiver knows of its signing secret.
pub(super) fn in_full(endpoint: &Endpoint, rules: &SecretRules, with_secret: bool) -> String {
    #[derive(Serialize)]
    struct InFull<'a> {
        #[serde(flatten)]
        endpoint: EndpointOut,
        secret: Option<&'a str>,
        /// The values that look like credentials are `null`.
        headers: BTreeMap<&'a str, Option<&'a str>>,
    }
    let secret = endpoint.secrets.first().filter(|_| with_secret);
    let secret = secret.and_then(|secret| rules.known(&secret.text));
    let headers = endpoint
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), (!is_sensitive(name)).then(|| value.expose())));
    let full = InFull {
        endpoint: endpoint.into(),
        secret: secret.as_ref().map(SecretText::expose),
        headers: headers.collect(),
    };
    serde_json::to_string(&full).unwrap_or_default()
}

fn show(endpoint: &Endpoint) -> Json<EndpointOut> {
    Json(endpoint.into())
}

/// The endpoint that a path names.
pub(super) async fn find(
    state: &ApiState,
    caller: &Caller,
    (app_id, endpoint_id): (String, String),
) -> Result<std::sync::Arc<Endpoint>> {
    let application = caller.application(state, app_id).await?;
    state.store.get_endpoint(application.id, &Reference(endpoint_id)).await
}

/// Stores a changed endpoint.
pub(super) async fn store_changed(
    state: &ApiState,
    caller: &Caller,
    from_revision: u64,
    changed: Endpoint,
) -> Result<std::sync::Arc<Endpoint>> {
    let change = EndpointChange {
        endpoint: Endpoint { updated_at: state.clock.now(), ..changed },
        from_revision,
    };
    let unique_name = caller.environment.contract.endpoint().unique_name;
    state.engine.update_endpoint(change, unique_name).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CreateQuery {
    /// Only say what is wrong with the input. Nothing is stored or sent.
    dry_run: Option<bool>,
}

/// Create an endpoint
///
/// What it may have (transports, methods, authentication, headers, a secret of its own) is the contract's
/// decision.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint", tag = "Endpoint", operation_id = "v1.endpoint.create",
    params(("app_id" = String, Path, description = "The application's id or uid"), CreateQuery),
    request_body = EndpointIn,
    responses((status = 201, body = EndpointOut), (status = 204, description = "Nothing is wrong with the input of a dry run"), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
    Query(query): Query<CreateQuery>,
    Body(input): Body<EndpointIn>,
) -> ApiResult<Response> {
    let application = caller.application(&state, app_id).await?;
    if query.dry_run == Some(true) {
        new_endpoint(&state, &caller, &application, (input, Keep::Nothing)).await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let created = create_in(&state, &caller, &application, input).await?;
    Ok((StatusCode::CREATED, show(&created)).into_response())
}

/// Makes an endpoint of an application from what a request says.
pub(super) async fn create_in(
    state: &ApiState,
    caller: &Caller,
    application: &std::sync::Arc<Application>,
    input: EndpointIn,
) -> Result<std::sync::Arc<Endpoint>> {
    let mut endpoint = new_endpoint(state, caller, application, (input, Keep::Secrets)).await?;
    state.engine.handshake(application, &endpoint).await?;
    if is_shared(&caller.environment) {
        // Those that the application has when it is stored, which may have been rotated since.
        endpoint.secrets.clear();
    }
    let unique_name = caller.environment.contract.endpoint().unique_name;
    let limit = state.limits.endpoints_per_application;
    state.store.create_endpoint(endpoint, unique_name, limit).await
}

/// The endpoint that a request asks for, checked, with its secrets.
async fn new_endpoint(
    state: &ApiState,
    caller: &Caller,
    application: &std::sync::Arc<Application>,
    (input, keep): (EndpointIn, Keep),
) -> Result<Endpoint> {
    let wish = SecretWish { text: input.secret.clone(), kind: input.secret_type.clone() };
    let draft = input.apply_to(blank(state, application, caller), state.clock.now());
    let endpoint = draft.check(state, &caller.environment, None).await?;
    let secrets = match is_shared(&caller.environment) {
        true => for_new_endpoint(state, &caller.environment, application, (wish, keep)).await?,
        false => new_secret(state, &caller.environment, wish, "secret")?
            .map(|text| SigningSecret { text, expires_at: None })
            .into_iter()
            .collect(),
    };
    Ok(Endpoint { secrets, ..endpoint })
}

/// An endpoint before anything is set.
fn blank(state: &ApiState, application: &Application, caller: &Caller) -> Endpoint {
    let now = state.clock.now();
    Endpoint {
        id: state.entropy.id(&state.clock),
        application_id: application.id,
        environment: caller.environment.name.clone(),
        uid: None,
        name: String::new(),
        description: String::new(),
        url: String::new(),
        transport: caller.environment.contract.endpoint().default_transport(),
        method: caller.environment.contract.endpoint().default_method,
        auth: Auth::None,
        headers: Vec::new(),
        subscription: Subscription::All,
        channels: None,
        throttle_rate: None,
        ordered: false,
        metadata: Metadata::new(),
        state: EndpointState::Enabled,
        secrets: Vec::new(),
        revision: 1,
        created_at: now,
        updated_at: now,
    }
}

/// List an application's endpoints
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint", tag = "Endpoint", operation_id = "v1.endpoint.list",
    params(("app_id" = String, Path, description = "The application's id or uid"), PageQuery),
    responses((status = 200, body = List<EndpointOut>), (status = 404, body = ErrorBody)))]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<List<EndpointOut>>> {
    let application = caller.application(&state, app_id).await?;
    let request = page.read(Order::Ascending)?;
    let rows = state.store.list_endpoints(application.id, request.page()).await?;
    Ok(Json(request.answer(rows, |row| row.id, |row| (&*row).into())))
}

/// Get an endpoint
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}", tag = "Endpoint", operation_id = "v1.endpoint.get",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses((status = 200, body = EndpointOut), (status = 404, body = ErrorBody)))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> ApiResult<Json<EndpointOut>> {
    Ok(show(&*find(&state, &caller, path).await?))
}

/// Replace an endpoint
///
/// Fields that the Svix API doesn't have stay as they are where they are left out; so do
/// `disabled`, the headers and the secret. Another secret, where customers choose it, is a
/// rotation.
#[utoipa::path(put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}", tag = "Endpoint", operation_id = "v1.endpoint.update",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body = EndpointIn,
    responses((status = 200, body = EndpointOut), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn update(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Body(input): Body<EndpointIn>,
) -> ApiResult<Json<EndpointOut>> {
    let found = find(&state, &caller, path).await?;
    Ok(show(&*change(&state, &caller, &found, input).await?))
}

/// Makes of an endpoint what the input says.
pub(super) async fn change(
    state: &ApiState,
    caller: &Caller,
    found: &Endpoint,
    input: EndpointIn,
) -> Result<std::sync::Arc<Endpoint>> {
    let wish = SecretWish { text: input.secret.clone(), kind: input.secret_type.clone() };
    let draft = input.apply_to(found.clone(), state.clock.now());
    let changed = draft.check(state, &caller.environment, Some(found)).await?;
    let changed = replaced_secret(state, &caller.environment, changed, wish)?;
    if changed.url != found.url {
        let application = caller.application(state, found.application_id.to_string()).await?;
        state.engine.handshake(&application, &changed).await?;
    }
    store_changed(state, caller, found.revision, changed).await
}

/// What to change. Absent fields stay as they are, `null` clears.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EndpointPatch {
    url: Option<String>,
    name: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    uid: Option<Option<String>>,
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    filter_types: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    filter_groups: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    channels: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u16>, minimum = 1)]
    throttle_rate: Option<Option<i64>>,
    /// The older name of `throttleRate`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u16>, minimum = 1)]
    rate_limit: Option<Option<i64>>,
    ordered: Option<bool>,
    metadata: Option<Metadata>,
    transport: Option<String>,
    method: Option<String>,
    auth: Option<AuthIn>,
    headers: Option<BTreeMap<String, String>>,
    secret: Option<String>,
    secret_type: Option<String>,
}

impl EndpointPatch {
    /// The whole input that amounts to this change.
    fn onto(self, endpoint: &Endpoint) -> EndpointIn {
        let (throttle_rate, rate_limit) = match (self.throttle_rate, self.rate_limit) {
            (None, None) => (endpoint.throttle_rate.map(|rate| rate.get().into()), None),
            (throttle_rate, rate_limit) => (throttle_rate.flatten(), rate_limit.flatten()),
        };
        EndpointIn {
            throttle_rate,
            rate_limit,
            ordered: self.ordered,
            url: self.url.unwrap_or_else(|| endpoint.url.clone()),
            description: Some(self.description.unwrap_or_else(|| endpoint.description.clone())),
            uid: self.uid.unwrap_or_else(|| endpoint.uid.clone()),
            filter_types: self
                .filter_types
                .unwrap_or_else(|| endpoint.subscription.types().map(<[String]>::to_vec)),
            filter_groups: self.filter_groups,
            channels: self.channels.unwrap_or_else(|| endpoint.channels.clone()),
            metadata: Some(self.metadata.unwrap_or_else(|| endpoint.metadata.clone())),
            name: self.name,
            disabled: self.disabled,
            transport: self.transport,
            method: self.method,
            auth: self.auth,
            headers: self.headers,
            secret: self.secret,
            secret_type: self.secret_type,
        }
    }
}

/// Change an endpoint
#[utoipa::path(patch, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}", tag = "Endpoint", operation_id = "v1.endpoint.patch",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body = EndpointPatch,
    responses((status = 200, body = EndpointOut), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn patch(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Body(patch): Body<EndpointPatch>,
) -> ApiResult<Json<EndpointOut>> {
    let found = find(&state, &caller, path).await?;
    Ok(show(&*change(&state, &caller, &found, patch.onto(&found)).await?))
}

/// Delete an endpoint
///
/// What was not delivered to it yet is discarded.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}", tag = "Endpoint", operation_id = "v1.endpoint.delete",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses((status = 204), (status = 404, body = ErrorBody)))]
async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    let found = find(&state, &caller, path).await?;
    state.engine.delete_endpoint(found.application_id, found.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
