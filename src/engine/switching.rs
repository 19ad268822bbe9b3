//! Endpoints that stop and start again: what waits goes out gently, or is dropped.

use std::sync::Arc;

use super::{Engine, to_its_end};
use crate::domain::{ApplicationId, Destination, Endpoint, EndpointId, Result};
use crate::store::{Discard, EndpointChange, Updated};

/// What becomes of what waits when an endpoint is enabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pending {
    /// It goes out, oldest first.
    #[default]
    Send,
    /// It is discarded.
    Drop,
}

/// A lane that takes nothing in, until this is dropped: also where a transition breaks off.
struct Held<'a> {
    engine: &'a Engine,
    destination: Destination,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.engine.lanes().let_go(self.destination, self.engine.0.clock.now());
        self.engine.0.wake.notify_one();
    }
}

impl Engine {
    /// Changes an endpoint, in the store and for what is queued.
    ///
    /// # Errors
    /// Those of [`Store::update_endpoint`](crate::store::Store::update_endpoint).
    pub async fn update_endpoint(
        &self,
        change: EndpointChange,
        unique_name: bool,
    ) -> Result<Arc<Endpoint>> {
        let engine = self.clone();
        to_its_end(async move {
            let destination = change.endpoint.destination();
            let resumes = engine.lanes().may_resume(&change.endpoint);
            let updating = async {
                let updated = engine.0.store.update_endpoint(change, unique_name).await?;
                Ok(engine.take_over(updated).await)
            };
            match resumes {
                true => engine.while_held(destination, updating).await,
                false => updating.await,
            }
        })
        .await
    }

    /// Enables an endpoint, whatever stopped it. Returns it, and how many waiting deliveries
    /// were discarded.
    ///
    /// # Errors
    /// Those of the store. Where they come, a part of what waited may be discarded already.
    pub async fn enable_endpoint(
        &self,
        application: ApplicationId,
        id: EndpointId,
        pending: Pending,
    ) -> Result<(Arc<Endpoint>, u64)> {
        let engine = self.clone();
        let enabling = async move {
            let discarded = match pending {
                Pending::Send => 0,
                Pending::Drop => engine.discard_held(application, id).await?,
            };
            let now = engine.0.clock.now();
            let updated = engine.0.store.enable_endpoint(application, id, now).await?;
            Ok((engine.take_over(updated).await, discarded))
        };
        let engine = self.clone();
        let destination = Destination { application, endpoint: id };
        to_its_end(async move { engine.while_held(destination, enabling).await }).await
    }

    /// Discards what waits for an endpoint; what is published from now on isn't affected.
    /// Returns how many deliveries were discarded.
    ///
    /// # Errors
    /// Those of the store. Where they come, a part may be discarded already.
    pub async fn discard_pending(&self, application: ApplicationId, id: EndpointId) -> Result<u64> {
        let engine = self.clone();
        let destination = Destination { application, endpoint: id };
        to_its_end(async move {
            engine.while_held(destination, engine.discard_held(application, id)).await
        })
        .await
    }

    /// Discards what waits for an endpoint that is held.
    async fn discard_held(&self, application: ApplicationId, id: EndpointId) -> Result<u64> {
        let queued = self.lanes().discarding(id);
        let discarded = self.discard_in_steps(application, id).await;
        self.lanes().void_claims(id, self.last_lease());
        // Only what the discard didn't come to is still pending, and so given back.
        self.release(queued).await;
        discarded
    }

    async fn discard_in_steps(&self, application: ApplicationId, id: EndpointId) -> Result<u64> {
        let mut discard = Discard::new(self.0.clock.now());
        while !discard.done {
            let now = self.0.clock.now();
            discard = self.0.store.discard_pending(application, id, discard, now).await?;
        }
        Ok(discard.discarded)
    }

    /// Runs a transition while nothing is taken in for the endpoint.
    async fn while_held<T>(
        &self,
        destination: Destination,
        transition: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.lanes().hold(destination);
        let _held = Held { engine: self, destination };
        transition.await
    }

    /// Takes a changed endpoint over into the lanes.
    async fn take_over(&self, updated: Updated) -> Arc<Endpoint> {
        let Updated { endpoint, resumed, due } = updated;
        if resumed {
            self.lanes().start_gently(endpoint.destination());
        }
        self.endpoints_changed([endpoint.clone()]).await;
        self.operations_due(due);
        endpoint
    }

    /// Starts the deliveries of operational events that a transition made.
    pub(super) fn operations_due(&self, endpoints: Vec<Destination>) {
        let now = self.0.clock.now();
        self.note_due(endpoints.into_iter().map(|endpoint| (endpoint, now)));
    }
}
