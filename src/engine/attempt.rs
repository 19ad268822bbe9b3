//! One attempt after another, as long as a lane has something to send.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::FutureExt;

use super::Engine;
use super::lanes::{Finished, Turn};
use crate::contract::RenderInput;
use crate::domain::{
    Attempt, Failure, FailureKind, Next, Outcome, Timing, Transport, Trigger, Verdict, next_state,
    verdict,
};
use crate::environment::Environment;
use crate::sender::Sent;
use crate::store::{Job, Recorded};

/// How long a delivery waits that this machine had no socket for.
const HAMPERED_PAUSE: Duration = Duration::from_secs(1);

/// How the turn of a delivery ended.
enum Ended {
    Attempted(Box<Recorded>),
    /// Its claim would have run out on the way, so that somebody else may have made the attempt
    /// already: the delivery is left to the store.
    Unmade,
    /// This machine was not able to. That is no fault of the endpoint's, so nothing is recorded.
    Hampered,
}

impl Engine {
    /// Starts attempts until every lane with something to send has its limit in flight.
    pub(super) fn send_next(&self) {
        while let Some(turn) = self.next_job() {
            let engine = self.clone();
            self.0.attempts.spawn(engine.attempt_in_turn(turn));
        }
    }

    fn next_job(&self) -> Option<Turn> {
        if self.0.stopping.is_cancelled() {
            return None;
        }
        let mut lanes = self.lanes();
        let next = lanes.next_job(self.0.clock.now());
        if lanes.wants_look() {
            self.0.wake.notify_one();
        }
        next
    }

    /// Attempts a delivery, then whatever is next in turn: a task a slot, not a task a
    /// delivery.
    async fn attempt_in_turn(self, turn: Turn) {
        let mut next = Some(turn);
        while let Some(turn) = next {
            let attempt = AssertUnwindSafe(self.attempt(&turn)).catch_unwind();
            let ended = tokio::select! {
                biased;
                ended = attempt => ended.unwrap_or(Ended::Unmade),
                () = self.0.abandoning.cancelled() => return,
            };
            let verdict = self.hand_over(&turn, ended).await;
            next = self.finished(&turn, verdict).await;
        }
    }

    /// Hands over what an attempt brought, to be recorded. Returns what it says of the receiver,
    /// unless it wasn't made.
    async fn hand_over(&self, turn: &Turn, ended: Ended) -> Option<Verdict> {
        match ended {
            Ended::Attempted(recorded) => {
                let Attempt { outcome, succeeded, .. } = &recorded.attempt;
                let verdict = verdict(outcome, *succeeded);
                if turn.endpoint.ordered || !succeeded {
                    self.lanes().attempted(turn, *succeeded);
                }
                // The receiver ends only after the last attempt, so this can't fail.
                drop(self.0.outcomes.send(*recorded).await);
                return Some(verdict);
            }
            Ended::Unmade => self.note_due([(turn.job.destination(), turn.job.lease.until)]),
            Ended::Hampered => {
                self.give_back(std::slice::from_ref(&turn.job)).await;
                let again = self.0.clock.now() + HAMPERED_PAUSE;
                self.note_due([(turn.job.destination(), again)]);
            }
        }
        None
    }

    /// Frees the slot of an attempt and takes the next job in turn.
    async fn finished(&self, turn: &Turn, verdict: Option<Verdict>) -> Option<Turn> {
        let (next, finished) = self.take_turns(turn, verdict);
        self.release(finished.stopped).await;
        if finished.more {
            // There are more slots than this task fills.
            self.send_next();
        }
        next
    }

    fn take_turns(&self, turn: &Turn, verdict: Option<Verdict>) -> (Option<Turn>, Finished) {
        let now = self.0.clock.now();
        let mut lanes = self.lanes();
        let mut finished = lanes.finished(turn, verdict);
        let next = match self.0.stopping.is_cancelled() {
            true => None,
            false => lanes.next_job(now),
        };
        finished.more = lanes.has_turns();
        if lanes.wants_look() {
            self.0.wake.notify_one();
        }
        (next, finished)
    }

    /// Sends a delivery as its endpoint wants it.
    async fn send(
        &self,
        environment: &Environment,
        input: &RenderInput<'_>,
    ) -> Result<Sent, Failure> {
        let Environment { contract, guard, .. } = environment;
        let (network, policy) = (&self.0.network, contract.retry());
        match input.endpoint.transport {
            Transport::Webhook => {
                let request = rendered(|| contract.render(input))?;
                Ok(network.send_request(&request, guard, policy.timeout, &[]).await)
            }
            Transport::Websocket => {
                let message = rendered(|| contract.render_message(input))?;
                Ok(network.send_message(&message, guard, policy).await)
            }
        }
    }

    async fn attempt(&self, turn: &Turn) -> Ended {
        let Turn { job, endpoint, at: started_at, .. } = turn;
        let (inner, started_at) = (&self.0, *started_at);
        let environment = inner.environments.get(&endpoint.environment);
        let contract = &environment.contract;
        let policy = contract.retry();
        if started_at + policy.timeout > job.lease.until {
            return Ended::Unmade;
        }
        let number = job.attempts + 1;
        let input =
            RenderInput { message: &job.message, endpoint, attempt: number, now: started_at };
        let sent = self.send(&environment, &input).await.unwrap_or_else(|failure| Sent {
            outcome: Outcome::Failed(failure),
            duration: Duration::ZERO,
            timing: Timing::default(),
        });
        if let Outcome::Failed(Failure { kind: FailureKind::Local, causes, .. }) = &sent.outcome {
            tracing::error!(?causes, "this machine could not make an attempt; trying again");
            return Ended::Hampered;
        }
        let ended_at = inner.clock.now();
        let jitter = inner.entropy.fraction();
        let next = next_state(&sent.outcome, job.failed_in_round, policy, ended_at, jitter);
        let succeeded = next == Next::Succeeded;
        log_attempt(job, number, &sent, next);
        Ended::Attempted(Box::new(Recorded {
            attempt: Attempt {
                id: inner.entropy.id(&inner.clock),
                delivery: job.delivery(),
                application_id: job.message.application.id,
                number,
                trigger: job.trigger,
                url: endpoint.url.clone(),
                started_at,
                duration: sent.duration,
                timing: sent.timing,
                outcome: sent.outcome,
                succeeded,
            },
            lease: job.lease,
            next,
            failed_in_round: job.failed_in_round + u32::from(!succeeded),
            pause: contract.pause(),
            ended_at,
        }))
    }
}

/// Renders a delivery. A defect in a template or in the engine that runs it must cost one
/// attempt, not the task that would go on to the next.
fn rendered<T>(render: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(render)).unwrap_or_else(|_| {
        Err(Failure::new(FailureKind::Render, None, "the request could not be made"))
    })
}

fn log_attempt(job: &Job, number: u32, sent: &Sent, next: Next) {
    let (status, failure) = match &sent.outcome {
        Outcome::Answered(answer) => (Some(answer.status), None),
        Outcome::Failed(failure) => (None, Some(failure.kind.as_str())),
    };
    tracing::debug!(
        message = %job.message.id,
        endpoint = %job.endpoint,
        number,
        status,
        failure,
        duration_us = u64::try_from(sent.duration.as_micros()).unwrap_or(u64::MAX),
        manual = job.trigger == Trigger::Manual,
        ?next,
        "attempt"
    );
}
