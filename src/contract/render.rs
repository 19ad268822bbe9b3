//! From a message and an endpoint to the request that the receiver gets.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::filters::percent_encode;
use super::key_pair::SigningKey;
use super::scope::Scope;
use super::signature::{Algorithm, Signature, Stage};
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
        let keys = self.signing_keys(endpoint, input.now)?;
        let scope =
            self.name_signatures(Stage::Event, &keys, Scope::new(input, self.routes.ids()))?;
        let rendered = self.delivery.body.render(&scope)?;
        let method = endpoint.method;
        let mut url = endpoint_url(endpoint)?;
        let body = if method.has_body() {
            rendered
        } else {
            self.move_into_query(&mut url, &rendered)?;
            Bytes::new()
        };
        let scope = scope.with_body(method.as_str(), body.clone());
        let scope = self.name_signatures(Stage::Body, &keys, scope)?;
        extend_query(&mut url, &self.delivery.query, &scope)?;
        let url = Arc::new(url);
        let scope = scope.with_url(Arc::clone(&url));
        let mut headers = HeaderMap::new();
        if method.has_body() {
            headers.insert(CONTENT_TYPE, self.delivery.content_type.clone());
        }
        self.add_headers(&scope, &mut headers)?;
        self.add_customs(endpoint, &mut headers)?;
        self.add_signatures(&keys, &scope, &mut headers)?;
        drop(scope);
        Ok(WireRequest { method, url: Arc::unwrap_or_clone(url), headers, body })
    }

    /// The keys that sign at `now`, the current one first.
    pub(super) fn signing_keys<'a>(
        &self,
        endpoint: &'a Endpoint,
        now: Timestamp,
    ) -> Result<Vec<SigningKey<'a>>, RenderError> {
        if self.signatures.is_empty() {
            return Ok(Vec::new());
        }
        let keys = endpoint.signing_secrets(now).map(|secret| self.secret.signing_key(secret));
        keys.collect::<Result<_, String>>().map_err(RenderError::Endpoint)
    }

    /// The scope with the named signatures up to this stage.
    pub(super) fn name_signatures(
        &self,
        stage: Stage,
        keys: &[SigningKey<'_>],
        scope: Scope,
    ) -> Result<Scope, RenderError> {
        let of_stage =
            |signature: &&Signature| signature.name.is_some() && signature.stage == stage;
        if !self.signatures.iter().any(|signature| of_stage(&signature)) {
            return Ok(scope);
        }
        let mut named = scope.named();
        for signature in self.signatures.iter().filter(of_stage) {
            let Some(name) = &signature.name else { continue };
            named.push((Arc::clone(name), signature.sign(keys, &scope)?.into()));
        }
        Ok(scope.with_named(named))
    }

    /// The headers that the contract gives every delivery.
    pub(super) fn add_headers(
        &self,
        scope: &Scope,
        headers: &mut HeaderMap,
    ) -> Result<(), RenderError> {
        for (name, template) in &self.delivery.headers {
            if let Some(value) = header_value(template, scope)? {
                headers.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    /// Appends the body to the query.
    fn move_into_query(&self, url: &mut Url, body: &Bytes) -> Result<(), RenderError> {
        let Some(parameter) = &self.delivery.body_in_query else {
            return Err(RenderError::Endpoint(
                "The contract doesn't say how an event travels without a body.".to_owned(),
            ));
        };
        append_to_query(url, parameter, std::str::from_utf8(body).unwrap_or_default());
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
        keys: &[SigningKey<'_>],
        scope: &Scope,
        headers: &mut HeaderMap,
    ) -> Result<(), RenderError> {
        for signature in &self.signatures {
            let Some(name) = &signature.header else { continue };
            let signed = signature.sign(keys, scope)?;
            if signed.is_empty() {
                continue;
            }
            let scope = scope.with_signatures(signed);
            let Some(mut value) = header_value(&signature.format, &scope)? else { continue };
            let mut is_token = signature.algorithm == Algorithm::Token;
            if let Some(separator) = &signature.separator
                && let Some(before) = headers.get(name)
            {
                is_token |= before.is_sensitive();
                let whole = [before.as_bytes(), separator.as_bytes(), value.as_bytes()].concat();
                value = sendable(Bytes::from(whole), &signature.format)?;
            }
            value.set_sensitive(is_token);
            headers.insert(name.clone(), value);
        }
        Ok(())
    }
}

pub(super) fn endpoint_url(endpoint: &Endpoint) -> Result<Url, RenderError> {
    Url::parse(&endpoint.url)
        .map_err(|error| RenderError::Url(format!("The URL can't be used: {error}.")))
}

/// Appends parameters to the query. One whose value is empty is left out.
pub(super) fn extend_query(
    url: &mut Url,
    parameters: &[(String, Template)],
    scope: &Scope,
) -> Result<(), RenderError> {
    for (name, template) in parameters {
        let value = template.render(scope)?;
        if !value.is_empty() {
            append_to_query(url, name, &String::from_utf8_lossy(&value));
        }
    }
    if url.as_str().len() > URL_BYTES {
        let message = format!("The URL with the event in it is longer than {URL_BYTES} bytes.");
        return Err(RenderError::Url(message));
    }
    Ok(())
}

/// The query otherwise stays as the customer wrote it.
fn append_to_query(url: &mut Url, name: &str, value: &str) {
    let pair = format!("{}={}", percent_encode(name), percent_encode(value));
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&{pair}"),
        _ => pair,
    };
    url.set_query(Some(&query));
}

/// Renders a header's value; `None` where it is empty, and the header left out.
pub(super) fn header_value(
    template: &Template,
    scope: &Scope,
) -> Result<Option<HeaderValue>, RenderError> {
    let value = template.render(scope)?;
    if value.is_empty() {
        return Ok(None);
    }
    sendable(value, template).map(Some)
}

/// A value with a line break in it can't become a header, so no event can smuggle one in.
fn sendable(value: Bytes, template: &Template) -> Result<HeaderValue, RenderError> {
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
