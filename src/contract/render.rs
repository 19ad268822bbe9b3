//! From a message and an endpoint to the request that the receiver gets.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use super::filters::percent_encode;
use super::scope::Scope;
use super::template::{Template, TemplateError};
use super::{Contract, RenderInput, WireRequest};
use crate::domain::{Auth, Endpoint, Failure, FailureKind, SecretText, Timestamp};

/// The longest URL that is sent, in bytes, the body in its query included. HTTP libraries
/// give up at 64 KiB.
pub const URL_BYTES: usize = 60_000;

/// Why a request can't be made.
#[derive(Debug)]
pub(super) enum RenderError {
    Template(TemplateError),
    /// The text says what is wrong with the URL.
    Url(String),
    /// A sentence about the endpoint's own settings.
    Endpoint(String),
}

impl From<TemplateError> for RenderError {
    fn from(error: TemplateError) -> RenderError {
        RenderError::Template(error)
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RenderError::Template(error) => write!(f, "{error}"),
            RenderError::Url(text) | RenderError::Endpoint(text) => f.write_str(text),
        }
    }
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Failure {
        match error {
            RenderError::Template(error) => {
                let mut failure = Failure::new(
                    FailureKind::Render,
                    None,
                    "The contract's templates could not make the request.",
                );
                failure.causes.push(format!("line {}: {error}", error.line));
                failure
            }
            RenderError::Url(text) => Failure::new(FailureKind::Url, None, text),
            RenderError::Endpoint(text) => Failure::new(FailureKind::Render, None, text),
        }
    }
}

impl Contract {
    /// Makes the request for one attempt. Everything in it but the URL's address and the
    /// headers of the connection (`host`, `content-length`, `user-agent`) is decided here.
    ///
    /// # Errors
    /// A failure of the kind `render` or `url`, without secrets in it.
    pub fn render(&self, input: &RenderInput<'_>) -> Result<WireRequest, Failure> {
        self.request(input).map_err(Failure::from)
    }

    pub(super) fn request(&self, input: &RenderInput<'_>) -> Result<WireRequest, RenderError> {
        let endpoint = input.endpoint;
        let scope = Scope::new(input);
        let rendered = self.delivery.body.render(&scope)?;
        let method = endpoint.method;
        let mut url = endpoint_url(endpoint)?;
        let body = if method.has_body() {
            rendered
        } else {
            self.move_into_query(&mut url, &rendered)?;
            Bytes::new()
        };
        if url.as_str().len() > URL_BYTES {
            let message = format!("The URL with the event in it is longer than {URL_BYTES} bytes.");
            return Err(RenderError::Url(message));
        }
        let url = Arc::new(url);
        let scope = scope.with_request(method.as_str(), Arc::clone(&url));
        let mut headers = HeaderMap::new();
        if method.has_body() {
            headers.insert(CONTENT_TYPE, self.delivery.content_type.clone());
        }
        self.add_headers(&scope, &mut headers)?;
        self.add_customs(endpoint, &mut headers)?;
        self.add_signatures(endpoint, input.now, scope.with_body(body.clone()), &mut headers)?;
        drop(scope);
        Ok(WireRequest { method, url: Arc::unwrap_or_clone(url), headers, body })
    }

    /// Appends the body to the query, which otherwise stays as the customer wrote it.
    fn move_into_query(&self, url: &mut Url, body: &Bytes) -> Result<(), RenderError> {
        let Some(parameter) = &self.delivery.body_in_query else {
            return Err(RenderError::Endpoint(
                "The contract doesn't say how an event travels without a body.".to_owned(),
            ));
        };
        let text = std::str::from_utf8(body).unwrap_or_default();
        let pair = format!("{}={}", percent_encode(parameter), percent_encode(text));
        let query = match url.query() {
            Some(query) if !query.is_empty() => format!("{query}&{pair}"),
            _ => pair,
        };
        url.set_query(Some(&query));
        Ok(())
    }

    /// The headers that the contract gives every delivery.
    pub(super) fn add_headers(
        &self,
        scope: &Scope,
        headers: &mut HeaderMap,
    ) -> Result<(), RenderError> {
        for (name, template) in &self.delivery.headers {
            headers.insert(name.clone(), header_value(template, scope)?);
        }
        Ok(())
    }

    /// The endpoint's own headers and authentication. Neither can take the place of a header
    /// that the contract sets.
    pub(super) fn add_customs(
        &self,
        endpoint: &Endpoint,
        headers: &mut HeaderMap,
    ) -> Result<(), RenderError> {
        let customs = endpoint.headers.iter().map(|(name, value)| (name.as_str(), value));
        let auth = match &endpoint.auth {
            Auth::None => None,
            Auth::Basic { token } => Some((AUTHORIZATION.as_str(), token)),
            Auth::Header { name, value } => Some((name.as_str(), value)),
        };
        for (name, value) in customs.chain(auth) {
            let (name, value) = custom_header(name, value)?;
            if !self.endpoint.reserves(&name) {
                headers.insert(name, value);
            }
        }
        Ok(())
    }

    pub(super) fn add_signatures(
        &self,
        endpoint: &Endpoint,
        now: Timestamp,
        scope: Scope,
        headers: &mut HeaderMap,
    ) -> Result<(), RenderError> {
        if self.signatures.is_empty() {
            return Ok(());
        }
        let keys: Vec<Zeroizing<Vec<u8>>> = endpoint
            .signing_secrets(now)
            .map(|secret| self.secret.key_bytes(secret))
            .collect::<Result<_, String>>()
            .map_err(RenderError::Endpoint)?;
        if keys.is_empty() {
            return Ok(());
        }
        for signature in &self.signatures {
            let content = signature.content.render(&scope)?;
            let signed = keys.iter().map(|key| signature.sign(key, &content)).collect();
            let value = header_value(&signature.format, &scope.with_signatures(signed))?;
            headers.insert(signature.header.clone(), value);
        }
        Ok(())
    }
}

pub(super) fn endpoint_url(endpoint: &Endpoint) -> Result<Url, RenderError> {
    Url::parse(&endpoint.url)
        .map_err(|error| RenderError::Url(format!("The URL can't be used: {error}.")))
}

/// Renders a header's value. A value with a line break in it can't become a header, so no
/// event can smuggle one in.
fn header_value(template: &Template, scope: &Scope) -> Result<HeaderValue, RenderError> {
    let value = template.render(scope)?;
    HeaderValue::from_maybe_shared(value).map_err(|_| {
        let hint = "a header can't contain line breaks or control characters".to_owned();
        template.error("the value can't be sent in a header", Some(hint)).into()
    })
}

/// A custom header as it was registered. Its value may be a credential.
fn custom_header(name: &str, value: &SecretText) -> Result<(HeaderName, HeaderValue), RenderError> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
    let header = parsed.zip(HeaderValue::from_bytes(value.expose().as_bytes()).ok());
    let Some((name, mut value)) = header else {
        let name = name.escape_debug();
        return Err(RenderError::Endpoint(format!("The header \"{name}\" can't be sent.")));
    };
    value.set_sensitive(true);
    Ok((name, value))
}
