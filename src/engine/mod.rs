//! The engine: takes what was accepted, attempts it, decides what comes next, and looks into
//! the store for what is due. It asks the clock, sleeps and wakes; the rules it applies are
//! `domain`'s, and the state it keeps is in `lanes`.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::domain::{
    ApplicationId, Destination, Endpoint, EndpointId, Error, Message, MessageId, NodeId, Result,
    SigningSecret, Timestamp,
};
use crate::entropy::Entropy;
use crate::environment::Environments;
use crate::sender::Network;
use crate::store::{Accepted, Job, LEASE_QUEUE_TIME, Lease, NewMessage, Recorded, Room, Store};

mod attempt;
mod claim;
mod handshake;
mod intake;
mod lanes;
mod record;
mod resend;
mod resend_rest;
mod retention;
mod switching;

pub use intake::{IntakeLimits, Place};
pub use lanes::LaneLimits;
pub use switching::Pending;

use intake::Turn;

/// Outcomes that may wait to be recorded before attempts have to wait too.
const UNRECORDED_OUTCOMES: usize = 4_096;

/// How long a stop waits for the store to record what the last attempts brought.
const RECORDING_GRACE: Duration = Duration::from_secs(10);

/// How often idle connections are looked through.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// What the engine works with.
pub struct EngineParts {
    pub store: Arc<dyn Store>,
    pub network: Arc<dyn Network>,
    pub environments: Arc<Environments>,
    pub clock: Clock,
    pub entropy: Entropy,
    pub limits: LaneLimits,
    pub intake: IntakeLimits,
}

/// A message that is on disk.
#[derive(Clone, Debug)]
pub struct Published {
    pub message: Arc<Message>,
    /// How many deliveries it made.
    pub deliveries: u32,
}

/// A handle to the running engine. Clones are the same engine.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    network: Arc<dyn Network>,
    environments: Arc<Environments>,
    clock: Clock,
    entropy: Entropy,
    node: NodeId,
    /// How long a claim is good for.
    lease: Duration,
    /// When the last one ends that was given out.
    last_lease_us: AtomicI64,
    lanes: Arc<Mutex<lanes::Lanes>>,
    intake: Arc<intake::Intake>,
    /// Wakes the claimer when a lane has something due earlier than it thought.
    wake: Notify,
    /// Wakes who makes the steps of resends when one begins.
    resends: Notify,
    outcomes: mpsc::Sender<Recorded>,
    /// Whether outcomes wait for a store that could not record them. Nothing is claimed then:
    /// among what the store takes for due may be what they are the outcomes of.
    recording_fails: AtomicBool,
    handshakes: handshake::Handshakes,
    /// No more attempts are started.
    stopping: CancellationToken,
    /// Those in flight are given up.
    abandoning: CancellationToken,
    attempts: TaskTracker,
    background: TaskTracker,
}

