//! A tenant with a webhook, an event that it got, and somebody at the debugger.

use serde_json::{Value, json};

use crate::support::pages::{Visitor, said};
use crate::support::receiver::{Receiver, Reply};
use crate::support::server::TestServer;
use crate::support::tenant::{Delivered, Tenant};

pub(crate) const APP: &str = "acme";

/// What kind of payload printers disagree about.
pub(crate) const PAYLOAD: &str = r#"{"b":"é/<x>","a":[1,2.5],"n":{}}"#;

/// The secrets of contracts whose customers choose them.
pub(crate) const CHOSEN_SECRET: &str = "a-secret-of-ours";

/// An event of the contract.
pub(crate) fn event(contract: &str) -> &'static str {
    match contract {
        "klink" => "contact.created",
        "kakiyo" => "linkedin.message.sent",
        "rechat" => "Deals",
        "tomba" => "save_lead",
        "kynectlocal" => "lead.created",
        _ => "order.created",
    }
}

/// The fields of an endpoint that the contract asks for.
pub(crate) fn endpoint(contract: &str, name: &str, url: &url::Url) -> Value {
    let mut fields = json!({ "url": url.as_str(), "name": name });
    if matches!(contract, "klink" | "kakiyo" | "rechat") {
        fields["filterTypes"] = json!([event(contract)]);
    }
    if matches!(contract, "kakiyo" | "kynectlocal") {
        fields["secret"] = json!(CHOSEN_SECRET);
    }
    fields
}

/// A webhook with an event that it got.
pub(crate) struct Case<'a> {
    pub(crate) tenant: Tenant<'a>,
    pub(crate) visitor: Visitor<'a>,
    pub(crate) receiver: Receiver,
    pub(crate) contract: &'static str,
    pub(crate) webhook: String,
    pub(crate) delivered: Delivered,
}

impl<'a> Case<'a> {
    pub(crate) async fn new(server: &'a TestServer, contract: &'static str) -> Case<'a> {
        let receiver = Receiver::start(Reply::status(200)).await;
        let tenant = Tenant::new(server, contract, APP).await;
        let fields = endpoint(contract, "Orders", &receiver.url("/hook?b=2&a=1"));
        let webhook = tenant.endpoint(fields).await;
        let delivered = tenant.deliver(&receiver, event(contract), PAYLOAD).await;
        let visitor = Visitor::admin(server).await;
        Case { tenant, visitor, receiver, contract, webhook, delivered }
    }

    pub(crate) fn path(&self) -> String {
        path(self.contract, APP)
    }

    /// The headers as the receiver got them, one a line.
    pub(crate) fn headers(&self) -> String {
        let lines = self.delivered.request.headers.iter();
        lines.map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    }

    /// Sends the form as it comes from the receiver's log, with these fields changed, and
    /// returns what the page says.
    pub(crate) async fn check(&self, changes: &[(&str, &str)]) -> String {
        let url = self.receiver.url(&self.delivered.request.target);
        let headers = self.headers();
        let fields = [
            ("webhook", self.webhook.as_str()),
            ("method", "POST"),
            ("url", url.as_str()),
            ("headers", &headers),
            ("body", self.delivered.body()),
        ];
        let kept = fields.into_iter().filter(|(name, _)| changes.iter().all(|(it, _)| it != name));
        let fields: Vec<(&str, &str)> = kept.chain(changes.iter().copied()).collect();
        let answer = self.visitor.post(&self.path(), &fields).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        said(&answer.text)
    }
}

pub(crate) fn path(environment: &str, app: &str) -> String {
    format!("/dashboard/env/{environment}/app/{app}/debugger")
}

#[track_caller]
pub(crate) fn assert_says(page: &str, words: &[&str]) {
    for one in words {
        assert!(page.contains(one), "not said: {one}\n{page}");
    }
}

pub(crate) const VALID: &str = "The signature is valid.";
pub(crate) const NOT_VALID: &str = "The signature doesn’t fit the request.";
