//! Events that can't be taken now: 503 with `Retry-After`, at once, and nothing half done.

mod support;

mod back_pressure {
    mod limits;
    mod reserve;
}
