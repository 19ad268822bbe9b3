//! One error, with codes that never change their meaning.

use std::fmt;

/// What went wrong, as callers are told. The text of a code is part of the public API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// No credentials, or ones that nobody issued.
    AuthenticationFailed,
    /// Good credentials, but not for this.
    Forbidden,
    /// The key covers several environments and the request names none.
    EnvironmentRequired,
    /// It doesn't exist, or it is somebody else's.
    NotFound,
    /// The path exists, the method doesn't.
    MethodNotAllowed,
    /// Something of that name, uid or event id exists already.
    Conflict,
    /// The request isn't what the route takes: broken JSON, a bad query, a bad header.
    BadRequest,
    /// A field has a value that can't be accepted. The fields are named.
    Validation,
    /// The body is larger than the limit.
    PayloadTooLarge,
    /// More requests than the limit allows.
    RateLimited,
    /// The store can't take it now; the same request may succeed later.
    Unavailable,
    /// A defect of the server.
    Internal,
}

impl ErrorCode {
    pub const ALL: [ErrorCode; 12] = [
        ErrorCode::AuthenticationFailed,
        ErrorCode::Forbidden,
        ErrorCode::EnvironmentRequired,
        ErrorCode::NotFound,
        ErrorCode::MethodNotAllowed,
        ErrorCode::Conflict,
        ErrorCode::BadRequest,
        ErrorCode::Validation,
        ErrorCode::PayloadTooLarge,
        ErrorCode::RateLimited,
        ErrorCode::Unavailable,
        ErrorCode::Internal,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorCode::AuthenticationFailed => "authentication_failed",
            ErrorCode::Forbidden => "forbidden",
            ErrorCode::EnvironmentRequired => "environment_required",
            ErrorCode::NotFound => "not_found",
            ErrorCode::MethodNotAllowed => "method_not_allowed",
            ErrorCode::Conflict => "conflict",
            ErrorCode::BadRequest => "bad_request",
            ErrorCode::Validation => "validation_error",
            ErrorCode::PayloadTooLarge => "payload_too_large",
            ErrorCode::RateLimited => "rate_limit_exceeded",
            ErrorCode::Unavailable => "unavailable",
            ErrorCode::Internal => "internal_error",
        }
    }
}

/// A value that was refused: where it stands, why, and the kind of mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The path to the value, such as `["body", "url"]`.
    pub location: Vec<String>,
    /// A whole sentence for a person.
    pub message: String,
    /// A stable word for a program, such as `value_error`.
    pub kind: String,
}

impl FieldError {
    /// An error at `body.<field>`; `field` may be a dotted path.
    pub fn body(field: &str, message: impl Into<String>) -> FieldError {
        let path = field.split('.').filter(|part| !part.is_empty());
        FieldError::body_at(path.map(str::to_owned), message)
    }

    /// An error at the end of this path into the body, whose steps may contain dots.
    pub fn body_at(
        path: impl IntoIterator<Item = String>,
        message: impl Into<String>,
    ) -> FieldError {
        FieldError {
            location: std::iter::once("body".to_owned()).chain(path).collect(),
            message: message.into(),
            kind: "value_error".to_owned(),
        }
    }

    /// An error at `query.<parameter>`.
    pub fn query(parameter: &str, message: impl Into<String>) -> FieldError {
        FieldError {
            location: vec!["query".to_owned(), parameter.to_owned()],
            message: message.into(),
            kind: "value_error".to_owned(),
        }
    }
}

/// An error with a stable code, a sentence for a person, and the fields it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub code: ErrorCode,
    pub detail: String,
    pub fields: Vec<FieldError>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Error {
        Error { code, detail: detail.into(), fields: Vec::new() }
    }

    /// The one answer for what doesn't exist and for what belongs to somebody else.
    pub fn not_found() -> Error {
        Error::new(ErrorCode::NotFound, "Entity not found")
    }

    pub fn conflict(detail: impl Into<String>) -> Error {
        Error::new(ErrorCode::Conflict, detail)
    }

    pub fn unavailable(detail: impl Into<String>) -> Error {
        Error::new(ErrorCode::Unavailable, detail)
    }

    pub fn internal(detail: impl Into<String>) -> Error {
        Error::new(ErrorCode::Internal, detail)
    }

    /// A refused value in the request's body.
    pub fn field(field: &str, message: impl Into<String>) -> Error {
        Error::fields(vec![FieldError::body(field, message)])
    }

    /// Several refused values.
    pub fn fields(fields: Vec<FieldError>) -> Error {
        let detail = fields.first().map(|first| first.message.clone()).unwrap_or_default();
        Error { code: ErrorCode::Validation, detail, fields }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Error {}
