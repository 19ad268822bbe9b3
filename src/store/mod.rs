//! The store: what must survive. Its methods are transitions, each one transaction, and
//! `now` is always a parameter. Nothing outside this folder knows SQL.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{
    ApiKey, Application, ApplicationId, Attempt, AttemptId, Audience, DeliveryId, Destination,
    Endpoint, EndpointId, EndpointState, EventType, HistoryEntry, HistoryId, KeyId, LedgerLine,
    Message, MessageId, Next, PausePolicy, Reference, Result, SigningSecret, Timestamp,
};

mod ageing;
mod arrivals;
mod discard;
mod job;
mod lists;
mod overview;
mod pages;
mod resends;
pub mod sqlite;
mod vault;

pub use ageing::{AgeWalk, Reclaim, RetentionOf};
pub use arrivals::{Arrivals, WaitingLimits};
pub use discard::Discard;
pub use job::{Job, Lease};
pub use lists::{
    AttemptFilter, AttemptRow, DeliveryFilter, DeliveryLine, DeliveryPage, DeliveryResult,
    DeliveryRow, EventPage, EventQuery, EventStart, LastAttempt, MessageFilter, PAGE_BYTES, Page,
};
pub use overview::{EndpointHour, LATENCY_BOUNDS_MS, Standing, TrafficMinute, Trouble, Troubles};
pub use pages::PageStore;
pub use resends::{NewResend, ResendQuery, ResendStep, ResendStore, ResendsOf};
pub use vault::{MasterKey, Vault, VaultError};

/// Says whether an endpoint's lane can hold another delivery in memory. Asked while a message
/// is accepted: where there is room its delivery is claimed in the same transaction, where
/// there is none it stays in the store for a later claim.
pub trait Room: Send + Sync {
    fn has_room(&self, endpoint: &Endpoint) -> bool;

    /// Asked once, right before the message is stored: whether somebody still waits for it.
    /// Who says no was told that nothing was kept, so nothing may be stored; who says yes
    /// waits for the end.
    fn takes_turn(&self) -> bool {
        true
    }
}

/// A message to accept.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub environment: Arc<str>,
    pub application: Reference,
    /// Where the caller's key covers a single application: it must be this one.
    pub only_application: Option<ApplicationId>,
    /// The id that it gets, unless a message with a higher one is stored by then: ids grow in
    /// the order of commits. It gets the next one after that.
    pub id: MessageId,
    pub event_type: String,
    pub event_group: Option<String>,
    pub event_id: Option<String>,
    pub payload: Arc<str>,
    pub channels: Vec<String>,
    pub tags: Vec<String>,
    pub test: bool,
    pub audience: Audience,
}

/// What became of an accepted message. It is on disk.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub message: Arc<Message>,
    /// How many deliveries it made.
    pub deliveries: u32,
    /// The deliveries that were claimed for this node, with their endpoints.
    pub claimed: Vec<(Job, Arc<Endpoint>)>,
    /// The endpoints whose delivery waits in the store because their lane was full. Those of
    /// paused ones wait too, but for somebody to enable them.
    pub unclaimed: Vec<EndpointId>,
}

/// Deliveries claimed from the store for one endpoint.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// `None` where the endpoint is gone.
    pub endpoint: Option<Arc<Endpoint>>,
    pub jobs: Vec<Job>,
    /// When the next delivery that wasn't claimed is due, which may be in the past. `None`
    /// where nothing is pending or the endpoint doesn't deliver at present.
    pub next_due: Option<Timestamp>,
}

/// The result of an attempt, to be recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub attempt: Attempt,
    /// The claim under which it was made.
    pub lease: Lease,
    pub next: Next,
    /// The failures of this round, this attempt included.
    pub failed_in_round: u32,
    /// The contract's rule for the endpoint's health.
    pub pause: PausePolicy,
    /// When the attempt ended.
    pub ended_at: Timestamp,
}

/// What changes an endpoint: everything that the customer may set, as it shall be.
#[derive(Clone, Debug)]
pub struct EndpointChange {
    pub endpoint: Endpoint,
    /// The revision the change was made from; another one in the store is a conflict.
    pub from_revision: u64,
}

/// A changed endpoint, and what follows from the change.
#[derive(Clone, Debug)]
pub struct Updated {
    pub endpoint: Arc<Endpoint>,
    /// Whether it delivers again after it had stopped.
    pub resumed: bool,
    /// Operational endpoints that have something new to deliver.
    pub due: Vec<Destination>,
}

/// What recording attempts changed beside their deliveries.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The endpoints that stopped delivering.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Operational endpoints that have something new to deliver.
    pub due: Vec<Destination>,
}

