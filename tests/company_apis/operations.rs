//! What contracts know of the native API's operations is what the native API documents.

use std::collections::BTreeSet;

use hookwright::api::openapi_json;
use hookwright::contract::routes::{Input, Operation};
use serde_json::Value;

/// The native route of an operation, and the schema of what it answers where a response can
/// show it.
const fn native(
    operation: Operation,
) -> Option<(&'static str, &'static str, Option<&'static str>)> {
    Some(match operation {
        Operation::EndpointCreate => ("post", "/api/v1/app/{app_id}/endpoint", Some("EndpointOut")),
        Operation::EndpointReplace => {
            ("put", "/api/v1/app/{app_id}/endpoint/{endpoint_id}", Some("EndpointOut"))
        }
        Operation::EndpointUpdate => {
            ("patch", "/api/v1/app/{app_id}/endpoint/{endpoint_id}", Some("EndpointOut"))
        }
        Operation::EndpointRotate => {
            ("post", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret/rotate", None)
        }
        Operation::MessageList => ("get", "/api/v1/app/{app_id}/msg", Some("MessageOut")),
        Operation::MessageGet => ("get", "/api/v1/app/{app_id}/msg/{msg_id}", Some("MessageOut")),
        Operation::AttemptList => {
            ("get", "/api/v1/app/{app_id}/attempt/endpoint/{endpoint_id}", Some("AttemptOut"))
        }
        Operation::EndpointTest => {
            ("post", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/send-example", Some("MessageOut"))
        }
        // Its answer is a message with one more member.
        Operation::EventTypeTest => ("post", "/api/v1/app/{app_id}/send-example", None),
        Operation::EventTypeExample => {
            ("get", "/api/v1/event-type/{event_type_name}/example", Some("ExampleOut"))
        }
        Operation::EndpointEnable => {
            ("post", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/enable", None)
        }
        Operation::EndpointHistory => {
            ("get", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/history", Some("HistoryOut"))
        }
        Operation::EventList => ("get", "/api/v1/app/{app_id}/events", Some("MessageOut")),
        Operation::EventTypeList => ("get", "/api/v1/event-type", Some("EventTypeOut")),
        _ => return None,
    })
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default()
}

fn properties(document: &Value, reference: &Value) -> BTreeSet<String> {
    let name = reference.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    keys(&document["components"]["schemas"][name]["properties"])
}

#[test]
fn inputs_are_the_native_ones() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    for &operation in Operation::ALL {
        let Some((method, path, _)) = native(operation) else { continue };
        let route = &document["paths"][path][method];
        assert!(route.is_object(), "{method} {path}");
        let known: BTreeSet<String> =
            operation.input().fields().iter().map(|field| field.name.to_owned()).collect();
        match operation.input() {
            Input::Nothing => {}
            Input::Body(_) => {
                let schema = &route["requestBody"]["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(known, properties(&document, schema), "{operation:?}");
            }
            Input::Query(_) => {
                let parameters = route["parameters"].as_array().unwrap().iter();
                let names: BTreeSet<String> = parameters
                    .filter(|parameter| parameter["in"] == "query")
                    .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                    // Whether contents are shown is the contract's to say.
                    .filter(|name| !name.starts_with("with_") && name != "endpoint_id")
                    .collect();
                assert_eq!(known, names, "{operation:?}");
            }
        }
    }
}

#[test]
fn samples_of_answers_have_the_native_members() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    for &operation in Operation::ALL {
        let Some((_, _, Some(schema))) = native(operation) else { continue };
        let mut documented = keys(&document["components"]["schemas"][schema]["properties"]);
        if schema == "EndpointOut" {
            // Contracts show these too.
            documented.extend(["secret".to_owned(), "headers".to_owned()]);
        }
        let (_, samples) = operation.answers().remove(0);
        for sample in samples {
            let sample: Value = serde_json::from_str(sample).unwrap();
            assert_eq!(keys(&sample), documented, "{operation:?}");
        }
    }
}
