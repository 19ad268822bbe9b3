//! What goes on while the server is killed: publishers, somebody who resends, and somebody who
//! enables what was paused.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use hookwright::entropy::Entropy;

use super::KEY;
use super::receiver::{Manner, Receiver};
use crate::support::process::Api;

const PUBLISHERS: usize = 8;

/// Events published in one life of the server at the most, so that what piles up in a life that
/// ends late doesn't pile up for ever.
const EVENTS_PER_LIFE: usize = 1_500;

/// One acknowledged event in so many is sent again by hand.
const RESENT_ONE_IN: usize = 50;

/// How long the moody receiver stays as it is.
const MOOD: Duration = Duration::from_millis(400);

/// An application and its endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) uid: String,
    /// By their names, which stand in their paths at the receiver.
    pub(crate) endpoints: Vec<(String, Manner)>,
}

/// The applications: each has a healthy endpoint, and one beside it that isn't.
pub(crate) fn applications() -> Vec<Application> {
    let of = |uid: &str, manners: &[Manner]| {
        let endpoint = |manner: &Manner| (format!("{uid}-{manner:?}").to_lowercase(), *manner);
        Application { uid: uid.to_owned(), endpoints: manners.iter().map(endpoint).collect() }
    };
    vec![
        of("first", &[Manner::Healthy, Manner::Flaky]),
        of("second", &[Manner::Healthy, Manner::Flaky]),
        of("third", &[Manner::Healthy, Manner::Moody]),
        of("fourth", &[Manner::Healthy, Manner::Hanging]),
    ]
}

/// What the server acknowledged, over all its lives.
#[derive(Default)]
pub(crate) struct Acknowledged {
    /// The application of each event.
    pub(crate) events: HashMap<String, usize>,
    /// Events and endpoints that somebody tried to send again, and whether it was taken.
    pub(crate) resent: HashMap<(String, String), bool>,
}

/// What all callers share.
#[derive(Clone)]
pub(crate) struct Callers {
    pub(crate) applications: Arc<Vec<Application>>,
    pub(crate) receiver: Receiver,
    pub(crate) acknowledged: Arc<Mutex<Acknowledged>>,
    pub(crate) entropy: Entropy,
}

impl Callers {
    /// Makes the applications and endpoints.
    pub(crate) async fn set_up(&self, address: SocketAddr) {
        let mut api = Api::connect(address, KEY).await;
        for application in &*self.applications {
            let uid = &application.uid;
            let input = format!(r#"{{"name":"{uid}","uid":"{uid}"}}"#);
            assert_eq!(api.call("POST", "/api/v1/app", input).await.unwrap().0, 201);
            for (name, manner) in &application.endpoints {
                let url = self.receiver.url(name, *manner);
                let input = format!(r#"{{"url":"{url}","uid":"{name}"}}"#);
                let path = format!("/api/v1/app/{uid}/endpoint");
                let (status, made) = api.call("POST", &path, input).await.unwrap();
                assert_eq!(status, 201, "{made}");
            }
        }
    }

    /// Sets everybody to work until the server is gone or no longer listens.
    pub(crate) fn begin(&self, address: SocketAddr) -> JoinSet<()> {
        let mut callers = JoinSet::new();
        let sent = Arc::new(AtomicUsize::new(0));
        for _ in 0..PUBLISHERS {
            callers.spawn(self.clone().publish(address, sent.clone()));
        }
        callers.spawn(self.clone().enable(address));
        callers
    }

    async fn publish(self, address: SocketAddr, sent: Arc<AtomicUsize>) {
        let Ok(mut api) = Api::try_connect(address, KEY).await else { return };
        let mut before = None;
        loop {
            let number = sent.fetch_add(1, SeqCst);
            if number >= EVENTS_PER_LIFE {
                return;
            }
            let place = number % self.applications.len();
            let application = &self.applications[place];
            let body = format!(r#"{{"eventType":"tick","payload":{{"number":{number}}}}}"#);
            let path = format!("/api/v1/app/{}/msg", application.uid);
            let Ok((status, answer)) = api.call("POST", &path, body).await else { return };
            assert_eq!(status, 202, "{answer}");
            let id = answer["id"].as_str().unwrap().to_owned();
            self.acknowledged.lock().unwrap().events.insert(id.clone(), place);
            if number % RESENT_ONE_IN == 1 {
                // By now the one before has arrived, most of the time.
                if let Some((application, event)) = before.replace((application, id))
                    && !self.resend(&mut api, application, event).await
                {
                    return;
                }
            }
        }
    }

    /// Sends an event again that has arrived. Returns whether the server is there still.
    async fn resend(&self, api: &mut Api, application: &Application, event: String) -> bool {
        let (endpoint, _) = &application.endpoints[0];
        if self.receiver.times(endpoint, &event) == 0 {
            return true;
        }
        let key = (endpoint.clone(), event);
        let path =
            format!("/api/v1/app/{}/msg/{}/endpoint/{endpoint}/resend", application.uid, key.1);
        self.acknowledged.lock().unwrap().resent.insert(key.clone(), false);
        let Ok((status, answer)) = api.call("POST", &path, String::new()).await else {
            return false;
        };
        // While the outcome of the first attempt isn't recorded, it is under way.
        assert!(matches!(status, 202 | 409), "{status} {answer}");
        self.acknowledged.lock().unwrap().resent.insert(key, status == 202);
        true
    }

    /// Makes the moody receiver change its mood, and enables what is paused.
    async fn enable(self, address: SocketAddr) {
        let Ok(mut api) = Api::try_connect(address, KEY).await else { return };
        loop {
            self.receiver.set_mood(self.entropy.fraction() < 0.5);
            tokio::time::sleep(MOOD).await;
            if self.enable_paused(&mut api).await.is_err() {
                return;
            }
        }
    }

    /// Enables what is paused, and improves the moody receiver's mood where that is its endpoint.
    pub(crate) async fn enable_paused(&self, api: &mut Api) -> hyper::Result<()> {
        for application in &*self.applications {
            let (name, manner) = &application.endpoints[1];
            let path = format!("/api/v1/app/{}/endpoint/{name}", application.uid);
            let (status, endpoint) = api.call("GET", &path, String::new()).await?;
            assert_eq!(status, 200, "{endpoint}");
            if endpoint["disabled"] == Value::Bool(true) {
                if *manner == Manner::Moody {
                    self.receiver.set_mood(false);
                }
                let enable = format!("{path}/enable");
                let (status, answer) = api.call("POST", &enable, String::new()).await?;
                assert_eq!(status, 200, "{answer}");
            }
        }
        Ok(())
    }

    /// Every event and endpoint that an acknowledged event was for.
    pub(crate) fn expected(&self) -> HashSet<(String, String)> {
        let acknowledged = self.acknowledged.lock().unwrap();
        let pairs = acknowledged.events.iter().flat_map(|(event, &application)| {
            let endpoints = self.applications[application].endpoints.iter();
            endpoints.map(|(endpoint, _)| (endpoint.clone(), event.clone()))
        });
        pairs.collect()
    }
}
