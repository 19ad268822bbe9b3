//! Operational events: what the company is told, written in the transaction of what happened.

use std::sync::Arc;

use super::batch::Batch;
use super::fault::{Fallible, damaged};
use super::messages;
use crate::domain::{
    About, ApplicationId, Attempt, Audience, Cause, Destination, Endpoint, MessageId, NodeId,
    OPERATIONS_UID, OperationalType, Reference, Timestamp, exhausted_event, operations_of,
    state_event,
};
use crate::store::{Lease, NewMessage, Room};

/// Operational deliveries are always claimed from the store: they are rare, and a transition
/// that isn't about them should not have to hand them over.
struct NoRoom;

impl Room for NoRoom {
    fn has_room(&self, _: &Endpoint) -> bool {
        false
    }
}

/// Tells of an endpoint's new state. Returns the operational endpoints with something to
/// deliver.
pub(super) fn state_changed(
    batch: &mut Batch<'_>,
    endpoint: &Endpoint,
    cause: Cause<'_>,
    now: Timestamp,
) -> Fallible<Vec<Destination>> {
    let kind = match endpoint.state.delivers() {
        true => OperationalType::EndpointEnabled,
        false => OperationalType::EndpointDisabled,
    };
    if !wanted(batch, &endpoint.environment, kind)? {
        return Ok(Vec::new());
    }
    let application = batch.application(endpoint.application_id)?;
    let application = application.ok_or_else(|| damaged("an endpoint without application"))?;
    let about = About { application: &application, endpoint };
    let (kind, payload) = state_event(about, cause);
    publish(batch, &endpoint.environment, kind, payload, now)
}

/// Tells that a delivery is given up. Returns as [`state_changed`] does.
pub(super) fn exhausted(
    batch: &mut Batch<'_>,
    endpoint: &Endpoint,
    last: &Attempt,
    now: Timestamp,
) -> Fallible<Vec<Destination>> {
    let kind = OperationalType::AttemptExhausted;
    if !wanted(batch, &endpoint.environment, kind)? {
        return Ok(Vec::new());
    }
    let application = batch.application(endpoint.application_id)?;
    let application = application.ok_or_else(|| damaged("an endpoint without application"))?;
    let message = messages::by_id(batch.connection, &application, last.delivery.message)?;
    // To tell nothing is better than to keep an outcome from being recorded.
    let Some(message) = message else { return Ok(Vec::new()) };
    let about = About { application: &application, endpoint };
    let payload = exhausted_event(about, &message, last);
    publish(batch, &endpoint.environment, kind, payload, now)
}

/// Whether anybody takes such events of this environment. Of what happens to operational
/// endpoints themselves nobody is told: beside their environment there is no other.
fn wanted(batch: &mut Batch<'_>, environment: &Arc<str>, kind: OperationalType) -> Fallible<bool> {
    let Some(application) = batch.operations(environment)? else { return Ok(false) };
    let Some(application) = batch.application(application)? else { return Ok(false) };
    let endpoints = batch.endpoints(&application)?;
    // They have no channels, so this is all that decides.
    Ok(endpoints.iter().any(|endpoint| {
        endpoint.state.collects() && endpoint.subscription.takes(kind.as_str(), None)
    }))
}

fn publish(
    batch: &mut Batch<'_>,
    environment: &str,
    kind: OperationalType,
    payload: String,
    now: Timestamp,
) -> Fallible<Vec<Destination>> {
    let message = NewMessage {
        environment: operations_of(environment),
        application: Reference::new(OPERATIONS_UID),
        only_application: None,
        id: MessageId::at(now, batch.vault.entropy().bytes()),
        event_type: kind.as_str().to_owned(),
        event_group: None,
        event_id: None,
        payload: payload.into(),
        channels: Vec::new(),
        tags: Vec::new(),
        test: false,
        audience: Audience::Subscribers,
    };
    // Nobody's, and never written, as no lane has room.
    let lease = Lease { node: NodeId::from_bytes([0; 16]), until: now };
    let accepted = messages::accept(batch, message, lease, &NoRoom, now)?;
    let application = accepted.message.application.id;
    let unclaimed = accepted.unclaimed.into_iter();
    Ok(unclaimed.map(|endpoint| Destination { application, endpoint }).collect())
}

impl Batch<'_> {
    /// The application with the operational endpoints of an environment, where there is one.
    fn operations(&mut self, environment: &Arc<str>) -> Fallible<Option<ApplicationId>> {
        if let Some(known) = self.caches.operations(environment) {
            return Ok(known);
        }
        let name = operations_of(environment);
        let found = super::applications::by_uid(self.connection, &name, OPERATIONS_UID)?;
        self.caches.keep_operations(environment, found);
        Ok(found)
    }
}