impl Engine {
    /// Starts the engine: takes over what an earlier process left, and begins to deliver.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn start(parts: EngineParts) -> Result<Engine> {
        let EngineParts { store, network, environments, clock, entropy, limits, intake } = parts;
        store.recover().await?;
        let (outcomes, unrecorded) = mpsc::channel(UNRECORDED_OUTCOMES);
        let engine = Engine(Arc::new(Inner {
            node: entropy.id(&clock),
            lease: environments.longest_timeout() + LEASE_QUEUE_TIME,
            last_lease_us: AtomicI64::new(i64::MIN),
            lanes: Arc::new(Mutex::new(lanes::Lanes::new(limits, clock.now()))),
            intake: intake::Intake::new(intake),
            wake: Notify::new(),
            resends: Notify::new(),
            handshakes: handshake::Handshakes::default(),
            stopping: CancellationToken::new(),
            abandoning: CancellationToken::new(),
            attempts: TaskTracker::new(),
            background: TaskTracker::new(),
            store,
            network,
            environments,
            clock,
            entropy,
            outcomes,
            recording_fails: AtomicBool::new(false),
        }));
        for (destination, due) in engine.0.store.backlog().await? {
            engine.lanes().note_due(destination, due);
        }
        engine.0.background.spawn(engine.clone().claim_forever());
        engine.0.background.spawn(engine.clone().sweep_forever());
        engine.0.background.spawn(engine.clone().retain_forever());
        engine.0.background.spawn(engine.clone().resend_forever());
        engine.0.background.spawn(record::record_forever(engine.clone(), unrecorded));
        Ok(engine)
    }

    /// Takes a place for a publish whose body has so many bytes.
    ///
    /// # Errors
    /// `unavailable` where as much waits for the store as may.
    pub fn admit(&self, bytes: usize) -> Result<Place> {
        self.0.intake.admit(bytes)
    }

    /// Accepts a message and starts its deliveries. When this returns, they are on disk.
    ///
    /// # Errors
    /// Those of [`Store::accept`], and `unavailable` where the store doesn't come to it in time.
    pub async fn publish(&self, message: NewMessage, place: Place) -> Result<Published> {
        let engine = self.clone();
        to_its_end(async move {
            let inner = &engine.0;
            let now = inner.clock.now();
            let room = Arc::new(LaneRoom {
                lanes: inner.lanes.clone(),
                clock: inner.clock.clone(),
                turn: Turn::new(place),
            });
            let mut accepting = inner.store.accept(message, engine.lease(now), room.clone(), now);
            let accepted = match inner.clock.timeout(inner.intake.limits.wait, &mut accepting).await
            {
                Ok(accepted) => accepted?,
                Err(_) if room.turn.take() => return Err(intake::waited_too_long()),
                // The store is at it already.
                Err(_) => accepting.await?,
            };
            Ok(engine.take_in(accepted).await)
        })
        .await
    }

    /// Starts a new round of attempts at one delivery, at once.
    ///
    /// # Errors
    /// Those of [`Store::resend`].
    pub async fn resend(
        &self,
        application: ApplicationId,
        message: MessageId,
        endpoint: EndpointId,
    ) -> Result<()> {
        let engine = self.clone();
        to_its_end(async move {
            let now = engine.0.clock.now();
            let (store, lease) = (&engine.0.store, engine.lease(now));
            let (job, endpoint) = store.resend(application, message, endpoint, lease, now).await?;
            let stopped = engine.queue(vec![(job, endpoint)]);
            engine.release(stopped).await;
            engine.send_next();
            Ok(())
        })
        .await
    }

    /// Makes all endpoints of an application sign with these secrets, also what is queued.
    ///
    /// # Errors
    /// Those of [`Store::replace_application_secrets`].
    pub async fn replace_application_secrets(
        &self,
        id: ApplicationId,
        were: Vec<SigningSecret>,
        secrets: Vec<SigningSecret>,
    ) -> Result<()> {
        let engine = self.clone();
        to_its_end(async move {
            let changed = engine.0.store.replace_application_secrets(id, were, secrets).await?;
            engine.endpoints_changed(changed).await;
            Ok(())
        })
        .await
    }

    /// Deletes an endpoint; nothing more is sent to it.
    ///
    /// # Errors
    /// Those of [`Store::delete_endpoint`].
    pub async fn delete_endpoint(&self, application: ApplicationId, id: EndpointId) -> Result<()> {
        let engine = self.clone();
        to_its_end(async move {
            let now = engine.0.clock.now();
            engine.0.store.delete_endpoint(application, id, now).await?;
            engine.endpoints_deleted(&[id]);
            Ok(())
        })
        .await
    }

    /// Deletes an application with its endpoints.
    ///
    /// # Errors
    /// Those of [`Store::delete_application`].
    pub async fn delete_application(&self, id: ApplicationId) -> Result<()> {
        let engine = self.clone();
        to_its_end(async move {
            let now = engine.0.clock.now();
            let endpoints = engine.0.store.delete_application(id, now).await?;
            engine.endpoints_deleted(&endpoints);
            Ok(())
        })
        .await
    }

    /// Takes in changed endpoints. All of them before the store is waited for: one that was
    /// stopped may send nothing meanwhile.
    async fn endpoints_changed(&self, endpoints: impl IntoIterator<Item = Arc<Endpoint>>) {
        let changed = endpoints.into_iter().flat_map(|endpoint| self.endpoint_changed(endpoint));
        let queued: Vec<Job> = changed.collect();
        self.0.wake.notify_one();
        self.release(queued).await;
    }

    /// Takes in a changed endpoint, and hands back what it no longer sends. A connection that was
    /// opened for it as it was is not for what it is now.
    fn endpoint_changed(&self, endpoint: Arc<Endpoint>) -> Vec<Job> {
        let id = endpoint.id;
        let queued = {
            let mut lanes = self.lanes();
            if !endpoint.state.delivers() {
                lanes.void_claims(id, self.last_lease());
            }
            lanes.endpoint_changed(endpoint, self.0.clock.now())
        };
        self.0.network.close_websocket(id);
        queued
    }

    fn endpoints_deleted(&self, endpoints: &[EndpointId]) {
        let mut lanes = self.lanes();
        for &endpoint in endpoints {
            lanes.endpoint_deleted(endpoint);
            self.0.network.close_websocket(endpoint);
        }
        // What they held is room for others.
        self.0.wake.notify_one();
    }

    /// Stops: starts no more attempts, gives those in flight `grace`, records what they
    /// brought, and gives the rest back to the store.
    pub async fn stop(&self, grace: Duration) {
        let inner = &self.0;
        inner.stopping.cancel();
        let queued = self.lanes().empty_all();
        self.release(queued).await;
        inner.attempts.close();
        if inner.clock.timeout(grace, inner.attempts.wait()).await.is_err() {
            let in_flight = inner.attempts.len();
            tracing::warn!(in_flight, "stopping with attempts in flight; they will be repeated");
            inner.abandoning.cancel();
        }
        inner.background.close();
        if inner.clock.timeout(RECORDING_GRACE, inner.background.wait()).await.is_err() {
            tracing::warn!("stopping with outcomes unrecorded; their attempts will be repeated");
        }
    }

    /// Closes connections to receivers that nobody has used for a while.
    async fn sweep_forever(self) {
        let inner = &self.0;
        loop {
            tokio::select! {
                biased;
                () = inner.stopping.cancelled() => return inner.network.close_idle(),
                () = inner.clock.sleep(SWEEP_INTERVAL) => inner.network.sweep_idle(),
            }
        }
    }

    async fn take_in(&self, accepted: Accepted) -> Published {
        let Accepted { message, deliveries, claimed, unclaimed } = accepted;
        let now = self.0.clock.now();
        let application = message.application.id;
        let unclaimed = unclaimed.into_iter();
        self.note_due(unclaimed.map(|endpoint| (Destination { application, endpoint }, now)));
        let stopped = self.queue(claimed);
        self.release(stopped).await;
        self.send_next();
        Published { message, deliveries }
    }

    /// Queues what was claimed. Hands back what is not to be sent.
    fn queue(&self, claimed: Vec<(Job, Arc<Endpoint>)>) -> Vec<Job> {
        let mut lanes = self.lanes();
        if self.0.stopping.is_cancelled() {
            return claimed.into_iter().map(|(job, _)| job).collect();
        }
        claimed.into_iter().flat_map(|(job, endpoint)| lanes.offer(job, endpoint)).collect()
    }

    /// Gives claims back to the store, to be claimed again when their endpoint delivers. Where
    /// that fails they come back when the lease ends.
    async fn release(&self, jobs: Vec<Job>) {
        self.give_back(&jobs).await;
        if !self.0.stopping.is_cancelled() {
            let now = self.0.clock.now();
            self.note_due(jobs.iter().map(|job| (job.destination(), now)));
        }
    }

    async fn give_back(&self, jobs: &[Job]) {
        if jobs.is_empty() {
            return;
        }
        let claims = jobs.iter().map(|job| (job.delivery(), job.lease)).collect();
        if let Err(error) = self.0.store.release(claims).await {
            tracing::warn!(%error, "could not release claims; they wait for their lease to end");
        }
    }

    /// Sets the timers of lanes, and wakes who waits for them.
    fn note_due(&self, due: impl IntoIterator<Item = (Destination, Timestamp)>) {
        let mut due = due.into_iter().peekable();
        if due.peek().is_none() {
            return;
        }
        let mut lanes = self.lanes();
        for (destination, at) in due {
            lanes.note_due(destination, at);
        }
        self.0.wake.notify_one();
    }

    /// A claim that outlives an attempt and the time it may stand in the queue before. It ends
    /// when no other of this node does, so that it can be told from them.
    fn lease(&self, now: Timestamp) -> Lease {
        let wanted = (now + self.0.lease).as_micros();
        let after_last = |last: i64| Some(wanted.max(last + 1));
        let last = self.0.last_lease_us.fetch_update(Relaxed, Relaxed, after_last);
        let until = last.map_or(wanted, |last| wanted.max(last + 1));
        Lease { node: self.0.node, until: Timestamp::from_micros(until) }
    }

    /// When the latest claim ends.
    fn last_lease(&self) -> Timestamp {
        Timestamp::from_micros(self.0.last_lease_us.load(Relaxed))
    }

    fn lanes(&self) -> MutexGuard<'_, lanes::Lanes> {
        self.0.lanes.lock().expect("no panic while the lanes are held")
    }
}

