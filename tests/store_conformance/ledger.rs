//! The ledger adds up, whatever happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookwright::domain::{
    Application, DeliveryId, DeliveryState, Endpoint, EndpointState, ErrorCode, MessageId, Next,
    PausePolicy,
};
use hookwright::entropy::Entropy;
use hookwright::store::{Discard, EndpointChange, Job, Lease};

use super::world::{LEASE, World, everything, s};

const STEPS: usize = 400;
const SEEDS: [u64; 4] = [1, 2, 3, 4];

/// What the store should know, kept by hand.
struct Model {
    deliveries: BTreeMap<DeliveryId, DeliveryState>,
    jobs: Vec<Job>,
    /// The latest claim of each delivery.
    claims: BTreeMap<DeliveryId, Lease>,
    endpoints: Vec<Arc<Endpoint>>,
    messages: Vec<MessageId>,
}

impl Model {
    fn take(&mut self, jobs: Vec<Job>) {
        self.claims.extend(jobs.iter().map(|job| (job.delivery(), job.lease)));
        self.jobs.extend(jobs);
    }
}

pub(crate) async fn it_adds_up_after_every_step_of_a_random_history(mut world: World) {
    for seed in SEEDS {
        let application = world.application(&format!("acme-{seed}")).await;
        let dice = Entropy::seeded(seed);
        let mut model = Model {
            deliveries: BTreeMap::new(),
            jobs: Vec::new(),
            claims: BTreeMap::new(),
            endpoints: Vec::new(),
            messages: Vec::new(),
        };
        for step in 0..STEPS {
            take_step(&mut world, &application, &dice, &mut model).await;
            check(&world, &application, &model, &format!("seed {seed}, step {step}")).await;
        }
        let states: Vec<DeliveryState> = model.deliveries.values().copied().collect();
        for state in [DeliveryState::Succeeded, DeliveryState::Failed, DeliveryState::Discarded] {
            assert!(states.contains(&state), "seed {seed} never reached {state:?}");
        }
    }
}

fn below(dice: &Entropy, limit: usize) -> usize {
    (dice.fraction() * limit as f64) as usize
}

async fn take_step(
    world: &mut World,
    application: &Application,
    dice: &Entropy,
    model: &mut Model,
) {
    match below(dice, 20) {
        0 if model.endpoints.len() < 4 => {
            model.endpoints.push(world.endpoint(application).await);
        }
        1 if below(dice, 4) == 0 && !model.endpoints.is_empty() => {
            let endpoint = model.endpoints.remove(below(dice, model.endpoints.len()));
            let store = world.store();
            store.delete_endpoint(application.id, endpoint.id, world.now()).await.unwrap();
            for (delivery, state) in &mut model.deliveries {
                if delivery.endpoint == endpoint.id && *state == DeliveryState::Pending {
                    *state = DeliveryState::Discarded;
                }
            }
        }
        2 if !model.endpoints.is_empty() => switch(world, dice, model).await,
        3 if below(dice, 4) == 0 => {
            world.reopen();
            world.store().recover().await.unwrap();
            model.jobs.clear();
        }
        4 => world.pass(LEASE / 2),
        5..=8 => publish(world, application, dice, model).await,
        9..=11 if !model.endpoints.is_empty() => {
            let endpoint = model.endpoints[below(dice, model.endpoints.len())].id;
            model.take(world.claim(endpoint, 3).await.jobs);
        }
        12 | 13 if !model.endpoints.is_empty() && !model.messages.is_empty() => {
            resend(world, application, dice, model).await;
        }
        15 if below(dice, 3) == 0 && !model.endpoints.is_empty() => {
            discard(world, dice, model).await;
        }
        14 if !model.jobs.is_empty() => {
            let job = model.jobs.swap_remove(below(dice, model.jobs.len()));
            world.store().release(vec![(job.delivery(), job.lease)]).await.unwrap();
            if model.claims.get(&job.delivery()) == Some(&job.lease) {
                model.claims.remove(&job.delivery());
            }
        }
        _ => record(world, dice, model).await,
    }
}

async fn discard(world: &World, dice: &Entropy, model: &mut Model) {
    let endpoint = Arc::clone(&model.endpoints[below(dice, model.endpoints.len())]);
    let (store, now) = (world.store(), world.now());
    let mut discard = Discard::new(now);
    while !discard.done {
        discard = store
            .discard_pending(endpoint.application_id, endpoint.id, discard, now)
            .await
            .unwrap();
    }
    let mut discarded = 0;
    for (delivery, state) in &mut model.deliveries {
        if delivery.endpoint == endpoint.id && *state == DeliveryState::Pending {
            *state = DeliveryState::Discarded;
            discarded += 1;
        }
    }
    assert_eq!(discard.discarded, discarded);
}

