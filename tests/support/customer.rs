//! A company's customer: somebody with an API key and that company's public documentation.

use serde_json::Value;

use super::credentials::application_key;
use super::server::{Answer, TestServer};

/// How a company's keys travel: the header, and what stands before the key.
pub type KeyHeader = (&'static str, &'static str);

/// A customer with a key of one application.
pub struct Customer<'a> {
    pub server: &'a TestServer,
    pub environment: &'static str,
    pub uid: &'static str,
    pub key: String,
    header: KeyHeader,
}

impl<'a> Customer<'a> {
    /// Makes the application and its key.
    pub async fn new(
        server: &'a TestServer,
        environment: &'static str,
        uid: &'static str,
        header: KeyHeader,
    ) -> Customer<'a> {
        let id = server.application(environment, uid).await;
        let key = application_key(server, environment, &id).await;
        Customer { server, environment, uid, key, header }
    }

    /// Calls the company's API with JSON.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.call_raw(method, path, body).await
    }

    /// Calls the company's API with any bytes.
    pub async fn call_raw(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.call_with(&self.key, method, path, body).await
    }

    /// The same with another key.
    pub async fn call_with(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let (header, scheme) = self.header;
        self.server.send(method, path, &[(header, &format!("{scheme}{key}"))], body).await
    }
}
