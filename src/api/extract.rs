//! Reading requests, with errors that name the field.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::ApiState;
use super::error::ApiError;
use crate::domain::{Error, ErrorCode, FieldError};

/// How long a client may take to send a body.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body. The content type isn't looked at: curl's default is form encoding, and what
/// is valid JSON was meant as such.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<ApiState> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Body<T>, ApiError> {
        Ok(Body(parse_json(&read_body(request, state).await?)?))
    }
}

/// A JSON body that may be left out.
pub(super) struct OptionalBody<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<ApiState> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<OptionalBody<T>, ApiError> {
        let bytes = read_body(request, state).await?;
        Ok(OptionalBody(if bytes.is_empty() { T::default() } else { parse_json(&bytes)? }))
    }
}

/// The body of a request, within the limits of size and time.
///
/// # Errors
/// `payload_too_large`, or `bad_request` where it doesn't arrive.
pub(super) async fn read_body(request: Request, state: &ApiState) -> Result<Bytes, Error> {
    let reading = Bytes::from_request(request, state);
    let read = state
        .clock
        .timeout(BODY_READ_TIMEOUT, reading)
        .await
        .map_err(|_| Error::new(ErrorCode::BadRequest, "The body took too long to arrive"))?;
    read.map_err(|rejection| {
        if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
            let limit = state.limits.max_body_bytes;
            let detail = format!("The body is larger than {limit} bytes");
            Error::new(ErrorCode::PayloadTooLarge, detail)
        } else {
            Error::new(ErrorCode::BadRequest, "The body could not be read")
        }
    })
}

/// Reads JSON. The fast reader says yes or no; only where it says no does the slower one find
/// out at which field.
///
/// # Errors
/// `bad_request` where it isn't JSON, or the fields that are wrong.
pub(super) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let error = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if !error.is_data() {
        return Err(Error::new(
            ErrorCode::BadRequest,
            format!("The body isn't valid JSON: {error}"),
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let location = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => Vec::new(),
        Err(located) => located.path().iter().filter_map(step).collect(),
    };
    Err(Error::fields(vec![FieldError::body_at(location, sentence(&error))]))
}

/// A step on the path to a value, as field errors write it.
fn step(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

/// The error without its position, which the field's name replaces.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// Query parameters.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<ApiState> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Query<T>, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let deserializer = serde_html_form::Deserializer::new(pairs);
        serde_path_to_error::deserialize(deserializer).map(Query).map_err(|error| {
            let parameter = error.path().to_string();
            Error::fields(vec![FieldError::query(&parameter, error.inner().to_string())]).into()
        })
    }
}

/// Path parameters.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<ApiState> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Path<T>, ApiError> {
        // A name that isn't even text names nothing.
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(path)| Path(path)).map_err(|_| Error::not_found().into())
    }
}

/// A field of a partial update: absent (leave it) or there, which may be `null` (clear it).
pub(super) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
