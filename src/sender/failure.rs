//! What to say when an exchange breaks: a class, and a sentence that the receiver's
//! developer understands.

use std::error::Error;
use std::io;
use std::time::Duration;

use hyper::client::conn::TrySendError;

use super::connection::OutgoingRequest;
use crate::domain::{Failure, FailureKind, Phase};

/// An exchange that broke before there was a whole answer.
pub(super) struct Broken {
    pub(super) failure: Failure,
    /// Whether it is the common race of a reused connection: the receiver closed it as idle
    /// while the request was on its way. Then the request was not processed, as far as anyone
    /// can tell, and belongs on a new connection.
    pub(super) is_race: bool,
}

/// What was known about an exchange when it broke.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) phase: Phase,
    /// Whether any byte of the answer had come. Unknown on a shared connection.
    pub(super) received_any: bool,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Broken {
        Broken { failure, is_race: false }
    }
}

impl Broken {
    /// No head of an answer came.
    pub(super) fn without_answer(error: &TrySendError<OutgoingRequest>, moment: Moment) -> Broken {
        let unsent = error.message().is_some();
        let error = error.error();
        let closed = !moment.received_any && is_closure(error);
        let failure = if unsent && moment.received_any {
            let sentence = "The receiver speaks before it is asked, so it isn't an HTTP server.";
            Failure::new(FailureKind::Protocol, Some(moment.phase), sentence).caused_by(error)
        } else {
            explain(error, moment)
        };
        Broken { failure, is_race: unsent || closed }
    }

    /// The answer had begun.
    pub(super) fn within_answer(error: &hyper::Error) -> Broken {
        let moment = Moment { phase: Phase::Receive, received_any: true };
        Broken { failure: explain(error, moment), is_race: false }
    }
}

/// The failure for an attempt that ran out of time.
pub(super) fn timed_out(phase: Phase, limit: Duration) -> Failure {
    let what = match phase {
        Phase::Resolve => "The receiver's name wasn't resolved",
        Phase::Connect => "The receiver didn't take the connection",
        Phase::Tls => "The receiver didn't finish the TLS handshake",
        Phase::Send => "The receiver didn't take the whole request",
        Phase::Wait => "The receiver didn't answer",
        Phase::Receive => "The receiver didn't finish its answer",
    };
    Failure::new(FailureKind::Timeout, Some(phase), format!("{what} within {limit:?}."))
}

/// The failure for a delivery over a websocket that ran out of time.
pub(super) fn unacknowledged(phase: Phase, limit: Duration) -> Failure {
    if phase != Phase::Wait {
        return timed_out(phase, limit);
    }
    let sentence = format!("The receiver didn't acknowledge the event within {limit:?}.");
    Failure::new(FailureKind::Timeout, Some(phase), sentence)
}

/// Whether the connection was closed or the request turned away, rather than answered badly.
fn is_closure(error: &hyper::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    if let Some(error) = find::<h2::Error>(error) {
        let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
        return refused || (error.is_go_away() && error.is_remote());
    }
    if let Some(error) = find::<io::Error>(error) {
        return matches!(
            error.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
        );
    }
    error.is_incomplete_message() || error.is_canceled() || error.is_closed()
}

fn explain(error: &hyper::Error, moment: Moment) -> Failure {
    let (kind, sentence) = classify(error, moment);
    Failure::new(kind, Some(moment.phase), sentence).caused_by(error)
}

fn classify(error: &hyper::Error, moment: Moment) -> (FailureKind, &'static str) {
    use FailureKind::{Protocol, Reset, Tls};
    if error.is_parse_too_large() {
        return (Protocol, "The head of the answer is too large or has too many headers.");
    }
    if error.is_parse() {
        return (Protocol, "The answer isn't valid HTTP.");
    }
    if let Some(error) = find::<h2::Error>(error) {
        return if error.is_library() || error.reason() == Some(h2::Reason::PROTOCOL_ERROR) {
            (Protocol, "The receiver and we disagree about HTTP/2.")
        } else {
            (Reset, "The receiver reset the request.")
        };
    }
    if let Some(error) = find::<io::Error>(error) {
        if super::tls::rustls_error(error).is_some() {
            return (Tls, "The receiver broke the TLS connection off.");
        }
        if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) {
            return (Protocol, "The body of the answer isn't valid HTTP.");
        }
    }
    let sentence = match (moment.phase, moment.received_any) {
        (Phase::Receive, _) => "The receiver broke off in the middle of its answer.",
        (_, true) => "The receiver broke off in the head of its answer.",
        (Phase::Wait, false) => "The receiver closed the connection without an answer.",
        (_, false) => "The receiver closed the connection while the request was being sent.",
    };
    (Reset, sentence)
}

/// The first error of type `E` in the chain of causes.
fn find<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
