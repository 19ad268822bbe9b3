//! The store of a simulation: the real transitions, which are slow, refuse, break off, or are
//! the last thing that a process does.

use std::sync::Arc;

use async_trait::async_trait;

use hookwright::domain::*;
use hookwright::store::sqlite::SqliteStore;
use hookwright::store::*;

use super::network::Short;
use super::world::World;

pub(crate) struct SimulatedStore {
    pub(crate) world: Arc<World>,
    pub(crate) inner: SqliteStore,
}

impl SimulatedStore {
    /// What may happen before a transition.
    async fn before(&self, what: &str) -> Result<()> {
        let world = &*self.world;
        world.alive().await;
        self.delay().await;
        if world.happens(world.plan.crashes) {
            world.say(|| format!("the process dies before {what}"));
            world.die();
            world.alive().await;
        }
        if world.is_away() || world.happens(world.plan.store_refuses) {
            world.say(|| format!("the store refuses {what}"));
            world.trouble();
            return Err(Error::unavailable("The simulated store is away."));
        }
        Ok(())
    }

    /// What may happen between a commit and the answer.
    async fn after(&self, what: &str) {
        let world = &*self.world;
        world.alive().await;
        if world.happens(world.plan.crashes) {
            world.say(|| format!("the process dies after {what}"));
            world.die();
            world.alive().await;
        }
        self.delay().await;
    }

    fn check_held(&self) {
        let world = &self.world;
        // What is told late isn't held yet, and what could not be given back isn't any more.
        let model = world.model();
        if world.plan.store_slow == 0 && !model.keeps_claims {
            world.check(model.held(world.now()));
        }
    }

    async fn delay(&self) {
        let world = &*self.world;
        if world.happens(world.plan.store_slow) {
            let delay = world.draw(|dice| match dice.percent(80) {
                true => dice.ms(0, 50),
                false => dice.ms(50, 3_000),
            });
            world.trouble();
            world.clock.sleep(delay).await;
            world.trouble();
            world.alive().await;
        }
    }

    /// Which of the deliveries of an endpoint that wait were discarded.
    async fn discarded(&self, application: ApplicationId, endpoint: EndpointId) -> Vec<DeliveryId> {
        let pending: Vec<MessageId> = {
            let model = self.world.model();
            let known = model.deliveries.get(&endpoint).into_iter().flatten();
            let pending = known.filter(|(_, one)| one.state == DeliveryState::Pending);
            pending.map(|(id, _)| *id).collect()
        };
        let mut discarded = Vec::new();
        for message in pending {
            let rows = self.inner.list_deliveries(application, message).await.unwrap_or_default();
            let rows = rows.into_iter().map(|(row, _)| row);
            let gone = |row: &DeliveryRow| {
                row.id.endpoint == endpoint && row.state == DeliveryState::Discarded
            };
            discarded.extend(rows.filter(gone).map(|row| row.id));
        }
        discarded
    }
}

#[async_trait]
impl Store for SimulatedStore {
    async fn accept(
        &self,
        message: NewMessage,
        lease: Lease,
        room: Arc<dyn Room>,
        now: Timestamp,
    ) -> Result<Accepted> {
        self.before("accept").await?;
        let accepted = self.inner.accept(message, lease, room, now).await?;
        let world = &self.world;
        world.say(|| {
            let claimed = accepted.claimed.iter().map(|(job, _)| Short(job.delivery()));
            let claimed: Vec<Short> = claimed.collect();
            format!("accept, {} deliveries, claimed {claimed:?}", accepted.deliveries)
        });
        world.check(world.model().accepted(&accepted, lease, now));
        self.check_held();
        self.after("accept").await;
        Ok(accepted)
    }

    async fn claim(
        &self,
        endpoint: EndpointId,
        limit: u32,
        max_bytes: usize,
        lease: Lease,
        now: Timestamp,
    ) -> Result<Claimed> {
        self.before("claim").await?;
        let claimed = self.inner.claim(endpoint, limit, max_bytes, lease, now).await?;
        let world = &self.world;
        world.say(|| {
            let jobs: Vec<Short> = claimed.jobs.iter().map(|job| Short(job.delivery())).collect();
            format!("claim of {limit}: {jobs:?}, next {:?}", claimed.next_due)
        });
        world.check(world.model().claimed(endpoint, limit, lease, now, &claimed));
        self.check_held();
        self.after("claim").await;
        Ok(claimed)
    }

    async fn release(&self, claims: Vec<(DeliveryId, Lease)>) -> Result<()> {
        let world = &self.world;
        let released = match self.before("release").await {
            Ok(()) => self.inner.release(claims.clone()).await,
            refused => refused,
        };
        world.model().keeps_claims |= released.is_err();
        released?;
        world.say(|| {
            let ids: Vec<Short> = claims.iter().map(|(id, _)| Short(*id)).collect();
            format!("release {ids:?}")
        });
        world.model().released(&claims);
        self.after("release").await;
        Ok(())
    }