/// The store. Every method is one transaction; what it returns is on disk.
///
/// # Errors
/// `not_found` for what doesn't exist or belongs to another tenant, `conflict` for a uid,
/// name or event id that is taken, `unavailable` where the store can't take it now.
#[async_trait]
pub trait Store: PageStore + ResendStore {
    // Keys.
    async fn create_key(&self, key: ApiKey) -> Result<()>;
    async fn list_keys(&self) -> Result<Vec<ApiKey>>;
    /// Revokes a key for good. Revoking it twice is no error.
    async fn revoke_key(&self, id: KeyId, now: Timestamp) -> Result<ApiKey>;
    /// The key with this SHA-256, unless it is revoked.
    async fn find_key(&self, hash: [u8; 32]) -> Result<Option<ApiKey>>;

    // Passes into the pages.

    // Applications.
    async fn create_application(&self, application: Application) -> Result<Arc<Application>>;
    async fn get_application(
        &self,
        environment: &Arc<str>,
        reference: &Reference,
    ) -> Result<Arc<Application>>;
    async fn list_applications(
        &self,
        environment: &Arc<str>,
        page: Page<ApplicationId>,
    ) -> Result<Vec<Arc<Application>>>;
    /// Replaces name, uid and metadata.
    async fn update_application(&self, application: Application) -> Result<Arc<Application>>;
    /// Deletes it with its endpoints; what was pending is discarded. Returns the endpoints.
    async fn delete_application(
        &self,
        id: ApplicationId,
        now: Timestamp,
    ) -> Result<Vec<EndpointId>>;

    /// The secrets that the application's endpoints share, the current one first.
    async fn application_secrets(&self, id: ApplicationId) -> Result<Vec<SigningSecret>>;
    /// Makes all endpoints of the application sign with these, unless its secrets are no longer
    /// what they `were`, which is a conflict. Endpoints that come later share them, unless they
    /// bring their own. Returns the changed endpoints.
    async fn replace_application_secrets(
        &self,
        id: ApplicationId,
        were: Vec<SigningSecret>,
        secrets: Vec<SigningSecret>,
    ) -> Result<Vec<Arc<Endpoint>>>;

    // Event types beside the contract's own.
    async fn list_event_types(&self, environment: &Arc<str>) -> Result<Vec<EventType>>;
    async fn get_event_type(&self, environment: &Arc<str>, name: &str)
    -> Result<Option<EventType>>;
    /// Creates it, or replaces it where `replace` is set; else an existing one is a conflict.
    async fn put_event_type(
        &self,
        environment: &Arc<str>,
        event_type: EventType,
        replace: bool,
    ) -> Result<()>;
    async fn delete_event_type(&self, environment: &Arc<str>, name: &str) -> Result<()>;

    // Endpoints.
    /// `unique_name`: whether the contract wants names unique within the application;
    /// `limit`: how many endpoints an application may have.
    async fn create_endpoint(
        &self,
        endpoint: Endpoint,
        unique_name: bool,
        limit: u32,
    ) -> Result<Arc<Endpoint>>;
    async fn get_endpoint(
        &self,
        application: ApplicationId,
        reference: &Reference,
    ) -> Result<Arc<Endpoint>>;
    async fn list_endpoints(
        &self,
        application: ApplicationId,
        page: Page<EndpointId>,
    ) -> Result<Vec<Arc<Endpoint>>>;
    /// Replaces what a customer may set. Enabling a paused endpoint clears its health.
    async fn update_endpoint(&self, change: EndpointChange, unique_name: bool) -> Result<Updated>;
    /// Enables it, whatever stopped it, and clears its health.
    async fn enable_endpoint(
        &self,
        application: ApplicationId,
        id: EndpointId,
        now: Timestamp,
    ) -> Result<Updated>;
    /// Makes one step of a discard of what waited for an endpoint when the first step was
    /// made. The outcomes of attempts that are under way are recorded as attempts and change
    /// nothing else.
    async fn discard_pending(
        &self,
        application: ApplicationId,
        id: EndpointId,
        discard: Discard,
        now: Timestamp,
    ) -> Result<Discard>;
    /// What happened to an endpoint, also to a deleted one where its id names it.
    async fn list_history(
        &self,
        application: ApplicationId,
        reference: &Reference,
        page: Page<HistoryId>,
    ) -> Result<Vec<HistoryEntry>>;
    /// Deletes it; what was pending is discarded.
    async fn delete_endpoint(
        &self,
        application: ApplicationId,
        id: EndpointId,
        now: Timestamp,
    ) -> Result<()>;

