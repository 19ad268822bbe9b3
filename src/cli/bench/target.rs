//! The server that is measured: one of our own, or any that speaks the Svix API.

use anyhow::Context;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::connection::{Connection, Origin};
use super::load::{Destination, refusal};
use super::receiver::Receivers;
use super::scenario::Plan;
use super::server::{ServerOptions, ServerProcess, Usage};
use crate::clock::Clock;
use crate::contract::routes::KeyRules;
use crate::domain::SecretText;
use crate::entropy::Entropy;

/// A server that somebody else runs.
pub(super) struct Foreign {
    pub(super) url: String,
    pub(super) token: SecretText,
}

/// A server, and what was made there for one run.
pub(super) struct Target {
    origin: Origin,
    /// Stands before all names that the bench gives.
    run_name: String,
    /// Ids of the applications made so far.
    applications: Vec<String>,
    process: Option<ServerProcess>,
}

impl Target {
    /// Reaches the foreign server, or starts one of our own.
    ///
    /// # Errors
    /// Where the URL is none, or the server does not start.
    pub(super) async fn start(
        foreign: Option<&Foreign>,
        options: &ServerOptions,
        (clock, entropy): (&Clock, &Entropy),
    ) -> anyhow::Result<Target> {
        let (origin, process) = match foreign {
            Some(Foreign { url, token }) => (Origin::new(url, Some(token), None, clock)?, None),
            None => {
                let key = KeyRules::default().generate(entropy);
                let process = ServerProcess::start(options, &key, clock).await?;
                let url = format!("http://{}", process.address);
                (Origin::new(&url, Some(&key), None, clock)?, Some(process))
            }
        };
        let run_name = format!("bench-{}", hex::encode(entropy.bytes::<6>()));
        Ok(Target { origin, run_name, applications: Vec::new(), process })
    }

    /// Makes the applications and endpoints of a plan.
    ///
    /// # Errors
    /// Where the server refuses one of them.
    pub(super) async fn set_up(
        &mut self,
        plan: &Plan,
        receivers: &Receivers,
    ) -> anyhow::Result<()> {
        let origin = self.origin.clone();
        let mut connection = origin.connect().await?;
        let (endpoints, hanging) =
            (plan.topology.endpoints as usize, plan.hanging_endpoints as usize);
        for index in 0..plan.topology.applications as usize {
            let name = format!("{}-{index}", self.run_name);
            let application = json!({ "name": name, "uid": name });
            let made = call(&mut connection, Method::POST, "/api/v1/app", &application).await?;
            let id = made["id"].as_str().context("the server gave an application no id")?;
            self.applications.push(id.to_owned());
            let numbers = index * endpoints..(index + 1) * endpoints;
            let healthy = numbers.map(|endpoint| receivers.endpoint_url(endpoint));
            let urls = healthy.chain((0..hanging).map(|endpoint| receivers.hanging_url(endpoint)));
            let path = format!("/api/v1/app/{id}/endpoint");
            for url in urls {
                call(&mut connection, Method::POST, &path, &json!({ "url": url })).await?;
            }
        }
        Ok(())
    }

    /// Where the messages of all applications are published.
    pub(super) fn destination(&self) -> Destination {
        let path = |id: &String| format!("/api/v1/app/{id}/msg");
        Destination {
            origins: vec![self.origin.clone()],
            paths: self.applications.iter().map(path).collect(),
            published: true,
        }
    }

    /// Removes what was made on somebody else's server; ours ends with its store.
    ///
    /// # Errors
    /// Where something remains there.
    pub(super) async fn clean_up(&mut self) -> anyhow::Result<()> {
        if self.process.is_some() || self.applications.is_empty() {
            return Ok(());
        }
        let mut connection = self.origin.connect().await?;
        for id in self.applications.drain(..) {
            let path = format!("/api/v1/app/{id}");
            call(&mut connection, Method::DELETE, &path, &Value::Null)
                .await
                .with_context(|| format!("the bench's application {id} is still there"))?;
        }
        Ok(())
    }

    /// An error where our own server has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.process.as_mut().map_or(Ok(()), ServerProcess::check)
    }

    /// What our own server has used so far.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.process.as_ref()?.usage()
    }

    /// How many deliveries our own server holds as pending.
    ///
    /// # Errors
    /// Where it is not ours, or its ledger can't be read or doesn't add up.
    pub(super) async fn pending(&self) -> anyhow::Result<u64> {
        self.process.as_ref().context("a foreign server's ledger is not known")?.pending().await
    }
}

async fn call(
    connection: &mut Connection<'_>,
    method: Method,
    path: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let failed = || format!("{method} {path}");
    let (status, answer) =
        connection.send(method.clone(), path, body).await.with_context(failed)?;
    if !status.is_success() {
        return Err(refusal(status, &answer)).with_context(failed);
    }
    if status == StatusCode::NO_CONTENT || answer.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&answer).context("the answer is not JSON").with_context(failed)
}