    async fn record(&self, attempts: Arc<[Recorded]>) -> Result<Changes> {
        self.before("record").await?;
        let changes = self.inner.record(Arc::clone(&attempts)).await?;
        let world = &self.world;
        world.say(|| {
            let all = attempts.iter().map(|one| (Short(one.attempt.delivery), one.next));
            let stopped: Vec<_> = changes.endpoints.iter().map(|one| &one.state).collect();
            format!("record {:?}, stopped {stopped:?}", all.collect::<Vec<_>>())
        });
        let recorded = world.model().recorded(&attempts, &changes);
        world.check(recorded);
        self.after("record").await;
        let stopped: Vec<EndpointId> = changes.endpoints.iter().map(|one| one.id).collect();
        world.model().told(&stopped, world.now());
        Ok(changes)
    }

    async fn resend(
        &self,
        application: ApplicationId,
        message: MessageId,
        endpoint: EndpointId,
        lease: Lease,
        now: Timestamp,
    ) -> Result<(Job, Arc<Endpoint>)> {
        self.before("resend").await?;
        let resent = self.inner.resend(application, message, endpoint, lease, now).await?;
        let world = &self.world;
        world.say(|| format!("resend {:?}", Short(resent.0.delivery())));
        world.check(world.model().resent(&resent.0, now, world.now()));
        self.after("resend").await;
        Ok(resent)
    }

    async fn update_endpoint(&self, change: EndpointChange, unique_name: bool) -> Result<Updated> {
        self.before("update").await?;
        let updated = self.inner.update_endpoint(change, unique_name).await?;
        self.updated(&updated).await;
        Ok(updated)
    }

    async fn enable_endpoint(
        &self,
        application: ApplicationId,
        id: EndpointId,
        now: Timestamp,
    ) -> Result<Updated> {
        self.before("enable").await?;
        let updated = self.inner.enable_endpoint(application, id, now).await?;
        self.updated(&updated).await;
        Ok(updated)
    }

    async fn discard_pending(
        &self,
        application: ApplicationId,
        id: EndpointId,
        discard: Discard,
        now: Timestamp,
    ) -> Result<Discard> {
        self.before("discard").await?;
        let after = self.inner.discard_pending(application, id, discard, now).await?;
        let world = &self.world;
        let discarded = self.discarded(application, id).await;
        world.say(|| {
            let ids: Vec<Short> = discarded.iter().map(|id| Short(*id)).collect();
            format!("discard {ids:?}")
        });
        world.check(world.model().discarded(id, &discarded, world.now()));
        self.after("discard").await;
        Ok(after)
    }

    async fn delete_endpoint(
        &self,
        application: ApplicationId,
        id: EndpointId,
        now: Timestamp,
    ) -> Result<()> {
        self.before("delete").await?;
        self.inner.delete_endpoint(application, id, now).await?;
        let world = &self.world;
        world.say(|| format!("delete {id}"));
        world.model().deleted(id);
        self.after("delete").await;
        world.model().told(&[id], world.now());
        Ok(())
    }

    async fn delete_application(
        &self,
        id: ApplicationId,
        now: Timestamp,
    ) -> Result<Vec<EndpointId>> {
        self.before("delete").await?;
        let endpoints = self.inner.delete_application(id, now).await?;
        let world = &self.world;
        world.say(|| format!("delete {id}"));
        {
            let mut model = world.model();
            model.deleted.insert(id);
            endpoints.iter().for_each(|endpoint| model.deleted(*endpoint));
        }
        self.after("delete").await;
        world.model().told(&endpoints, world.now());
        Ok(endpoints)
    }

    async fn backlog(&self) -> Result<Vec<(Destination, Timestamp)>> {
        self.before("backlog").await?;
        let backlog = self.inner.backlog().await?;
        self.world.check(self.world.model().backlog(&backlog));
        Ok(backlog)
    }

    async fn recover(&self) -> Result<()> {
        self.before("recover").await?;
        self.inner.recover().await?;
        self.world.model().recovered();
        self.after("recover").await;
        Ok(())
    }

    async fn create_key(&self, key: ApiKey) -> Result<()> {
        self.inner.create_key(key).await
    }

    async fn list_keys(&self) -> Result<Vec<ApiKey>> {
        self.inner.list_keys().await
    }

    async fn revoke_key(&self, id: KeyId, now: Timestamp) -> Result<ApiKey> {
        self.inner.revoke_key(id, now).await
    }

    async fn find_key(&self, hash: [u8; 32]) -> Result<Option<ApiKey>> {
        self.inner.find_key(hash).await
    }

    async fn create_application(&self, application: Application) -> Result<Arc<Application>> {
        self.inner.create_application(application).await
    }

    async fn get_application(
        &self,
        environment: &Arc<str>,
        reference: &Reference,
    ) -> Result<Arc<Application>> {
        self.inner.get_application(environment, reference).await
    }

