//! Everybody's fair part, seen from outside: what goes wrong in one place isn't felt in another,
//! receivers get what they can take, rates and orders hold.
#![allow(clippy::disallowed_methods)] // Real sockets need a guard in real time.

mod support;

mod fairness {
    mod congestion;
    mod isolation;
    mod ordered;
    mod ordered_crashes;
    mod throttle;
}
