//! What the demo sets up for each shipped contract, as that company would.

use serde_json::{Value, json};

use super::verify::{self, Verify};

/// One company of the demo.
pub(super) struct Company {
    /// The contract, which is also the environment's name.
    pub(super) contract: &'static str,
    /// The company's own id for its tenant.
    pub(super) tenant: &'static str,
    /// The query that the customer's URL has.
    pub(super) query: &'static str,
    /// What the customer's endpoint has beside URL and events.
    pub(super) endpoint: fn() -> Value,
    /// The secret that the customer chose, where the contract leaves it to them.
    pub(super) secret: Option<&'static str>,
    pub(super) verify: Verify,
}

pub(super) const COMPANIES: [Company; 6] = [
    Company {
        contract: "standard",
        tenant: "acme",
        query: "",
        endpoint: || json!({}),
        secret: None,
        verify: verify::standard,
    },
    Company {
        contract: "kynectlocal",
        tenant: "brand_abc123",
        query: "",
        endpoint: || json!({}),
        secret: Some("a-secret-that-the-customer-chose"),
        verify: verify::kynectlocal,
    },
    Company {
        contract: "klink",
        tenant: "workspace-7",
        query: "?source=k-link&tag=vip&tag=eu",
        endpoint: || json!({ "auth": { "type": "header", "name": "X-API-Key", "value": "customers-own-key" } }),
        secret: None,
        verify: verify::klink,
    },
    Company {
        contract: "kakiyo",
        tenant: "team_42",
        query: "",
        endpoint: || json!({}),
        secret: Some("your_webhook_secret_key"),
        verify: verify::kakiyo,
    },
    Company {
        contract: "tomba",
        tenant: "account-9",
        query: "",
        endpoint: || json!({ "method": "PUT", "headers": { "X-Lead-Source": "tomba" } }),
        secret: None,
        verify: verify::tomba,
    },
    Company {
        contract: "rechat",
        tenant: "8929cf8b-6bcc-484a-a7a6-242eaf70cb7a",
        query: "",
        endpoint: || json!({}),
        secret: None,
        verify: verify::rechat,
    },
];

/// An event of the demo: its type and its payload.
pub(super) struct Event {
    pub(super) event_type: String,
    pub(super) payload: String,
}

impl Company {
    /// The example events of the contract's catalog; for the contract without one, an event
    /// that any company may have.
    pub(super) fn events(&self, contract: &crate::contract::Contract) -> Vec<Event> {
        let events: Vec<Event> = contract
            .events()
            .iter()
            .filter_map(|event| {
                let payload = event.example.as_deref()?.to_owned();
                Some(Event { event_type: event.name.clone(), payload })
            })
            .collect();
        if !events.is_empty() {
            return events;
        }
        vec![Event {
            event_type: "invoice.paid".to_owned(),
            payload: r#"{"type":"invoice.paid","data":{"invoice":"in_1042","amount":19.90,"currency":"EUR"}}"#
                .to_owned(),
        }]
    }
}
