//! One exchange: the request goes over an open connection, the answer is read.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use url::{Position, Url};

use super::answer::{kept_headers, retry_after};
use super::connection::{Http1, OutgoingRequest, SharedConnection};
use super::failure::{Broken, Moment};
use super::origin::Origin;
use super::progress::Progress;
use crate::clock::Clock;
use crate::contract::WireRequest;
use crate::domain::{Answer, Failure, FailureKind, Method, Phase};

/// Headers that say how a message is framed or a connection is used. They are ours to set:
/// whatever a request brings of them is left out.
pub(super) const CONNECTION_HEADERS: [HeaderName; 11] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// How much of an answer's body is read, and how much of that is kept, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    pub(super) recorded: usize,
    pub(super) read: usize,
}

/// The request as an HTTP/1 connection to `origin` takes it.
pub(super) fn http1_request(
    wire: &WireRequest,
    origin: &Origin,
    user_agent: &HeaderValue,
) -> Result<OutgoingRequest, Failure> {
    let target = &wire.url[Position::BeforePath..Position::AfterQuery];
    let mut headers = HeaderMap::with_capacity(wire.headers.len() + 3);
    headers.insert(header::HOST, origin.host_header.clone());
    request(wire, target, headers, user_agent, Version::HTTP_11)
}

/// The request as an HTTP/2 connection takes it: the host is part of the target.
pub(super) fn http2_request(
    wire: &WireRequest,
    user_agent: &HeaderValue,
) -> Result<OutgoingRequest, Failure> {
    let headers = HeaderMap::with_capacity(wire.headers.len() + 2);
    request(wire, &absolute_target(&wire.url), headers, user_agent, Version::HTTP_2)
}

pub(super) fn absolute_target(url: &Url) -> String {
    let scheme = url.scheme();
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let path = &url[Position::BeforePath..Position::AfterQuery];
    format!("{scheme}://{authority}{path}")
}

fn request(
    wire: &WireRequest,
    target: &str,
    mut headers: HeaderMap,
    user_agent: &HeaderValue,
    version: Version,
) -> Result<OutgoingRequest, Failure> {
    let target = Uri::from_maybe_shared(Bytes::copy_from_slice(target.as_bytes()));
    let target = target.map_err(|error| {
        let sentence = "The URL can't be used in an HTTP request.";
        Failure::new(FailureKind::Url, None, sentence).caused_by(&error)
    })?;
    if !wire.headers.contains_key(header::USER_AGENT) {
        headers.insert(header::USER_AGENT, user_agent.clone());
    }
    for (name, value) in &wire.headers {
        if !CONNECTION_HEADERS.contains(name) {
            headers.append(name, value.clone());
        }
    }
    let body = if wire.method.has_body() { wire.body.clone() } else { Bytes::new() };
    if wire.method.has_body() && body.is_empty() {
        // An empty body is left out, and its length with it, unless we say so.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = http_method(wire.method);
    *request.uri_mut() = target;
    *request.headers_mut() = headers;
    *request.version_mut() = version;
    Ok(request)
}

fn http_method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    }
}

/// Exchanges over an HTTP/1 connection. Returns it where it can be used again.
pub(super) async fn exchange_http1(
    mut connection: Box<Http1>,
    request: OutgoingRequest,
    limits: BodyLimits,
    clock: &Clock,
    progress: &mut Progress<'_>,
) -> Result<(Answer, Option<Box<Http1>>), Broken> {
    progress.send_over(connection.meter().clone());
    let response = connection.send(request).await.map_err(|error| {
        let received_any = connection.meter().received_any();
        Broken::without_answer(&error, Moment { phase: progress.phase(), received_any })
    })?;
    progress.enter(Phase::Receive);
    let (head, body) = response.into_parts();
    let body = read_body(body, limits, Some(&mut connection)).await;
    let body = body.map_err(|error| Broken::within_answer(&error))?;
    let reusable = body.complete && connection.is_idle().await;
    Ok((body.into_answer(&head, clock, progress.wanted()), reusable.then_some(connection)))
}

/// Exchanges over a shared connection.
pub(super) async fn exchange_http2(
    mut connection: SharedConnection,
    request: OutgoingRequest,
    limits: BodyLimits,
    clock: &Clock,
    progress: &mut Progress<'_>,
) -> Result<Answer, Broken> {
    progress.send_over_shared(connection.clone());
    let response = connection.send(request).await.map_err(|error| {
        Broken::without_answer(&error, Moment { phase: Phase::Wait, received_any: false })
    })?;
    progress.enter(Phase::Receive);
    let (head, body) = response.into_parts();
    let body = read_body(body, limits, None).await;
    let body = body.map_err(|error| Broken::within_answer(&error))?;
    Ok(body.into_answer(&head, clock, progress.wanted()))
}

/// What was read of a body.
struct ReadBody {
    kept: Vec<u8>,
    truncated: bool,
    /// Whether the body was read to its end.
    complete: bool,
}

impl ReadBody {
    fn into_answer(
        self,
        head: &http::response::Parts,
        clock: &Clock,
        wanted: &[HeaderName],
    ) -> Answer {
        let wishes_later = head.headers.contains_key(header::RETRY_AFTER);
        Answer {
            status: head.status.as_u16(),
            headers: kept_headers(&head.headers, wanted),
            body: self.kept,
            truncated: self.truncated,
            retry_after: wishes_later.then(|| retry_after(&head.headers, clock.now())).flatten(),
        }
    }
}

/// Reads a body to its end, but no further than the limit. `driver` is the connection that
/// has to be run for the body to come.
async fn read_body(
    mut body: Incoming,
    limits: BodyLimits,
    mut driver: Option<&mut Box<Http1>>,
) -> hyper::Result<ReadBody> {
    let mut kept = Vec::new();
    let mut read = 0_usize;
    while !body.is_end_stream() {
        let frame = match &mut driver {
            Some(connection) => connection.drive(body.frame()).await,
            None => body.frame().await,
        };
        let Some(frame) = frame.transpose()? else { break };
        // Trailers say nothing that is kept.
        let Ok(data) = frame.into_data() else { continue };
        read = read.saturating_add(data.len());
        let room = limits.recorded.saturating_sub(kept.len());
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if read > limits.read {
            return Ok(ReadBody { kept, truncated: true, complete: false });
        }
    }
    Ok(ReadBody { truncated: read > kept.len(), kept, complete: true })
}
