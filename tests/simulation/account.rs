//! Keeping the account: what each transition of the store should do, and whether it did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hookwright::domain::{
    DeliveryId, DeliveryState, Destination, EndpointId, Next, PausePolicy, Timestamp,
};
use hookwright::store::{Accepted, Changes, Claimed, Job, Lease, Recorded, Updated};

use super::model::{Delivery, Hook, Kept, Model, Standing, Verdict, ensure, standing};
use super::network::Short;

impl Model {
    pub(crate) fn accepted(&mut self, accepted: &Accepted, lease: Lease, now: Timestamp) -> Kept {
        let message = &accepted.message;
        self.counts.published += 1;
        self.messages.insert(message.id, message.application.id);
        let token = message.payload.split('"').nth(3).unwrap_or_default();
        ensure!(!self.given_up.contains(token), "{token} was given up, and is stored");
        self.tokens.insert(token.to_owned(), message.id);
        let audience = self.audience(message);
        ensure!(
            accepted.deliveries as usize == audience.len(),
            "{} made {} deliveries instead of {}",
            message.id,
            accepted.deliveries,
            audience.len()
        );
        let claimed: BTreeSet<EndpointId> =
            accepted.claimed.iter().map(|(job, _)| job.endpoint).collect();
        let unclaimed: BTreeSet<EndpointId> = accepted.unclaimed.iter().copied().collect();
        for endpoint in audience {
            let mut delivery = Delivery::new(now);
            let running = self.hooks[&endpoint].standing == Standing::Running;
            ensure!(
                running == (claimed.contains(&endpoint) || unclaimed.contains(&endpoint)),
                "a new delivery is neither claimed nor due, or its endpoint stands still"
            );
            ensure!(
                !(self.hooks[&endpoint].ordered && claimed.contains(&endpoint)),
                "what has to wait for its turn was claimed at once"
            );
            if claimed.contains(&endpoint) {
                delivery.lease = Some((lease, self.life));
            }
            self.deliveries.entry(endpoint).or_default().insert(message.id, delivery);
        }
        Ok(())
    }

    pub(crate) fn claimed(
        &mut self,
        endpoint: EndpointId,
        limit: u32,
        lease: Lease,
        now: Timestamp,
        claimed: &Claimed,
    ) -> Kept {
        ensure!(claimed.jobs.len() <= limit as usize, "more claimed than asked for");
        let life = self.life;
        let running =
            self.hooks.get(&endpoint).is_some_and(|one| one.standing == Standing::Running);
        ensure!(running || claimed.jobs.is_empty(), "claimed for an endpoint that stands still");
        let ordered = self.hooks.get(&endpoint).is_some_and(|one| one.ordered);
        for job in &claimed.jobs {
            let id = job.delivery();
            let delivery = self.delivery(id).ok_or("claimed what never was")?;
            ensure!(delivery.state == DeliveryState::Pending, "{:?} is done", Short(id));
            // What is new has no time to wait for but its turn.
            let due = delivery.due <= now || ordered && delivery.failed_in_round == 0;
            ensure!(due, "{:?} was claimed before it was due", Short(id));
            let before = delivery.claimed_until(life, now);
            ensure!(before.is_none(), "{:?} was claimed twice", Short(id));
            ensure!(
                (job.attempts, job.failed_in_round)
                    == (delivery.attempts, delivery.failed_in_round),
                "{:?} was claimed at another place of its schedule",
                Short(id)
            );
            (delivery.lease, delivery.by_hand) = (Some((lease, life)), false);
        }
        if running && !ordered {
            let left = self.deliveries.get(&endpoint).into_iter().flat_map(BTreeMap::values);
            let others = |one: &&Delivery| one.lease.is_none_or(|(held, _)| held != lease);
            let left = left.filter(|one| one.state == DeliveryState::Pending).filter(others);
            let free_at =
                left.map(|one| one.claimed_until(life, now).unwrap_or(one.due).max(one.due));
            let next = free_at.filter(|at| *at > now || claimed.jobs.len() < limit as usize).min();
            ensure!(
                next.is_none_or(|next| claimed.next_due.is_some_and(|due| due <= next.max(now))),
                "a claim says {:?} is due next, and it is {next:?}",
                claimed.next_due
            );
        }
        Ok(())
    }

