//! The company's own event types, kept in memory: every publish asks for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::RwLock;

use crate::domain::{EventType, Result};
use crate::store::Store;

type ByName = BTreeMap<String, EventType>;

/// Own event types by environment, read from the store on first use.
#[derive(Default)]
pub(super) struct OwnEventTypes(RwLock<HashMap<Arc<str>, Arc<ByName>>>);

impl OwnEventTypes {
    /// Those of an environment.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn of(
        &self,
        environment: &Arc<str>,
        store: &dyn Store,
    ) -> Result<Arc<ByName>> {
        if let Some(known) = self.0.read().await.get(environment) {
            return Ok(known.clone());
        }
        let mut all = self.0.write().await;
        let types = store.list_event_types(environment).await?;
        let types: Arc<ByName> =
            Arc::new(types.into_iter().map(|one| (one.name.clone(), one)).collect());
        all.insert(environment.clone(), types.clone());
        Ok(types)
    }

    /// Creates one, or replaces it where `replace` is set.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn put(
        &self,
        environment: &Arc<str>,
        event_type: EventType,
        replace: bool,
        store: &dyn Store,
    ) -> Result<()> {
        // Held while the store writes, so that nobody reads what is about to be outdated.
        let mut all = self.0.write().await;
        all.remove(environment);
        store.put_event_type(environment, event_type, replace).await
    }

    /// Deletes one.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn delete(
        &self,
        environment: &Arc<str>,
        name: &str,
        store: &dyn Store,
    ) -> Result<()> {
        let mut all = self.0.write().await;
        all.remove(environment);
        store.delete_event_type(environment, name).await
    }
}
