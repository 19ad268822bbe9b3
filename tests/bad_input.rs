//! What the server does not take, and what it makes of receivers that misbehave: never a 5xx,
//! never a panic, never a stall, always a reason.

mod support;

mod bad_input {
    mod addresses;
    mod bodies;
    mod fields;
    mod fuzz;
    mod headers;
    mod receivers;
    mod urls;
}
