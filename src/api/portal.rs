//! Links to an application's portal: the pages on which its own people manage their webhooks.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::{Caller, hash_key};
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{OptionalBody, Path};
use super::names::Checks;
use crate::domain::{
    Application, ApplicationId, Error, ErrorCode, Holder, Metadata, Pass, PassKind, Reference,
    Result,
};

/// How long a portal is open unless told, and the shortest and longest that can be asked for:
/// those of the Svix API, in seconds.
const EXPIRY_DEFAULT_S: u64 = 7 * 86_400;
const EXPIRY_MIN_S: u64 = 3_600;
const EXPIRY_MAX_S: u64 = 7 * 86_400;

/// Environments that one portal shows.
const ENVIRONMENTS_MAX: usize = 10;

/// What the token of a portal starts with, as in the Svix API.
const TOKEN_PREFIX: &str = "appsk_";

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(access)).routes(routes!(expire_all)).routes(routes!(logout))
}

/// Whom a portal is opened to. What the Svix API has beside this is taken and has no effect.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AccessIn {
    /// How long the portal stays open, in seconds: 3600 to 604800, and 604800 unless told.
    expiry: Option<u64>,
    /// Whether its people may look only; `false` unless told.
    read_only: Option<bool>,
    /// The environments it shows, the caller's alone unless told. Others than that take an
    /// admin's key. The application is found in them by its uid, and made where it is missing.
    environments: Option<Vec<String>>,
    /// Makes the application where it is missing.
    application: Option<ApplicationIn>,
}

/// An application to make where it is missing.
#[derive(Clone, Default, Deserialize, ToSchema)]
struct ApplicationIn {
    name: Option<String>,
}

/// The way into a portal.
#[derive(Serialize, ToSchema)]
struct AccessOut {
    /// Opens the portal once, in the browser that follows it.
    url: String,
    /// A key for the application's own API in the first environment, good for as long as the
    /// portal. Empty where its people may look only.
    token: String,
}

