//! The WebDriver protocol (w3.org/TR/webdriver2), as far as the tests speak it, with a
//! chromedriver of their own and Chromium behind it.
//!
//! A small client of our own, because the usual crate, thirtyfour, switches `preserve_order` of
//! `serde_json` on, also for the server that is built beside it: all tests would then try another
//! server than the one that ships.
#![allow(clippy::disallowed_methods)] // A real browser needs a guard in real time.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// How long the driver may take for one command, page loads included.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Starts the driver and waits for its standard input to end, as it does whichever way the
/// test's process ends. Then the whole process group goes, Chromium included.
const KEEPER: &str = "chromedriver --port=0 </dev/null & read -r _; kill -KILL 0";

/// What the driver prints before the number of its port.
const STARTED: &str = "started successfully on port ";

/// How the browser is started: nothing of its own reaches for the network, and no name has an
/// address.
const ARGUMENTS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,900",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/// What stands for an element in the protocol (section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser of one test. It is gone when this is dropped.
pub(crate) struct Session {
    keeper: Child,
    requests: Mutex<SendRequest<Full<Bytes>>>,
    path: String,
    _profile: TempDir,
}

/// A command that the driver refused: `no such element`, `stale element reference`, …
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) error: String,
    pub(crate) message: String,
}

/// Something on the page, until the page changes.
#[derive(Clone, Debug)]
pub(crate) struct Element(String);

impl Session {
    /// A new browser with a profile of its own, in which pages may run scripts or not.
    pub(crate) async fn start(scripts: bool) -> Session {
        let (keeper, port) = launch();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (requests, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let profile = tempfile::tempdir().unwrap();
        let session = Session {
            keeper,
            requests: Mutex::new(requests),
            path: String::new(),
            _profile: profile,
        };
        session.begin(scripts).await
    }

    async fn begin(mut self, scripts: bool) -> Session {
        let directory = format!("--user-data-dir={}", self._profile.path().display());
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([directory.as_str()]).collect();
        let scripts = if scripts { 1 } else { 2 };
        let preferences = json!({ "profile.managed_default_content_settings.javascript": scripts });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "args": arguments, "prefs": preferences },
        } } });
        let made = self.call("POST", "/session", &wanted).await.expect("a browser");
        self.path = format!("/session/{}", made["sessionId"].as_str().unwrap());
        self
    }

    /// Sends a command of the session.
    ///
    /// # Errors
    /// Where the driver refuses it.
    pub(crate) async fn post(&self, command: &str, body: Value) -> Result<Value, Refused> {
        self.call("POST", &format!("{}/{command}", self.path), &body).await
    }

    /// Asks for something of the session.
    ///
    /// # Errors
    /// Where the driver refuses it.
    pub(crate) async fn get(&self, command: &str) -> Result<Value, Refused> {
        self.call("GET", &format!("{}/{command}", self.path), &Value::Null).await
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, Refused> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let mut requests = self.requests.lock().await;
        let exchange = async {
            requests.ready().await.unwrap();
            let answer = requests.send_request(request).await.unwrap();
            let (head, body) = (answer.status(), answer.into_body());
            (head.is_success(), body.collect().await.unwrap().to_bytes())
        };
        let answered = tokio::time::timeout(COMMAND_TIMEOUT, exchange).await;
        let (success, body) = answered.unwrap_or_else(|_| panic!("no answer to {path}"));
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        let value = answer["value"].take();
        if success {
            return Ok(value);
        }
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Err(Refused { error: text("error"), message: text("message") })
    }

    /// A command of the DevTools protocol (chromedevtools.github.io/devtools-protocol).
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("goog/cdp/execute", body).await.unwrap_or_else(|e| panic!("{command}: {e:?}"))
    }

    /// What a script returns. It is the driver's, so no policy of the page stops it.
    ///
    /// # Errors
    /// Where it throws.
    pub(crate) async fn run(&self, script: &str, arguments: Value) -> Result<Value, Refused> {
        self.post("execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// The same for a script that calls its last argument with the result.
    ///
    /// # Errors
    /// Where it throws, or takes too long.
    pub(crate) async fn run_async(&self, script: &str, arguments: Value) -> Result<Value, Refused> {
        self.post("execute/async", json!({ "script": script, "args": arguments })).await
    }

    /// The elements that an XPath selects and a person can see.
    ///
    /// # Errors
    /// Where the page changes meanwhile.
    pub(crate) async fn displayed(&self, xpath: &str) -> Result<Vec<Element>, Refused> {
        let found = self.post("elements", json!({ "using": "xpath", "value": xpath })).await?;
        let mut displayed = Vec::new();
        for element in found.as_array().unwrap() {
            let element = Element(element[ELEMENT].as_str().unwrap().to_owned());
            if self.of(&element, "displayed").await? == true {
                displayed.push(element);
            }
        }
        Ok(displayed)
    }

    /// Something about an element: `text`, `property/value`, `attribute/class`, …
    ///
    /// # Errors
    /// Where it is gone.
    pub(crate) async fn of(&self, element: &Element, what: &str) -> Result<Value, Refused> {
        self.get(&format!("element/{}/{what}", element.0)).await
    }

    /// Does something with an element: `click`, `clear`, `value`.
    ///
    /// # Errors
    /// Where it is gone, or covered, or can't take it.
    pub(crate) async fn with(
        &self,
        element: &Element,
        what: &str,
        body: Value,
    ) -> Result<(), Refused> {
        self.post(&format!("element/{}/{what}", element.0), body).await.map(drop)
    }

    /// What a log has gained since it was asked for last.
    pub(crate) async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("se/log", json!({ "type": kind })).await.unwrap();
        entries.as_array().unwrap().clone()
    }
}

fn launch() -> (Child, u16) {
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(keeper.stdout.take().unwrap());
    let port = output.lines().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.trim_end_matches('.').split_once(STARTED)?;
        port.parse().ok()
    });
    (keeper, port.expect("chromedriver did not start; run scripts/install-packages"))
}

/// The keeper's standard input ends with it.
impl Drop for Session {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
