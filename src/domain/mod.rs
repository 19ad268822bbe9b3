//! The nouns and the pure rules. No I/O, no async, no SQL, no HTTP: everything here can be
//! read, and tested, without knowing how it is stored or sent.

mod application;
mod attempt;
mod congestion;
mod cursor;
mod delivery;
mod endpoint;
mod error;
mod event_type;
mod history;
mod id;
mod key;
mod ledger;
mod message;
mod operational;
mod pass;
mod pause;
mod resend;
mod retention;
mod retry;
mod secret;
mod subscription;
mod throttle;
mod time;

pub use application::*;
pub use attempt::*;
pub use congestion::*;
pub use cursor::*;
pub use delivery::*;
pub use endpoint::*;
pub use error::*;
pub use event_type::*;
pub use history::*;
pub use id::*;
pub use key::*;
pub use ledger::*;
pub use message::*;
pub use operational::*;
pub use pass::*;
pub use pause::*;
pub use resend::*;
pub use retention::*;
pub use retry::*;
pub use secret::*;
pub use subscription::*;
pub use throttle::*;
pub use time::*;

use std::collections::BTreeMap;

/// Free key/value pairs that the company keeps with an object.
pub type Metadata = BTreeMap<String, String>;
