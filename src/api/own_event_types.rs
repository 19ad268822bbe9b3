//! The company's own event types, kept in memory: every publish asks for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use tokio::sync::RwLock;

use crate::contract::Schema;
use crate::domain::{EventType, Result};
use crate::store::Store;

type ByName = BTreeMap<String, OwnEventType>;

/// An own event type, with its schema ready to check payloads.
pub(super) struct OwnEventType {
    pub(super) event_type: EventType,
    /// Compiled when the first payload comes: most types of a long list rest.
    compiled: OnceLock<Option<Schema>>,
}

impl OwnEventType {
    fn new(event_type: EventType) -> OwnEventType {
        OwnEventType { event_type, compiled: OnceLock::new() }
    }

    /// What its payloads have to look like.
    pub(super) fn schema(&self) -> Option<&Schema> {
        let compile = || {
            let compiled = Schema::compile(self.event_type.schema.as_deref()?.into());
            // It was compiled before it was stored, if not always by this version.
            compiled
                .inspect_err(|reason| {
                    tracing::warn!(
                        event_type = self.event_type.name,
                        reason,
                        "a schema can't be used: payloads pass unchecked"
                    );
                })
                .ok()
        };
        self.compiled.get_or_init(compile).as_ref()
    }
}

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
        let by_name = types.into_iter().map(|one| (one.name.clone(), OwnEventType::new(one)));
        let types: Arc<ByName> = Arc::new(by_name.collect());
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
