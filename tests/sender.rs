//! One attempt, seen from outside: real sockets on the loopback, a receiver that does what a
//! test wants, and a simulated clock.

mod support;

mod sender {
    mod exchange;
    mod failures;
    mod guard;
    mod harness;
    mod reuse;
    mod timeouts;
    mod tls;
}
