//! Stand-ins for what customers will send, by which a request template is tried out: each
//! knows the name it stands for, and so tells where in the native request that name ends up.

use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

use super::filters::MARK;

/// The steps of a path behind which a stand-in has no items.
const DEEPEST: usize = 8;

/// Stands for a value of a request, such as `body.events`.
#[derive(Debug)]
pub(super) struct Probe {
    path: String,
}

impl Probe {
    pub(super) fn value(path: &str) -> Value {
        Value::from_object(Probe { path: path.to_owned() })
    }

    /// The text by which it is recognised in what a template made.
    pub(super) fn mark(&self) -> String {
        format!("{MARK}{}{MARK}", self.path)
    }

    /// The path whose mark `text` is.
    pub(super) fn path_of(text: &str) -> Option<&str> {
        text.strip_prefix(MARK)?.strip_suffix(MARK)
    }
}

impl Object for Probe {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(Probe::value(&format!("{}.{key}", self.path)))
    }

    /// Templates may go through a list. Somewhere there is an end to lists of lists: whoever
    /// compares two stand-ins goes through all of them.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        if self.path.matches('.').count() > DEEPEST {
            return Enumerator::Empty;
        }
        Enumerator::Values(vec![Probe::value(&format!("{}.0", self.path))])
    }

    /// For filters that take a text, and for what is put together of several.
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mark())
    }
}
