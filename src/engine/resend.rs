//! Sending many events again: the store takes one small step after the other, and between them
//! there is a rest, so that what is published meanwhile has its turn.

use std::collections::HashMap;
use std::time::Duration;

use super::resend_rest::Rest;
use super::{Engine, to_its_end};
use crate::domain::{
    Destination, Error, ErrorCode, Resend, ResendId, ResendScope, ResendState, Result,
};
use crate::store::{NewResend, ResendStep};

/// After each round of steps there is a rest of so many times as long as the round took: the
/// busier the store is, the rarer the steps.
const REST_FACTOR: u32 = 4;

/// A rest is never longer, however long the store may have been stuck.
const REST_MAX: Duration = Duration::from_secs(1);

/// How long to wait at least where all endpoints have enough to do, or all resends rest from a failure.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What people are told of a resend that will never get further.
const BROKEN: &str =
    "What is stored of it or of its events can't be read. The server's log tells more.";

/// What failed lately.
#[derive(Default)]
struct Failures {
    looking: Rest,
    /// By resend. Those that went well are not in it.
    steps: HashMap<ResendId, Rest>,
}

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
        let mut failures = Failures::default();
        while !inner.stopping.is_cancelled() {
            let began = inner.clock.now();
            let round = self.resend_round(&mut failures).await;
            let took = inner.clock.now().since(began);
            let rest = match round {
                Round::Nothing => None,
                Round::Moved => Some(took.saturating_mul(REST_FACTOR).min(REST_MAX)),
                Round::Waits => {
                    Some(LOOK_AGAIN.max(took.saturating_mul(REST_FACTOR)).min(REST_MAX))
                }
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
    async fn resend_round(&self, failures: &mut Failures) -> Round {
        if failures.looking.lasts(self.0.clock.now()) {
            return Round::Waits;
        }
        let running = match self.0.store.running_resends().await {
            Ok(running) => running,
            Err(error) => {
                if failures.looking.failed(self.0.clock.now()) {
                    tracing::warn!(%error, "could not send events again; trying again soon");
                }
                return Round::Waits;
            }
        };
        failures.looking = Rest::default();
        failures.steps.retain(|id, _| running.contains(id));
        let mut round = Round::Nothing;
        for id in running {
            if self.0.stopping.is_cancelled() {
                break;
            }
            if self.resend_step(id, failures).await {
                round = Round::Moved;
            } else if matches!(round, Round::Nothing) {
                round = Round::Waits;
            }
        }
        round
    }

    /// One step of a resend, unless it rests. Returns whether it has come further.
    async fn resend_step(&self, id: ResendId, failures: &mut Failures) -> bool {
        let rest = failures.steps.get(&id).copied().unwrap_or_default();
        if rest.lasts(self.0.clock.now()) {
            return false;
        }
        match self.0.store.step_resend(id, self.0.clock.now()).await {
            Ok(step) => {
                failures.steps.remove(&id);
                self.resent(&step);
                !step.waits
            }
            // Its endpoint was deleted, and it with it.
            Err(error) if error.code == ErrorCode::NotFound => false,
            Err(error) => {
                self.step_failed(id, &error, failures.steps.entry(id).or_default()).await;
                false
            }
        }
    }

    async fn step_failed(&self, id: ResendId, error: &Error, rest: &mut Rest) {
        let now = self.0.clock.now();
        if rest.failed(now) {
            tracing::warn!(%error, %id, "a resend can't go on now");
        }
        if error.code != ErrorCode::Internal {
            return;
        }
        match self.0.store.fail_resend(id, BROKEN, now).await {
            Ok(()) => tracing::error!(%error, %id, "a resend is broken and was ended"),
            Err(error) => tracing::debug!(%error, %id, "a broken resend can't be ended now"),
        }
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