    // Messages and deliveries.
    /// Stores a message and one delivery for each endpoint of its audience, and claims the
    /// deliveries for which there is room. A second message with the same event id is a
    /// conflict, and so is one for a single endpoint that doesn't deliver at present.
    async fn accept(
        &self,
        message: NewMessage,
        lease: Lease,
        room: Arc<dyn Room>,
        now: Timestamp,
    ) -> Result<Accepted>;
    async fn get_message(
        &self,
        application: ApplicationId,
        reference: &Reference,
    ) -> Result<Arc<Message>>;
    /// No further than [`PAGE_BYTES`] lets it.
    async fn list_messages(
        &self,
        application: ApplicationId,
        filter: MessageFilter,
        page: Page<MessageId>,
    ) -> Result<Vec<Arc<Message>>>;
    /// Reads events in the order of their commits. One that is committed later is found behind
    /// all that were read before, never between them. A store may stop looking before it found
    /// anything, where what it passes over is of other types.
    async fn read_events(&self, application: ApplicationId, query: EventQuery)
    -> Result<EventPage>;
    /// Begins to wait for an application's events. Those that are there already are not told,
    /// so look for them after this and before waiting.
    ///
    /// `unavailable` or `rate_limit_exceeded` where as many wait as may.
    fn arrivals(&self, application: ApplicationId) -> Result<Arrivals>;
    /// How many readers wait for events at present.
    fn readers_waiting(&self) -> usize;
    /// The deliveries of a message, with their endpoints (also deleted ones).
    async fn list_deliveries(
        &self,
        application: ApplicationId,
        message: MessageId,
    ) -> Result<Vec<(DeliveryRow, Arc<Endpoint>)>>;
    /// Claims what is due for one endpoint, oldest first: up to `limit` deliveries, and no
    /// further than to `max_bytes` of payloads, but one at least. Of an ordered endpoint, as
    /// far as the first that isn't due or is claimed already.
    async fn claim(
        &self,
        endpoint: EndpointId,
        limit: u32,
        max_bytes: usize,
        lease: Lease,
        now: Timestamp,
    ) -> Result<Claimed>;
    /// Gives claims back, untouched: they are due as they were. What somebody has claimed anew
    /// meanwhile stays theirs.
    async fn release(&self, claims: Vec<(DeliveryId, Lease)>) -> Result<()>;
    /// Records attempts, moves their deliveries on and applies the pause rule. The outcome of
    /// a delivery that isn't pending any more (a repeated attempt, a discarded delivery) is
    /// recorded as an attempt and changes nothing else. So is that of an attempt whose claim
    /// isn't the delivery's present one, as the present one's outcome will decide: what ran out
    /// was claimed again, or what was discarded was resent. But a success counts where nobody
    /// else has claimed the delivery by then, or they did so for the same turn: it was received,
    /// and another attempt could only repeat it.
    async fn record(&self, attempts: Arc<[Recorded]>) -> Result<Changes>;
    /// Starts a new round of attempts at a delivery, or a first one where the message was
    /// never meant for this endpoint, and claims it.
    async fn resend(
        &self,
        application: ApplicationId,
        message: MessageId,
        endpoint: EndpointId,
        lease: Lease,
        now: Timestamp,
    ) -> Result<(Job, Arc<Endpoint>)>;
    /// The endpoints with pending deliveries, and when the first of each is due.
    async fn backlog(&self) -> Result<Vec<(Destination, Timestamp)>>;
    /// Forgets the claims of earlier processes on this store, which only one process uses.
    async fn recover(&self) -> Result<()>;

    // Attempts.
    /// No further than [`PAGE_BYTES`] lets it.
    async fn list_attempts(
        &self,
        application: ApplicationId,
        filter: AttemptFilter,
        page: Page<AttemptId>,
    ) -> Result<Vec<AttemptRow>>;
    async fn get_attempt(
        &self,
        application: ApplicationId,
        message: MessageId,
        id: AttemptId,
    ) -> Result<AttemptRow>;

    // Age.
    /// Makes one step of a walk. A message is removed with all that belongs to it, or not.
    async fn expire(
        &self,
        walk: AgeWalk,
        rules: Arc<RetentionOf>,
        now: Timestamp,
    ) -> Result<AgeWalk>;
    /// Makes one step of giving back to the disk what removals left free, where that is more
    /// than is worth keeping for what comes next.
    async fn reclaim(&self, reclaim: Reclaim) -> Result<Reclaim>;

    /// What became of everything accepted, by application (also deleted ones).
    async fn ledger(&self) -> Result<Vec<LedgerLine>>;
    /// Whether the store answers.
    async fn ping(&self) -> Result<()>;
}

/// The state that an endpoint gets when its receiver said that it is gone.
pub(crate) fn gone_state(now: Timestamp) -> EndpointState {
    EndpointState::Disabled { at: now, reason: "the receiver answered 410 Gone".to_owned() }
}

/// How long a claim is good for beyond the attempt's own time: the time it may spend queued.
pub const LEASE_QUEUE_TIME: Duration = Duration::from_secs(120);
