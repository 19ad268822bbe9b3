//! Keys and signed tokens of every kind, good and bad.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

use hookwright::cli::serve::create_key;
use hookwright::contract::routes::KeyRules;
use hookwright::domain::{ApplicationId, Scope};
use hookwright::entropy::Entropy;

use super::server::{JWT_SECRET, TestServer};

/// A JSON Web Token (RFC 7515, 7519), signed here rather than by the library that the server
/// checks it with.
pub fn token(header: &Value, claims: &Value, algorithm: hmac::Algorithm, secret: &str) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// A token that a test server takes, as far as these claims allow.
pub fn jwt(claims: &Value) -> String {
    token(&json!({ "alg": "HS256", "typ": "JWT" }), claims, hmac::HMAC_SHA256, JWT_SECRET)
}

/// Makes an API key and returns its text.
pub async fn key(server: &TestServer, name: &str, scope: Scope) -> String {
    let text = match &scope {
        Scope::Application { environment, .. } => {
            let environment = server.config.environments.get(environment);
            environment.contract.routes().keys().generate(&Entropy::system())
        }
        Scope::Admin | Scope::Environment(_) => KeyRules::default().generate(&Entropy::system()),
    };
    let store = &*server.running().store;
    let text = create_key(store, &Entropy::system(), (name, scope), text).await.unwrap();
    text.expose().to_owned()
}

/// A key of one environment.
pub async fn environment_key(server: &TestServer, environment: &str) -> String {
    key(server, environment, Scope::Environment(Arc::from(environment))).await
}

/// A key of one application, which is named by its id.
pub async fn application_key(server: &TestServer, environment: &str, application: &str) -> String {
    let application: ApplicationId = application.parse().unwrap();
    let environment = Arc::from(environment);
    key(server, application.to_string().as_str(), Scope::Application { environment, application })
        .await
}

/// Revokes the keys of this name.
pub async fn revoke(server: &TestServer, name: &str) {
    let store = &server.running().store;
    let keys = store.list_keys().await.unwrap();
    for key in keys.iter().filter(|key| key.name == name) {
        store.revoke_key(key.id, server.clock.now()).await.unwrap();
    }
}
