//! What a contract lets customers set on their endpoints.

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::problem::did_you_mean;
use crate::domain::{Auth, AuthKind, Method, SecretText, Subscription, Transport};

/// The longest value of a custom header, in bytes.
pub const CUSTOM_HEADER_VALUE_BYTES: usize = 4 * 1024;
/// The longest name of an endpoint, in characters.
pub const ENDPOINT_NAME_CHARS: usize = 256;

/// Headers that belong to the connection or to the sender, whatever a contract says.
pub(super) const SENDER_HEADERS: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Whether something has to be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    #[default]
    Optional,
    Required,
}

/// The rules for a contract's endpoints. The `check` methods return a sentence for the
/// customer where a value can't be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRules {
    /// The transports to choose from, the one where the customer chooses none first.
    pub transports: Vec<Transport>,
    /// The methods to choose from.
    pub http_methods: Vec<Method>,
    /// The method where the customer chooses none.
    pub default_method: Method,
    /// The kinds of authentication to choose from.
    pub auth: Vec<AuthKind>,
    /// Whether custom headers may be set.
    pub headers: bool,
    /// How many custom headers.
    pub max_headers: usize,
    pub name: Presence,
    /// Whether names are unique within an application.
    pub unique_name: bool,
    pub https_only: bool,
    /// Whether `*` stands for all events.
    pub wildcard: bool,
    /// Whether whole groups may be chosen, with what is added to them later.
    pub groups: bool,
    /// Whether at least one event has to be chosen.
    pub events: Presence,
    /// Whether no more than one event may be chosen.
    pub single_event: bool,
    /// Headers that the contract itself sets: lower-case names.
    pub reserved_headers: Vec<HeaderName>,
}

impl EndpointRules {
    /// # Errors
    /// Where the name is missing or too long.
    pub fn check_name(&self, name: &str) -> Result<(), String> {
        if self.name == Presence::Required && name.trim().is_empty() {
            return Err("A name is required.".to_owned());
        }
        if name.chars().count() > ENDPOINT_NAME_CHARS {
            return Err(format!("The name must have at most {ENDPOINT_NAME_CHARS} characters."));
        }
        Ok(())
    }

    /// The transport where the customer chooses none.
    pub fn default_transport(&self) -> Transport {
        self.transports.first().copied().unwrap_or_default()
    }

    /// # Errors
    /// Where the contract doesn't offer the transport.
    pub fn check_transport(&self, transport: Transport) -> Result<(), String> {
        if self.transports.contains(&transport) {
            return Ok(());
        }
        let offered: Vec<&str> = self.transports.iter().map(|one| one.as_str()).collect();
        Err(format!("The transport must be one of {}.", offered.join(", ")))
    }

    /// # Errors
    /// Where the contract doesn't offer the method.
    pub fn check_method(&self, method: Method) -> Result<(), String> {
        if self.http_methods.contains(&method) {
            return Ok(());
        }
        let offered: Vec<&str> = self.http_methods.iter().map(|method| method.as_str()).collect();
        Err(format!("The method must be one of {}.", offered.join(", ")))
    }

    /// # Errors
    /// Where the contract doesn't offer this kind of authentication, or its header can't be
    /// sent.
    pub fn check_auth(&self, auth: &Auth) -> Result<(), String> {
        if !self.auth.contains(&auth.kind()) {
            let offered: Vec<&str> = self.auth.iter().map(|kind| kind.as_str()).collect();
            return Err(format!("The authentication must be one of {}.", offered.join(", ")));
        }
        match auth {
            Auth::None => Ok(()),
            Auth::Basic { token } => check_value("authorization", token),
            Auth::Header { name, value } => self.check_header(name, value),
        }
    }

