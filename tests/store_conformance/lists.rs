//! Pages and filters.

use std::collections::BTreeSet;
use std::time::Duration;

use hookwright::domain::{
    Answer, Application, AttemptId, EndpointId, ErrorCode, Failure, FailureKind, MessageId, Next,
    Outcome, Phase,
};
use hookwright::store::{AttemptFilter, MessageFilter, Page};

use super::world::{World, answered, everything, expect, s};

pub(crate) async fn pages_walk_in_either_direction(world: World) {
    const APPLICATIONS: usize = 7;
    let mut ids = Vec::new();
    for number in 0..APPLICATIONS {
        ids.push(world.application(&format!("a{number}")).await.id);
        world.pass(s(1));
    }
    let application = world.application("with-messages").await;
    world.store().delete_application(ids.remove(2), world.now()).await.unwrap();
    ids.push(application.id);
    for descending in [false, true] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = Page { after, descending, limit: 3 };
            let rows = world.store().list_applications(&world.environment, page).await.unwrap();
            assert!(rows.len() <= 3);
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            seen.extend(rows.iter().map(|row| row.id));
        }
        assert_eq!(seen, ids, "descending: {descending}");
        ids.reverse();
    }
}

pub(crate) async fn messages_are_filtered(world: World) {
    let application = world.application("acme").await;
    let start = world.now();
    let mut ids: Vec<MessageId> = Vec::new();
    for (event_type, channel, tag) in
        [("a.b", "one", "x"), ("a.c", "two", "x"), ("a.b", "two", "y"), ("a.d", "", "")]
    {
        let list = |text: &str| {
            if text.is_empty() { Vec::new() } else { vec!["z".to_owned(), text.to_owned()] }
        };
        let accepted = world
            .publish_with(&application, |m| {
                m.event_type = event_type.to_owned();
                m.channels = list(channel);
                m.tags = list(tag);
            })
            .await;
        ids.push(accepted.message.id);
        world.pass(s(7_200));
    }
    let list = async |filter: MessageFilter| -> BTreeSet<usize> {
        let rows = world.store().list_messages(application.id, filter, everything()).await.unwrap();
        rows.iter().map(|row| ids.iter().position(|id| *id == row.id).unwrap()).collect()
    };
    let all = MessageFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let types = |types: &[&str]| types.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(list(all()).await, BTreeSet::from([0, 1, 2, 3]));
    let filter = MessageFilter { event_types: types(&["a.b"]), ..all() };
    assert_eq!(list(filter).await, BTreeSet::from([0, 2]));
    let filter = MessageFilter { event_types: types(&["a.c", "a.d", "%"]), ..all() };
    assert_eq!(list(filter).await, BTreeSet::from([1, 3]));
    let filter = MessageFilter { channel: text("two"), ..all() };
    assert_eq!(list(filter).await, BTreeSet::from([1, 2]));
    let filter = MessageFilter { channel: text("two"), tag: text("x"), ..all() };
    assert_eq!(list(filter).await, BTreeSet::from([1]));
    // Both ends are left out.
    let filter = MessageFilter { after: Some(start), before: Some(start + s(3 * 7_200)), ..all() };
    assert_eq!(list(filter).await, BTreeSet::from([1, 2]));
    let filter = MessageFilter { after: Some(start + s(7_199)), ..all() };
    assert_eq!(list(filter).await, BTreeSet::from([1, 2, 3]));
}

/// For each pair of statuses a message, with one attempt at each of two endpoints. 0 is no
/// answer. More than an hour passes after each.
async fn attempted(
    world: &World,
    application: &Application,
    endpoints: [EndpointId; 2],
    statuses: [[u16; 2]; 3],
) -> Vec<(AttemptId, MessageId)> {
    let mut attempts = Vec::new();
    for (number, of_message) in statuses.into_iter().enumerate() {
        let mut accepted = world
            .publish_with(application, |m| {
                m.event_type = format!("e.{number}");
                m.channels = if number == 1 { vec!["vip".to_owned()] } else { Vec::new() };
            })
            .await;
        accepted.claimed.sort_by_key(|(job, _)| job.endpoint != endpoints[0]);
        for ((job, _), status) in accepted.claimed.iter().zip(of_message) {
            let next = if status / 100 == 2 { Next::Succeeded } else { Next::Exhausted };
            let recorded = match status {
                0 => world.failure(job, next),
                status => world.attempt(job, answered(status), next),
            };
            attempts.push((recorded.attempt.id, job.message.id));
            world.record(vec![recorded]).await;
            world.pass(s(3_601));
        }
    }
    attempts
}