    pub(crate) fn released(&mut self, claims: &[(DeliveryId, Lease)]) {
        for (id, lease) in claims {
            if let Some(delivery) = self.delivery(*id)
                && delivery.lease.is_some_and(|(held, _)| held == *lease)
            {
                delivery.lease = None;
            }
        }
    }

    /// `at` is when it was resent, `now` when that was asked for.
    pub(crate) fn resent(&mut self, job: &Job, now: Timestamp, at: Timestamp) -> Kept {
        self.counts.resends += 1;
        let (id, life) = (job.delivery(), self.life);
        let hook = self.hooks.get(&id.endpoint).ok_or("resent to nobody")?;
        ensure!(hook.standing == Standing::Running, "resent to an endpoint that stands still");
        let deliveries = self.deliveries.entry(id.endpoint).or_default();
        let delivery = deliveries.entry(id.message).or_insert_with(|| Delivery::new(now));
        if hook.discarded_at == Some(at) {
            // The same transaction discarded it, which nobody could see in between.
            delivery.void();
        }
        let before = delivery.claimed_until(life, now);
        ensure!(before.is_none(), "{:?} was resent while it was under way", Short(id));
        delivery.state = DeliveryState::Pending;
        delivery.failed_in_round = 0;
        delivery.resent = true;
        delivery.due = now;
        (delivery.lease, delivery.by_hand) = (Some((job.lease, life)), true);
        Ok(())
    }

    /// A change or a switch of an endpoint.
    pub(crate) fn updated(&mut self, updated: &Updated) -> Kept {
        let endpoint = &updated.endpoint;
        let hook = self.hooks.get_mut(&endpoint.id).ok_or("changed what never was")?;
        let after = standing(&endpoint.state);
        let resumed = hook.standing != Standing::Running && after == Standing::Running;
        ensure!(updated.resumed == resumed, "an endpoint resumed: {}", updated.resumed);
        if resumed {
            (hook.failures, hook.in_a_row, hook.failing_since) = (Vec::new(), 0, None);
            hook.told = None;
        }
        hook.standing = after;
        hook.voided |= after != Standing::Running;
        hook.channels.clone_from(&endpoint.channels);
        Ok(())
    }

    pub(crate) fn deleted(&mut self, endpoint: EndpointId) {
        if let Some(hook) = self.hooks.get_mut(&endpoint) {
            hook.standing = Standing::Deleted;
        }
        for delivery in self.deliveries.entry(endpoint).or_default().values_mut() {
            if delivery.state == DeliveryState::Pending {
                delivery.state = DeliveryState::Discarded;
                delivery.void();
            }
        }
    }

    /// What the store says it discarded is discarded, if it was pending.
    pub(crate) fn discarded(
        &mut self,
        endpoint: EndpointId,
        ids: &[DeliveryId],
        at: Timestamp,
    ) -> Kept {
        self.counts.discards += ids.len();
        if let Some(hook) = self.hooks.get_mut(&endpoint) {
            (hook.discarded_at, hook.voided) = (Some(at), true);
        }
        for id in ids {
            let delivery = self.delivery(*id).ok_or("discarded what never was")?;
            ensure!(delivery.state == DeliveryState::Pending, "{:?} discarded late", Short(*id));
            delivery.state = DeliveryState::Discarded;
            delivery.void();
        }
        Ok(())
    }

