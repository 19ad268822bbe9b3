//! Stand-ins for what customers will send, by which a request template is tried out: each
//! knows the name it stands for, and so tells where in the native request that name ends up.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

/// Begins and ends the mark of a probe; no contract writes a control character into JSON.
const MARK: char = '\u{1}';

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

    /// Templates may go through a list.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(vec![Probe::value(&format!("{}.0", self.path))])
    }
}
