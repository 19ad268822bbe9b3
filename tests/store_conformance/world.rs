//! What the cases stand on: a store, a clock that stands still, and short ways to say things.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwright::clock::Clock;
use hookwright::domain::{
    Answer, Application, Attempt, DeliveryState, Endpoint, EndpointId, EndpointState, Error,
    ErrorCode, Failure, FailureKind, LedgerLine, Message, MessageId, Metadata, Next, NodeId,
    Outcome, PausePolicy, Phase, Reference, SecretText, SigningSecret, Timestamp, Timing,
};
use hookwright::entropy::Entropy;
use hookwright::store::{Accepted, Claimed, Job, Lease, NewMessage, Page, Recorded, Room, Store};

/// How a kind of store is opened.
pub(crate) trait Backend: Send + Sync {
    /// Opens the same data at each call. Only one of them is open at a time.
    fn open(&self) -> Arc<dyn Store>;
}

/// How long a claim of these tests is good for.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// Lanes with room for everybody but those that are named.
#[derive(Default)]
pub(crate) struct Lanes(pub(crate) Mutex<HashSet<EndpointId>>);

impl Room for Lanes {
    fn has_room(&self, endpoint: &Endpoint) -> bool {
        !self.0.lock().unwrap().contains(&endpoint.id)
    }
}

pub(crate) struct World {
    backend: Box<dyn Backend>,
    store: Option<Arc<dyn Store>>,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) node: NodeId,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) environment: Arc<str>,
}

