//! Sending many events of one endpoint again: what is asked for, which events that means, and how
//! far it has come.

use std::sync::Arc;

use super::{
    ApplicationId, DeliveryState, Destination, Endpoint, EndpointId, ResendId, ThrottleRate,
    Timestamp,
};

/// Resends that run at the same time in the whole server.
pub const RESENDS_RUNNING_MAX: u32 = 64;

/// Resends that run at the same time for the endpoints of one application.
pub const RESENDS_RUNNING_PER_APPLICATION_MAX: u32 = 8;

/// Resends of one endpoint that are remembered. Beyond it the oldest are forgotten.
pub const RESENDS_PER_ENDPOINT_MAX: u32 = 50;

/// Messages that one step of a resend sends.
pub const RESENT_PER_STEP_MAX: u32 = 200;

/// Due deliveries of an endpoint beyond which its resend waits: what is published meanwhile waits
/// behind no more than these.
pub const RESEND_DUE_MAX: u32 = 1_000;

/// Pending deliveries of an endpoint, due or not, beyond which its resend waits. Where they fail,
/// each waits long for its retry, and a resend must not put all there is into retries.
pub const RESEND_PENDING_MAX: u32 = 10 * RESEND_DUE_MAX;

/// For an endpoint with a rate, as many as it takes in so many seconds.
const RESEND_DUE_SECONDS: u32 = 10;

/// What a resend sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResendKind {
    /// All that was delivered or has failed.
    Replay,
    /// What has failed.
    Recover,
    /// What the endpoint takes but never got: it was made, enabled or subscribed later.
    Missing,
}

impl ResendKind {
    pub const ALL: [ResendKind; 3] = [ResendKind::Replay, ResendKind::Recover, ResendKind::Missing];

    pub const fn as_str(self) -> &'static str {
        match self {
            ResendKind::Replay => "replay",
            ResendKind::Recover => "recover",
            ResendKind::Missing => "missing",
        }
    }

    /// Whether it sends a message whose delivery stands like this; `None` where there is none.
    /// What is pending goes out by itself, and what was discarded a person didn't want.
    pub const fn sends(self, delivery: Option<DeliveryState>) -> bool {
        match self {
            ResendKind::Replay => {
                matches!(delivery, Some(DeliveryState::Succeeded | DeliveryState::Failed))
            }
            ResendKind::Recover => matches!(delivery, Some(DeliveryState::Failed)),
            ResendKind::Missing => delivery.is_none(),
        }
    }
}

/// Where a resend stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResendState {
    Running,
    /// It came to its end.
    Finished,
    /// A person stopped it.
    Cancelled,
    /// It could not go on.
    Failed,
}

impl ResendState {
    pub const ALL: [ResendState; 4] =
        [ResendState::Running, ResendState::Finished, ResendState::Cancelled, ResendState::Failed];

    pub const fn as_str(self) -> &'static str {
        match self {
            ResendState::Running => "running",
            ResendState::Finished => "finished",
            ResendState::Cancelled => "cancelled",
            ResendState::Failed => "failed",
        }
    }
}

/// Which of the events a resend leaves it at. What is empty or `None` leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ResendFilter {
    pub event_types: Vec<String>,
    pub channel: Option<String>,
    pub tag: Option<String>,
    /// Whether the delivery succeeded.
    pub succeeded: Option<bool>,
}

/// What a resend is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResendScope {
    pub kind: ResendKind,
    /// Messages published at this time or later.
    pub since: Timestamp,
    /// Messages published before this time; `None` for all that there are when it begins.
    pub until: Option<Timestamp>,
    pub filter: ResendFilter,
}

/// A message that may have to be sent again, and how its delivery to the endpoint stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `None` where there is no delivery.
    pub delivery: Option<DeliveryState>,
    pub event_type: String,
    pub event_group: Option<String>,
    pub channels: Vec<String>,
    pub tags: Vec<String>,
    pub published_at: Timestamp,
    /// Whether it is an example that was sent to try endpoints out.
    pub test: bool,
    /// Whether its payload is still kept.
    pub has_payload: bool,
}

impl ResendScope {
    /// Whether a message is sent to this endpoint.
    pub fn takes(&self, endpoint: &Endpoint, candidate: &Candidate) -> bool {
        let in_time = candidate.published_at >= self.since
            && self.until.is_none_or(|until| candidate.published_at < until);
        in_time
            && candidate.has_payload
            && self.kind.sends(candidate.delivery)
            && self.filter.takes(candidate)
            && (self.kind != ResendKind::Missing || is_missed(endpoint, candidate))
    }
}

/// Whether an endpoint should have got it. Examples went to whom they were meant for.
fn is_missed(endpoint: &Endpoint, candidate: &Candidate) -> bool {
    let Candidate { event_type, event_group, channels, test, .. } = candidate;
    !test && endpoint.subscribes_to(event_type, event_group.as_deref(), channels)
}

