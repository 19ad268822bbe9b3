//! Endpoints that stop and start again: the rules that pause them, what waits meanwhile, how it
//! goes out or is dropped, and what is written down about it.

mod support;

mod pausing {
    mod dropping;
    mod history;
    mod resuming;
    mod rules;
    mod world;
}
