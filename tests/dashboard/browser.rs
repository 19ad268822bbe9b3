//! A person at a browser: finds things by the words on them, and waits until they are there.
//!
//! Whatever a test looks at, two things hold at its end: the console is clean, and nothing was
//! asked of anybody but the server.
#![allow(clippy::disallowed_methods)] // A real browser needs a guard in real time.

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::server::TestServer;
use crate::webdriver::{Element, Refused, Session};

/// How long a person waits for something that should happen at once.
const PATIENCE: Duration = Duration::from_secs(15);

/// The height of a picture, in CSS pixels.
pub(crate) const HEIGHT_MAX: u64 = 10_000;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(40);

/// Browsers at a time: each keeps a core busy.
static BROWSERS: Semaphore = Semaphore::const_new(2);

/// A browser at a server.
pub(crate) struct Browser {
    session: Session,
    origin: String,
    /// Statuses of answers that the test wants to see, which the console complains about.
    wanted: Mutex<Vec<u16>>,
}

/// Opens a browser, does as told, and then looks at the console and the network. Where it fails,
/// a picture of the page is left in `target/screenshots`.
pub(crate) async fn browse(server: &TestServer, test: impl AsyncFnOnce(&Browser)) {
    run(server, true, test).await;
}

/// The same in a browser in which pages can't run scripts.
pub(crate) async fn browse_without_scripts(server: &TestServer, test: impl AsyncFnOnce(&Browser)) {
    run(server, false, test).await;
}

async fn run(server: &TestServer, scripts: bool, test: impl AsyncFnOnce(&Browser)) {
    let _place = BROWSERS.acquire().await.unwrap();
    let session = Session::start(scripts).await;
    let origin = format!("http://{}", server.running().address);
    let browser = Browser { session, origin, wanted: Mutex::default() };
    let result = AssertUnwindSafe(test(&browser)).catch_unwind().await;
    if let Err(panic) = result {
        browser.leave_a_picture().await;
        std::panic::resume_unwind(panic);
    }
    browser.assert_clean().await;
}

/// Where a link, a button, a field or a menu is found: an XPath, made of the words on it.
#[derive(Clone, Debug)]
pub(crate) struct Target(String);

/// A link whose text starts like this.
pub(crate) fn link(text: &str) -> Target {
    Target(format!("//a[starts-with(normalize-space(.), \"{text}\")]"))
}

/// A button whose text starts like this.
pub(crate) fn button(text: &str) -> Target {
    Target(format!("//button[starts-with(normalize-space(.), \"{text}\")]"))
}

/// A field, or a box or radio button, whose label starts like this.
pub(crate) fn field(label: &str) -> Target {
    let label = format!("//label[starts-with(normalize-space(.), \"{label}\")]");
    Target(format!("//*[@id={label}/@for] | {label}//input"))
}

/// The head of a row's menu.
pub(crate) fn menu(row: &str) -> Target {
    Target(format!("//summary[@aria-label=\"Actions for {row}\"]"))
}

/// The head of something that folds.
pub(crate) fn fold(text: &str) -> Target {
    Target(format!("//summary[starts-with(normalize-space(.), \"{text}\")]"))
}

/// Whatever a path of elements names.
pub(crate) fn at(xpath: &str) -> Target {
    Target(xpath.to_owned())
}

impl Browser {
    /// Goes to a path of the server, or to an address of its pages.
    pub(crate) async fn open(&self, path: &str) {
        let url = match path.starts_with(&self.origin) {
            true => path.to_owned(),
            false => format!("{}{path}", self.origin),
        };
        self.session.post("url", json!({ "url": url })).await.unwrap();
    }

    /// Says that the server will refuse something with this status, which is no fault.
    pub(crate) fn expect_status(&self, status: u16) {
        self.wanted.lock().unwrap().push(status);
    }

    /// Path and query of the page.
    pub(crate) async fn path(&self) -> String {
        let url = self.session.get("url").await.unwrap();
        let url = url.as_str().unwrap();
        url.strip_prefix(&self.origin).unwrap_or(url).to_owned()
    }