impl ResendFilter {
    fn takes(&self, candidate: &Candidate) -> bool {
        let succeeded = candidate.delivery == Some(DeliveryState::Succeeded);
        (self.event_types.is_empty() || self.event_types.contains(&candidate.event_type))
            && self.channel.as_ref().is_none_or(|channel| candidate.channels.contains(channel))
            && self.tag.as_ref().is_none_or(|tag| candidate.tags.contains(tag))
            && self.succeeded.is_none_or(|wanted| wanted == succeeded)
    }
}

/// A resend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resend {
    pub id: ResendId,
    pub application_id: ApplicationId,
    pub endpoint_id: EndpointId,
    pub environment: Arc<str>,
    pub scope: ResendScope,
    pub state: ResendState,
    /// Why it failed: a sentence.
    pub reason: Option<String>,
    /// How many messages there were to send when it began.
    pub counted: u64,
    /// How many it has queued so far. More than were counted where more failed meanwhile, and
    /// fewer where some grew too old.
    pub sent: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Resend {
    /// Where it sends to.
    pub fn destination(&self) -> Destination {
        Destination { application: self.application_id, endpoint: self.endpoint_id }
    }
}

/// What waits at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that are due. Beyond [`RESEND_DUE_MAX`] it doesn't matter how many.
    pub due: u32,
    /// Deliveries that are pending, retries that are due later included. Beyond
    /// [`RESEND_PENDING_MAX`] it doesn't matter how many.
    pub pending: u32,
}

/// How many messages a step may send to an endpoint where so much waits, `None` where the resend
/// has to wait. It waits until half of what is due is gone and there is room for a whole step,
/// so that steps are worth their while.
pub fn resent_in_step(backlog: Backlog, rate: Option<ThrottleRate>) -> Option<u32> {
    let Backlog { due, pending } = backlog;
    let in_time = |rate: ThrottleRate| u32::from(rate.get()).saturating_mul(RESEND_DUE_SECONDS);
    let due_max = rate.map_or(RESEND_DUE_MAX, in_time).min(RESEND_DUE_MAX);
    let has_room = due <= due_max / 2 && pending <= RESEND_PENDING_MAX - RESENT_PER_STEP_MAX;
    has_room.then(|| (due_max - due).min(RESENT_PER_STEP_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(delivery: Option<DeliveryState>) -> Candidate {
        Candidate {
            delivery,
            event_type: "contact.created".to_owned(),
            event_group: None,
            channels: vec!["eu".to_owned()],
            tags: vec!["import".to_owned()],
            published_at: Timestamp::from_seconds(100),
            test: false,
            has_payload: true,
        }
    }

    #[test]
    fn each_kind_sends_what_its_name_says() {
        use DeliveryState::{Discarded, Failed, Pending, Succeeded};
        let states = [None, Some(Pending), Some(Succeeded), Some(Failed), Some(Discarded)];
        for (kind, sent) in [
            (ResendKind::Replay, [false, false, true, true, false]),
            (ResendKind::Recover, [false, false, false, true, false]),
            (ResendKind::Missing, [true, false, false, false, false]),
        ] {
            assert_eq!(states.map(|state| kind.sends(state)), sent, "{kind:?}");
        }
    }

    #[test]
    fn a_filter_leaves_out_what_it_does_not_name() {
        let failed = candidate(Some(DeliveryState::Failed));
        let some = |text: &str| Some(text.to_owned());
        for (filter, taken) in [
            (ResendFilter::default(), true),
            (ResendFilter { channel: some("eu"), ..Default::default() }, true),
            (ResendFilter { channel: some("us"), ..Default::default() }, false),
            (ResendFilter { tag: some("import"), ..Default::default() }, true),
            (ResendFilter { tag: some("other"), ..Default::default() }, false),
            (ResendFilter { succeeded: Some(false), ..Default::default() }, true),
            (ResendFilter { succeeded: Some(true), ..Default::default() }, false),
            (ResendFilter { event_types: vec!["a".to_owned()], ..Default::default() }, false),
        ] {
            assert_eq!(filter.takes(&failed), taken, "{filter:?}");
        }
    }

    #[test]
    fn a_step_leaves_room_for_what_is_published_meanwhile() {
        let in_step = |due, rate| resent_in_step(Backlog { due, pending: due }, rate);
        assert_eq!(in_step(0, None), Some(200));
        assert_eq!(in_step(500, None), Some(200));
        assert_eq!(in_step(501, None), None);
        let rate = ThrottleRate::new(2);
        assert_eq!(in_step(0, rate), Some(20));
        assert_eq!(in_step(10, rate), Some(10));
        assert_eq!(in_step(11, rate), None);
        assert_eq!(in_step(0, ThrottleRate::new(u16::MAX)), Some(200));
        assert_eq!(in_step(4, ThrottleRate::new(1)), Some(6));
    }

    #[test]
    fn a_step_leaves_what_fails_the_time_to_end() {
        let in_step = |pending| resent_in_step(Backlog { due: 0, pending }, None);
        assert_eq!(in_step(9_800), Some(200));
        assert_eq!(in_step(9_801), None);
        assert_eq!(in_step(RESEND_PENDING_MAX), None);
    }
}
