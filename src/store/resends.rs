//! What a store does for resends: sending many events of an endpoint again, in steps.

use std::sync::Arc;

use async_trait::async_trait;

use super::Page;
use crate::domain::{
    ApplicationId, Destination, EndpointId, Resend, ResendId, ResendKind, ResendScope, ResendState,
    Result, Timestamp,
};

/// A resend to begin.
#[derive(Clone, Debug)]
pub struct NewResend {
    pub id: ResendId,
    pub destination: Destination,
    pub scope: ResendScope,
}

/// Whose resends to list.
#[derive(Clone, Copy, Debug)]
pub enum ResendsOf {
    Everybody,
    Application(ApplicationId),
    Endpoint(EndpointId),
}

/// Which resends to list.
#[derive(Clone, Debug)]
pub struct ResendQuery {
    /// Nothing of another environment is listed, whoever it is of.
    pub environment: Arc<str>,
    pub of: ResendsOf,
    /// Empty for all.
    pub states: Vec<ResendState>,
    pub kind: Option<ResendKind>,
}

/// What a step did.
#[derive(Clone, Debug)]
pub struct ResendStep {
    /// The resend as it stands now.
    pub resend: Resend,
    /// How many deliveries became due.
    pub queued: u32,
    /// Whether nothing was done because enough is due at the endpoint.
    pub waits: bool,
}

/// The transitions of resends. A part of [`Store`](super::Store), whose rules are theirs.
#[async_trait]
pub trait ResendStore: Send + Sync {
    /// How many messages a resend would send if it began now. A conflict where the endpoint
    /// doesn't deliver at present, `bad_request` where there is too much to count, and
    /// `rate_limit_exceeded` while the application's messages are counted already.
    async fn count_resend(&self, to: Destination, scope: ResendScope) -> Result<u64>;

    /// Counts what there is to send, and begins. A conflict where the endpoint doesn't deliver
    /// at present or has a resend that runs, `rate_limit_exceeded` where as many run as may;
    /// otherwise as [`count_resend`](ResendStore::count_resend).
    async fn create_resend(&self, new: NewResend, now: Timestamp) -> Result<Resend>;

    /// Makes the next step: up to [`RESENT_PER_STEP_MAX`](crate::domain::RESENT_PER_STEP_MAX)
    /// messages become due, in the order of their publishing, and the place that this came to
    /// is kept in the same transaction. One that doesn't run stays as it is. It fails where the
    /// endpoint stopped delivering, and is unknown where that was deleted.
    async fn step_resend(&self, id: ResendId, now: Timestamp) -> Result<ResendStep>;

    /// Stops a resend; what it has queued stays. One that has ended stays as it is.
    async fn cancel_resend(&self, id: ResendId, now: Timestamp) -> Result<Resend>;

    /// Ends a resend that can't go on, for a reason that people are told. One that has ended
    /// stays as it is.
    async fn fail_resend(&self, id: ResendId, reason: &str, now: Timestamp) -> Result<()>;

    async fn get_resend(&self, environment: &Arc<str>, id: ResendId) -> Result<Resend>;

    async fn list_resends(&self, query: ResendQuery, page: Page<ResendId>) -> Result<Vec<Resend>>;

    /// All that run, oldest first.
    async fn running_resends(&self) -> Result<Vec<ResendId>>;
}
