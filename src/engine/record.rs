//! Recording outcomes: many at a time, in the order of their arrival.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Engine;
use crate::domain::{EndpointId, Next, Timestamp};
use crate::store::Recorded;

/// Outcomes recorded in one transaction.
const OUTCOMES_PER_RECORD: usize = 1_024;

/// How long to wait before asking a store again that could not record.
const RECORD_RETRY: Duration = Duration::from_secs(1);

/// Records outcomes until the engine has stopped and the last attempt has ended.
pub(super) async fn record_forever(engine: Engine, mut unrecorded: mpsc::Receiver<Recorded>) {
    let inner = &engine.0;
    let mut batch = Vec::with_capacity(OUTCOMES_PER_RECORD);
    loop {
        tokio::select! {
            biased;
            received = unrecorded.recv_many(&mut batch, OUTCOMES_PER_RECORD) => {
                if received == 0 {
                    return;
                }
                engine.record(batch.drain(..).collect()).await;
            }
            // The channel never closes by itself: the engine holds its sender.
            () = async {
                inner.stopping.cancelled().await;
                inner.attempts.wait().await;
            } => unrecorded.close(),
        }
    }
}

impl Engine {
    /// Records a batch, however long the store takes to accept it: an outcome that is not
    /// recorded is an attempt that will be repeated.
    async fn record(&self, batch: Arc<[Recorded]>) {
        let inner = &self.0;
        let retries: Vec<(EndpointId, Timestamp)> = batch
            .iter()
            .filter_map(|recorded| match recorded.next {
                Next::Retry { at } => Some((recorded.attempt.delivery.endpoint, at)),
                Next::Succeeded | Next::Exhausted | Next::Gone => None,
            })
            .collect();
        let changed = loop {
            match inner.store.record(batch.clone()).await {
                Ok(changed) => break changed,
                Err(error) => {
                    tracing::error!(%error, attempts = batch.len(), "could not record attempts; trying again");
                    inner.clock.sleep(RECORD_RETRY).await;
                }
            }
        };
        if !retries.is_empty() {
            self.note_due(retries);
            inner.wake.notify_one();
        }
        for endpoint in changed {
            tracing::info!(endpoint = %endpoint.id, state = ?endpoint.state, "endpoint changed state");
            self.endpoint_changed(endpoint).await;
        }
    }

    fn note_due(&self, retries: Vec<(EndpointId, Timestamp)>) {
        let mut lanes = self.lanes();
        for (endpoint, at) in retries {
            lanes.note_due(endpoint, at);
        }
    }
}
