//! The transitions of [`Store`], each handed to the writing thread or to a reader.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::batch::Batch;
use super::writer::Care::{ChecksFirst, Savepoint};
use super::{
    SqliteStore, applications, attempts, claim, discard, endpoints, event_types, events, history,
    keys, ledger, messages, reclaim, record, retention,
};
use crate::domain::{
    ApiKey, Application, ApplicationId, AttemptId, DeliveryId, Destination, Endpoint, EndpointId,
    EventType, HistoryEntry, HistoryId, KeyId, LedgerLine, Message, MessageId, Reference, Result,
    SigningSecret, Timestamp,
};
use crate::store::{
    Accepted, AgeWalk, Arrivals, AttemptFilter, AttemptRow, Changes, Claimed, DeliveryRow, Discard,
    EndpointChange, EventPage, EventQuery, Job, Lease, MessageFilter, NewMessage, Page, Reclaim,
    Recorded, RetentionOf, Room, Store, Updated,
};

#[async_trait]
impl Store for SqliteStore {
    async fn create_key(&self, key: ApiKey) -> Result<()> {
        self.writer.write(Savepoint, move |batch| keys::create(batch, &key)).await
    }

    async fn list_keys(&self) -> Result<Vec<ApiKey>> {
        self.readers.read(keys::list).await
    }

    async fn revoke_key(&self, id: KeyId, now: Timestamp) -> Result<ApiKey> {
        self.writer.write(Savepoint, move |batch| keys::revoke(batch, id, now)).await
    }

    async fn find_key(&self, hash: [u8; 32]) -> Result<Option<ApiKey>> {
        self.lookups.read(move |connection| keys::find(connection, hash)).await
    }

    async fn create_application(&self, application: Application) -> Result<Arc<Application>> {
        self.writer.write(Savepoint, |batch| applications::create(batch, application)).await
    }

    async fn get_application(
        &self,
        environment: &Arc<str>,
        reference: &Reference,
    ) -> Result<Arc<Application>> {
        let (environment, reference) = (Arc::clone(environment), reference.clone());
        self.lookups
            .read(move |connection| applications::get(connection, &environment, &reference))
            .await
    }

    async fn list_applications(
        &self,
        environment: &Arc<str>,
        page: Page<ApplicationId>,
    ) -> Result<Vec<Arc<Application>>> {
        let environment = Arc::clone(environment);
        self.readers
            .read(move |connection| applications::list(connection, &environment, &page))
            .await
    }

    async fn update_application(&self, application: Application) -> Result<Arc<Application>> {
        self.writer.write(Savepoint, |batch| applications::update(batch, application)).await
    }

    async fn delete_application(
        &self,
        id: ApplicationId,
        now: Timestamp,
    ) -> Result<Vec<EndpointId>> {
        self.writer.write(Savepoint, move |batch| applications::delete(batch, id, now)).await
    }

    async fn application_secrets(&self, id: ApplicationId) -> Result<Vec<SigningSecret>> {
        let vault = Arc::clone(&self.vault);
        self.lookups
            .read(move |connection| applications::live_secrets(connection, &vault, id))
            .await
    }

    async fn replace_application_secrets(
        &self,
        id: ApplicationId,
        were: Vec<SigningSecret>,
        secrets: Vec<SigningSecret>,
    ) -> Result<Vec<Arc<Endpoint>>> {
        self.writer
            .write(Savepoint, move |batch| {
                applications::replace_secrets(batch, id, &were, &secrets)
            })
            .await
    }

    async fn list_event_types(&self, environment: &Arc<str>) -> Result<Vec<EventType>> {
        let environment = Arc::clone(environment);
        self.lookups.read(move |connection| event_types::list(connection, &environment)).await
    }

    async fn get_event_type(
        &self,
        environment: &Arc<str>,
        name: &str,
    ) -> Result<Option<EventType>> {
        let (environment, name) = (Arc::clone(environment), name.to_owned());
        self.lookups.read(move |connection| event_types::get(connection, &environment, &name)).await
    }

