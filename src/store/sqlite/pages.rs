//! The transitions of [`PageStore`], each handed to the writing thread or to a reader.

use std::sync::Arc;

use async_trait::async_trait;

use super::writer::Care::Savepoint;
use super::{SqliteStore, activity, deliveries, passes, standing};
use crate::domain::{ApplicationId, DeliveryId, EndpointId, Pass, PassKind, Result, Timestamp};
use crate::store::{
    DeliveryFilter, DeliveryPage, EndpointHour, Page, PageStore, Standing, TrafficMinute,
};

#[async_trait]
impl PageStore for SqliteStore {
    async fn create_pass(&self, pass: Pass, now: Timestamp) -> Result<()> {
        self.writer.write(Savepoint, move |batch| passes::create(batch, &pass, now)).await
    }

    async fn find_pass(
        &self,
        hash: [u8; 32],
        kind: PassKind,
        now: Timestamp,
    ) -> Result<Option<Pass>> {
        self.lookups.read(move |connection| passes::find(connection, hash, kind, now)).await
    }

    async fn redeem_link(&self, link: [u8; 32], session: [u8; 32], now: Timestamp) -> Result<Pass> {
        self.writer.write(Savepoint, move |batch| passes::redeem(batch, link, session, now)).await
    }

    async fn delete_pass(&self, hash: [u8; 32]) -> Result<()> {
        self.writer.write(Savepoint, move |batch| passes::delete(batch, hash)).await
    }

    async fn delete_passes_of(&self, application: ApplicationId) -> Result<()> {
        self.writer
            .write(Savepoint, move |batch| passes::delete_of_application(batch, application))
            .await
    }

    async fn list_log(
        &self,
        application: ApplicationId,
        filter: DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<DeliveryPage> {
        self.readers
            .read(move |connection| deliveries::list(connection, application, &filter, &page))
            .await
    }

    async fn count_waiting(&self, application: ApplicationId, id: EndpointId) -> Result<u64> {
        self.readers
            .read(move |connection| deliveries::count_waiting(connection, application, id))
            .await
    }

    async fn endpoint_hours(
        &self,
        application: ApplicationId,
        since: Timestamp,
    ) -> Result<Vec<EndpointHour>> {
        let unwritten = Arc::clone(&self.unwritten);
        self.readers
            .read(move |connection| {
                activity::of_application(connection, &unwritten, application, since)
            })
            .await
    }

    async fn traffic(
        &self,
        environment: &Arc<str>,
        since: Timestamp,
    ) -> Result<Vec<TrafficMinute>> {
        let (environment, unwritten) = (Arc::clone(environment), Arc::clone(&self.unwritten));
        self.readers
            .read(move |connection| {
                activity::of_environment(connection, &unwritten, &environment, since)
            })
            .await
    }

    async fn standing(&self, environment: &Arc<str>, limit: u32) -> Result<Standing> {
        let environment = Arc::clone(environment);
        self.readers
            .read_all(move |connection| standing::of_environment(connection, &environment, limit))
            .await
    }
}
