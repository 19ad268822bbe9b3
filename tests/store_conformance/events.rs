//! Events: what was accepted, in the order of its commits.

use std::sync::Arc;

use hookwright::domain::{Application, ErrorCode, MessageId, Reference};
use hookwright::store::{EventPage, EventQuery, EventStart};

use crate::world::{World, expect};

fn from(start: EventStart) -> EventQuery {
    EventQuery { start, event_types: Vec::new(), limit: 1_000, max_bytes: usize::MAX }
}

fn ids(page: &EventPage) -> Vec<MessageId> {
    page.events.iter().map(|event| event.id).collect()
}

async fn read(world: &World, application: &Application, query: EventQuery) -> EventPage {
    let page = world.store().read_events(application.id, query).await.unwrap();
    let ids = ids(&page);
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    assert!(ids.last().is_none_or(|last| *last <= page.last), "{} {ids:?}", page.last);
    page
}

pub(crate) async fn events_come_in_the_order_of_their_commits(world: World) {
    let application = world.application("acme").await;
    let other = world.application("other").await;
    // The ids are made before the commits, and here in the opposite order.
    let first = world.new_message(&application);
    world.pass(std::time::Duration::from_secs(1));
    let second = world.new_message(&application);
    let thought_of = first.id;
    let mut order = Vec::new();
    for message in [second, first] {
        world.publish(&other).await;
        order.push(world.try_accept(message).await.unwrap().message.id);
    }
    assert_ne!(order[1], thought_of);
    world.store().get_message(application.id, &Reference::new(order[1].to_string())).await.unwrap();
    let page = read(&world, &application, from(EventStart::Oldest)).await;
    assert_eq!(ids(&page), order);
    assert!(!page.has_more);
    let behind_first = from(EventStart::After(page.events[0].id));
    assert_eq!(ids(&read(&world, &application, behind_first).await), order[1..]);
    let at_end = read(&world, &application, from(EventStart::Latest)).await;
    assert_eq!((at_end.events.len(), at_end.last, at_end.has_more), (0, page.last, false));
    let nothing = read(&world, &application, from(EventStart::After(page.last))).await;
    assert_eq!((nothing.events.len(), nothing.last, nothing.has_more), (0, page.last, false));
}

pub(crate) async fn a_page_of_events_has_a_limit_of_events_and_of_bytes(world: World) {
    let application = world.application("acme").await;
    for size in [10, 10, 50, 10, 10] {
        let payload: Arc<str> = format!("\"{}\"", "x".repeat(size - 2)).into();
        world.publish_with(&application, |message| message.payload = payload).await;
    }
    let cases = [
        (1, usize::MAX, vec![1, 1, 1, 1, 1]),
        (2, usize::MAX, vec![2, 2, 1]),
        (5, usize::MAX, vec![5]),
        (9, 20, vec![2, 1, 2]),
        (9, 60, vec![2, 2, 1]),
        (9, 89, vec![4, 1]),
        (9, 90, vec![5]),
        (9, 0, vec![1, 1, 1, 1, 1]),
    ];
    for (limit, max_bytes, sizes) in cases {
        let mut start = EventStart::Oldest;
        for (index, size) in sizes.iter().enumerate() {
            let query = EventQuery { limit, max_bytes, ..from(start) };
            let page = read(&world, &application, query).await;
            assert_eq!(page.events.len(), *size, "page {index} of {limit} and {max_bytes} bytes");
            assert_eq!(page.last, page.events.last().unwrap().id);
            assert_eq!(page.has_more, index + 1 < sizes.len(), "{limit} and {max_bytes} bytes");
            start = EventStart::After(page.last);
        }
    }
}

pub(crate) async fn looking_for_a_rare_type_is_done_in_steps(world: World) {
    const COMMON: usize = 3_000;
    let application = world.application("acme").await;
    let rare = |message: &mut hookwright::store::NewMessage| message.event_type = "rare".to_owned();
    let mut expected = vec![world.publish_with(&application, rare).await.message.id];
    let common = (0..COMMON).map(|_| world.publish(&application));
    futures_util::future::join_all(common).await;
    expected.push(world.publish_with(&application, rare).await.message.id);
    let (mut found, mut steps) = (Vec::new(), 0);
    let mut start = EventStart::Oldest;
    loop {
        let event_types = vec!["rare".to_owned(), "never".to_owned()];
        let page = read(&world, &application, EventQuery { event_types, ..from(start) }).await;
        assert!(EventStart::After(page.last) != start, "it doesn't move");
        found.extend(ids(&page));
        steps += 1;
        start = EventStart::After(page.last);
        if !page.has_more {
            break;
        }
    }
    assert_eq!(found, expected);
    assert!(steps > 1, "{COMMON} events were passed over at once");
}

pub(crate) async fn events_are_read_while_their_application_lives(mut world: World) {
    let application = world.application("acme").await;
    world.publish(&application).await;
    let last = read(&world, &application, from(EventStart::Oldest)).await.last;
    world.reopen();
    // The ids go on to grow where the process before had stopped, whatever the clock says.
    let mut message = world.new_message(&application);
    message.id = MessageId::LOWEST;
    let next = world.try_accept(message).await.unwrap().message.id;
    let page = read(&world, &application, from(EventStart::After(last))).await;
    assert_eq!(ids(&page), [next]);
    world.store().delete_application(application.id, world.now()).await.unwrap();
    for start in [EventStart::Oldest, EventStart::Latest, EventStart::After(last)] {
        expect(world.store().read_events(application.id, from(start)).await, ErrorCode::NotFound);
    }
}

pub(crate) async fn whoever_reads_while_others_publish_misses_nothing(world: World) {
    const WRITERS: usize = 8;
    const MESSAGES: usize = 100;
    let world = Arc::new(world);
    let applications = [world.application("one").await, world.application("two").await];
    let mut publishing = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (world, application) = (world.clone(), applications[writer % 2].clone());
        publishing.spawn(async move {
            for _ in 0..MESSAGES {
                world.publish(&application).await;
            }
        });
    }
    let readers = applications.iter().map(async |application| {
        let (mut seen, mut start) = (Vec::new(), EventStart::Oldest);
        while seen.len() < WRITERS / 2 * MESSAGES {
            let page = read(&world, application, EventQuery { limit: 7, ..from(start) }).await;
            start = EventStart::After(page.last);
            seen.extend(ids(&page));
        }
        seen
    });
    let seen = futures_util::future::join_all(readers).await;
    publishing.join_all().await;
    for (application, seen) in applications.iter().zip(seen) {
        let all = read(&world, application, from(EventStart::Oldest)).await;
        assert!(seen == ids(&all), "what was read meanwhile is not what is there in the end");
    }
}