impl World {
    pub(crate) fn new(backend: Box<dyn Backend>) -> World {
        let clock = Clock::simulated(Timestamp::from_seconds(1_750_000_000));
        let entropy = Entropy::system();
        World {
            store: Some(backend.open()),
            backend,
            node: entropy.id(&clock),
            clock,
            entropy,
            lanes: Arc::default(),
            environment: "production".into(),
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().unwrap()
    }

    pub(crate) fn close(&mut self) {
        drop(self.store.take());
    }

    /// What a restart of the process does to the store.
    pub(crate) fn reopen(&mut self) {
        self.close();
        self.store = Some(self.backend.open());
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    pub(crate) fn lease(&self) -> Lease {
        Lease { node: self.node, until: self.now() + LEASE }
    }

    /// An application that isn't stored.
    pub(crate) fn new_application(&self, uid: &str) -> Application {
        Application {
            id: self.entropy.id(&self.clock),
            environment: Arc::clone(&self.environment),
            uid: (!uid.is_empty()).then(|| uid.to_owned()),
            name: format!("The {uid} company"),
            metadata: Metadata::from([("plan".to_owned(), "gold".to_owned())]),
            created_at: self.now(),
            updated_at: self.now(),
        }
    }

    pub(crate) async fn application(&self, uid: &str) -> Arc<Application> {
        self.store().create_application(self.new_application(uid)).await.unwrap()
    }

    /// An endpoint that isn't stored.
    pub(crate) fn new_endpoint(&self, application: &Application) -> Endpoint {
        Endpoint {
            id: self.entropy.id(&self.clock),
            application_id: application.id,
            environment: Arc::clone(&application.environment),
            uid: None,
            name: "Hook".to_owned(),
            description: String::new(),
            url: "https://example.com/hook".to_owned(),
            transport: Default::default(),
            method: Default::default(),
            auth: Default::default(),
            headers: Vec::new(),
            subscription: Default::default(),
            channels: None,
            throttle_rate: None,
            ordered: false,
            metadata: Metadata::new(),
            state: EndpointState::Enabled,
            secrets: vec![SigningSecret {
                text: SecretText::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                expires_at: None,
            }],
            revision: 1,
            created_at: self.now(),
            updated_at: self.now(),
        }
    }

    pub(crate) async fn endpoint(&self, application: &Application) -> Arc<Endpoint> {
        self.endpoint_with(application, |_| {}).await
    }

    pub(crate) async fn endpoint_with(
        &self,
        application: &Application,
        change: impl FnOnce(&mut Endpoint),
    ) -> Arc<Endpoint> {
        let mut endpoint = self.new_endpoint(application);
        change(&mut endpoint);
        self.store().create_endpoint(endpoint, false, 1_000).await.unwrap()
    }

    /// A message that isn't stored.
    pub(crate) fn new_message(&self, application: &Application) -> NewMessage {
        NewMessage {
            environment: Arc::clone(&application.environment),
            application: Reference::new(application.id.to_string()),
            only_application: None,
            id: self.entropy.id(&self.clock),
            event_type: "contact.created".to_owned(),
            event_group: None,
            event_id: None,
            payload: r#"{"a":1}"#.into(),
            channels: Vec::new(),
            tags: Vec::new(),
            test: false,
            audience: Default::default(),
        }
    }

    pub(crate) async fn try_accept(&self, message: NewMessage) -> Result<Accepted, Error> {
        let lanes = Arc::clone(&self.lanes) as Arc<dyn Room>;
        self.store().accept(message, self.lease(), lanes, self.now()).await
    }

    pub(crate) async fn publish(&self, application: &Application) -> Accepted {
        self.try_accept(self.new_message(application)).await.unwrap()
    }

    pub(crate) async fn publish_with(
        &self,
        application: &Application,
        change: impl FnOnce(&mut NewMessage),
    ) -> Accepted {
        let mut message = self.new_message(application);
        change(&mut message);
        self.try_accept(message).await.unwrap()
    }

    /// Publishes to an application with one endpoint, and claims the delivery.
    pub(crate) async fn claimed_job(&self, application: &Application) -> Job {
        let mut accepted = self.publish(application).await;
        assert_eq!(accepted.claimed.len(), 1, "the only endpoint has room");
        accepted.claimed.remove(0).0
    }

    /// Publishes without claiming.
    pub(crate) async fn publish_unclaimed(&self, application: &Application) -> Arc<Message> {
        let endpoints = self.endpoints(application).await;
        self.lanes.0.lock().unwrap().extend(endpoints.iter().map(|endpoint| endpoint.id));
        let message = self.publish(application).await.message;
        self.lanes.0.lock().unwrap().clear();
        message
    }

    pub(crate) async fn endpoints(&self, application: &Application) -> Vec<Arc<Endpoint>> {
        self.store().list_endpoints(application.id, everything()).await.unwrap()
    }

    pub(crate) async fn claim(&self, endpoint: EndpointId, limit: u32) -> Claimed {
        self.claim_bytes(endpoint, limit, usize::MAX).await
    }

    pub(crate) async fn claim_bytes(
        &self,
        endpoint: EndpointId,
        limit: u32,
        max_bytes: usize,
    ) -> Claimed {
        let (store, lease, now) = (self.store(), self.lease(), self.now());
        store.claim(endpoint, limit, max_bytes, lease, now).await.unwrap()
    }

    /// The result of an attempt at a job that starts and ends now.
    pub(crate) fn attempt(&self, job: &Job, outcome: Outcome, next: Next) -> Recorded {
        let succeeded = next == Next::Succeeded;
        Recorded {
            attempt: Attempt {
                id: self.entropy.id(&self.clock),
                delivery: job.delivery(),
                application_id: job.message.application.id,
                number: job.attempts + 1,
                trigger: job.trigger,
                url: "https://example.com/hook".to_owned(),
                started_at: self.now(),
                duration: Duration::from_micros(1_234),
                timing: Timing { wait_us: 1_200, receive_us: 34, ..Timing::default() },
                outcome,
                succeeded,
            },
            lease: job.lease,
            next,
            failed_in_round: if succeeded { 0 } else { job.failed_in_round + 1 },
            pause: PausePolicy::Never,
            ended_at: self.now(),
        }
    }

    pub(crate) fn success(&self, job: &Job) -> Recorded {
        self.attempt(job, answered(200), Next::Succeeded)
    }

    pub(crate) fn failure(&self, job: &Job, next: Next) -> Recorded {
        self.attempt(job, refused(), next)
    }

    pub(crate) async fn record(&self, recorded: Vec<Recorded>) -> Vec<Arc<Endpoint>> {
        self.store().record(recorded.into()).await.unwrap().endpoints
    }

    /// A failed attempt, to be repeated at once.
    pub(crate) fn retry(&self, job: &Job) -> Recorded {
        self.failure(job, Next::Retry { at: self.now() })
    }

    /// Where a delivery stands: its state, its attempts, and when the next is due.
    pub(crate) async fn standing(&self, job: &Job) -> (DeliveryState, u32, Option<Timestamp>) {
        let application = job.message.application.id;
        let rows = self.store().list_deliveries(application, job.message.id).await.unwrap();
        let row = rows.into_iter().find(|(row, _)| row.id == job.delivery()).unwrap().0;
        (row.state, row.attempts, row.next_at)
    }

    pub(crate) async fn attempts_of(&self, application: &Application, message: MessageId) -> usize {
        let filter =
            hookwright::store::AttemptFilter { message: Some(message), ..Default::default() };
        self.store().list_attempts(application.id, filter, everything()).await.unwrap().len()
    }

    /// The ledger's line of an application, which must add up as all others must.
    pub(crate) async fn ledger(&self, application: &Application) -> LedgerLine {
        let lines = self.store().ledger().await.unwrap();
        for line in &lines {
            assert!(line.adds_up(), "{line:?}");
        }
        lines.into_iter().find(|line| line.application == application.id).unwrap()
    }

    /// Checks accepted, succeeded, failed, pending and discarded.
    pub(crate) async fn expect_ledger(&self, application: &Application, expected: [u64; 5]) {
        let line = self.ledger(application).await;
        let counts = [line.accepted, line.succeeded, line.failed, line.pending, line.discarded];
        assert_eq!(counts, expected, "accepted, succeeded, failed, pending, discarded");
    }
}

pub(crate) fn answered(status: u16) -> Outcome {
    Outcome::Answered(Answer { status, body: b"thanks".to_vec(), ..Answer::default() })
}

pub(crate) fn refused() -> Outcome {
    let sentence = "Nobody answers at this address.";
    Outcome::Failed(Failure::new(FailureKind::Connect, Some(Phase::Connect), sentence))
}

pub(crate) fn everything<K>() -> Page<K> {
    Page { after: None, descending: false, limit: 10_000 }
}

pub(crate) fn ids(jobs: &[Job]) -> Vec<MessageId> {
    jobs.iter().map(|job| job.message.id).collect()
}

/// Checks that something failed, and how.
#[track_caller]
pub(crate) fn expect<T>(result: Result<T, Error>, code: ErrorCode) -> Error {
    match result {
        Ok(_) => panic!("it succeeded instead of failing as {}", code.as_str()),
        Err(error) => {
            assert_eq!(error.code, code, "{error}");
            error
        }
    }
}

pub(crate) fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
