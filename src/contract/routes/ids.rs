//! How a contract writes ids.

use std::str::FromStr;

use crate::domain::{AttemptId, EndpointId, Id, IdKind, MessageId};

/// The form of one kind of id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IdForm {
    /// As the native API writes it.
    #[default]
    Native,
    /// With a prefix of the company's own.
    Prefix(String),
    /// As a UUID.
    Uuid,
}

/// The forms of all ids that customers see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    pub endpoint: IdForm,
    pub message: IdForm,
    pub attempt: IdForm,
}

impl IdForm {
    /// Reads the word of a contract: `uuid`, or a prefix.
    pub(super) fn of(word: &str) -> IdForm {
        match word {
            "uuid" => IdForm::Uuid,
            prefix => IdForm::Prefix(prefix.to_owned()),
        }
    }

    pub(in crate::contract) fn write<K: IdKind>(&self, id: Id<K>) -> String {
        match self {
            IdForm::Native => id.to_string(),
            IdForm::Prefix(prefix) => format!("{prefix}{}", id.suffix()),
            IdForm::Uuid => id.uuid(),
        }
    }

    fn read<K: IdKind>(&self, text: &str) -> Option<Id<K>> {
        match self {
            IdForm::Native => text.parse().ok(),
            IdForm::Prefix(prefix) => Id::from_suffix(text.strip_prefix(prefix.as_str())?),
            IdForm::Uuid => Id::from_uuid(text),
        }
    }
}

impl Ids {
    /// A native id in the contract's form; any other text as it is.
    pub(super) fn written(&self, native: &str) -> String {
        if let Ok(id) = EndpointId::from_str(native) {
            self.endpoint.write(id)
        } else if let Ok(id) = MessageId::from_str(native) {
            self.message.write(id)
        } else if let Ok(id) = AttemptId::from_str(native) {
            self.attempt.write(id)
        } else {
            native.to_owned()
        }
    }

    /// The native id of an endpoint that a customer named.
    pub(super) fn endpoint(&self, text: &str) -> Option<String> {
        self.endpoint.read(text).map(|id: EndpointId| id.to_string())
    }

    /// The native id of a message that a customer named.
    pub(in crate::contract) fn message(&self, text: &str) -> Option<String> {
        self.message.read(text).map(|id: MessageId| id.to_string())
    }
}
