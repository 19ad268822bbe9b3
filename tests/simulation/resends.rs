//! What a simulation leaves to the store as it is: nobody in it sends events again in bulk.

use std::sync::Arc;

use async_trait::async_trait;

use hookwright::domain::{Destination, Resend, ResendId, ResendScope, Result, Timestamp};
use hookwright::store::{NewResend, Page, ResendQuery, ResendStep, ResendStore};

use super::store::SimulatedStore;

#[async_trait]
impl ResendStore for SimulatedStore {
    async fn count_resend(&self, to: Destination, scope: ResendScope) -> Result<u64> {
        self.inner.count_resend(to, scope).await
    }

    async fn create_resend(&self, new: NewResend, now: Timestamp) -> Result<Resend> {
        self.inner.create_resend(new, now).await
    }

    async fn step_resend(&self, id: ResendId, now: Timestamp) -> Result<ResendStep> {
        self.inner.step_resend(id, now).await
    }

    async fn cancel_resend(&self, id: ResendId, now: Timestamp) -> Result<Resend> {
        self.inner.cancel_resend(id, now).await
    }

    async fn fail_resend(&self, id: ResendId, reason: &str, now: Timestamp) -> Result<()> {
        self.inner.fail_resend(id, reason, now).await
    }

    async fn get_resend(&self, environment: &Arc<str>, id: ResendId) -> Result<Resend> {
        self.inner.get_resend(environment, id).await
    }

    async fn list_resends(&self, query: ResendQuery, page: Page<ResendId>) -> Result<Vec<Resend>> {
        self.inner.list_resends(query, page).await
    }

    async fn running_resends(&self) -> Result<Vec<ResendId>> {
        self.inner.running_resends().await
    }
}
