//! Claimed deliveries.

use std::sync::Arc;

use crate::domain::{DeliveryId, Destination, EndpointId, Message, NodeId, Timestamp, Trigger};

/// A claim on a delivery: until then, nobody but this node attempts it.
///
/// Node and end together tell one claim of a delivery from the next. So no two claims that a
/// node makes one after the other may end at the same microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub node: NodeId,
    pub until: Timestamp,
}

/// A claimed delivery, with everything an attempt needs but its endpoint.
#[derive(Clone, Debug)]
pub struct Job {
    pub message: Arc<Message>,
    pub endpoint: EndpointId,
    /// The attempts made so far, in all rounds.
    pub attempts: u32,
    /// The failures of the present round: where in the schedule it stands.
    pub failed_in_round: u32,
    pub trigger: Trigger,
    pub lease: Lease,
}

impl Job {
    pub fn delivery(&self) -> DeliveryId {
        DeliveryId { message: self.message.id, endpoint: self.endpoint }
    }

    pub fn destination(&self) -> Destination {
        Destination { application: self.message.application.id, endpoint: self.endpoint }
    }
}
