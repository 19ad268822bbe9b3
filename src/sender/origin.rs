//! Where a connection leads, and under which rules it was opened.

use http::HeaderValue;
use url::{Host, Url};

use super::guard::Guard;
use crate::domain::{Failure, FailureKind, Transport};

/// What tells one kind of connection from another, borrowed from a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Destination<'a> {
    /// Whether the connection is encrypted: `https` or `wss`.
    pub(super) https: bool,
    /// As in the URL: an IPv6 address has its brackets.
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) guard: &'a Guard,
}

impl<'a> Destination<'a> {
    /// Where a delivery goes that travels like this.
    pub(super) fn of(
        url: &'a Url,
        transport: Transport,
        guard: &'a Guard,
    ) -> Result<Destination<'a>, Failure> {
        let [encrypted, plain] = transport.schemes();
        let https = url.scheme() == encrypted;
        if !https && url.scheme() != plain {
            let sentence = format!("The URL begins with neither {encrypted}:// nor {plain}://.");
            return Err(unusable(&sentence));
        }
        let host = url.host_str().ok_or_else(|| unusable("The URL has no host."))?;
        let port = url.port().unwrap_or(if https { 443 } else { 80 });
        Ok(Destination { https, host, port, guard })
    }
}

fn unusable(sentence: &str) -> Failure {
    Failure::new(FailureKind::Url, None, sentence)
}

/// A [`Destination`] that a connection keeps.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) https: bool,
    pub(super) host: Box<str>,
    pub(super) port: u16,
    pub(super) guard: Guard,
    /// Of the destination, so that a connection finds its place again without hashing.
    pub(super) hash: u64,
    /// The value of `host`: with the port where it isn't the scheme's own.
    pub(super) host_header: HeaderValue,
}

impl Origin {
    pub(super) fn of(destination: &Destination<'_>, hash: u64) -> Result<Origin, Failure> {
        let Destination { https, host, port, guard } = *destination;
        let default_port = if https { 443 } else { 80 };
        let host_header = if port == default_port {
            HeaderValue::from_str(host)
        } else {
            HeaderValue::from_maybe_shared(bytes::Bytes::from(format!("{host}:{port}")))
        };
        let host_header = host_header
            .map_err(|error| unusable("The URL's host can't be sent.").caused_by(&error))?;
        Ok(Origin { https, host: host.into(), port, guard: guard.clone(), hash, host_header })
    }

    pub(super) fn leads_to(&self, destination: &Destination<'_>) -> bool {
        self.as_destination() == *destination
    }

    pub(super) fn as_destination(&self) -> Destination<'_> {
        Destination { https: self.https, host: &self.host, port: self.port, guard: &self.guard }
    }

    /// The host for people and certificates: no brackets, no root dot.
    pub(super) fn bare_host(&self) -> &str {
        let host = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        host.unwrap_or(&self.host).trim_end_matches('.')
    }

    /// What kind of host it is. The text came from a URL, so it parses as it did there.
    pub(super) fn parsed_host(&self) -> Result<Host, Failure> {
        Host::parse(&self.host)
            .map_err(|error| unusable("The URL's host can't be used.").caused_by(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_has_the_port_unless_it_is_the_schemes_own() {
        for (url, host_header, bare_host) in [
            ("http://hooks.example/", "hooks.example", "hooks.example"),
            ("http://hooks.example:80/", "hooks.example", "hooks.example"),
            ("http://hooks.example:443/", "hooks.example:443", "hooks.example"),
            ("https://hooks.example:443/", "hooks.example", "hooks.example"),
            ("https://HOOKS.example.:80/", "hooks.example.:80", "hooks.example"),
            ("https://[2001:DB8::1]/", "[2001:db8::1]", "2001:db8::1"),
            ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443", "2001:db8::1"),
        ] {
            let (url, guard) = (Url::parse(url).unwrap(), Guard::public());
            let destination = Destination::of(&url, Transport::Webhook, &guard).unwrap();
            let origin = Origin::of(&destination, 0).unwrap();
            assert_eq!(origin.host_header, host_header, "{url}");
            assert_eq!(origin.bare_host(), bare_host, "{url}");
            assert!(origin.leads_to(&destination));
        }
    }
}
