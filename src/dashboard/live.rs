//! Live rows: tells a page that there are deliveries of newer events than it shows, and how many.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures_util::Stream;

use super::Pages;
use super::deliveries::Filters;
use super::error::PageError;
use super::place::Place;
use crate::domain::{DeliveryId, Error, Timestamp};
use crate::store::{Arrivals, DeliveryFilter, DeliveryPage, Page};

/// At most so many are counted; more read as "50 or more".
const COUNTED_MAX: u32 = 50;

/// Between two messages to a page, however much happens.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a page is told before it has to ask again, and show that it still may.
const LIFE: Duration = Duration::from_secs(300);

pub(super) fn router() -> Router<Pages> {
    Router::new().route("/env/{environment}/app/{application}/deliveries/live", get(live))
}

/// What a page waits for.
struct Waiting {
    pages: Pages,
    place: Place,
    filter: DeliveryFilter,
    arrivals: Arrivals,
    /// How far was looked.
    reached: Option<DeliveryId>,
    /// How many were found behind the newest that the page shows, and how many it was told of.
    found: usize,
    told: usize,
    until: Timestamp,
}

async fn live(
    State(pages): State<Pages>,
    place: Place,
    Query(filters): Query<Filters>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, PageError> {
    let arrivals = pages.store.arrivals(place.application.id)?;
    // No event of that id: nothing to tell of, until the page is asked for again.
    let filter = filters.filter(&pages, &place).await?.ok_or_else(Error::not_found)?;
    let reached = filters.newest();
    let until = pages.clock.now() + LIFE;
    let waiting = Waiting { pages, place, filter, arrivals, reached, found: 0, told: 0, until };
    let stream = futures_util::stream::unfold(waiting, next);
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

/// The next message: how many there are that the page doesn't show.
async fn next(mut waiting: Waiting) -> Option<(Result<Event, Infallible>, Waiting)> {
    loop {
        waiting.look().await?;
        if waiting.found != waiting.told {
            waiting.told = waiting.found;
            return Some((Ok(Event::default().data(waiting.found.to_string())), waiting));
        }
        tokio::select! {
            biased;
            () = waiting.pages.stopping.cancelled() => return None,
            () = waiting.pages.clock.sleep_until(waiting.until) => return None,
            () = waiting.arrivals.next() => {}
        }
        waiting.pages.clock.sleep(PAUSE).await;
    }
}

impl Waiting {
    /// Looks at what came since it looked last. `None` where the page has no more business here.
    async fn look(&mut self) -> Option<()> {
        while self.found < COUNTED_MAX as usize {
            let page = Page { after: self.reached, descending: false, limit: COUNTED_MAX };
            let application = self.place.application.id;
            let page = self.pages.store.list_log(application, self.filter.clone(), page).await;
            let DeliveryPage { lines, reached, has_more, .. } = page.ok()?;
            self.found += lines.len();
            self.reached = reached.map(|(id, _)| id).or(self.reached);
            if !has_more {
                break;
            }
        }
        self.found = self.found.min(COUNTED_MAX as usize);
        Some(())
    }
}
