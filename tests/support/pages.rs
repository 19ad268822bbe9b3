//! Somebody at the pages, without a browser: cookies, forms, and what a page says.

use serde_json::{Value, json};

use super::server::{ADMIN_KEY, Answer, TestServer};

/// A visitor with a session.
pub struct Visitor<'a> {
    server: &'a TestServer,
    cookie: String,
}

impl<'a> Visitor<'a> {
    /// Signs in with a key.
    pub async fn operator(server: &'a TestServer, key: &str) -> Visitor<'a> {
        Visitor::with(server, "/dashboard/sign-in", &[("key", key)]).await
    }

    /// Signs in with the admin key.
    pub async fn admin(server: &'a TestServer) -> Visitor<'a> {
        Visitor::operator(server, ADMIN_KEY).await
    }

    /// Follows a link to an application's portal.
    pub async fn tenant(
        server: &'a TestServer,
        environment: &str,
        app: &str,
        read_only: bool,
    ) -> Visitor<'a> {
        let path = format!("/api/v1/auth/app-portal-access/{app}");
        let input = json!({ "readOnly": read_only });
        let made: Value = server.call(environment, "POST", &path, input).await.expect(200);
        let url = made["url"].as_str().unwrap();
        let (_, link) = url.split_once("/dashboard/").unwrap();
        Visitor::with(server, &format!("/dashboard/{link}"), &[]).await
    }

    async fn with(server: &'a TestServer, path: &str, fields: &[(&str, &str)]) -> Visitor<'a> {
        let answer = send(server, path, "", fields).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Visitor { server, cookie }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.server.send("GET", path, &[("cookie", &self.cookie)], "").await
    }

    /// Sends a form of the page at the same path, with the token that stands in it.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = field(&self.get(path).await.text, "csrf");
        let mut all = vec![("csrf", token.as_str())];
        all.extend(fields);
        send(self.server, path, &self.cookie, &all).await
    }
}

async fn send(server: &TestServer, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    server.send("POST", path, &[kind, ("cookie", cookie)], form.finish()).await
}

/// The value of a form's field, as a browser would send it back.
#[track_caller]
pub fn field(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\"");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("no {name} in {page}"));
    let (tag, behind) = rest.split_once('>').unwrap();
    if let Some((_, value)) = tag.split_once("value=\"") {
        return unescaped(value.split('"').next().unwrap());
    }
    let is_text_area = behind.contains("</textarea>");
    let content = behind.split("</textarea>").next().filter(|_| is_text_area).unwrap_or_default();
    // HTML drops a line break right behind the tag.
    unescaped(content.strip_prefix('\n').unwrap_or(content))
}

/// What a page says, without tags, with single spaces.
pub fn said(page: &str) -> String {
    let mut text = String::new();
    for piece in page.split('<') {
        let behind = piece.split_once('>').map_or(piece, |(_, behind)| behind);
        text.push_str(behind);
        text.push(' ');
    }
    unescaped(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn unescaped(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'")];
    // One way of writing an ampersand is left, and read last.
    let mut out = text.replace("&amp;", "&#38;").replace("&#60;", "<").replace("&#62;", ">");
    for (entity, character) in named {
        out = out.replace(entity, character);
    }
    out.replace("&#38;", "&")
}
