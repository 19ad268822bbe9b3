//! What an operator may set about the pages.

use std::net::SocketAddr;

use axum::http::HeaderValue;

/// Settings of the pages.
#[derive(Clone, Debug, Default)]
pub struct DashboardSettings {
    /// Where browsers reach the server, without a slash at the end.
    pub public_url: String,
    /// The sites that may show a portal in a frame of their own.
    pub frames: Vec<String>,
    /// The addresses that deliveries leave from, for customers' firewalls.
    pub outbound_addresses: Vec<String>,
    pub brand: Brand,
}

/// Whose pages they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brand {
    /// The company's name; the contract's title where there is none.
    pub name: Option<String>,
    /// `#` and six hexadecimal digits.
    pub colour: Option<String>,
    /// An SVG or PNG file.
    pub logo: Option<std::path::PathBuf>,
}

impl DashboardSettings {
    /// Where browsers reach a server that listens at `address`: there, unless it is set.
    pub fn public_url_at(&self, address: SocketAddr) -> String {
        match self.public_url.is_empty() {
            true => format!("http://{address}"),
            false => self.public_url.clone(),
        }
    }

    /// Whether browsers come by HTTPS, and cookies may demand it.
    pub fn is_secure(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    pub(super) fn content_security_policy(&self) -> HeaderValue {
        let frames = match self.frames.is_empty() {
            true => "'none'".to_owned(),
            false => self.frames.join(" "),
        };
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
        );
        HeaderValue::from_str(&policy)
            .unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
    }
}
