//! `hookwright demo`: the server, six companies that publish, six customers that verify.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::print;
use super::serve::Server;
use crate::clock::Clock;
use crate::config::{Config, load_contract};
use crate::domain::parse_duration;
use crate::entropy::Entropy;
use client::Client;
use company::{COMPANIES, Company, Event};
use show::Style;
use verify::Arrived;

mod client;
mod company;
mod receiver;
mod show;
mod verify;

/// How long `--once` waits for what it published.
const ONCE_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Publish every example event once, and end with status 0 if all arrived and verified
    #[arg(long)]
    once: bool,
    /// The time between events once all examples were sent
    #[arg(long, default_value = "3s", value_name = "DURATION")]
    every: String,
    /// Address and port of the server; another port is taken where it is in use
    #[arg(long, default_value = "127.0.0.1:8071", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
}

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let every = parse_duration(&args.every)
        .context("--every: write a number and ms, s, m, h or d, such as 3s")?;
    super::runtime()?.block_on(async {
        let dir = tempfile::tempdir().context("can't make a directory for the demo's store")?;
        let mut demo = Demo::start(args.listen, dir.path()).await?;
        let verified = demo.run(args.once, every).await;
        demo.server.stop().await;
        Ok(if verified? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// A company, set up.
struct Party {
    company: &'static Company,
    events: Vec<Event>,
    /// Scheme, host and port of the customer's receiver.
    origin: String,
    secret: String,
    arrived: usize,
    verified: usize,
}

struct Demo {
    server: Server,
    client: Client,
    parties: Vec<Party>,
    arrivals: mpsc::UnboundedReceiver<(usize, Arrived)>,
    style: Style,
    clock: Clock,
}

impl Demo {
    async fn start(listen: SocketAddr, dir: &std::path::Path) -> anyhow::Result<Demo> {
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let key = crate::contract::routes::KeyRules::default().generate(&entropy);
        let environments: Vec<&str> = COMPANIES.iter().map(|company| company.contract).collect();
        let mut config = Config::local(&environments, dir)?;
        config.listen = free_address(listen).await;
        config.admin_key = Some(key.clone());
        let server = Server::start(&config, clock.clone(), entropy).await?;
        let client = Client { address: server.address, key };
        let (sender, arrivals) = mpsc::unbounded_channel();
        let mut parties = Vec::new();
        for (index, company) in COMPANIES.iter().enumerate() {
            let receiver = receiver::start(index, sender.clone()).await?;
            parties.push(Party::set_up(company, &client, receiver).await?);
        }
        Ok(Demo { server, client, parties, arrivals, style: Style::of_stdout(), clock })
    }

    /// Publishes every example, shows what arrives, and goes on until it is interrupted.
    async fn run(&mut self, once: bool, every: Duration) -> anyhow::Result<bool> {
        print(&self.introduction())?;
        let expected: usize = self.parties.iter().map(|party| party.events.len()).sum();
        for party in &self.parties {
            for event in &party.events {
                party.publish(event, &self.client).await?;
            }
        }
        let clock = self.clock.clone();
        let all = clock.timeout(ONCE_PATIENCE, self.show_arrivals(expected)).await;
        if let Ok(shown) = all {
            shown?;
        }
        let verified = self.all_verified();
        print(&self.summary())?;
        if !once {
            print(&self.invitation())?;
            self.go_on(every).await?;
        }
        Ok(verified)
    }

    async fn show_arrivals(&mut self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            if let Some((index, arrived)) = self.arrivals.recv().await {
                self.show(index, &arrived)?;
            }
        }
        Ok(())
    }

    fn show(&mut self, index: usize, arrived: &Arrived) -> anyhow::Result<()> {
        let party = &mut self.parties[index];
        let verdict = (party.company.verify)(arrived, &party.secret, &party.origin);
        party.arrived += 1;
        party.verified += usize::from(verdict.is_ok());
        print(&self.style.request(party.company.contract, arrived, &verdict))?;
        Ok(())
    }

    /// An event every few seconds, and whatever else arrives, until Ctrl-C.
    async fn go_on(&mut self, every: Duration) -> anyhow::Result<()> {
        let mut turn = 0;
        let mut next = self.clock.now() + every;
        loop {
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
                Some((index, arrived)) = self.arrivals.recv() => self.show(index, &arrived)?,
                () = self.clock.sleep_until(next) => {
                    let party = &self.parties[turn % self.parties.len()];
                    let event = &party.events[turn / self.parties.len() % party.events.len()];
                    party.publish(event, &self.client).await?;
                    turn += 1;
                    next = self.clock.now() + every;
                }
            }
        }
    }

    fn all_verified(&self) -> bool {
        self.parties
            .iter()
            .all(|party| party.arrived == party.events.len() && party.verified == party.arrived)
    }

    fn introduction(&self) -> String {
        format!(
            "{}\nSix companies publish their example events; what follows is what their customers' \
             receivers got.\n",
            self.style.bold(&format!("Hookwright listens on http://{}", self.server.address)),
        )
    }

    fn summary(&self) -> String {
        let mut lines = vec![self.style.bold("CONTRACT      PUBLISHED  ARRIVED  VERIFIED")];
        for party in &self.parties {
            let published = party.events.len();
            let line = format!(
                "{:<12}  {published:>9}  {:>7}  {:>8}",
                party.company.contract, party.arrived, party.verified
            );
            let good = party.arrived == published && party.verified == published;
            lines.push(if good { self.style.good(&line) } else { self.style.bad(&line) });
        }
        lines.join("\n")
    }

    fn invitation(&self) -> String {
        let party = &self.parties[0];
        format!(
            "\n{}\n\n  curl -X POST http://{}/api/v1/app/{}/msg \\\n    -H 'Authorization: Bearer {}' \\\n    \
             -H 'Hookwright-Environment: {}' \\\n    -d '{{\"eventType\": \"invoice.paid\", \"payload\": \
             {{\"hello\": \"world\"}}}}'\n\n{}\n\n  http://{}/dashboard\n\nThe API reference \
             is at http://{}/docs. Ctrl-C ends the demo.\n",
            self.style.bold("Publish an event of your own, and see it arrive here:"),
            self.server.address,
            party.company.tenant,
            self.client.key.expose(),
            party.company.contract,
            self.style.bold("See what happened, signing in with the same key:"),
            self.server.address,
            self.server.address,
        )
    }
}

impl Party {
    async fn set_up(
        company: &'static Company,
        client: &Client,
        receiver: SocketAddr,
    ) -> anyhow::Result<Party> {
        let (environment, tenant) = (company.contract, company.tenant);
        let contract = load_contract(company.contract)?;
        let events = company.events(&contract);
        let application =
            json!({ "name": format!("A tenant of {}", contract.title()), "uid": tenant });
        client.call(environment, "POST", "/api/v1/app", application.to_string()).await?;
        let origin = format!("http://{receiver}");
        // A contract may allow a single event type an endpoint, so each gets its own then.
        let types: Vec<&str> = events.iter().map(|event| event.event_type.as_str()).collect();
        let subscriptions: Vec<&[&str]> = match contract.endpoint().single_event {
            true => types.chunks(1).collect(),
            false => vec![&types],
        };
        let mut secret = company.secret.unwrap_or_default().to_owned();
        for subscribed in subscriptions {
            let mut endpoint = (company.endpoint)();
            endpoint["url"] =
                json!(format!("{origin}/webhooks/{}{}", company.contract, company.query));
            endpoint["name"] = json!(format!("Demo receiver {}", subscribed.join(" ")));
            if !contract.events().is_empty() {
                endpoint["filterTypes"] = json!(subscribed);
            }
            match (company.secret, secret.as_str()) {
                (Some(chosen), _) => endpoint["secret"] = json!(chosen),
                // The receiver knows one secret, so the endpoints share the first's.
                (None, known) if !known.is_empty() => endpoint["secret"] = json!(known),
                (None, _) => {}
            }
            let path = format!("/api/v1/app/{tenant}/endpoint");
            let made = client.call(environment, "POST", &path, endpoint.to_string()).await?;
            if secret.is_empty()
                && contract.secret().origin == crate::contract::SecretOrigin::Generated
            {
                let id = made["id"].as_str().unwrap_or_default();
                let shown = client
                    .call(environment, "GET", &format!("{path}/{id}/secret"), String::new())
                    .await?;
                secret = shown["key"].as_str().unwrap_or_default().to_owned();
            }
        }
        Ok(Party { company, events, origin, secret, arrived: 0, verified: 0 })
    }

    async fn publish(&self, event: &Event, client: &Client) -> anyhow::Result<Value> {
        let path = format!("/api/v1/app/{}/msg", self.company.tenant);
        // Written by hand, so that the payload's bytes stay as the catalog has them.
        let body = format!(
            r#"{{"eventType":{},"payload":{}}}"#,
            Value::from(event.event_type.as_str()),
            event.payload
        );
        client.call(self.company.contract, "POST", &path, body).await
    }
}

/// The address asked for, or another port where that one is in use.
async fn free_address(wanted: SocketAddr) -> SocketAddr {
    match tokio::net::TcpListener::bind(wanted).await {
        Ok(_) => wanted,
        Err(_) => SocketAddr::new(wanted.ip(), 0),
    }
}
