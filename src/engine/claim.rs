//! Looking into the store for what is due: retries, backlog, what a crash left.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Engine;
use super::lanes::ClaimRequest;

/// How long to wait before asking a store again that could not answer.
const CLAIM_RETRY: Duration = Duration::from_secs(1);

impl Engine {
    /// Claims what is due, sleeps until the next delivery is, and starts over.
    pub(super) async fn claim_forever(self) {
        let inner = &self.0;
        while !inner.stopping.is_cancelled() {
            let claims = self.lanes().due_claims(inner.clock.now());
            for request in claims {
                let engine = self.clone();
                inner.background.spawn(engine.claim(request));
            }
            // What had to wait for its rate.
            self.send_next();
            let next = self.lanes().watch();
            // In this order for a simulation's sake: each round does the same, whatever woke it.
            tokio::select! {
                biased;
                () = inner.stopping.cancelled() => break,
                () = inner.wake.notified() => {}
                () = async {
                    match next {
                        Some(at) => inner.clock.sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                } => {}
            }
        }
    }

    async fn claim(self, request: ClaimRequest) {
        let inner = &self.0;
        let now = inner.clock.now();
        let ClaimRequest { destination, limit, max_bytes } = request;
        let endpoint = destination.endpoint;
        if inner.recording_fails.load(Ordering::Relaxed) {
            self.lanes().claim_failed(destination, now + CLAIM_RETRY);
            inner.wake.notify_one();
            return;
        }
        match inner.store.claim(endpoint, limit, max_bytes, self.lease(now), now).await {
            Ok(claimed) if inner.stopping.is_cancelled() => self.release(claimed.jobs).await,
            Ok(claimed) => {
                let stopped = self.lanes().claimed(destination, claimed);
                self.release(stopped).await;
                self.send_next();
            }
            Err(error) => {
                tracing::warn!(%error, %endpoint, "could not claim deliveries; trying again");
                self.lanes().claim_failed(destination, now + CLAIM_RETRY);
            }
        }
        inner.wake.notify_one();
    }
}
