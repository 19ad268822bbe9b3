//! What the pages ask of the store of a simulation, which has no pages.

use std::sync::Arc;

use async_trait::async_trait;

use hookwright::domain::*;
use hookwright::store::*;

use super::store::SimulatedStore;

#[async_trait]
impl PageStore for SimulatedStore {
    async fn create_pass(&self, pass: Pass, now: Timestamp) -> Result<()> {
        self.inner.create_pass(pass, now).await
    }

    async fn find_pass(
        &self,
        hash: [u8; 32],
        kind: PassKind,
        now: Timestamp,
    ) -> Result<Option<Pass>> {
        self.inner.find_pass(hash, kind, now).await
    }

    async fn redeem_link(&self, link: [u8; 32], session: [u8; 32], now: Timestamp) -> Result<Pass> {
        self.inner.redeem_link(link, session, now).await
    }

    async fn delete_pass(&self, hash: [u8; 32]) -> Result<()> {
        self.inner.delete_pass(hash).await
    }

    async fn delete_passes_of(&self, application: ApplicationId) -> Result<()> {
        self.inner.delete_passes_of(application).await
    }

    async fn list_log(
        &self,
        application: ApplicationId,
        filter: DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<DeliveryPage> {
        self.inner.list_log(application, filter, page).await
    }

    async fn count_waiting(&self, application: ApplicationId, id: EndpointId) -> Result<u64> {
        self.inner.count_waiting(application, id).await
    }

    async fn endpoint_hours(
        &self,
        application: ApplicationId,
        since: Timestamp,
    ) -> Result<Vec<EndpointHour>> {
        self.inner.endpoint_hours(application, since).await
    }

    async fn traffic(
        &self,
        environment: &Arc<str>,
        since: Timestamp,
    ) -> Result<Vec<TrafficMinute>> {
        self.inner.traffic(environment, since).await
    }

    async fn standing(&self, environment: &Arc<str>, limit: u32) -> Result<Standing> {
        self.inner.standing(environment, limit).await
    }
}
