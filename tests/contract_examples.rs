//! The contracts in `examples/contracts`, each delivered by a real server and verified by what
//! the public documentation of its model tells receivers to do, in another language; and what
//! else the format can say, in contracts that the tests write down.

#[path = "contract_examples/formats.rs"]
mod formats;
#[path = "contract_examples/forms.rs"]
mod forms;
#[path = "contract_examples/github.rs"]
mod github;
#[path = "contract_examples/handshakes.rs"]
mod handshakes;
#[path = "contract_examples/secrets.rs"]
mod secrets;
#[path = "contract_examples/slack.rs"]
mod slack;
#[path = "contract_examples/stripe.rs"]
mod stripe;
mod support;

/// The environment that speaks the contract under test.
const ACME: &str = "acme";
