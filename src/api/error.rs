//! From an error's code to an HTTP answer: the only such map.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Error, ErrorCode, FieldError};

/// Seconds after which a client may try again where the server could not take a request.
const RETRY_AFTER_SECONDS: &str = "1";

/// The status that goes with a code.
pub const fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::AuthenticationFailed => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::BadRequest | ErrorCode::EnvironmentRequired => StatusCode::BAD_REQUEST,
        ErrorCode::Validation => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The body of every error but refused fields.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// A stable word for programs.
    code: &'static str,
    /// A sentence for people.
    detail: String,
}

/// The body of an answer with status 422.
#[derive(Serialize, ToSchema)]
pub(super) struct ValidationBody {
    detail: Vec<FieldBody>,
}

/// A refused value.
#[derive(Serialize, ToSchema)]
struct FieldBody {
    /// The path to it, such as `["body", "url"]`.
    loc: Vec<String>,
    /// A sentence for people.
    msg: String,
    /// A stable word for programs.
    #[serde(rename = "type")]
    kind: String,
}

/// [`Error`] as an answer. A type of its own, so that `domain` knows nothing of HTTP.
#[derive(Debug)]
pub struct ApiError(pub Error);

impl From<Error> for ApiError {
    fn from(error: Error) -> ApiError {
        ApiError(error)
    }
}

/// What handlers return.
pub(super) type ApiResult<T> = Result<T, ApiError>;

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = self.0.clone();
        let mut response = self.written();
        // For contracts' routes, which say the same in another way.
        response.extensions_mut().insert(error);
        response
    }
}

impl ApiError {
    fn written(self) -> Response {
        let Error { code, detail, fields } = self.0;
        let status = status(code);
        let detail = if code == ErrorCode::Internal {
            tracing::error!(%detail, "internal error");
            "Something went wrong on our side; the server's log says what".to_owned()
        } else {
            detail
        };
        if !fields.is_empty() {
            let detail = fields
                .into_iter()
                .map(|FieldError { location, message, kind }| FieldBody {
                    loc: location,
                    msg: message,
                    kind,
                })
                .collect();
            return (status, Json(ValidationBody { detail })).into_response();
        }
        let mut response =
            (status, Json(ErrorBody { code: code.as_str(), detail })).into_response();
        let headers = response.headers_mut();
        match code {
            ErrorCode::Unavailable | ErrorCode::RateLimited => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            ErrorCode::AuthenticationFailed => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}