async fn switch(world: &World, dice: &Entropy, model: &mut Model) {
    let place = below(dice, model.endpoints.len());
    let state = match model.endpoints[place].state {
        EndpointState::Enabled => {
            EndpointState::Disabled { at: world.now(), reason: "switched off".to_owned() }
        }
        _ => EndpointState::Enabled,
    };
    let endpoint = Endpoint { state, ..(*model.endpoints[place]).clone() };
    let change = EndpointChange { from_revision: endpoint.revision, endpoint };
    model.endpoints[place] = world.store().update_endpoint(change, false).await.unwrap().endpoint;
}

async fn publish(world: &World, application: &Application, dice: &Entropy, model: &mut Model) {
    {
        let mut full = world.lanes.0.lock().unwrap();
        full.clear();
        full.extend(
            model.endpoints.iter().map(|endpoint| endpoint.id).filter(|_| below(dice, 2) == 0),
        );
    }
    let accepted = world.publish(application).await;
    model.messages.push(accepted.message.id);
    let rows = world.store().list_deliveries(application.id, accepted.message.id).await.unwrap();
    for (row, _) in rows {
        model.deliveries.insert(row.id, DeliveryState::Pending);
    }
    model.take(accepted.claimed.into_iter().map(|(job, _)| job).collect());
}

async fn resend(world: &World, application: &Application, dice: &Entropy, model: &mut Model) {
    let endpoint = model.endpoints[below(dice, model.endpoints.len())].id;
    let message = model.messages[below(dice, model.messages.len())];
    let (lease, now) = (world.lease(), world.now());
    match world.store().resend(application.id, message, endpoint, lease, now).await {
        Ok((job, _)) => {
            model.deliveries.insert(job.delivery(), DeliveryState::Pending);
            model.take(vec![job]);
        }
        Err(error) => assert_eq!(error.code, ErrorCode::Conflict, "{error}"),
    }
}

/// Records up to four attempts in one call, some of them late.
async fn record(world: &World, dice: &Entropy, model: &mut Model) {
    let mut recorded = Vec::new();
    for _ in 0..below(dice, 5).min(model.jobs.len()) {
        let job = model.jobs.swap_remove(below(dice, model.jobs.len()));
        let next = match below(dice, 8) {
            0..=3 => Next::Succeeded,
            4 | 5 => Next::Retry { at: world.now() + s(10) },
            6 => Next::Exhausted,
            _ => Next::Gone,
        };
        if recorded
            .iter()
            .any(|one: &hookwright::store::Recorded| one.attempt.delivery == job.delivery())
        {
            continue;
        }
        let mut one = world.failure(&job, next);
        one.attempt.succeeded = next == Next::Succeeded;
        one.pause = PausePolicy::Consecutive { failures: 3 };
        recorded.push(one);
        let Some(state) = model.deliveries.get_mut(&job.delivery()) else { continue };
        // A failure counts under the present claim only. A success always does here, where an
        // attempt takes no time, so that it can't have begun before its delivery was due.
        let present = model.claims.get(&job.delivery()) == Some(&job.lease);
        if *state == DeliveryState::Pending && (present || next == Next::Succeeded) {
            model.claims.remove(&job.delivery());
            *state = match next {
                Next::Succeeded => DeliveryState::Succeeded,
                Next::Retry { .. } => DeliveryState::Pending,
                Next::Exhausted | Next::Gone => DeliveryState::Failed,
            };
        }
    }
    for changed in world.record(recorded).await {
        let place = model.endpoints.iter().position(|known| known.id == changed.id);
        model.endpoints[place.expect("a live endpoint")] = changed;
    }
}

async fn check(world: &World, application: &Application, model: &Model, when: &str) {
    let line = world.ledger(application).await;
    let count = |wanted| model.deliveries.values().filter(|&&state| state == wanted).count() as u64;
    let expected = [
        model.deliveries.len() as u64,
        count(DeliveryState::Succeeded),
        count(DeliveryState::Failed),
        count(DeliveryState::Pending),
        count(DeliveryState::Discarded),
    ];
    let counted = [line.accepted, line.succeeded, line.failed, line.pending, line.discarded];
    assert_eq!(counted, expected, "{when}");
    let endpoints = world.store().list_endpoints(application.id, everything()).await.unwrap();
    let mut known = model.endpoints.clone();
    known.sort_by_key(|endpoint| endpoint.id);
    assert_eq!(endpoints, known, "{when}");
}