    async fn put_event_type(
        &self,
        environment: &Arc<str>,
        event_type: EventType,
        replace: bool,
    ) -> Result<()> {
        let environment = Arc::clone(environment);
        self.writer
            .write(Savepoint, move |batch| {
                event_types::put(batch, &environment, &event_type, replace)
            })
            .await
    }

    async fn delete_event_type(&self, environment: &Arc<str>, name: &str) -> Result<()> {
        let (environment, name) = (Arc::clone(environment), name.to_owned());
        self.writer
            .write(Savepoint, move |batch| event_types::delete(batch, &environment, &name))
            .await
    }

    async fn create_endpoint(
        &self,
        endpoint: Endpoint,
        unique_name: bool,
        limit: u32,
    ) -> Result<Arc<Endpoint>> {
        self.writer
            .write(Savepoint, move |batch| endpoints::create(batch, endpoint, unique_name, limit))
            .await
    }

    async fn get_endpoint(
        &self,
        application: ApplicationId,
        reference: &Reference,
    ) -> Result<Arc<Endpoint>> {
        let (vault, reference) = (Arc::clone(&self.vault), reference.clone());
        self.lookups
            .read(move |connection| endpoints::get(connection, &vault, application, &reference))
            .await
    }

    async fn list_endpoints(
        &self,
        application: ApplicationId,
        page: Page<EndpointId>,
    ) -> Result<Vec<Arc<Endpoint>>> {
        let vault = Arc::clone(&self.vault);
        self.readers
            .read(move |connection| {
                applications::live(connection, application)?;
                endpoints::list(connection, &vault, application, &page)
            })
            .await
    }

    async fn update_endpoint(&self, change: EndpointChange, unique_name: bool) -> Result<Updated> {
        self.writer
            .write(Savepoint, move |batch| endpoints::update(batch, change, unique_name))
            .await
    }

    async fn enable_endpoint(
        &self,
        application: ApplicationId,
        id: EndpointId,
        now: Timestamp,
    ) -> Result<Updated> {
        self.writer
            .write(Savepoint, move |batch| endpoints::enable(batch, application, id, now))
            .await
    }

    async fn discard_pending(
        &self,
        application: ApplicationId,
        id: EndpointId,
        discard: Discard,
        now: Timestamp,
    ) -> Result<Discard> {
        self.writer
            .write(Savepoint, move |batch| discard::step(batch, application, id, discard, now))
            .await
    }

    async fn list_history(
        &self,
        application: ApplicationId,
        reference: &Reference,
        page: Page<HistoryId>,
    ) -> Result<Vec<HistoryEntry>> {
        let reference = reference.clone();
        self.readers
            .read(move |connection| {
                applications::live(connection, application)?;
                history::list(connection, application, &reference, &page)
            })
            .await
    }

    async fn delete_endpoint(
        &self,
        application: ApplicationId,
        id: EndpointId,
        now: Timestamp,
    ) -> Result<()> {
        self.writer
            .write(Savepoint, move |batch| endpoints::delete(batch, application, id, now))
            .await
    }

    async fn accept(
        &self,
        message: NewMessage,
        lease: Lease,
        room: Arc<dyn Room>,
        now: Timestamp,
    ) -> Result<Accepted> {
        self.writer
            .write(ChecksFirst, move |batch| messages::accept(batch, message, lease, &*room, now))
            .await
    }

    async fn get_message(
        &self,
        application: ApplicationId,
        reference: &Reference,
    ) -> Result<Arc<Message>> {
        let reference = reference.clone();
        self.readers
            .read(move |connection| messages::get(connection, application, &reference))
            .await
    }

    async fn list_messages(
        &self,
        application: ApplicationId,
        filter: MessageFilter,
        page: Page<MessageId>,
    ) -> Result<Vec<Arc<Message>>> {
        self.readers
            .read(move |connection| messages::list(connection, application, &filter, &page))
            .await
    }

    async fn read_events(
        &self,
        application: ApplicationId,
        query: EventQuery,
    ) -> Result<EventPage> {
        self.events.read(move |connection| events::read(connection, application, &query)).await
    }

