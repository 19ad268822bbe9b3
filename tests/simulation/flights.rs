//! What the network sees of attempts, and whether they may be made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hookwright::domain::{DeliveryId, DeliveryState, Outcome, Timestamp};

use super::model::{Delivery, Flight, Hook, Kept, Model, Standing, Verdict, ensure};
use super::network::Short;

impl Model {
    pub(crate) fn flight_started(
        &mut self,
        receiver: usize,
        token: &str,
        now: Timestamp,
    ) -> Result<(DeliveryId, usize), String> {
        let endpoint = *self.receivers.get(&receiver).ok_or("a request to nobody")?;
        let message = *self.tokens.get(token).ok_or_else(|| format!("{token}: unknown"))?;
        let id = DeliveryId { message, endpoint };
        let (life, limits) = (self.life, self.limits);
        self.counts.attempts += 1;
        let hook = self.hooks.get_mut(&endpoint).ok_or("an endpoint that never was")?;
        if hook.standing != Standing::Running {
            ensure!(
                hook.told.is_none_or(|told| told == now),
                "{:?} was sent although the endpoint is {:?}",
                Short(id),
                hook.standing
            );
        }
        hook.in_flight += 1;
        self.in_flight += 1;
        hook.keeps_its_rate(now)?;
        let ordered = hook.ordered;
        ensure!(hook.in_flight <= limits.in_flight_per_endpoint, "too many in flight to one");
        ensure!(self.in_flight <= limits.in_flight, "too many in flight");
        let (timeout, running) = (hook.contract.retry().timeout, hook.standing);
        let delivery = self.delivery(id).ok_or("a delivery that never was")?;
        delivery.may_start(id, life, now, timeout, running)?;
        let flight = Flight {
            life,
            started_at: now,
            ended: None,
            taken_in: false,
            recorded: false,
            void: false,
        };
        delivery.flights.push(flight);
        let number = delivery.flights.len() - 1;
        if ordered {
            self.in_order(id)?;
        }
        Ok((id, number))
    }

    /// Nothing overtakes what was published before it, and nothing goes beside it, but for what
    /// a person sent.
    fn in_order(&self, id: DeliveryId) -> Kept {
        let deliveries = &self.deliveries[&id.endpoint];
        if deliveries[&id.message].resent {
            return Ok(());
        }
        for (message, other) in deliveries.iter().filter(|(_, one)| !one.resent) {
            let pending = other.state == DeliveryState::Pending;
            ensure!(
                !(pending && *message < id.message),
                "{:?} went before {message}, which was published earlier",
                Short(id)
            );
            let flies = other.flights.iter().any(|one| one.ended.is_none() && !one.void);
            ensure!(*message == id.message || !flies, "{:?} isn't alone in flight", Short(id));
        }
        Ok(())
    }

    pub(crate) fn identified(&mut self, id: DeliveryId, identity: Option<String>) -> Kept {
        let Some(delivery) = self.delivery(id) else { return Ok(()) };
        let known = delivery.identity.get_or_insert_with(|| identity.clone().unwrap_or_default());
        ensure!(*known == identity.unwrap_or_default(), "{:?}: another event id", Short(id));
        Ok(())
    }

    pub(crate) fn taken_in(&mut self, id: DeliveryId, number: usize) {
        if let Some(delivery) = self.delivery(id) {
            let before = delivery.flights.iter().any(|flight| flight.taken_in);
            delivery.flights[number].taken_in = true;
            self.counts.repeated += usize::from(before);
        }
    }

    pub(crate) fn flight_cut(&mut self, id: DeliveryId, number: usize, now: Timestamp) {
        self.landed(id);
        if let Some(delivery) = self.delivery(id) {
            delivery.flights[number].ended = Some((now, Verdict::Cut));
        }
    }

    /// The process died, and with it all attempts that were under way.
    pub(crate) fn all_cut(&mut self, now: Timestamp) {
        for delivery in self.deliveries.values_mut().flat_map(BTreeMap::values_mut) {
            for flight in delivery.flights.iter_mut().filter(|flight| flight.ended.is_none()) {
                flight.ended = Some((now, Verdict::Cut));
            }
        }
        self.in_flight = 0;
        self.hooks.values_mut().for_each(|hook| hook.in_flight = 0);
    }

    pub(crate) fn flight_ended(
        &mut self,
        id: DeliveryId,
        number: usize,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Kept {
        self.landed(id);
        let contract = self.hooks.get(&id.endpoint).map(|hook| Arc::clone(&hook.contract));
        let gone = contract.ok_or("an endpoint that never was")?.retry().gone;
        let verdict = match outcome {
            Outcome::Answered(answer) => match answer.status {
                200..=299 => Verdict::Received,
                status if Some(status) == gone => Verdict::Gone,
                _ => Verdict::Failed { retry_after: answer.retry_after },
            },
            Outcome::Failed(_) => Verdict::Failed { retry_after: None },
        };
        if let Some(delivery) = self.delivery(id) {
            delivery.flights[number].ended = Some((now, verdict));
        }
        Ok(())
    }

    fn landed(&mut self, id: DeliveryId) {
        self.in_flight -= 1;
        if let Some(hook) = self.hooks.get_mut(&id.endpoint) {
            hook.in_flight -= 1;
        }
    }
}

impl Hook {
    /// No second has more starts than the rate.
    fn keeps_its_rate(&mut self, now: Timestamp) -> Kept {
        let Some(rate) = self.throttle_rate else { return Ok(()) };
        self.starts.push_back(now);
        while self.starts.front().is_some_and(|at| now.since(*at) >= Duration::from_secs(1)) {
            self.starts.pop_front();
        }
        ensure!(self.starts.len() <= usize::from(rate.get()), "more starts a second than {rate}");
        Ok(())
    }
}

impl Delivery {
    fn may_start(
        &mut self,
        id: DeliveryId,
        life: u32,
        now: Timestamp,
        timeout: Duration,
        standing: Standing,
    ) -> Kept {
        let mut flying = self.flights.iter().filter(|one| one.ended.is_none() && !one.void);
        ensure!(flying.next().is_none(), "{:?} is in flight twice", Short(id));
        let overtaken = self.overtaken.is_some_and(|lease| lease.until >= now + timeout);
        if standing == Standing::Deleted || overtaken {
            return Ok(());
        }
        ensure!(self.state == DeliveryState::Pending, "{:?} is {:?}", Short(id), self.state);
        ensure!(self.due <= now, "{:?} is too early by {:?}", Short(id), self.due.since(now));
        let until = self.claimed_until(life, now);
        ensure!(
            until.is_some_and(|until| until >= now + timeout),
            "{:?} was sent without a claim",
            Short(id)
        );
        Ok(())
    }
}
