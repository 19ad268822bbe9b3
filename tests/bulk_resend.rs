//! Sending many events of an endpoint again: everything, what failed, or what was missing, seen
//! from outside.
#![allow(clippy::disallowed_methods)] // Real processes need a guard in real time.

mod support;

mod bulk_resend {
    mod crash;
    mod pages;
    mod refusals;
    mod sending;
    mod stopping;
    mod tasks;
    mod world;
}
