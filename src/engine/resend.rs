//! Sending many events again: the store takes one small step after the other, and between them
//! there is a rest, so that what is published meanwhile has its turn.

use std::time::Duration;

use super::{Engine, to_its_end};
use crate::domain::{Destination, Resend, ResendScope, ResendState, Result};
use crate::store::{NewResend, ResendStep};

/// After each round of steps there is a rest of so many times as long as the round took: the
/// busier the store is, the rarer the steps.
const REST_FACTOR: u32 = 4;

/// A rest is never longer, however long the store may have been stuck.
const REST_MAX: Duration = Duration::from_secs(1);

/// How long to wait where all endpoints have enough to do, or the store could not answer.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What a round of steps came to.
enum Round {
    /// There is nothing to do.
    Nothing,
    /// One at least has come further.
    Moved,
    /// None could go on.
    Waits,
}

impl Engine {
    /// Begins to send many events to an endpoint again.
    ///
    /// # Errors
    /// Those of [`create_resend`](crate::store::ResendStore::create_resend).
    pub async fn start_resend(&self, to: Destination, scope: ResendScope) -> Result<Resend> {
        let engine = self.clone();
        to_its_end(async move {
            let inner = &engine.0;
            let id = inner.entropy.id(&inner.clock);
            let new = NewResend { id, destination: to, scope };
            let resend = inner.store.create_resend(new, inner.clock.now()).await?;
            inner.resends.notify_one();
            Ok(resend)
        })
        .await
    }

    /// Makes the steps of all resends in turns, also of those that an earlier process began.
    pub(super) async fn resend_forever(self) {
        let inner = &self.0;
        while !inner.stopping.is_cancelled() {
            let began = inner.clock.now();
            let round = self.resend_round().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "could not send events again; trying again soon");
                Round::Waits
            });
            let took = inner.clock.now().since(began);
            let rest = match round {
                Round::Nothing => None,
                Round::Moved => Some(took.saturating_mul(REST_FACTOR).min(REST_MAX)),
                Round::Waits => Some(LOOK_AGAIN),
            };
            tokio::select! {
                biased;
                () = inner.stopping.cancelled() => return,
                () = async {
                    match rest {
                        Some(rest) => inner.clock.sleep(rest).await,
                        None => inner.resends.notified().await,
                    }
                } => {}
            }
        }
    }

    /// One step of each. Where one fails the others go on.
    async fn resend_round(&self) -> Result<Round> {
        let mut round = Round::Nothing;
        for id in self.0.store.running_resends().await? {
            if self.0.stopping.is_cancelled() {
                break;
            }
            match self.0.store.step_resend(id, self.0.clock.now()).await {
                Ok(step) if !step.waits => {
                    self.resent(&step);
                    round = Round::Moved;
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, %id, "a resend can't go on now"),
            }
            if matches!(round, Round::Nothing) {
                round = Round::Waits;
            }
        }
        Ok(round)
    }

    fn resent(&self, step: &ResendStep) {
        let ResendStep { resend, queued, .. } = step;
        if *queued > 0 {
            self.note_due([(resend.destination(), self.0.clock.now())]);
        }
        if resend.state != ResendState::Running {
            let (id, endpoint, sent) = (resend.id, resend.endpoint_id, resend.sent);
            let state = resend.state.as_str();
            tracing::info!(%id, %endpoint, sent, state, "a resend came to its end");
        }
    }
}
