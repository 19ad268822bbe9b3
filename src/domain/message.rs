//! Messages: what was published.

use std::sync::Arc;

use super::{Application, EndpointId, MessageId, Timestamp};

/// One published event. Its payload is kept as the bytes that came.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: MessageId,
    pub application: Arc<Application>,
    pub event_type: String,
    /// The group that its type belonged to when it was published.
    pub event_group: Option<String>,
    /// The publisher's own id, unique within the application.
    pub event_id: Option<String>,
    /// Raw JSON, byte for byte as it was published. Empty where it is no longer kept, which
    /// JSON never is.
    pub payload: Arc<str>,
    pub channels: Vec<String>,
    pub tags: Vec<String>,
    /// Whether it is a catalog's example, sent to try endpoints out.
    pub test: bool,
    pub created_at: Timestamp,
}

impl Message {
    /// The id that receivers de-duplicate by, the same over all attempts.
    pub fn public_event_id(&self) -> String {
        self.event_id.clone().unwrap_or_else(|| self.id.to_string())
    }

    /// Whether its payload grew too old to be kept.
    pub fn payload_expired(&self) -> bool {
        self.payload.is_empty()
    }
}

/// Which of an application's endpoints get a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Those that take it. A paused one gets it when it is enabled.
    #[default]
    Subscribers,
    /// Those of them that deliver at present: what is sent to try endpoints out is worth
    /// nothing later.
    ActiveSubscribers,
    /// This one, whatever it takes, if it delivers at present.
    Only(EndpointId),
}

/// What names a delivery: one message for one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    pub message: MessageId,
    pub endpoint: EndpointId,
}