    pub(crate) fn recovered(&mut self) {
        self.life += 1;
        (self.keeps_claims, self.commands) = (false, 0);
        self.hooks.values_mut().for_each(|hook| hook.voided = false);
        for delivery in self.deliveries.values_mut().flat_map(BTreeMap::values_mut) {
            (delivery.lease, delivery.overtaken) = (None, None);
        }
    }

    pub(crate) fn backlog(&self, backlog: &[(Destination, Timestamp)]) -> Kept {
        let known = backlog.iter().map(|(destination, due)| (destination.endpoint, *due));
        let known: BTreeMap<EndpointId, Timestamp> = known.collect();
        for (endpoint, hook) in &self.hooks {
            let deliveries = self.deliveries.get(endpoint).into_iter().flat_map(BTreeMap::values);
            let pending = deliveries.filter(|one| one.state == DeliveryState::Pending);
            let running = hook.standing == Standing::Running;
            let due = pending.map(|one| one.due).min().filter(|_| running);
            // Where a queue is ordered, its first delivery alone says when.
            let known = known.get(endpoint);
            let told = known == due.as_ref() || hook.ordered && known.is_some() == due.is_some();
            ensure!(told, "the backlog forgets an endpoint");
        }
        Ok(())
    }

    pub(crate) fn recorded(&mut self, recorded: &[Recorded], changes: &Changes) -> Kept {
        let mut order: Vec<&Recorded> = recorded.iter().collect();
        order.sort_by_key(|one| (one.attempt.delivery, one.attempt.id));
        let mut moved = Vec::new();
        for one in order {
            if self.record_one(one)? {
                moved.push(one);
            }
        }
        // A stop is seen in the order in which attempts ended, whatever order they are told in.
        moved.sort_by_key(|one| one.ended_at);
        let mut stopped = BTreeMap::new();
        for one in moved {
            let id = one.attempt.delivery.endpoint;
            let Some(hook) = self.hooks.get_mut(&id) else { continue };
            let gone = one.next == Next::Gone;
            if let Some(standing) = hook.observe(one.attempt.succeeded, gone, one.ended_at) {
                stopped.insert(id, standing);
            }
        }
        for (id, stop) in &stopped {
            let hook = self.hooks.get_mut(id).expect("it was observed");
            (hook.standing, hook.voided) = (*stop, true);
            let count = match stop {
                Standing::Paused => &mut self.counts.pauses,
                _ => &mut self.counts.gone,
            };
            *count += 1;
        }
        let told: BTreeMap<EndpointId, Standing> =
            changes.endpoints.iter().map(|one| (one.id, standing(&one.state))).collect();
        ensure!(told == stopped, "stopped are {told:?}, and should be {stopped:?}");
        Ok(())
    }