    pub(crate) async fn title(&self) -> String {
        self.session.get("title").await.unwrap().as_str().unwrap().to_owned()
    }

    pub(crate) async fn reload(&self) {
        self.session.post("refresh", json!({})).await.unwrap();
    }

    pub(crate) async fn click(&self, target: &Target) {
        self.act(target, async |element| self.session.with(&element, "click", json!({})).await)
            .await;
    }

    /// Opens a row's menu and takes something from it.
    pub(crate) async fn choose_from_menu(&self, row: &str, action: &str) {
        self.click(&menu(row)).await;
        self.click(&at(&format!("//details[@open]//a[normalize-space(.)=\"{action}\"]"))).await;
    }

    /// Types a text in place of what a field holds.
    pub(crate) async fn fill(&self, target: &Target, text: &str) {
        self.act(target, async |element| {
            self.session.with(&element, "clear", json!({})).await?;
            self.session.with(&element, "value", json!({ "text": text })).await
        })
        .await;
    }

    /// Chooses an option of a list.
    pub(crate) async fn select(&self, target: &Target, option: &str) {
        let of = &target.0.split(" | ").next().unwrap();
        self.click(&Target(format!("({of})//option[normalize-space(.)=\"{option}\"]"))).await;
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn press(&self, key: char) {
        let both = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": both }] });
        self.session.post("actions", actions).await.unwrap();
    }

    /// What a field holds.
    pub(crate) async fn value(&self, target: &Target) -> String {
        self.about(target, "property/value").await.as_str().unwrap_or_default().to_owned()
    }

    /// The text that a person reads on something.
    pub(crate) async fn text(&self, target: &Target) -> String {
        self.about(target, "text").await.as_str().unwrap_or_default().to_owned()
    }

    /// Something about an element: `property/type`, `selected`, …
    pub(crate) async fn about(&self, target: &Target, what: &str) -> Value {
        self.act(target, async |element| self.session.of(&element, what).await).await
    }

    /// Does something with the first such thing that can be seen, as soon as that works.
    async fn act<T>(
        &self,
        target: &Target,
        mut with: impl AsyncFnMut(Element) -> Result<T, Refused>,
    ) -> T {
        let started = Instant::now();
        loop {
            let found = self.session.displayed(&target.0).await;
            let refused = match found.map(|found| found.into_iter().next()) {
                Ok(Some(element)) => match with(element).await {
                    Ok(done) => return done,
                    Err(refused) => Some(refused),
                },
                Ok(None) => None,
                Err(refused) => Some(refused),
            };
            if started.elapsed() > PATIENCE {
                let why = refused.map(|refused| format!("{}: {}", refused.error, refused.message));
                let path = self.path().await;
                panic!("no {} on {path}: {}", target.0, why.unwrap_or_default());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// All such things that can be seen now, by their texts.
    pub(crate) async fn texts(&self, target: &Target) -> Vec<String> {
        let mut texts = self.try_texts(target).await;
        // The page gave way to another meanwhile.
        while texts.is_err() {
            texts = self.try_texts(target).await;
        }
        texts.unwrap()
    }

    async fn try_texts(&self, target: &Target) -> Result<Vec<String>, Refused> {
        let mut texts = Vec::new();
        for element in self.session.displayed(&target.0).await? {
            let text = self.session.of(&element, "text").await?;
            texts.push(text.as_str().unwrap().to_owned());
        }
        Ok(texts)
    }

    /// Whether there is such a thing to be seen now.
    pub(crate) async fn has(&self, target: &Target) -> bool {
        !self.texts(target).await.is_empty()
    }

    /// Everything that can be read on the page now.
    pub(crate) async fn words(&self) -> String {
        let text = self.run("return document.body.innerText", json!([])).await;
        text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Waits until this can be read on the page.
    pub(crate) async fn see(&self, text: &str) {
        self.wait(&format!("{text:?}"), async || self.words().await.contains(text)).await;
    }

    /// Waits until the page's address holds this.
    pub(crate) async fn arrive(&self, part: &str) {
        self.wait(&format!("the address {part}"), async || self.path().await.contains(part)).await;
    }

    /// Waits until something holds.
    pub(crate) async fn wait(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !holds().await {
            if started.elapsed() > PATIENCE {
                let (path, words) = (self.path().await, self.words().await);
                panic!("waited in vain for {what} on {path}, which says: {words}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What a script returns; `null` while one page gives way to another.
    pub(crate) async fn run(&self, script: &str, arguments: Value) -> Value {
        self.session.run(script, arguments).await.unwrap_or_default()
    }

    /// What a script that calls its last argument passes to it.
    pub(crate) async fn run_async(&self, script: &str, arguments: Value) -> Value {
        self.session.run_async(script, arguments).await.unwrap()
    }

    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.session.devtools(command, parameters).await
    }

    /// What was copied. A person allows the page nothing for this; the test must be allowed to read.
    pub(crate) async fn clipboard(&self) -> String {
        let permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"];
        let grant = json!({ "origin": self.origin, "permissions": permissions });
        self.devtools("Browser.grantPermissions", grant).await;
        let script =
            "navigator.clipboard.readText().then(arguments[0], (e) => arguments[0](`${e}`))";
        self.run_async(script, json!([])).await.as_str().unwrap().to_owned()
    }

    /// A picture of the whole page as it is shown now, as PNG, or of its upper part, in CSS pixels.
    pub(crate) async fn picture(&self, most: u64) -> Vec<u8> {
        let size = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let width = &size["cssLayoutViewport"]["clientWidth"];
        let height = size["cssContentSize"]["height"].as_u64().unwrap().min(most);
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", wanted).await;
        BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    async fn leave_a_picture(&self) {
        let name = std::thread::current().name().unwrap_or("test").replace("::", "-");
        let path = crate::scenes::pictures().join(format!("failed-{name}.png"));
        let _ = std::fs::write(path, self.picture(HEIGHT_MAX).await);
    }

    /// Fails where the console has a warning or an error, such as a breach of the content security policy,
    /// or where anything was asked of somebody else than the server.
    async fn assert_clean(&self) {
        let wanted = self.wanted.lock().unwrap().clone();
        let excused = |entry: &Value| {
            let message = entry["message"].as_str().unwrap_or_default();
            wanted.iter().any(|status| message.contains(&format!("with a status of {status} ")))
        };
        let complaints = self.session.log("browser").await.into_iter().filter(|entry| {
            ["WARNING", "SEVERE"].contains(&entry["level"].as_str().unwrap()) && !excused(entry)
        });
        let complaints: Vec<String> = complaints.map(|entry| entry.to_string()).collect();
        assert!(complaints.is_empty(), "the console says:\n{}", complaints.join("\n"));
        let asked: Vec<String> =
            self.session.log("performance").await.iter().filter_map(asked).collect();
        assert!(asked.iter().any(|url| url.starts_with(&self.origin)), "no request was seen");
        // The browser's own first page is part of it, and so are texts that stand in an address.
        let within = [&format!("{}/", self.origin), "chrome:", "data:", "about:"];
        let elsewhere =
            asked.iter().filter(|url| !within.iter().any(|start| url.starts_with(start)));
        let elsewhere: Vec<&String> = elsewhere.collect();
        assert!(elsewhere.is_empty(), "asked of others: {elsewhere:?}");
    }
}

/// The address that an entry of the network's log tells to have been asked for.
fn asked(entry: &Value) -> Option<String> {
    let entry: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
    let event = &entry["message"];
    match event["method"].as_str()? {
        "Network.requestWillBeSent" => Some(event["params"]["request"]["url"].as_str()?.to_owned()),
        "Network.webSocketCreated" => Some(event["params"]["url"].as_str()?.to_owned()),
        _ => None,
    }
}
