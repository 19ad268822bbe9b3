//! The native API from outside: every route, and the facts of the wire that the Svix SDKs
//! rely on.

mod support;

mod api {
    mod applications;
    mod attempts;
    mod documents;
    mod endpoints;
    mod event_types;
    mod messages;
    mod pages;
    mod portal;
    mod wire;
}
