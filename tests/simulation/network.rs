//! The simulated network: receivers with moods, each a small machine that runs from the seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderName;

use hookwright::contract::{WireMessage, WireRequest};
use hookwright::domain::{
    Answer, EndpointId, Failure, FailureKind, Outcome, Phase, RetryPolicy, Timestamp, Timing,
};
use hookwright::sender::{Guard, Network, Sent};

use super::dice::Dice;
use super::world::World;

/// How a receiver is at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    Slow,
    /// Every answer is another one.
    Flaky,
    Failing,
    /// Asks for time, by `Retry-After`.
    Busy,
    Down,
    Hanging,
    /// Breaks connections, before or after it took the request in.
    Breaking,
    Gone,
}

struct Receiver {
    mood: Mood,
    until: Timestamp,
    dice: Dice,
}

/// What becomes of one request.
struct Course {
    /// When the receiver has taken it in, if it ever does.
    takes_in: Option<Duration>,
    ends: Duration,
    outcome: Outcome,
}

/// The network of a world. Endpoint `n` is the receiver at `https://n.example`.
pub(crate) struct SimulatedNetwork {
    world: Arc<World>,
    receivers: Mutex<Vec<Receiver>>,
}

impl SimulatedNetwork {
    pub(crate) fn new(world: Arc<World>) -> SimulatedNetwork {
        let seed = world.plan.seed;
        let receivers = (0..64).map(|number| Receiver {
            mood: Mood::Well,
            until: Timestamp::EPOCH,
            dice: Dice::new(seed, 100 + number),
        });
        SimulatedNetwork { receivers: Mutex::new(receivers.collect()), world }
    }

    fn course(&self, receiver: usize) -> Course {
        let mut receivers = self.receivers.lock().expect("no panic while they are held");
        let receiver = &mut receivers[receiver];
        if self.world.is_calm() {
            receiver.mood = Mood::Well;
        } else if self.world.now() >= receiver.until {
            receiver.change_mood(&self.world);
        }
        receiver.course()
    }
}

/// Tells the model where an attempt was given up on the way.
struct Flight<'a> {
    world: &'a World,
    delivery: Option<hookwright::domain::DeliveryId>,
    number: usize,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        // What dies with its process does so in any order, so that is noted elsewhere.
        if let Some(delivery) = self.delivery.filter(|_| !self.world.is_dead()) {
            self.world.say(|| format!("cut {:?}", Short(delivery)));
            self.world.model().flight_cut(delivery, self.number, self.world.now());
        }
    }
}

/// A delivery in a line of the trace.
pub(crate) struct Short(pub(crate) hookwright::domain::DeliveryId);

impl std::fmt::Debug for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |text: String| text[text.len() - 5..].to_owned();
        let (message, endpoint) = (self.0.message.to_string(), self.0.endpoint.to_string());
        write!(f, "{}→{}", end(message), end(endpoint))
    }
}

#[async_trait]
impl Network for SimulatedNetwork {
    async fn send_request(
        &self,
        request: &WireRequest,
        _: &Guard,
        timeout: Duration,
        _: &[HeaderName],
    ) -> Sent {
        let world = &*self.world;
        world.alive().await;
        let started_at = world.now();
        let receiver = receiver_of(request);
        let started = world.model().flight_started(receiver, &token_of(request), started_at);
        let (delivery, number) = match started {
            Ok(flight) => flight,
            Err(why) => {
                world.check(Err(why));
                std::future::pending().await
            }
        };
        let identity = identity_of(request);
        world.check(world.model().identified(delivery, identity));
        let mut flight = Flight { world, delivery: Some(delivery), number };
        let Course { takes_in, ends, mut outcome } = self.course(receiver);
        world.say(|| format!("send {:?} to {receiver}, number {number}", Short(delivery)));
        if let Some(takes_in) = takes_in.filter(|&takes_in| takes_in < timeout) {
            world.clock.sleep(takes_in).await;
            world.model().taken_in(delivery, number);
            world.alive().await;
        }
        world.clock.sleep_until(started_at + ends.min(timeout)).await;
        world.alive().await;
        if ends >= timeout {
            let sentence = "The receiver didn't answer in time.";
            outcome = failed(FailureKind::Timeout, sentence);
        }
        flight.delivery = None;
        world.say(|| format!("ends {:?} {}", Short(delivery), brief(&outcome)));
        world.check(world.model().flight_ended(delivery, number, &outcome, world.now()));
        let duration = world.now().since(started_at);
        Sent { outcome, duration, timing: Timing::default() }
    }

