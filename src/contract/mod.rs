//! A contract file, checked and compiled: everything that makes one company's webhooks look
//! the way that company documents them.

use bytes::Bytes;

use crate::domain::{Endpoint, Message, Method, Timestamp};

/// A request as the receiver will get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireRequest {
    pub method: Method,
    pub url: url::Url,
    /// In the order in which they are sent. `host` and `content-length` are the sender's.
    pub headers: http::HeaderMap,
    /// Empty for methods without a body.
    pub body: Bytes,
}

/// What a request is made from.
#[derive(Clone, Copy, Debug)]
pub struct RenderInput<'a> {
    pub message: &'a Message,
    pub endpoint: &'a Endpoint,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When the attempt starts.
    pub now: Timestamp,
}
