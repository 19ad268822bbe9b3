//! Somebody with a session who isn't held to what a browser would send.

use crate::support::server::{Answer, TestServer};

/// A session.
pub(crate) struct Visitor<'s> {
    server: &'s TestServer,
    cookie: String,
    pub(crate) csrf: String,
}

impl<'s> Visitor<'s> {
    /// Comes in by a link.
    pub(crate) async fn by_link(server: &'s TestServer, link: &str) -> Visitor<'s> {
        let path = &link[link.find("/dashboard").unwrap()..];
        let entered = server.send("POST", path, &[FORM], "").await;
        Visitor::with(server, &entered).await
    }

    /// Signs in with a key.
    pub(crate) async fn by_key(server: &'s TestServer, key: &str) -> Visitor<'s> {
        let form = format!("key={key}");
        let entered = server.send("POST", "/dashboard/sign-in", &[FORM], form).await;
        Visitor::with(server, &entered).await
    }

    async fn with(server: &'s TestServer, entered: &Answer) -> Visitor<'s> {
        assert_eq!(entered.status, 303, "{}", entered.text);
        let cookie = entered.headers["set-cookie"].to_str().unwrap();
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut visitor = Visitor { server, cookie, csrf: String::new() };
        let mut page = visitor.get("/dashboard").await;
        while page.status == 303 {
            page = visitor.get(page.headers["location"].to_str().unwrap()).await;
        }
        let (_, rest) = page.text.split_once(r#"name="csrf" value=""#).unwrap();
        visitor.csrf = rest.split('"').next().unwrap().to_owned();
        visitor
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.server.send("GET", path, &[("cookie", &self.cookie)], "").await
    }

    /// Sends a form as it stands, with more headers.
    pub(crate) async fn post(&self, path: &str, form: &str, more: &[(&str, &str)]) -> Answer {
        let headers = [&[("cookie", self.cookie.as_str()), FORM], more].concat();
        self.server.send("POST", path, &headers, form).await
    }

    /// Does what a route is for, with the token that forms carry.
    pub(crate) async fn try_route(&self, method: &str, path: &str) -> Answer {
        match method {
            "GET" => self.get(path).await,
            _ => self.post(path, &format!("csrf={}", self.csrf), &[]).await,
        }
    }
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
