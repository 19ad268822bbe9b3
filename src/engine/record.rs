//! Recording outcomes: many at a time, in the order of their arrival.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Engine;
use crate::domain::{ErrorCode, Next};
use crate::store::{Changes, Recorded};

/// Outcomes recorded in one transaction.
const OUTCOMES_PER_RECORD: usize = 1_024;

/// Outcomes that may wait when recording fails: those in the queue, and as many again of
/// attempts that wait for a place in it.
const BEHIND_MAX: usize = 2 * super::UNRECORDED_OUTCOMES;

/// How long to wait before asking a store again that could not record.
const RECORD_RETRY: Duration = Duration::from_secs(1);

/// Records outcomes until the engine has stopped and the last attempt has ended.
pub(super) async fn record_forever(engine: Engine, mut unrecorded: mpsc::Receiver<Recorded>) {
    let inner = &engine.0;
    let mut batch = Vec::with_capacity(OUTCOMES_PER_RECORD);
    // How many outcomes may be left of those that waited when recording failed.
    let mut behind = 0;
    loop {
        tokio::select! {
            biased;
            received = unrecorded.recv_many(&mut batch, OUTCOMES_PER_RECORD) => {
                if received == 0 {
                    return;
                }
                let failed = engine.record(batch.drain(..).collect()).await;
                behind = if failed { BEHIND_MAX } else { behind.saturating_sub(received) };
                if behind == 0 || unrecorded.is_empty() {
                    behind = 0;
                    inner.recording_fails.store(false, Ordering::Relaxed);
                }
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
    /// recorded is an attempt that will be repeated. Returns whether it was refused meanwhile.
    async fn record(&self, batch: Arc<[Recorded]>) -> bool {
        let mut failed = false;
        let mut left = vec![batch.clone()];
        while let Some(batch) = left.pop() {
            match self.0.store.record(batch.clone()).await {
                Ok(changes) => {
                    self.recorded(&batch, changes).await;
                    self.go_on(&batch, true).await;
                }
                Err(error) if error.code == ErrorCode::Unavailable => {
                    tracing::error!(%error, attempts = batch.len(), "could not record attempts; trying again");
                    failed = true;
                    self.0.recording_fails.store(true, Ordering::Relaxed);
                    self.0.clock.sleep(RECORD_RETRY).await;
                    left.push(batch);
                }
                // Something in it can't be recorded, ever. That must not keep the rest.
                Err(error) if batch.len() == 1 => {
                    let delivery = batch[0].attempt.delivery;
                    tracing::error!(%error, ?delivery, "an attempt can't be recorded; giving it up");
                    self.go_on(&batch, false).await;
                }
                Err(_) => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    left.extend([second.into(), first.into()]);
                }
            }
        }
        failed
    }

    /// Lets go on the lanes that waited for these outcomes to be recorded. Those that aren't
    /// `known` are given up, so that their deliveries wait for the end of their claims.
    async fn go_on(&self, batch: &[Recorded], known: bool) {
        let after = self.lanes().recorded(batch, known, self.0.clock.now());
        self.release(after.stopped).await;
        if after.waited {
            self.0.wake.notify_one();
            self.send_next();
        }
    }

    async fn recorded(&self, batch: &[Recorded], changes: Changes) {
        self.note_due(batch.iter().filter_map(|recorded| match recorded.next {
            Next::Retry { at } => Some((recorded.attempt.destination(), at)),
            Next::Succeeded | Next::Exhausted | Next::Gone => None,
        }));
        self.operations_due(changes.due);
        for endpoint in &changes.endpoints {
            tracing::info!(endpoint = %endpoint.id, state = ?endpoint.state, "endpoint changed state");
        }
        // Rarely any: the claimer isn't woken for nothing at each record.
        if !changes.endpoints.is_empty() {
            self.endpoints_changed(changes.endpoints).await;
        }
    }
}
