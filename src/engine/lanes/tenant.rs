//! The lanes of one application, which share one turn.

use std::collections::VecDeque;

use super::limits::Usage;
use crate::domain::EndpointId;

#[derive(Debug, Default)]
pub(super) struct Tenant {
    /// How many lanes it has.
    pub(super) lanes: usize,
    pub(super) usage: Usage,
    /// Its lanes with something to send, each once.
    pub(super) round: VecDeque<EndpointId>,
    /// Whether it stands in the round of applications.
    pub(super) in_round: bool,
    /// Its lanes that want to claim, each once.
    pub(super) asking: VecDeque<EndpointId>,
    /// Whether it stands in the round of applications that want to claim, or among those that
    /// wait for room.
    pub(super) in_claim_round: bool,
}

impl Tenant {
    /// Whether nothing refers to it any more.
    pub(super) fn is_gone(&self) -> bool {
        self.lanes == 0 && !self.in_round && !self.in_claim_round
    }
}
