//! Values that templates get as they are: times, and text that is not copied into the engine.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use minijinja::value::{Enumerator, Object, ObjectRepr};

use crate::contract::json::{JsonError, MemberPlaces};
use crate::domain::Timestamp;

/// A point in time. A template has to say in which form it is written.
#[derive(Debug)]
pub(in crate::contract) struct Moment(pub(in crate::contract) Timestamp);

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// Text that goes out as it is, without being copied into the template engine.
///
/// It is JSON, so it goes into JSON as it is, and is escaped everywhere else.
pub(in crate::contract) struct RawText {
    text: Bytes,
    /// Where the members of an object are, once one was asked for.
    members: OnceLock<Result<MemberPlaces, JsonError>>,
}

impl RawText {
    /// The bytes have to be UTF-8.
    pub(in crate::contract) fn new(text: Bytes) -> RawText {
        RawText { text, members: OnceLock::new() }
    }

    pub(in crate::contract) fn as_str(&self) -> &str {
        // Payloads and bodies are text from the start.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// The raw text of a member; `None` where there is none, or this is no object.
    pub(in crate::contract) fn member(&self, name: &str) -> Result<Option<&str>, JsonError> {
        let members = self.members.get_or_init(|| MemberPlaces::of(self.as_str()));
        let place = members.as_ref().map_err(JsonError::clone)?.find(&self.text, name.as_bytes());
        Ok(place.map(|place| &self.as_str()[place]))
    }
}

impl fmt::Debug for RawText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Object for RawText {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.text.is_empty()
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that a filter has brought into the form that goes out, whatever surrounds it.
#[derive(Debug)]
pub(in crate::contract) struct Ready(pub(in crate::contract) String);

impl Object for Ready {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.0.is_empty()
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
