//! Operational events: what the company is told about its customers' endpoints.

mod support;

mod operational {
    mod events;
    mod routes;
    mod world;
}