/// Runs a transition and the hand-over of what it claimed to its end: a caller who hangs up in
/// between must not leave deliveries to wait for the end of their lease.
async fn to_its_end<T: Send + 'static>(
    transition: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let mut running = ToItsEnd(Some(Box::pin(transition)));
    std::future::poll_fn(|context| running.poll(context)).await
}

type Transition<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A transition that its caller runs. Where the caller goes away, it becomes a task of its own;
/// being one from the start would cost each publish two task switches.
struct ToItsEnd<T: Send + 'static>(Option<Transition<T>>);

impl<T: Send + 'static> ToItsEnd<T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T>> {
        // Taken out meanwhile, so that one that panics isn't run on.
        let Some(mut transition) = self.0.take() else {
            return Poll::Ready(Err(Error::internal("a transition broke off")));
        };
        let polled = transition.as_mut().poll(context);
        if polled.is_pending() {
            self.0 = Some(transition);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for ToItsEnd<T> {
    fn drop(&mut self) {
        if let Some(transition) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(transition);
        }
    }
}

/// Tells the store which lanes have room.
struct LaneRoom {
    lanes: Arc<Mutex<lanes::Lanes>>,
    clock: Clock,
    turn: Turn,
}

impl Room for LaneRoom {
    fn takes_turn(&self) -> bool {
        self.turn.take()
    }

    fn has_room(&self, endpoint: &Endpoint) -> bool {
        let lanes = self.lanes.lock().expect("no panic while the lanes are held");
        lanes.has_room(endpoint, self.clock.now())
    }
}
