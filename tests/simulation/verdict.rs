//! What is looked at when a run, or a life, is over.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Once;

use hookwright::domain::{DeliveryId, DeliveryState, EndpointId};
use hookwright::store::{AttemptFilter, Page, Store};

use super::life::Life;
use super::model::{Delivery, Kept, Model, Standing, Verdict, ensure};
use super::network::Short;

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes panics of simulations, also those that somebody catches, and leaves those of other
/// threads to whom they belong.
pub(crate) fn watch_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANIC.with_borrow_mut(|noted| *noted = Some(panic.to_string()));
            before(panic);
        }));
    });
}

/// The last panic on this thread.
pub(crate) fn panicked() -> Option<String> {
    PANIC.take()
}

/// A graceful stop recorded what was attempted, and gave back what was not.
pub(crate) fn nothing_lost(model: &Model) -> Kept {
    for (endpoint, deliveries) in &model.deliveries {
        for (message, delivery) in deliveries {
            let id = DeliveryId { message: *message, endpoint: *endpoint };
            let mut flights = delivery.flights.iter().filter(|one| one.life == model.life);
            let lost = |one: &&super::model::Flight| {
                !one.recorded && one.ended.is_none_or(|(_, verdict)| verdict != Verdict::Cut)
            };
            ensure!(!flights.clone().any(|one| lost(&one)), "{:?}: outcome lost", Short(id));
            let cut = flights.any(|one| one.ended.is_some_and(|(_, how)| how == Verdict::Cut));
            let kept = delivery.lease.is_some_and(|(_, of)| of == model.life);
            let pending = delivery.state == DeliveryState::Pending;
            ensure!(
                !(pending && kept) || cut || model.keeps_claims,
                "{:?} was not given back",
                Short(id)
            );
        }
    }
    Ok(())
}

/// The store says what the account says, and the ledger adds up.
pub(crate) fn at_the_end(model: &Model, life: &Life) -> Kept {
    let mut states: BTreeMap<DeliveryId, DeliveryState> = BTreeMap::new();
    for (message, application) in &model.messages {
        if model.deleted.contains(application) {
            continue;
        }
        let store = &life.store.inner;
        let rows = life.ask(store.list_deliveries(*application, *message));
        let rows = rows.map_err(|error| format!("a message is lost: {error}"))?;
        let filter = AttemptFilter { message: Some(*message), ..AttemptFilter::default() };
        let page = Page { after: None, descending: false, limit: 100_000 };
        let attempts = life.ask(store.list_attempts(*application, filter, page));
        let attempts = attempts.map_err(|error| format!("attempts can't be listed: {error}"))?;
        let mut numbers: BTreeMap<EndpointId, Vec<u32>> = BTreeMap::new();
        for row in &attempts {
            let endpoint = row.attempt.delivery.endpoint;
            numbers.entry(endpoint).or_default().push(row.attempt.number);
        }
        for (row, _) in rows {
            let known = model.deliveries.get(&row.id.endpoint).and_then(|all| all.get(message));
            let known = known.ok_or_else(|| format!("{:?} came from nowhere", Short(row.id)))?;
            ensure!(
                row.state == known.state && row.attempts == known.attempts,
                "{:?} is {:?} after {} attempts, and should be {:?} after {}",
                Short(row.id),
                row.state,
                row.attempts,
                known.state,
                known.attempts
            );
            let ordered = model.hooks[&row.id.endpoint].ordered;
            let due = ordered || row.next_at.is_none_or(|at| at == known.due);
            ensure!(due, "{:?}: due", Short(row.id));
            let numbers = numbers.remove(&row.id.endpoint).unwrap_or_default();
            one_delivery(row.id, known, numbers)?;
            states.insert(row.id, row.state);
        }
    }
    for (endpoint, deliveries) in &model.deliveries {
        let application = model.hooks[endpoint].application;
        for message in deliveries.keys().filter(|_| !model.deleted.contains(&application)) {
            let id = DeliveryId { message: *message, endpoint: *endpoint };
            ensure!(states.contains_key(&id), "{:?} is lost", Short(id));
        }
    }
    ledger(model, life)
}

fn one_delivery(id: DeliveryId, known: &Delivery, mut numbers: Vec<u32>) -> Kept {
    let recorded = known.flights.iter().filter(|flight| flight.recorded);
    ensure!(recorded.count() == numbers.len(), "{:?}: attempts are missing", Short(id));
    numbers.sort_unstable();
    if known.late {
        // An outcome that decided nothing doesn't raise the number, so the next one has it too.
        numbers.dedup();
    }
    let expected: Vec<u32> = (1..=numbers.len() as u32).collect();
    ensure!(numbers == expected, "{:?}: attempts are numbered {numbers:?}", Short(id));
    let received = known.flights.iter().any(|flight| {
        let said = flight.ended.is_some_and(|(_, verdict)| verdict == Verdict::Received);
        flight.recorded && flight.taken_in && said
    });
    ensure!(
        known.state != DeliveryState::Succeeded || received,
        "{:?} counts as received, and nobody has it",
        Short(id)
    );
    Ok(())
}

fn ledger(model: &Model, life: &Life) -> Kept {
    let lines = life.ask(life.store.inner.ledger()).map_err(|error| error.to_string())?;
    for line in lines {
        ensure!(line.adds_up(), "the ledger doesn't add up: {line:?}");
        let mut counts = [0; 5];
        for (endpoint, deliveries) in &model.deliveries {
            let hook = &model.hooks[endpoint];
            if hook.application != line.application {
                continue;
            }
            for delivery in deliveries.values() {
                counts[0] += 1;
                counts[match delivery.state {
                    DeliveryState::Succeeded => 1,
                    DeliveryState::Failed => 2,
                    DeliveryState::Pending if hook.standing != Standing::Deleted => 3,
                    DeliveryState::Pending | DeliveryState::Discarded => 4,
                }] += 1;
            }
        }
        let said = [line.accepted, line.succeeded, line.failed, line.pending, line.discarded];
        ensure!(said == counts, "the ledger says {said:?}, and it is {counts:?}");
    }
    Ok(())
}
