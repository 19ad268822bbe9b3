//! What the pages ask of a store, beside what the API and the engine do.

use std::sync::Arc;

use async_trait::async_trait;

use super::{DeliveryFilter, DeliveryPage, EndpointHour, Page, Standing, TrafficMinute};
use crate::domain::{ApplicationId, DeliveryId, EndpointId, Pass, PassKind, Result, Timestamp};

/// Passes, the log, and overviews. Every method is one transaction.
///
/// # Errors
/// Those of [`Store`](super::Store).
#[async_trait]
pub trait PageStore: Send + Sync {
    async fn create_pass(&self, pass: Pass, now: Timestamp) -> Result<()>;
    /// The pass of this kind with this SHA-256, unless it has expired.
    async fn find_pass(
        &self,
        hash: [u8; 32],
        kind: PassKind,
        now: Timestamp,
    ) -> Result<Option<Pass>>;
    /// Takes a link and gives a session for it, of the same end. A link is good once.
    async fn redeem_link(&self, link: [u8; 32], session: [u8; 32], now: Timestamp) -> Result<Pass>;
    /// Ends a pass. One that isn't there any more is no error.
    async fn delete_pass(&self, hash: [u8; 32]) -> Result<()>;
    /// Ends all passes that open this application. Deleting it does so, too.
    async fn delete_passes_of(&self, application: ApplicationId) -> Result<()>;
    /// Deliveries of an application, by their messages. A store may stop looking before the page
    /// is full, where what it passes over doesn't pass the filter.
    async fn list_log(
        &self,
        application: ApplicationId,
        filter: DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<DeliveryPage>;
    /// How many deliveries of an endpoint are pending.
    async fn count_waiting(&self, application: ApplicationId, id: EndpointId) -> Result<u64>;
    /// The attempts at the deliveries of an application's endpoints, counted by the hour, since
    /// the hour of `since`. What was counted last before a crash may be missing.
    async fn endpoint_hours(
        &self,
        application: ApplicationId,
        since: Timestamp,
    ) -> Result<Vec<EndpointHour>>;
    /// What happened in an environment since the minute of `since`, oldest first; minutes without
    /// traffic are left out. What was counted last before a crash may be missing.
    async fn traffic(&self, environment: &Arc<str>, since: Timestamp)
    -> Result<Vec<TrafficMinute>>;
    /// How an environment stands, with the first `limit` endpoints of each kind of trouble,
    /// of which there has to be room for one.
    async fn standing(&self, environment: &Arc<str>, limit: u32) -> Result<Standing>;
}
