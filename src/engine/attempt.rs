//! One attempt after another, as long as a lane has something to send.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::Engine;
use crate::contract::RenderInput;
use crate::domain::{
    Attempt, Endpoint, Failure, FailureKind, Next, Outcome, Timing, Transport, Trigger, next_state,
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
        while let Some((job, endpoint)) = self.next_job() {
            let engine = self.clone();
            self.0.attempts.spawn(engine.attempt_in_turn(job, endpoint));
        }
    }

    fn next_job(&self) -> Option<(Job, Arc<Endpoint>)> {
        if self.0.stopping.is_cancelled() {
            return None;
        }
        self.lanes().next_job()
    }

    /// Attempts a delivery, then whatever is next in turn: a task a slot, not a task a
    /// delivery.
    async fn attempt_in_turn(self, job: Job, endpoint: Arc<Endpoint>) {
        let mut next = Some((job, endpoint));
        while let Some((job, endpoint)) = next {
            let attempt = AssertUnwindSafe(self.attempt(&job, &endpoint)).catch_unwind();
            let ended = tokio::select! {
                biased;
                ended = attempt => ended.unwrap_or(Ended::Unmade),
                () = self.0.abandoning.cancelled() => return,
            };
            let success =
                matches!(&ended, Ended::Attempted(recorded) if recorded.attempt.succeeded);
            if matches!(ended, Ended::Attempted(_)) && !success {
                self.lanes().failed(job.endpoint);
            }
            match ended {
                // The receiver ends only after the last attempt, so this can't fail.
                Ended::Attempted(recorded) => drop(self.0.outcomes.send(*recorded).await),
                Ended::Unmade => self.note_due([(job.endpoint, job.lease.until)]),
                Ended::Hampered => {
                    self.give_back(std::slice::from_ref(&job)).await;
                    let again = self.0.clock.now() + HAMPERED_PAUSE;
                    self.note_due([(job.endpoint, again)]);
                }
            }
            next = self.finished(&job, success);
        }
    }

    /// Frees the slot of an attempt and takes the next job in turn.
    fn finished(&self, job: &Job, success: bool) -> Option<(Job, Arc<Endpoint>)> {
        let mut lanes = self.lanes();
        let known = lanes.next_timer();
        let grown = lanes.finished(job.endpoint, job.message.payload.len(), success);
        // A lane that was too full to look for more may do so again, now or later. Who sleeps
        // until the timers that were known doesn't know of that.
        let timer = lanes.next_timer();
        if timer.is_some_and(|at| known != Some(at) || at <= self.0.clock.now()) {
            self.0.wake.notify_one();
        }
        if self.0.stopping.is_cancelled() {
            return None;
        }
        let next = lanes.next_job();
        drop(lanes);
        if grown {
            // There is a slot more than this task fills.
            self.send_next();
        }
        next
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

    async fn attempt(&self, job: &Job, endpoint: &Arc<Endpoint>) -> Ended {
        let inner = &self.0;
        let environment = inner.environments.get(&endpoint.environment);
        let contract = &environment.contract;
        let policy = contract.retry();
        let started_at = inner.clock.now();
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