/// Make a link to an application's portal
///
/// It can be followed once. The portal is scoped to this application and to the environments named,
/// and may be shown in a frame of the sites that `portal_frames` names.
#[utoipa::path(post, path = "/api/v1/auth/app-portal-access/{app_id}", tag = "Authentication",
    operation_id = "v1.authentication.app-portal-access",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    request_body(content = AccessIn),
    responses((status = 200, body = AccessOut), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn access(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
    OptionalBody(input): OptionalBody<AccessIn>,
) -> ApiResult<Json<AccessOut>> {
    let found = caller.application(&state, app_id.clone()).await;
    let makes = input.application.is_some();
    let application = match found {
        Err(error) if error.code == ErrorCode::NotFound && makes => None,
        found => Some(found?),
    };
    caller.require_environment()?;
    let expiry = input.expiry.unwrap_or(EXPIRY_DEFAULT_S);
    if !(EXPIRY_MIN_S..=EXPIRY_MAX_S).contains(&expiry) {
        let sentence = format!("Must be between {EXPIRY_MIN_S} and {EXPIRY_MAX_S} seconds");
        return Err(Error::field("expiry", sentence).into());
    }
    let environments = environments(&state, &caller, &input).await?;
    let has_uid = application.as_ref().is_none_or(|application| application.uid.is_some());
    if environments.len() > 1 && !has_uid {
        let sentence = "Needs an application with a uid, by which it is found in the others";
        return Err(Error::field("environments", sentence).into());
    }
    // From here on nothing is refused, so nothing is left behind half done.
    let application = match application {
        Some(application) => application,
        None => make(&state, &caller.environment.name, &app_id, &input).await?,
    };
    let applications = applications(&state, &application, environments).await?;
    let holder = Holder::Tenant { applications, read_only: input.read_only.unwrap_or(false) };
    let link = pass(&state, PassKind::Link, &holder, expiry, "").await?;
    let token = match input.read_only {
        Some(true) => String::new(),
        _ => pass(&state, PassKind::Token, &holder, expiry, TOKEN_PREFIX).await?,
    };
    Ok(Json(AccessOut { url: format!("{}/dashboard/enter/{link}", state.public_url), token }))
}

/// Makes a pass and returns its text, which is kept nowhere.
async fn pass(
    state: &ApiState,
    kind: PassKind,
    holder: &Holder,
    expiry_s: u64,
    prefix: &str,
) -> Result<String> {
    let now = state.clock.now();
    let text = format!("{prefix}{}", hex::encode(state.entropy.bytes::<24>()));
    let expires_at = now + Duration::from_secs(expiry_s);
    let pass = Pass { hash: hash_key(&text), kind, holder: holder.clone(), expires_at };
    state.store.create_pass(pass, now).await?;
    Ok(text)
}

/// The environments of a portal.
async fn environments(
    state: &ApiState,
    caller: &Caller,
    input: &AccessIn,
) -> Result<Vec<Arc<str>>> {
    let own = caller.environment.name.clone();
    let Some(named) = &input.environments else { return Ok(vec![own]) };
    if named.is_empty() || named.len() > ENVIRONMENTS_MAX {
        let sentence = format!("Must name 1 to {ENVIRONMENTS_MAX} environments");
        return Err(Error::field("environments", sentence));
    }
    let mut environments: Vec<Arc<str>> = Vec::new();
    for (place, name) in named.iter().enumerate() {
        let opens = **name == *own
            || caller.is_admin(state).await? && state.environments.is_configured(name);
        if !opens {
            let field = format!("environments.{place}");
            return Err(Error::field(&field, "Is no environment that this key opens"));
        }
        let name: Arc<str> = Arc::from(name.as_str());
        if !environments.contains(&name) {
            environments.push(name);
        }
    }
    Ok(environments)
}

/// The application in each of these environments, made where it is missing.
async fn applications(
    state: &ApiState,
    application: &Application,
    environments: Vec<Arc<str>>,
) -> Result<Vec<(Arc<str>, ApplicationId)>> {
    let mut applications = Vec::new();
    for environment in environments {
        let id = if environment == application.environment {
            application.id
        } else {
            let uid = application.uid.as_deref().unwrap_or_default();
            let reference = Reference(uid.to_owned());
            match state.store.get_application(&environment, &reference).await {
                Ok(found) => found.id,
                Err(error) if error.code == ErrorCode::NotFound => {
                    create(state, &environment, uid, application.name.clone()).await?.id
                }
                Err(error) => return Err(error),
            }
        };
        applications.push((environment, id));
    }
    Ok(applications)
}

async fn make(
    state: &ApiState,
    environment: &Arc<str>,
    uid: &str,
    input: &AccessIn,
) -> Result<Arc<Application>> {
    let mut checks = Checks::default();
    checks.name("app_id", uid);
    let name = input.application.clone().and_then(|one| one.name).unwrap_or_else(|| uid.to_owned());
    checks.text("application.name", &name, false);
    checks.finish()?;
    create(state, environment, uid, name).await
}

async fn create(
    state: &ApiState,
    environment: &Arc<str>,
    uid: &str,
    name: String,
) -> Result<Arc<Application>> {
    let now = state.clock.now();
    let application = Application {
        id: state.entropy.id(&state.clock),
        environment: environment.clone(),
        uid: Some(uid.to_owned()),
        name,
        metadata: Metadata::new(),
        created_at: now,
        updated_at: now,
    };
    state.store.create_application(application).await
}

/// Close all portals of an application
///
/// Links that weren't followed yet, sessions in browsers, and tokens.
#[utoipa::path(post, path = "/api/v1/auth/app/{app_id}/expire-all", tag = "Authentication",
    operation_id = "v1.authentication.expire-all",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    responses((status = 204), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn expire_all(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
) -> ApiResult<StatusCode> {
    let application = caller.application(&state, app_id).await?;
    caller.require_environment()?;
    state.store.delete_passes_of(application.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End the token that this is called with
///
/// A key that isn't a portal's token stays as it is.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "Authentication",
    operation_id = "v1.authentication.logout", responses((status = 204)))]
async fn logout(State(state): State<ApiState>, caller: Caller) -> ApiResult<StatusCode> {
    if let Some(hash) = caller.credential_hash() {
        state.store.delete_pass(hash).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