    /// Returns whether the delivery moves on.
    fn record_one(&mut self, one: &Recorded) -> Result<bool, String> {
        let (id, life) = (one.attempt.delivery, self.life);
        let hook = self.hooks.get(&id.endpoint).ok_or("recorded for nobody")?;
        let (deleted, contract) = (hook.standing == Standing::Deleted, hook.contract.clone());
        let delivery = self.delivery(id).ok_or("recorded what never was")?;
        let started_at = one.attempt.started_at;
        let known = delivery.flights.iter_mut().find(|flight| {
            let same = flight.started_at == started_at
                && flight.ended.is_some_and(|(at, _)| at == one.ended_at);
            flight.life == life && same && !flight.recorded
        });
        let flight = known.ok_or_else(|| format!("{:?}: no such attempt", Short(id)))?;
        flight.recorded = true;
        let (ended_at, verdict) = flight.ended.ok_or("recorded before it ended")?;
        ensure!((verdict == Verdict::Received) == one.attempt.succeeded, "another outcome");
        let present = delivery.lease.is_some_and(|(lease, of)| of == life && lease == one.lease);
        if present {
            ensure!(one.attempt.number == delivery.attempts + 1, "{:?}: number", Short(id));
            let failed = delivery.failed_in_round + u32::from(!one.attempt.succeeded);
            ensure!(one.failed_in_round == failed, "{:?}: failures of the round", Short(id));
            expect_next(contract.retry(), verdict, failed, ended_at, one.next)
                .map_err(|why| format!("{:?}: {why}", Short(id)))?;
        }
        let elsewhere = delivery.claimed_until(life, ended_at).is_some();
        let received = one.attempt.succeeded && (!elsewhere || delivery.due <= started_at);
        let moves = !deleted && delivery.state == DeliveryState::Pending && (present || received);
        if !moves {
            delivery.late = true;
            self.counts.late += 1;
            return Ok(false);
        }
        if !present {
            delivery.overtaken = delivery.lease.map(|(lease, _)| lease);
            delivery.late = true;
            delivery.void();
        }
        delivery.lease = None;
        delivery.attempts = delivery.attempts.max(one.attempt.number);
        delivery.failed_in_round = one.failed_in_round;
        match one.next {
            Next::Succeeded => delivery.state = DeliveryState::Succeeded,
            Next::Exhausted | Next::Gone => delivery.state = DeliveryState::Failed,
            Next::Retry { at } => delivery.due = at,
        }
        match one.next {
            Next::Succeeded => self.counts.received += 1,
            Next::Exhausted => self.counts.exhausted += 1,
            Next::Gone | Next::Retry { .. } => {}
        }
        Ok(true)
    }
}

/// What the contract makes of an attempt that ended so.
fn expect_next(
    policy: &hookwright::domain::RetryPolicy,
    verdict: Verdict,
    failed: u32,
    ended_at: Timestamp,
    next: Next,
) -> Kept {
    let retry_after = match verdict {
        Verdict::Received => {
            ensure!(next == Next::Succeeded, "it was received, and is {next:?}");
            return Ok(());
        }
        Verdict::Gone => {
            ensure!(next == Next::Gone, "the receiver is gone, and it is {next:?}");
            return Ok(());
        }
        Verdict::Failed { retry_after } => retry_after,
        Verdict::Cut => return Err("recorded although it was cut".to_owned()),
    };
    let Some(&wait) = policy.retries.get(failed as usize - 1) else {
        ensure!(next == Next::Exhausted, "the schedule is used up, and it is {next:?}");
        return Ok(());
    };
    let asked = match policy.honours_retry_after {
        true => retry_after.unwrap_or_default().min(policy.retry_after_max),
        false => Duration::ZERO,
    };
    let soonest = ended_at + wait.max(asked);
    let latest = ended_at + wait.mul_f64(1.0 + policy.jitter).max(asked);
    match next {
        Next::Retry { at } if soonest <= at && at <= latest => Ok(()),
        other => Err(format!("{other:?} is not between {soonest:?} and {latest:?}")),
    }
}

impl Hook {
    /// Takes an attempt into account. Returns how the endpoint stands, where that stops it.
    fn observe(&mut self, received: bool, gone: bool, at: Timestamp) -> Option<Standing> {
        let collects = matches!(self.standing, Standing::Running | Standing::Paused);
        if gone && collects {
            self.standing = Standing::Disabled;
            return Some(Standing::Disabled);
        }
        if self.standing != Standing::Running {
            return None;
        }
        if received {
            (self.in_a_row, self.failing_since) = (0, None);
            return None;
        }
        self.in_a_row += 1;
        self.failures.push(at);
        let since = *self.failing_since.get_or_insert(at);
        let pauses = match self.contract.pause() {
            PausePolicy::Never => false,
            PausePolicy::Consecutive { failures } => self.in_a_row == failures,
            PausePolicy::FailingFor { duration } => at.since(since) >= duration,
            PausePolicy::TooMany { failures, within } => {
                let recent = self.failures.iter().filter(|one| **one + within > at);
                recent.count() > failures as usize
            }
        };
        if pauses {
            self.standing = Standing::Paused;
        }
        pauses.then_some(Standing::Paused)
    }
}