    /// # Errors
    /// Where custom headers aren't allowed, are too many, or one of them can't be sent.
    pub fn check_headers(&self, headers: &[(String, SecretText)]) -> Result<(), String> {
        if !self.headers && !headers.is_empty() {
            return Err("Custom headers can't be set.".to_owned());
        }
        if headers.len() > self.max_headers {
            return Err(format!("At most {} custom headers can be set.", self.max_headers));
        }
        for (index, (name, value)) in headers.iter().enumerate() {
            self.check_header(name, value)?;
            if headers[..index].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(format!("The header \"{name}\" is given twice."));
            }
        }
        Ok(())
    }

    /// # Errors
    /// Where the number of chosen events isn't what the contract asks for.
    pub fn check_subscription(&self, subscription: &Subscription) -> Result<(), String> {
        let chosen = match subscription {
            Subscription::All => None,
            Subscription::Chosen { types, groups } => Some((types.len(), groups.len())),
        };
        match chosen {
            Some((1, 0)) => Ok(()),
            _ if self.single_event => Err("Exactly one event must be chosen.".to_owned()),
            Some((0, 0)) => Err("At least one event must be chosen.".to_owned()),
            None if self.events == Presence::Required && !self.wildcard => {
                Err("At least one event must be chosen.".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// # Errors
    /// Where whole groups are chosen and the contract offers only single events.
    pub fn check_groups(&self, subscription: &Subscription) -> Result<(), String> {
        if !self.groups && subscription.groups().is_some() {
            return Err("Whole groups of events can't be chosen.".to_owned());
        }
        Ok(())
    }

    /// Whether a custom header of this name would take the place of one that isn't the
    /// customer's to set.
    pub(super) fn reserves(&self, name: &HeaderName) -> bool {
        self.reserved_headers.contains(name) || SENDER_HEADERS.contains(&name.as_str())
    }

    fn check_header(&self, name: &str, value: &SecretText) -> Result<(), String> {
        let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(format!("\"{}\" is not a valid header name.", name.escape_debug()));
        };
        if self.reserves(&parsed) {
            return Err(format!("The header \"{name}\" can't be set."));
        }
        check_value(name, value)
    }
}

fn check_value(name: &str, value: &SecretText) -> Result<(), String> {
    let text = value.expose();
    if text.len() > CUSTOM_HEADER_VALUE_BYTES {
        let limit = CUSTOM_HEADER_VALUE_BYTES;
        return Err(format!("The value of the header \"{name}\" is longer than {limit} bytes."));
    }
    if text.is_empty() || HeaderValue::from_bytes(text.as_bytes()).is_err() {
        return Err(format!(
            "The value of the header \"{name}\" is empty or contains line breaks or control \
             characters."
        ));
    }
    Ok(())
}

/// A hint for a word that should have been one of a few.
pub(super) fn choices(word: &str, offered: &[&str]) -> String {
    did_you_mean(word, offered.iter().copied())
        .unwrap_or_else(|| format!("it is one of {}", offered.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> EndpointRules {
        EndpointRules {
            transports: vec![Transport::Webhook],
            http_methods: vec![Method::Post],
            default_method: Method::Post,
            auth: vec![AuthKind::None, AuthKind::Header],
            headers: true,
            max_headers: 2,
            name: Presence::Required,
            unique_name: false,
            https_only: true,
            wildcard: false,
            groups: false,
            events: Presence::Required,
            single_event: false,
            reserved_headers: vec![HeaderName::from_static("x-signature")],
        }
    }

    fn header(name: &str, value: &str) -> (String, SecretText) {
        (name.to_owned(), SecretText::new(value))
    }

    #[test]
    fn custom_headers_can_take_nobody_elses_place() {
        for name in ["X-Signature", "content-TYPE", "Host", "Transfer-Encoding", "User-Agent"] {
            let refused = rules().check_headers(&[header(name, "v")]).unwrap_err();
            assert_eq!(refused, format!("The header \"{name}\" can't be set."));
            let auth = Auth::Header { name: name.to_owned(), value: SecretText::new("v") };
            assert!(rules().check_auth(&auth).is_err());
        }
        assert_eq!(rules().check_headers(&[header("X-Key", "v")]), Ok(()));
    }

    #[test]
    fn broken_headers_are_refused_without_showing_their_values() {
        for (name, value) in
            [("a b", "v"), ("", "v"), ("x\r\ny", "v"), ("x", "se\r\ncret"), ("x", "")]
        {
            let refused = rules().check_headers(&[header(name, value)]).unwrap_err();
            assert!(!refused.contains("cret") && !refused.contains('\n'), "{refused}");
        }
        assert!(rules().check_headers(&[header("x", &"v".repeat(5_000))]).is_err());
        assert!(rules().check_headers(&[header("x", "1"), header("X", "2")]).is_err());
        let three = [header("a", "1"), header("b", "1"), header("c", "1")];
        assert!(rules().check_headers(&three).unwrap_err().contains("At most 2"));
    }

    #[test]
    fn the_number_of_events_follows_the_contract() {
        let required = rules();
        let chosen = |types: usize, groups: usize| Subscription::Chosen {
            types: vec!["a.b".to_owned(); types],
            groups: vec!["a".to_owned(); groups],
        };
        assert!(required.check_subscription(&Subscription::All).is_err());
        assert!(required.check_subscription(&chosen(0, 0)).is_err());
        assert_eq!(required.check_subscription(&chosen(3, 0)), Ok(()));
        assert_eq!(required.check_subscription(&chosen(0, 1)), Ok(()));
        let wildcard = EndpointRules { wildcard: true, ..rules() };
        assert_eq!(wildcard.check_subscription(&Subscription::All), Ok(()));
        let single = EndpointRules { single_event: true, groups: true, ..rules() };
        assert_eq!(single.check_subscription(&chosen(1, 0)), Ok(()));
        assert!(single.check_subscription(&chosen(2, 0)).is_err());
        assert!(single.check_subscription(&chosen(0, 1)).is_err());
        assert!(single.check_subscription(&chosen(1, 1)).is_err());
        assert!(single.check_subscription(&Subscription::All).is_err());
        assert!(required.check_groups(&chosen(1, 1)).is_err());
        assert_eq!(required.check_groups(&chosen(1, 0)), Ok(()));
        assert_eq!(single.check_groups(&chosen(0, 1)), Ok(()));
    }

    #[test]
    fn only_what_the_contract_offers_can_be_chosen() {
        assert!(rules().check_method(Method::Get).unwrap_err().contains("one of POST"));
        let basic = Auth::Basic { token: SecretText::new("t") };
        assert!(rules().check_auth(&basic).unwrap_err().contains("none, header"));
        let refused = rules().check_transport(Transport::Websocket).unwrap_err();
        assert_eq!(refused, "The transport must be one of webhook.");
        assert_eq!(rules().default_transport(), Transport::Webhook);
        assert!(rules().check_name(" ").is_err());
        assert_eq!(rules().check_name("Orders"), Ok(()));
    }
}
