//! What has grown too old is removed in the background, in steps so small and so far apart
//! that nobody has to wait for them.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use crate::domain::{Result, Timestamp};
use crate::store::{AgeWalk, Reclaim, RetentionOf};

/// How often old messages are looked for.
const PASS_INTERVAL: Duration = Duration::from_secs(60);

/// How often those are looked at again that could not be removed because something was pending.
const GO_BACK_INTERVAL: Duration = Duration::from_secs(6 * 3_600);

/// After each step there is a rest of so many times as long as the step took, its waiting for
/// the store included: the busier the store is, the rarer the steps.
/// Half as many for each interval that a pass has gone on, so that what grows old faster than it
/// is removed gets more of the store's time, rather than a disk that fills.
const REST_FACTOR: u32 = 24;

/// A rest is never longer, however long the store may have been stuck.
const REST_MAX: Duration = Duration::from_secs(1);

/// What a pass brought.
#[derive(Default)]
struct Brought {
    removed: u64,
    emptied: u64,
    bytes: u64,
}

impl Engine {
    /// Keeps what is stored as young as the environments want it.
    pub(super) async fn retain_forever(self) {
        let inner = &self.0;
        let mut walks: Vec<AgeWalk> =
            inner.environments.retention_ages().into_iter().map(AgeWalk::new).collect();
        if walks.is_empty() {
            return;
        }
        let mut went_back_at = inner.clock.now();
        loop {
            let now = inner.clock.now();
            if now.since(went_back_at) >= GO_BACK_INTERVAL {
                walks.iter_mut().for_each(AgeWalk::go_back);
                went_back_at = now;
            }
            let mut brought = Brought::default();
            if let Err(error) = self.pass(&mut walks, &mut brought).await {
                tracing::warn!(%error, "old messages can't be removed now; trying again soon");
            }
            brought.tell();
            tokio::select! {
                biased;
                () = inner.stopping.cancelled() => return,
                () = inner.clock.sleep_until(now + PASS_INTERVAL) => {}
            }
        }
    }

    async fn pass(&self, walks: &mut [AgeWalk], brought: &mut Brought) -> Result<()> {
        let pass_began = self.0.clock.now();
        for walk in walks {
            self.walk(walk, brought, pass_began).await?;
        }
        let mut reclaim = Reclaim::default();
        while !reclaim.done && !self.0.stopping.is_cancelled() {
            let began = self.0.clock.now();
            reclaim = self.0.store.reclaim(reclaim).await?;
            brought.bytes = reclaim.bytes;
            self.rest(began, pass_began).await;
        }
        Ok(())
    }

    /// Goes on with a walk until it meets messages that are too young for it.
    async fn walk(
        &self,
        walk: &mut AgeWalk,
        brought: &mut Brought,
        pass_began: Timestamp,
    ) -> Result<()> {
        let environments = self.0.environments.clone();
        let rules: Arc<RetentionOf> = Arc::new(move |name| environments.get(name).retention);
        while !self.0.stopping.is_cancelled() {
            let began = self.0.clock.now();
            let next = self.0.store.expire(walk.clone(), rules.clone(), began).await?;
            brought.removed += next.removed - walk.removed;
            brought.emptied += next.emptied - walk.emptied;
            *walk = next;
            if walk.done {
                break;
            }
            self.rest(began, pass_began).await;
        }
        Ok(())
    }

    async fn rest(&self, began: Timestamp, pass_began: Timestamp) {
        let now = self.0.clock.now();
        let rest = now.since(began).saturating_mul(rest_factor(now.since(pass_began)));
        let rest = rest.min(REST_MAX);
        tokio::select! {
            biased;
            () = self.0.stopping.cancelled() => {}
            () = self.0.clock.sleep(rest) => {}
        }
    }
}

/// How many times as long as a step the rest after it is, in a pass that has gone on so long.
fn rest_factor(pass: Duration) -> u32 {
    let intervals = pass.as_secs() / PASS_INTERVAL.as_secs();
    let halvings = u32::try_from(intervals).unwrap_or(u32::MAX);
    REST_FACTOR.checked_shr(halvings).unwrap_or(0).max(1)
}

impl Brought {
    fn tell(&self) {
        let Brought { removed, emptied, bytes } = self;
        if removed + emptied + bytes > 0 {
            tracing::info!(removed, emptied, bytes_given_back = bytes, "removed what was too old");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_that_goes_on_rests_less_and_less() {
        let factors = [0, 59, 60, 120, 180, 240, 86_400];
        let factors = factors.map(|seconds| rest_factor(Duration::from_secs(seconds)));
        assert_eq!(factors, [24, 24, 12, 6, 3, 1, 1]);
    }
}
