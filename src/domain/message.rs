//! Messages: what was published.

use std::sync::Arc;

use super::{Application, EndpointId, MessageId, Timestamp};

/// One published event. Its payload is kept as the bytes that came.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: MessageId,
    pub application: Arc<Application>,
    pub event_type: String,
    /// The publisher's own id, unique within the application.
    pub event_id: Option<String>,
    /// Raw JSON, byte for byte as it was published.
    pub payload: Arc<str>,
    pub channels: Vec<String>,
    pub tags: Vec<String>,
    pub created_at: Timestamp,
}

impl Message {
    /// The id that receivers de-duplicate by, the same over all attempts.
    pub fn public_event_id(&self) -> String {
        self.event_id.clone().unwrap_or_else(|| self.id.to_string())
    }
}

/// What names a delivery: one message for one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    pub message: MessageId,
    pub endpoint: EndpointId,
}
