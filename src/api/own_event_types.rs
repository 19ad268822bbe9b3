//! The company's own event types, kept in memory: every publish asks for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use tokio::sync::RwLock;

use crate::contract::Schema;
use crate::domain::{Error, EventType, Result};
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

type ByEnvironment = HashMap<Arc<str>, Arc<ByName>>;

/// Own event types by environment, read from the store on first use.
#[derive(Default)]
pub(super) struct OwnEventTypes(Arc<RwLock<ByEnvironment>>);

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
        store: &Arc<dyn Store>,
    ) -> Result<()> {
        let (name, store) = (environment.clone(), store.clone());
        let put = async move { store.put_event_type(&name, event_type, replace).await };
        self.change(environment, put).await
    }

    /// Deletes one.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn delete(
        &self,
        environment: &Arc<str>,
        name: &str,
        store: &Arc<dyn Store>,
    ) -> Result<()> {
        let (of, name, store) = (environment.clone(), name.to_owned(), store.clone());
        let delete = async move { store.delete_event_type(&of, &name).await };
        self.change(environment, delete).await
    }

    /// Nobody reads the environment's types while the store changes them, or what is about to
    /// be outdated would be kept. That must not end because a caller hangs up.
    async fn change(
        &self,
        environment: &Arc<str>,
        change: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<()> {
        let (types, environment) = (Arc::clone(&self.0), environment.clone());
        let changing = tokio::spawn(async move {
            let mut all = types.write().await;
            all.remove(&environment);
            change.await
        });
        changing.await.map_err(|_| Error::internal("changing the event types stopped"))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::entropy::Entropy;
    use crate::store::sqlite::{SqliteOptions, SqliteStore};
    use crate::store::{MasterKey, Vault};

    fn event_type(description: usize) -> EventType {
        EventType {
            name: "a".to_owned(),
            group: None,
            title: None,
            description: description.to_string(),
            schema: None,
            example: None,
            archived: false,
            from_contract: false,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        }
    }

    #[tokio::test]
    async fn what_a_caller_who_hung_up_changed_is_seen() {
        let entropy = Entropy::system();
        let vault = Vault::new(MasterKey::generate(&entropy), entropy);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = SqliteStore::open(&path, vault, SqliteOptions::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let (types, environment) = (OwnEventTypes::default(), Arc::from("standard"));
        types.put(&environment, event_type(0), false, &store).await.unwrap();
        for number in 1..50 {
            {
                let put = types.put(&environment, event_type(number), true, &store);
                let mut put = std::pin::pin!(put);
                assert!(futures_util::poll!(&mut put).is_pending());
                tokio::task::yield_now().await;
            }
            types.of(&environment, &*store).await.unwrap();
            // One more transition through the store's only writer.
            store.put_event_type(&Arc::from("other"), event_type(0), false).await.ok();
            let seen = types.of(&environment, &*store).await.unwrap();
            assert_eq!(seen["a"].event_type.description, number.to_string());
        }
    }
}