    fn arrivals(&self, application: ApplicationId) -> Result<Arrivals> {
        self.waiting.begin(application)
    }

    fn readers_waiting(&self) -> usize {
        self.waiting.count()
    }

    async fn list_deliveries(
        &self,
        application: ApplicationId,
        message: MessageId,
    ) -> Result<Vec<(DeliveryRow, Arc<Endpoint>)>> {
        let vault = Arc::clone(&self.vault);
        self.readers
            .read(move |connection| claim::of_message(connection, &vault, application, message))
            .await
    }

    async fn claim(
        &self,
        endpoint: EndpointId,
        limit: u32,
        max_bytes: usize,
        lease: Lease,
        now: Timestamp,
    ) -> Result<Claimed> {
        self.writer
            .write(ChecksFirst, move |batch| {
                claim::claim(batch, endpoint, limit, max_bytes, lease, now)
            })
            .await
    }

    async fn release(&self, claims: Vec<(DeliveryId, Lease)>) -> Result<()> {
        self.writer.write(ChecksFirst, move |batch| claim::release(batch, claims)).await
    }

    async fn record(&self, attempts: Arc<[Recorded]>) -> Result<Changes> {
        self.writer.write(ChecksFirst, move |batch| record::record(batch, &attempts)).await
    }

    async fn resend(
        &self,
        application: ApplicationId,
        message: MessageId,
        endpoint: EndpointId,
        lease: Lease,
        now: Timestamp,
    ) -> Result<(Job, Arc<Endpoint>)> {
        self.writer
            .write(ChecksFirst, move |batch| {
                claim::resend(batch, application, message, endpoint, lease, now)
            })
            .await
    }

    async fn backlog(&self) -> Result<Vec<(Destination, Timestamp)>> {
        self.readers.read_all(claim::backlog).await
    }

    async fn recover(&self) -> Result<()> {
        self.writer.write(Savepoint, claim::recover).await
    }

    async fn list_attempts(
        &self,
        application: ApplicationId,
        filter: AttemptFilter,
        page: Page<AttemptId>,
    ) -> Result<Vec<AttemptRow>> {
        self.readers
            .read(move |connection| attempts::list(connection, application, &filter, &page))
            .await
    }

    async fn get_attempt(
        &self,
        application: ApplicationId,
        message: MessageId,
        id: AttemptId,
    ) -> Result<AttemptRow> {
        self.readers
            .read(move |connection| attempts::get(connection, application, message, id))
            .await
    }

    async fn expire(
        &self,
        mut walk: AgeWalk,
        rules: Arc<RetentionOf>,
        now: Timestamp,
    ) -> Result<AgeWalk> {
        walk.follow(self.seq_restarts.load(Ordering::Relaxed));
        let look = move |connection: &_| retention::look(connection, walk, &*rules, now);
        let found = self.readers.read_all(look).await?;
        if found.aged.is_empty() {
            return Ok(found.walk);
        }
        let apply = move |batch: &mut Batch<'_>| retention::apply(batch, found);
        let applied = self.writer.write(Savepoint, apply).await?;
        if applied.newest_removed {
            self.seq_restarts.fetch_add(1, Ordering::Relaxed);
        }
        Ok(applied.walk)
    }

    async fn reclaim(&self, step: Reclaim) -> Result<Reclaim> {
        let look = move |connection: &_| reclaim::wanted(connection, step);
        if self.readers.read(look).await? {
            let take = move |batch: &mut Batch<'_>| reclaim::step(batch.connection, step);
            return self.writer.write(Savepoint, take).await;
        }
        if step.bytes > 0 {
            self.readers.checkpoint().await?;
        }
        Ok(Reclaim { done: true, ..step })
    }

    async fn ledger(&self) -> Result<Vec<LedgerLine>> {
        self.readers.read_all(ledger::lines).await
    }

    async fn ping(&self) -> Result<()> {
        // Through the writer, because reading goes on where writing doesn't.
        self.writer.write(ChecksFirst, |batch| batch.try_to_write()).await
    }
}
