//! A made-up delivery: for examples, and for trying a contract out before it is used.

use std::sync::Arc;

use super::problem::did_you_mean;
use super::{Contract, RenderInput, WireRequest};
use crate::domain::{
    Application, ApplicationId, Auth, Endpoint, EndpointId, EndpointState, Failure, Message,
    MessageId, Metadata, Method, SecretText, SigningSecret, Subscription, Timestamp, Transport,
};

/// 2025-01-15 14:32:00 UTC: examples are the same every time.
const TIME: Timestamp = Timestamp::from_seconds(1_736_951_520);
const EVENT: &str = "example.created";
const PAYLOAD: &str = r#"{"example":true}"#;
const URL: &str = "https://example.com/webhooks";

/// What an example is made from. Everything can be changed before it is rendered.
#[derive(Clone, Debug)]
pub struct Sample {
    pub event_type: String,
    pub event_group: Option<String>,
    pub event_id: Option<String>,
    /// Raw JSON.
    pub payload: Arc<str>,
    pub environment: Arc<str>,
    pub application_id: ApplicationId,
    pub application_uid: String,
    pub application_name: String,
    pub endpoint_name: String,
    pub url: String,
    pub transport: Transport,
    pub method: Method,
    /// The secret that signs; `None` for a request without a signature.
    pub secret: Option<SecretText>,
    /// A secret that was replaced and still signs.
    pub replaced: Option<SecretText>,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When the message was published, and when the attempt starts.
    pub time: Timestamp,
}

impl Contract {
    /// A sample of an event: with the catalog's example where there is one. Without a name,
    /// the first event of the catalog.
    ///
    /// # Errors
    /// A sentence, where a contract with a catalog doesn't know the event.
    pub fn sample(&self, event_type: Option<&str>) -> Result<Sample, String> {
        let spec = match event_type {
            Some(name) => self.event(name),
            None => self.events().first(),
        };
        if let (Some(name), None, false) = (event_type, spec, self.events().is_empty()) {
            let names = self.events().iter().map(|event| event.name.as_str());
            let hint = did_you_mean(name, names).map(|hint| format!(" ({hint})"));
            let hint = hint.unwrap_or_default();
            return Err(format!("{} has no event \"{name}\"{hint}.", self.title()));
        }
        let name = spec.map(|spec| spec.name.as_str()).or(event_type).unwrap_or(EVENT);
        let group = spec.and_then(|spec| spec.group.as_deref());
        let example = spec.and_then(|spec| spec.example.clone());
        Ok(self.sample_of(name, group, example.unwrap_or_else(|| PAYLOAD.into())))
    }

    /// A sample of any event: also of one that the company added to the catalog.
    pub fn sample_of(&self, event_type: &str, group: Option<&str>, payload: Arc<str>) -> Sample {
        Sample {
            event_type: event_type.to_owned(),
            event_group: group.map(str::to_owned),
            event_id: None,
            payload,
            environment: "production".into(),
            application_id: ApplicationId::at(TIME, [1; 8]),
            application_uid: "brand_abc123".to_owned(),
            application_name: "Example".to_owned(),
            endpoint_name: "Example webhook".to_owned(),
            url: URL.to_owned(),
            transport: Transport::Webhook,
            method: self.endpoint.default_method,
            secret: self.secret.example(),
            replaced: None,
            attempt: 1,
            time: TIME,
        }
    }

    /// Whether bodies are JSON.
    pub fn sends_json(&self) -> bool {
        self.delivery.is_json
    }

    /// The exact request that a receiver would get.
    ///
    /// # Errors
    /// As for [`Contract::render`].
    pub fn example(&self, sample: &Sample) -> Result<WireRequest, Failure> {
        sample.with_input(|input| self.render(input))
    }
}

impl Sample {
    /// Hands the sample on as what a delivery is rendered from.
    pub(super) fn with_input<T>(&self, render: impl FnOnce(&RenderInput<'_>) -> T) -> T {
        let message = self.message();
        let endpoint = self.endpoint(message.application.id);
        let (message, endpoint) = (&message, &endpoint);
        render(&RenderInput { message, endpoint, attempt: self.attempt, now: self.time })
    }

    fn message(&self) -> Message {
        let application = Application {
            id: self.application_id,
            environment: Arc::clone(&self.environment),
            uid: Some(self.application_uid.clone()),
            name: self.application_name.clone(),
            metadata: Metadata::new(),
            created_at: self.time,
            updated_at: self.time,
        };
        Message {
            id: MessageId::at(self.time, [2; 8]),
            application: Arc::new(application),
            event_type: self.event_type.clone(),
            event_group: self.event_group.clone(),
            event_id: self.event_id.clone(),
            payload: Arc::clone(&self.payload),
            channels: Vec::new(),
            tags: Vec::new(),
            test: false,
            created_at: self.time,
        }
    }

    fn endpoint(&self, application_id: ApplicationId) -> Endpoint {
        let signing =
            |text: &SecretText, expires_at| SigningSecret { text: text.clone(), expires_at };
        let replaced =
            self.replaced.iter().map(|text| signing(text, Some(Timestamp::from_micros(i64::MAX))));
        Endpoint {
            id: EndpointId::at(self.time, [3; 8]),
            application_id,
            environment: Arc::clone(&self.environment),
            uid: None,
            name: self.endpoint_name.clone(),
            description: String::new(),
            url: self.url.clone(),
            transport: self.transport,
            method: self.method,
            auth: Auth::None,
            headers: Vec::new(),
            subscription: Subscription::All,
            channels: None,
            throttle_rate: None,
            ordered: false,
            metadata: Metadata::new(),
            state: EndpointState::Enabled,
            secrets: self.secret.iter().map(|text| signing(text, None)).chain(replaced).collect(),
            revision: 1,
            created_at: self.time,
            updated_at: self.time,
        }
    }
}