pub(crate) async fn attempts_are_filtered(world: World) {
    let application = world.application("acme").await;
    let (a, b) = (world.endpoint(&application).await, world.endpoint(&application).await);
    let start = world.now();
    let statuses = [[200, 500], [404, 204], [0, 302]];
    let attempts = attempted(&world, &application, [a.id, b.id], statuses).await;
    // A deleted endpoint keeps its attempts.
    world.store().delete_endpoint(application.id, b.id, world.now()).await.unwrap();
    let list = async |filter: AttemptFilter| -> Vec<usize> {
        let page = everything();
        let rows = world.store().list_attempts(application.id, filter, page).await.unwrap();
        let place = |id| attempts.iter().position(|(attempt, _)| *attempt == id).unwrap();
        rows.iter().map(|row| place(row.attempt.id)).collect()
    };
    let all = AttemptFilter::default;
    assert_eq!(list(all()).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(list(AttemptFilter { endpoint: Some(a.id), ..all() }).await, [0, 2, 4]);
    assert_eq!(list(AttemptFilter { message: Some(attempts[2].1), ..all() }).await, [2, 3]);
    let both = AttemptFilter { message: Some(attempts[2].1), endpoint: Some(b.id), ..all() };
    assert_eq!(list(both).await, [3]);
    assert_eq!(list(AttemptFilter { succeeded: Some(true), ..all() }).await, [0, 3]);
    assert_eq!(list(AttemptFilter { succeeded: Some(false), ..all() }).await, [1, 2, 4, 5]);
    for (class, expected) in
        [(0, vec![4]), (2, vec![0, 3]), (3, vec![5]), (4, vec![2]), (5, vec![1]), (1, vec![])]
    {
        let filter = AttemptFilter { status_class: Some(class), ..all() };
        assert_eq!(list(filter).await, expected, "{class}xx");
    }
    let filter = AttemptFilter { event_types: vec!["e.0".into(), "e.2".into()], ..all() };
    assert_eq!(list(filter).await, [0, 1, 4, 5]);
    let filter = AttemptFilter { channel: Some("vip".to_owned()), endpoint: Some(b.id), ..all() };
    assert_eq!(list(filter).await, [3]);
    let filter = AttemptFilter { after: Some(start), before: Some(start + s(3 * 3_601)), ..all() };
    assert_eq!(list(filter).await, [1, 2]);

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = Page { after, descending: true, limit: 4 };
        let rows = world.store().list_attempts(application.id, all(), page).await.unwrap();
        let Some(last) = rows.last() else { break };
        after = Some(last.attempt.id);
        seen.extend(rows.iter().map(|row| row.attempt.id));
    }
    assert!(seen.iter().rev().eq(attempts.iter().map(|(id, _)| id)));
}

pub(crate) async fn attempts_read_back_as_recorded(world: World) {
    let application = world.application("acme").await;
    world.endpoint(&application).await;
    let answer = Answer {
        status: 503,
        headers: vec![("retry-after".into(), "7".into()), ("x-request-id".into(), "ä\"".into())],
        body: vec![0, 159, 146, 150],
        truncated: true,
        retry_after: Some(Duration::from_secs(7)),
    };
    let outcomes = [
        Outcome::Answered(answer),
        Outcome::Answered(Answer { status: 204, ..Answer::default() }),
        Outcome::Failed(Failure {
            kind: FailureKind::Tls,
            phase: Some(Phase::Tls),
            causes: vec!["The certificate has expired.".to_owned(), "expired".to_owned()],
        }),
        Outcome::Failed(Failure::new(FailureKind::Render, None, "The template failed.")),
    ];
    for outcome in outcomes {
        let job = world.claimed_job(&application).await;
        let recorded = world.attempt(&job, outcome, Next::Exhausted);
        world.record(vec![recorded.clone()]).await;
        let (message, id) = (job.message.id, recorded.attempt.id);
        let row = world.store().get_attempt(application.id, message, id).await.unwrap();
        assert_eq!(row.attempt, recorded.attempt);
        assert_eq!(row.message.payload, job.message.payload);
        let unknown = world.entropy.id(&world.clock);
        let missing = world.store().get_attempt(application.id, message, unknown).await;
        expect(missing, ErrorCode::NotFound);
    }
}