    async fn send_message(&self, _: &WireMessage, _: &Guard, _: &RetryPolicy) -> Sent {
        unreachable!("no endpoint of a simulation is a websocket")
    }

    fn close_websocket(&self, _: EndpointId) {}

    fn sweep_idle(&self) {}

    fn close_idle(&self) {}
}

fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(answer) => match answer.retry_after {
            None => format!("{}", answer.status),
            Some(after) => format!("{} retry after {after:?}", answer.status),
        },
        Outcome::Failed(failure) => failure.kind.as_str().to_owned(),
    }
}

fn receiver_of(request: &WireRequest) -> usize {
    let host = request.url.host_str().unwrap_or_default();
    host.trim_start_matches('e').trim_end_matches(".example").parse().unwrap_or(usize::MAX)
}

/// The word by which a payload tells its message.
fn token_of(request: &WireRequest) -> String {
    let text = String::from_utf8_lossy(&request.body);
    let start = text.find("sim-").unwrap_or(0);
    text[start..].chars().take_while(|one| one.is_ascii_alphanumeric() || *one == '-').collect()
}

/// By what the receiver would know the event again, where the contract gives it that.
fn identity_of(request: &WireRequest) -> Option<String> {
    let named = ["webhook-id", "x-event-id", "x-tomba-delivery"];
    let header = named.iter().find_map(|name| request.headers.get(*name));
    if let Some(header) = header {
        return header.to_str().ok().map(str::to_owned);
    }
    let body: serde_json::Value = serde_json::from_slice(&request.body).ok()?;
    Some(body.get("id")?.as_str()?.to_owned())
}

fn failed(kind: FailureKind, sentence: &str) -> Outcome {
    Outcome::Failed(Failure::new(kind, Some(Phase::Wait), sentence))
}

impl Receiver {
    fn change_mood(&mut self, world: &World) {
        let (plan, dice) = (&world.plan, &mut self.dice);
        let troubles = [
            Mood::Slow,
            Mood::Flaky,
            Mood::Flaky,
            Mood::Failing,
            Mood::Busy,
            Mood::Down,
            Mood::Hanging,
            Mood::Breaking,
        ];
        self.mood = match dice.percent(plan.trouble) {
            true if plan.gone && dice.percent(10) => Mood::Gone,
            true => *dice.pick(&troubles),
            false => Mood::Well,
        };
        let long = *dice.pick(&[10, 60, 600]);
        self.until = world.now() + dice.ms(1_000, long * 1_000);
    }

    fn course(&mut self) -> Course {
        let dice = &mut self.dice;
        let quick = dice.ms(1, 80);
        let answer = |status, retry_after| {
            Outcome::Answered(Answer { status, retry_after, ..Answer::default() })
        };
        let mut mood = self.mood;
        if mood == Mood::Flaky {
            mood = *dice.pick(&[Mood::Well, Mood::Failing, Mood::Busy, Mood::Breaking]);
        }
        let (takes_in, ends, outcome) = match mood {
            Mood::Well | Mood::Flaky => (Some(quick / 2), quick, answer(200, None)),
            Mood::Slow => (Some(quick), quick + dice.ms(500, 8_000), answer(204, None)),
            Mood::Failing => {
                let status = *dice.pick(&[500, 502, 503, 400, 404, 301]);
                (None, quick, answer(status, None))
            }
            Mood::Busy => {
                let status = *dice.pick(&[429, 503]);
                let after = Duration::from_secs(dice.below(300) as u64);
                (None, quick, answer(status, Some(after)))
            }
            Mood::Down => (None, quick / 8, failed(FailureKind::Connect, "Nobody is there.")),
            Mood::Hanging => {
                let taken = dice.percent(50).then_some(quick);
                (taken, Duration::from_secs(3_600), failed(FailureKind::Timeout, "It hangs."))
            }
            Mood::Breaking => {
                let taken = dice.percent(50).then_some(quick / 2);
                (taken, quick, failed(FailureKind::Reset, "The connection broke."))
            }
            Mood::Gone => (None, quick, answer(410, None)),
        };
        Course { takes_in, ends, outcome }
    }
}
