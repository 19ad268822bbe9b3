//! A day in the life of one of K-LINK's customers, fit to be shown: webhooks in every state,
//! events that arrived, some that didn't, and why.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};

use hookwright::clock::Clock;
use hookwright::sender::Resolver;

use crate::support::certificates::Authority;
use crate::support::environments::configure;
use crate::support::receiver::{Options, Receiver, Reply, Script, Step};
use crate::support::server::TestServer;
use crate::support::tenant::Tenant;

pub(crate) const CUSTOMER: &str = "kopi-nusantara";
const OTHER_CUSTOMER: &str = "teh-melati";
const ENVIRONMENT: &str = "production";

const HOUR: Duration = Duration::from_secs(3_600);

/// From when tests begin to a day that looks recent.
const LATER: Duration = Duration::from_secs(674 * 86_400);

/// The hosts of the customer's receivers, and one at which nobody listens.
const HOSTS: [&str; 3] = ["api.kopi.example", "crm.kopi.example", "old.kopi.example"];
const NOBODY: &str = "reports.kopi.example";

/// Failed attempts within an hour after which K-LINK pauses a webhook.
const FAILURES_TO_PAUSE: usize = 51;

/// What the CRM answers: 0 is no answer.
type Mood = Arc<AtomicU16>;

pub(crate) struct Company {
    pub(crate) server: TestServer,
    /// Ids by the names that addresses of scenes have them under.
    pub(crate) ids: HashMap<&'static str, String>,
    crm: Mood,
    receiver: Receiver,
    /// How addresses of the receivers end after the host: with a port, where HTTPS's own can't be
    /// listened on.
    port: String,
    _roots: NamedTempFile,
}

impl Company {
    pub(crate) async fn after_a_day() -> Company {
        let mut company = Company::start().await;
        company.make_webhooks().await;
        company.let_a_day_pass().await;
        company.let_others_be_busy().await;
        company.let_something_fail().await;
        company
    }

    async fn start() -> Company {
        let authority = Authority::new("An authority for the company");
        let roots = authority.pem_file();
        let tls = Some(authority.issue(&HOSTS).server_config(&["http/1.1"]));
        let crm = Mood::new(AtomicU16::new(200));
        let options = Options { tls, ..Options::default() };
        let clock = Arc::new(OnceLock::new());
        let receiver = Receiver::start_with(options, script(crm.clone(), clock.clone())).await;
        let (address, port) = match listen_at_https_port(receiver.port()).await {
            Some(address) => (address, String::new()),
            None => (IpAddr::from([127, 0, 0, 1]), format!(":{}", receiver.port())),
        };
        let mut names: HashMap<String, Vec<IpAddr>> =
            HOSTS.map(|host| (host.to_owned(), vec![address])).into();
        names.insert(NOBODY.to_owned(), vec![IpAddr::from([127, 0, 0, 3])]);
        let server = TestServer::start_resolving(&[], Resolver::fixed(names), |config| {
            configure(config, &[("development", "klink"), (ENVIRONMENT, "klink")], false);
            config.tls_ca_file = Some(roots.path().to_owned());
            config.dashboard.outbound_addresses = vec!["203.0.113.180".to_owned()];
        })
        .await;
        server.clock.advance(LATER);
        let _ = clock.set(server.clock.clone());
        for (uid, name) in [
            (OTHER_CUSTOMER, "Teh Melati"),
            ("batik-larasati", "Batik Larasati"),
            (CUSTOMER, "Kopi Nusantara"),
        ] {
            for environment in ["development", ENVIRONMENT] {
                let input = json!({ "name": name, "uid": uid });
                server.call(environment, "POST", "/api/v1/app", input).await.expect(201);
            }
        }
        Company { server, ids: HashMap::new(), crm, receiver, port, _roots: roots }
    }

    async fn make_webhooks(&mut self) {
        let url = |host: &str, path: &str| format!("https://{host}{}{path}", self.port);
        let token = json!({ "type": "header", "name": "X-API-Key", "value": "kopi-4711" });
        let webhooks = [
            (
                "healthy",
                json!({ "name": "Order desk", "url": url(HOSTS[0], "/klink/events"),
                "filterGroups": ["contact", "message"] }),
            ),
            (
                "failing",
                json!({ "name": "CRM sync", "url": url(HOSTS[1], "/hooks/contacts"),
                "auth": token, "filterTypes": ["contact.created", "contact.updated"] }),
            ),
            (
                "paused",
                json!({ "name": "Weekly reports", "filterGroups": ["room"],
                "url": format!("https://{NOBODY}/klink") }),
            ),
            (
                "disabled",
                json!({ "name": "Old helpdesk", "url": url(HOSTS[2], "/klink"),
                "filterTypes": ["message.inbound", "message.outbound"] }),
            ),
            (
                "new",
                json!({ "name": "Shop displays", "transport": "websocket",
                "url": format!("wss://{}{}/live", HOSTS[0], self.port),
                "filterTypes": ["message.comment"] }),
            ),
        ];
        for (key, fields) in webhooks {
            let id = self.customer().endpoint(fields).await;
            self.ids.insert(key, id);
            self.server.clock.advance(Duration::from_secs(200));
        }
    }

