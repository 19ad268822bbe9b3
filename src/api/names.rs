//! What names, uids and other texts of a request may look like.

use crate::domain::{FieldError, Metadata};

/// The longest uid, event id, event type or channel name, in bytes.
const NAME_MAX_BYTES: usize = 256;

/// The longest free text, such as a name or a description, in characters.
const TEXT_MAX_CHARS: usize = 2_048;

/// Entries of an object's metadata.
const METADATA_MAX_ENTRIES: usize = 50;

/// Whether this can be a uid, event id, event type, group or channel.
pub(super) fn is_name(value: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !value.is_empty() && value.len() <= NAME_MAX_BYTES && value.bytes().all(allowed)
}

/// Collects refused fields, so that a request with three mistakes gets three answers at once.
#[derive(Default)]
pub(super) struct Checks(Vec<FieldError>);

impl Checks {
    pub(super) fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError::body(field, message));
    }

    /// Refuses the value at the end of this path, whose steps may contain dots.
    pub(super) fn refuse_at(&mut self, path: Vec<String>, message: impl Into<String>) {
        self.0.push(FieldError::body_at(path, message));
    }

    /// The verdict of a rule that is kept elsewhere.
    pub(super) fn rule(&mut self, field: &str, verdict: Result<(), String>) {
        if let Err(reason) = verdict {
            self.refuse(field, reason);
        }
    }

    /// A uid, event id, event type or channel: letters, digits, `-`, `_` and `.`.
    pub(super) fn name(&mut self, field: &str, value: &str) {
        if !is_name(value) {
            self.refuse(
                field,
                format!(
                    "Must be 1 to {NAME_MAX_BYTES} characters of letters, digits, `-`, `_` and `.`"
                ),
            );
        }
    }

    pub(super) fn optional_name(&mut self, field: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.name(field, value);
        }
    }

    /// A list of names, `most` at the most and at least one.
    pub(super) fn names(&mut self, field: &str, values: Option<&[String]>, most: usize) {
        let Some(values) = values else { return };
        if values.is_empty() || values.len() > most {
            self.refuse(field, format!("Must have 1 to {most} items, or be left out"));
        }
        for (index, value) in values.iter().enumerate() {
            self.name(&format!("{field}.{index}"), value);
        }
    }

    /// A text for people; `required` where it may not be empty.
    pub(super) fn text(&mut self, field: &str, value: &str, required: bool) {
        if required && value.trim().is_empty() {
            self.refuse(field, "Must not be empty");
        }
        if value.chars().count() > TEXT_MAX_CHARS {
            self.refuse(field, format!("Must have at most {TEXT_MAX_CHARS} characters"));
        }
        if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.refuse(field, "Must not contain control characters");
        }
    }

    pub(super) fn metadata(&mut self, field: &str, metadata: &Metadata) {
        if metadata.len() > METADATA_MAX_ENTRIES {
            self.refuse(field, format!("Must have at most {METADATA_MAX_ENTRIES} entries"));
        }
        for (key, value) in metadata {
            self.text(field, key, true);
            self.text(field, value, false);
        }
    }

    /// # Errors
    /// Everything that was refused.
    pub(super) fn finish(self) -> crate::domain::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(crate::domain::Error::fields(self.0)) }
    }
}