    async fn list_applications(
        &self,
        environment: &Arc<str>,
        page: Page<ApplicationId>,
    ) -> Result<Vec<Arc<Application>>> {
        self.inner.list_applications(environment, page).await
    }

    async fn update_application(&self, application: Application) -> Result<Arc<Application>> {
        self.inner.update_application(application).await
    }

    async fn application_secrets(&self, id: ApplicationId) -> Result<Vec<SigningSecret>> {
        self.inner.application_secrets(id).await
    }

    async fn replace_application_secrets(
        &self,
        id: ApplicationId,
        were: Vec<SigningSecret>,
        secrets: Vec<SigningSecret>,
    ) -> Result<Vec<Arc<Endpoint>>> {
        self.inner.replace_application_secrets(id, were, secrets).await
    }

    async fn list_event_types(&self, environment: &Arc<str>) -> Result<Vec<EventType>> {
        self.inner.list_event_types(environment).await
    }

    async fn get_event_type(
        &self,
        environment: &Arc<str>,
        name: &str,
    ) -> Result<Option<EventType>> {
        self.inner.get_event_type(environment, name).await
    }

    async fn put_event_type(
        &self,
        environment: &Arc<str>,
        event_type: EventType,
        replace: bool,
    ) -> Result<()> {
        self.inner.put_event_type(environment, event_type, replace).await
    }

    async fn delete_event_type(&self, environment: &Arc<str>, name: &str) -> Result<()> {
        self.inner.delete_event_type(environment, name).await
    }

    async fn create_endpoint(
        &self,
        endpoint: Endpoint,
        unique_name: bool,
        limit: u32,
    ) -> Result<Arc<Endpoint>> {
        self.inner.create_endpoint(endpoint, unique_name, limit).await
    }

    async fn get_endpoint(
        &self,
        application: ApplicationId,
        reference: &Reference,
    ) -> Result<Arc<Endpoint>> {
        self.inner.get_endpoint(application, reference).await
    }

    async fn list_endpoints(
        &self,
        application: ApplicationId,
        page: Page<EndpointId>,
    ) -> Result<Vec<Arc<Endpoint>>> {
        self.inner.list_endpoints(application, page).await
    }

    async fn list_history(
        &self,
        application: ApplicationId,
        reference: &Reference,
        page: Page<HistoryId>,
    ) -> Result<Vec<HistoryEntry>> {
        self.inner.list_history(application, reference, page).await
    }

    async fn get_message(
        &self,
        application: ApplicationId,
        reference: &Reference,
    ) -> Result<Arc<Message>> {
        self.inner.get_message(application, reference).await
    }

    async fn list_messages(
        &self,
        application: ApplicationId,
        filter: MessageFilter,
        page: Page<MessageId>,
    ) -> Result<Vec<Arc<Message>>> {
        self.inner.list_messages(application, filter, page).await
    }

    async fn read_events(
        &self,
        application: ApplicationId,
        query: EventQuery,
    ) -> Result<EventPage> {
        self.inner.read_events(application, query).await
    }

    fn arrivals(&self, application: ApplicationId) -> Result<Arrivals> {
        self.inner.arrivals(application)
    }

    fn readers_waiting(&self) -> usize {
        self.inner.readers_waiting()
    }

    async fn list_deliveries(
        &self,
        application: ApplicationId,
        message: MessageId,
    ) -> Result<Vec<(DeliveryRow, Arc<Endpoint>)>> {
        self.inner.list_deliveries(application, message).await
    }

    async fn list_attempts(
        &self,
        application: ApplicationId,
        filter: AttemptFilter,
        page: Page<AttemptId>,
    ) -> Result<Vec<AttemptRow>> {
        self.inner.list_attempts(application, filter, page).await
    }

    async fn get_attempt(
        &self,
        application: ApplicationId,
        message: MessageId,
        id: AttemptId,
    ) -> Result<AttemptRow> {
        self.inner.get_attempt(application, message, id).await
    }

    async fn expire(
        &self,
        walk: AgeWalk,
        rules: Arc<RetentionOf>,
        now: Timestamp,
    ) -> Result<AgeWalk> {
        self.inner.expire(walk, rules, now).await
    }

    async fn reclaim(&self, reclaim: Reclaim) -> Result<Reclaim> {
        self.inner.reclaim(reclaim).await
    }

    async fn ledger(&self) -> Result<Vec<LedgerLine>> {
        self.inner.ledger().await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

impl SimulatedStore {
    async fn updated(&self, updated: &Updated) {
        let world = &self.world;
        let Endpoint { id, state, revision, .. } = &*updated.endpoint;
        world.say(|| format!("update {id} to {state:?}, revision {revision}"));
        world.check(world.model().updated(updated));
        self.after("update").await;
        world.model().told(&[*id], world.now());
    }
}
