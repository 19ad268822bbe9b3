//! Handshakes: what a contract wants of an endpoint before anything is delivered to it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::Engine;
use crate::contract::HandshakeInput;
use crate::domain::{
    Application, ApplicationId, Endpoint, Error, Failure, FailureKind, Outcome, Result, Transport,
};

/// How many applications may be shaking hands at a time.
const HANDSHAKES_IN_FLIGHT: usize = 64;

/// The random bytes of a challenge, which is twice as many hexadecimal digits.
const CHALLENGE_BYTES: usize = 20;

/// The applications with a handshake under way: each may have one, so that nobody makes this
/// server call others faster than they answer.
#[derive(Debug, Default)]
pub(super) struct Handshakes(Mutex<HashSet<ApplicationId>>);

/// Ends with the handshake, however that ends.
struct Turn<'a> {
    handshakes: &'a Handshakes,
    application: ApplicationId,
}

impl Handshakes {
    fn begin(&self, application: ApplicationId) -> Result<Turn<'_>> {
        let mut under_way = self.0.lock().expect("no panic while turns are held");
        if under_way.len() >= HANDSHAKES_IN_FLIGHT {
            return Err(Error::unavailable("Too many handshakes are under way; try again."));
        }
        if !under_way.insert(application) {
            let sentence = "Another handshake of this application is under way.";
            return Err(Error::conflict(sentence));
        }
        Ok(Turn { handshakes: self, application })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut under_way = self.handshakes.0.lock().expect("no panic while turns are held");
        under_way.remove(&self.application);
    }
}

impl Engine {
    /// Shakes hands with an endpoint that isn't stored yet, as its contract wants it.
    ///
    /// # Errors
    /// A refused `url` where the endpoint answers otherwise, a conflict while another
    /// handshake of the application is under way.
    pub async fn handshake(
        &self,
        application: &Arc<Application>,
        endpoint: &Endpoint,
    ) -> Result<()> {
        let inner = &self.0;
        let environment = inner.environments.get(&endpoint.environment);
        let contract = &environment.contract;
        // Whoever takes a websocket's connection has shown that the address is theirs.
        if contract.handshakes().is_empty() || endpoint.transport == Transport::Websocket {
            return Ok(());
        }
        let _turn = inner.handshakes.begin(application.id)?;
        for handshake in contract.handshakes() {
            let input = HandshakeInput {
                application: Arc::clone(application),
                endpoint,
                id: inner.entropy.id(&inner.clock),
                challenge: challenge(&inner.entropy),
                now: inner.clock.now(),
            };
            let ready = contract
                .render_handshake(handshake, &input)
                .map_err(|failure| refused(&reason(&failure)))?;
            let (timeout, wanted) = (ready.timeout, ready.wanted_headers());
            let guard = &environment.guard;
            let sent = inner.network.send_request(&ready.request, guard, timeout, &wanted).await;
            match sent.outcome {
                Outcome::Answered(answer) => ready.check(&answer).map_err(|why| refused(&why))?,
                Outcome::Failed(failure) if failure.kind == FailureKind::Local => {
                    return Err(Error::unavailable("The handshake can't be made now; try again."));
                }
                Outcome::Failed(failure) => return Err(refused(&reason(&failure))),
            }
        }
        Ok(())
    }
}

fn challenge(entropy: &crate::entropy::Entropy) -> Arc<str> {
    hex::encode(entropy.bytes::<CHALLENGE_BYTES>()).into()
}

fn reason(failure: &Failure) -> String {
    failure.causes.first().cloned().unwrap_or_default()
}

fn refused(why: &str) -> Error {
    let why = why.trim_end_matches('.');
    Error::field("url", format!("The endpoint didn't pass the handshake: {why}."))
}
