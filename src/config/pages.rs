//! What settings say about the pages.

use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, bail};
use ipnet::IpNet;

use super::Settings;
use crate::dashboard::{self, DashboardSettings};

/// The kinds of pictures that a logo may be, by the ends of their files' names.
const LOGO_KINDS: [&str; 2] = ["svg", "png"];

/// An address, or a network of them, as customers allow it in a firewall.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Addresses(String);

impl FromStr for Addresses {
    type Err = String;

    fn from_str(text: &str) -> Result<Addresses, String> {
        let address = text.parse().map(|address: IpAddr| address.to_string());
        let network = || text.parse().map(|network: IpNet| network.to_string());
        address.or_else(|_| network()).map(Addresses).map_err(|_| {
            format!(
                "{text} is no IP address and no network, such as 203.0.113.7 or 203.0.113.64/28"
            )
        })
    }
}

impl TryFrom<String> for Addresses {
    type Error = String;

    fn try_from(text: String) -> Result<Addresses, String> {
        text.parse()
    }
}

/// Checks them and puts them together.
pub(super) fn settings(settings: &Settings) -> anyhow::Result<DashboardSettings> {
    let brand = settings.brand.clone().unwrap_or_default();
    if let Some(colour) = brand.colour.as_deref().filter(|text| !dashboard::is_colour(text)) {
        bail!("brand.colour {colour:?}: write # and six hexadecimal digits, such as #3538cd");
    }
    if let Some(logo) = &brand.logo {
        check_logo(logo)?;
    }
    let public_url = match &settings.public_url {
        Some(text) => origin("public_url", text)?,
        None => String::new(),
    };
    let frames = settings.portal_frames.iter().flatten();
    let frames = frames.map(|text| origin("portal_frames", text));
    let addresses = settings.outbound_addresses.iter().flatten();
    let addresses = addresses.map(|Addresses(text)| text.clone());
    Ok(DashboardSettings {
        public_url,
        frames: frames.collect::<anyhow::Result<_>>()?,
        outbound_addresses: addresses.collect(),
        brand,
    })
}

fn check_logo(path: &Path) -> anyhow::Result<()> {
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    if !LOGO_KINDS.contains(&kind) {
        bail!("brand.logo {}: must be an .svg or a .png file", path.display());
    }
    File::open(path).with_context(|| format!("brand.logo {}", path.display()))?;
    Ok(())
}

/// A scheme with a host, as browsers write the origin of a page.
fn origin(name: &str, text: &str) -> anyhow::Result<String> {
    let url = url::Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "https" | "http") && url.has_host() && url.path() == "/"
    });
    match url {
        Some(url) => Ok(url.origin().ascii_serialization()),
        None => {
            bail!("{name} {text:?}: write a scheme and a host, such as https://hooks.example.com")
        }
    }
}
