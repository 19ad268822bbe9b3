//! Tries a contract out when it is loaded, so that what can go wrong goes wrong there, with
//! a line number, and not at the first delivery.

use std::sync::Arc;

use super::handshake::HandshakeInput;
use super::json;
use super::problem::Problems;
use super::render::RenderError;
use super::sample::Sample;
use super::scope::Scope;
use super::secret::SecretKind;
use super::signature::Stage;
use super::template::{Template, TemplateError};
use super::{Contract, RenderInput};
use crate::domain::Transport;

/// Renders every event of the catalog in the ways that endpoints can differ. Of each template
/// the first problem is reported: with other events it is mostly the same one again.
pub(super) fn check(contract: &Contract, problems: &mut Problems<'_>) {
    let mut reported: Vec<Arc<str>> = Vec::new();
    for sample in samples(contract) {
        let rendered = sample.with_input(|input| {
            let named = contract.name_signatures(
                Stage::Event,
                &contract.signing_keys(input.endpoint, input.now)?,
                Scope::new(input, contract.routes.ids()),
            )?;
            let body = contract.delivery.body.render(&named)?;
            check_body(&contract.delivery.body, contract.delivery.is_json, &body)?;
            match input.endpoint.transport {
                Transport::Webhook => contract.request(input).map(drop)?,
                Transport::Websocket => contract.message(input).map(drop)?,
            }
            shake_hands(contract, input)
        });
        match rendered {
            Ok(()) => {}
            Err(RenderError::Template(error)) => {
                if !reported.contains(&error.label) {
                    problems.on_line(error.line, error.to_string(), error.hint);
                    reported.push(error.label);
                }
            }
            // Mostly the consequence of something that was reported already.
            Err(error) if problems.is_empty() => {
                let line = contract.delivery.body.origin().first_line;
                problems.on_line(line, format!("no request can be made: {error}"), None);
            }
            Err(_) => {}
        }
    }
}

fn shake_hands(contract: &Contract, input: &RenderInput<'_>) -> Result<(), RenderError> {
    for handshake in contract.handshakes() {
        let ready = HandshakeInput {
            application: Arc::clone(&input.message.application),
            endpoint: input.endpoint,
            id: input.message.id,
            challenge: Arc::from("0123456789abcdef"),
            now: input.now,
        };
        let request = contract.handshake_request(handshake, &ready)?.request;
        let is_json = handshake.is_json && !request.body.is_empty();
        check_body(&handshake.body, is_json, &request.body)?;
    }
    Ok(())
}

fn samples(contract: &Contract) -> Vec<Sample> {
    let names = contract.events().iter().map(|event| Some(event.name.as_str()));
    let mut samples: Vec<Sample> = if contract.events().is_empty() {
        contract.sample(None).into_iter().collect()
    } else {
        names.filter_map(|name| contract.sample(name).ok()).collect()
    };
    let Some(plain) = samples.first().cloned() else { return samples };
    for &method in &contract.endpoint.http_methods {
        let url = format!("{}?b=2&a=1&b=%20", plain.url);
        samples.push(Sample { method, url, ..plain.clone() });
    }
    if contract.endpoint.transports.contains(&Transport::Websocket) {
        let url = "wss://example.com/webhooks?b=2&a=1".to_owned();
        samples.push(Sample { transport: Transport::Websocket, url, ..plain.clone() });
    }
    samples.push(Sample { secret: None, ..plain.clone() });
    // Types that the company adds need not be in a group.
    samples.push(Sample { event_group: None, ..plain.clone() });
    samples.push(Sample { attempt: 2, replaced: plain.secret.clone(), ..plain.clone() });
    if contract.secret.offers(SecretKind::Ed25519) {
        let secret = contract.secret.example_of(SecretKind::Ed25519);
        samples.push(Sample { secret, ..plain.clone() });
    }
    samples.push(awkward(plain));
    samples
}

/// A sample whose texts need escaping wherever they are written.
fn awkward(plain: Sample) -> Sample {
    let text = "\"é\\ {{ 1 }} 😀";
    Sample {
        event_id: Some(format!("event {text}")),
        application_uid: format!("uid {text}"),
        application_name: format!("name {text}"),
        endpoint_name: format!("endpoint {text}"),
        payload: Arc::from(r#"{"text":"\"é\\ \ud83d\ude00","number":1.10}"#),
        ..plain
    }
}

/// Whether a body that is to be JSON is JSON.
pub(super) fn check_body(
    template: &Template,
    is_json: bool,
    body: &[u8],
) -> Result<(), TemplateError> {
    if !is_json {
        return Ok(());
    }
    let text = String::from_utf8_lossy(body);
    let Err(error) = json::validate_body(&text) else { return Ok(()) };
    let near: String = text.get(error.offset..).unwrap_or_default().chars().take(30).collect();
    let hint = "values are quoted for you: {{ event.type }} without quotes around it".to_owned();
    let message = format!("the body isn't JSON: {error}, near `{}`", near.escape_debug());
    Err(template.error(message, Some(hint)))
}
