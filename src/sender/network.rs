//! What the engine needs of a network, so that it can also run on one that is simulated.

use std::time::Duration;

use async_trait::async_trait;
use http::HeaderName;

use super::{Guard, Sender, Sent};
use crate::contract::{WireMessage, WireRequest};
use crate::domain::{EndpointId, RetryPolicy};

/// Makes attempts: the [`Sender`] over real connections, a simulation from its seed.
#[async_trait]
pub trait Network: Send + Sync {
    /// [`Sender::attempt_wanting`].
    async fn send_request(
        &self,
        request: &WireRequest,
        guard: &Guard,
        timeout: Duration,
        wanted: &[HeaderName],
    ) -> Sent;

    /// [`Sender::attempt_message`].
    async fn send_message(
        &self,
        message: &WireMessage,
        guard: &Guard,
        policy: &RetryPolicy,
    ) -> Sent;

    /// [`Sender::close_websocket`].
    fn close_websocket(&self, endpoint: EndpointId);

    /// [`Sender::sweep_idle`].
    fn sweep_idle(&self);

    /// [`Sender::close_idle`].
    fn close_idle(&self);
}

#[async_trait]
impl Network for Sender {
    async fn send_request(
        &self,
        request: &WireRequest,
        guard: &Guard,
        timeout: Duration,
        wanted: &[HeaderName],
    ) -> Sent {
        self.attempt_wanting(request, guard, timeout, wanted).await
    }

    async fn send_message(
        &self,
        message: &WireMessage,
        guard: &Guard,
        policy: &RetryPolicy,
    ) -> Sent {
        self.attempt_message(message, guard, policy).await
    }

    fn close_websocket(&self, endpoint: EndpointId) {
        Sender::close_websocket(self, endpoint);
    }

    fn sweep_idle(&self) {
        Sender::sweep_idle(self);
    }

    fn close_idle(&self) {
        Sender::close_idle(self);
    }
}