    fn customer(&self) -> Tenant<'_> {
        Tenant::existing(&self.server, ENVIRONMENT, CUSTOMER)
    }

    /// Publishes an event and waits until this many attempts at it were made.
    async fn publish(&self, event: &str, attempts: usize) -> String {
        let payload = payload(event).to_string();
        let message = self.server.publish(ENVIRONMENT, CUSTOMER, event, &payload).await;
        self.server.wait_for_attempts(ENVIRONMENT, CUSTOMER, &message, attempts).await;
        message
    }

    /// The reports' receiver is gone from the beginning; the old helpdesk is switched off soon.
    async fn let_a_day_pass(&mut self) {
        for _ in 0..FAILURES_TO_PAUSE {
            self.publish("room.solved", 1).await;
        }
        let (paused, disabled) = (self.ids["paused"].clone(), self.ids["disabled"].clone());
        let paused = format!("endpoint/{paused}");
        crate::support::server::eventually("the pause", async || {
            let shown = self.customer().ask("GET", &paused, Value::Null).await.expect(200);
            shown["paused"] == true
        })
        .await;
        for hour in 0..24_usize {
            let until = self.server.clock.now() + HOUR;
            for turn in 0..1 + (hour * 5 + 3) % 4 {
                let trouble = turn == 0 && [7, 15, 16].contains(&hour);
                self.crm.store(if trouble { 503 } else { 200 }, SeqCst);
                self.publish(["contact.created", "contact.updated"][turn % 2], 2).await;
                self.server.clock.advance(Duration::from_secs(421 + turn as u64 * 97));
            }
            self.crm.store(200, SeqCst);
            let takers = if hour < 4 { 2 } else { 1 };
            self.publish(["message.inbound", "message.outbound"][hour % 2], takers).await;
            if hour == 3 {
                self.customer().change(&disabled, json!({ "disabled": true })).await.expect(200);
            }
            if hour % 8 == 5 {
                self.publish("room.solved", 0).await;
            }
            self.server.clock.advance(until.since(self.server.clock.now()));
        }
    }

    /// An hour in which another customer gets most of the events.
    async fn let_others_be_busy(&self) {
        let other = Tenant::existing(&self.server, ENVIRONMENT, OTHER_CUSTOMER);
        let url = format!("https://{}{}/teh-melati", HOSTS[0], self.port);
        let group = ["message"];
        other.endpoint(json!({ "name": "Chat archive", "url": url, "filterGroups": group })).await;
        let (event, seen) = ("message.inbound", self.receiver.requests().len());
        let mut published = 0;
        for minute in 0..56 {
            self.server.clock.advance(Duration::from_secs(60));
            for _ in 0..3 + minute * 7 % 5 {
                let payload = payload(event).to_string();
                self.server.publish(ENVIRONMENT, OTHER_CUSTOMER, event, &payload).await;
                published += 1;
            }
            self.receiver.wait_for(seen + published).await;
        }
    }

    /// The last minutes: one delivery fails for good, one is on its way to that.
    async fn let_something_fail(&mut self) {
        self.crm.store(503, SeqCst);
        let failed = self.publish("contact.updated", 2).await;
        for (attempts, wait) in [(3, 30), (4, 60), (5, 90)] {
            self.server.clock.advance(Duration::from_secs(wait));
            self.server.wait_for_attempts(ENVIRONMENT, CUSTOMER, &failed, attempts).await;
        }
        self.server.clock.advance(Duration::from_secs(41));
        let delivered = self.publish("message.inbound", 1).await;
        self.server.clock.advance(Duration::from_secs(12));
        self.crm.store(0, SeqCst);
        let seen = self.receiver.requests().len();
        let retrying = self.publish("contact.created", 1).await;
        self.receiver.wait_for(seen + 2).await;
        self.server.clock.advance(Duration::from_secs(10));
        self.server.wait_for_attempts(ENVIRONMENT, CUSTOMER, &retrying, 2).await;
        self.server.clock.advance(Duration::from_secs(4));
        self.ids.extend([("failed", failed), ("delivered", delivered), ("retrying", retrying)]);
    }
}

/// What the receivers do: all is well, but for the CRM. Each takes a while by the server's clock.
fn script(crm: Mood, clock: Arc<OnceLock<Clock>>) -> Script {
    let answered = AtomicU64::new(0);
    Script::by(move |request| {
        let turn = answered.fetch_add(1, SeqCst);
        let clock = clock.get().expect("a server was started");
        clock.advance(Duration::from_micros(18_400 + turn * 7_919 % 61_000));
        match (request.target.as_str(), crm.load(SeqCst)) {
            ("/hooks/contacts", 0) => Reply::step(Step::Hang),
            ("/hooks/contacts", 503) => Reply::status(503)
                .header("content-type", "application/json")
                .header("retry-after", "120")
                .body(r#"{"error":"maintenance","message":"The CRM is being upgraded."}"#),
            _ => {
                Reply::status(200).header("content-type", "application/json").body(r#"{"ok":true}"#)
            }
        }
    })
}

/// An event's payload.
fn payload(event: &str) -> Value {
    let contact = json!({ "id": "ct_5120", "name": "Ayu Lestari", "phone": "+62 812 5550 117",
        "channel": "whatsapp", "tags": ["wholesale", "jakarta"] });
    match event.split('.').next() {
        Some("contact") => json!({ "contact": contact }),
        Some("message") => json!({ "contact": contact, "room": "rm_204",
            "message": { "id": "ms_90211", "text": "Is the Gayo roast back in stock?" } }),
        _ => json!({ "room": { "id": "rm_204", "status": "solved" }, "agent": "Budi Santoso" }),
    }
}

/// Leads HTTPS's own port of an address of this machine to the receiver, where that is allowed:
/// then the addresses in pictures look as they do in life.
async fn listen_at_https_port(receiver: u16) -> Option<IpAddr> {
    let address = IpAddr::from([127, 0, 0, 2]);
    let listener = TcpListener::bind((address, 443)).await.ok()?;
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut to = TcpStream::connect(("127.0.0.1", receiver)).await?;
                tokio::io::copy_bidirectional(&mut from, &mut to).await
            });
        }
    });
    Some(address)
}
