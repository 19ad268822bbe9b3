//! Which addresses deliveries may reach.
//!
//! A customer chooses the URL, so without a guard a delivery is a way into the network that
//! the server runs in. Names are judged by the addresses they resolve to, at the moment of
//! connecting, and the very address that was judged is the one that is dialled: a name that
//! changes its mind between the check and the call gains nothing.
//!
//! The ranges are those of IANA's special-purpose address registries (RFC 6890 and its
//! updates), kept in [`super::ranges`].

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use url::{Host, Url};

use super::ranges::{Verdict, judge_v4, judge_v6};
use crate::domain::Transport;

/// The longest URL that may be registered, in bytes of its normalised form.
pub const MAX_URL_BYTES: usize = 2_048;

/// Decides which addresses may be reached. Cheap to clone; two guards are equal where they
/// allow the same networks, so a connection is only reused under the guard that opened it.
#[derive(Clone)]
pub struct Guard(Arc<Allowed>);

struct Allowed {
    /// Sorted, without duplicates or host bits.
    nets: Vec<IpNet>,
    /// Of `nets`, made once because every attempt looks a connection up by it.
    hash: u64,
}

/// An address that may not be reached, and what kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    address: IpAddr,
    /// The IPv4 address that an IPv6 address stands for.
    embedded: Option<Ipv4Addr>,
    range: &'static str,
}

impl Blocked {
    /// The kind of address, as a noun with its article.
    pub fn range(&self) -> &'static str {
        self.range
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.embedded {
            None => write!(f, "{} is {}", self.address, self.range),
            Some(v4) => write!(f, "{} stands for {v4}, which is {}", self.address, self.range),
        }
    }
}

impl std::error::Error for Blocked {}

impl Guard {
    /// Allows every public address and, beside those, the networks in `allow_private`.
    pub fn new(allow_private: Vec<IpNet>) -> Guard {
        let mut nets: Vec<IpNet> = allow_private.into_iter().map(|net| net.trunc()).collect();
        nets.sort_unstable();
        nets.dedup();
        let mut hasher = DefaultHasher::new();
        nets.hash(&mut hasher);
        Guard(Arc::new(Allowed { nets, hash: hasher.finish() }))
    }

    /// Allows public addresses only.
    pub fn public() -> Guard {
        Guard::new(Vec::new())
    }

    /// Whether `address` may be reached.
    ///
    /// An IPv6 address that carries an IPv4 address is judged by that one.
    ///
    /// # Errors
    /// [`Blocked`], which says what kind of address it is.
    pub fn check_ip(&self, address: IpAddr) -> Result<(), Blocked> {
        if self.allows(address) {
            return Ok(());
        }
        let blocked = |embedded, range| Err(Blocked { address, embedded, range });
        let verdict = match address {
            IpAddr::V4(v4) => judge_v4(v4),
            IpAddr::V6(v6) => judge_v6(v6),
        };
        match verdict {
            Verdict::Global => Ok(()),
            Verdict::Special(range) => blocked(None, range),
            Verdict::StandsFor(v4) => match judge_v4(v4) {
                Verdict::Special(range) if !self.allows(IpAddr::V4(v4)) => blocked(Some(v4), range),
                _ => Ok(()),
            },
        }
    }

    /// Whether a URL may be registered: everything that can be judged without resolving its
    /// name. Names are judged when a delivery connects.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn check_url(
        &self,
        url: &Url,
        transport: Transport,
        https_only: bool,
    ) -> Result<(), String> {
        check_form(url, transport, https_only)?;
        match url.host() {
            None => Err("The URL has no host.".to_owned()),
            Some(Host::Ipv4(v4)) => self.check_literal(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => self.check_literal(IpAddr::V6(v6)),
            Some(Host::Domain(name)) => self.check_name(name),
        }
    }

    fn check_literal(&self, address: IpAddr) -> Result<(), String> {
        self.check_ip(address)
            .map_err(|blocked| format!("The URL's address can't be delivered to: {blocked}."))
    }

    /// `localhost` always means the loopback (RFC 6761, section 6.3), so it need not be
    /// resolved to be refused.
    fn check_name(&self, name: &str) -> Result<(), String> {
        let name = name.trim_end_matches('.');
        if name.is_empty() {
            return Err("The URL has no host.".to_owned());
        }
        let is_localhost = name == "localhost" || name.ends_with(".localhost");
        if is_localhost && !self.allows_loopback() {
            return Err(format!(
                "The URL's host can't be delivered to: {name} is this server itself."
            ));
        }
        Ok(())
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.0.nets.iter().any(|net| net.contains(&address))
    }

    fn allows_loopback(&self) -> bool {
        self.allows(Ipv4Addr::LOCALHOST.into()) || self.allows(Ipv6Addr::LOCALHOST.into())
    }
}

/// What a URL must look like, whatever its host.
fn check_form(url: &Url, transport: Transport, https_only: bool) -> Result<(), String> {
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(format!("The URL is longer than {MAX_URL_BYTES} bytes."));
    }
    let [encrypted, plain] = transport.schemes();
    if url.scheme() != encrypted && (https_only || url.scheme() != plain) {
        let or_plain = if https_only { String::new() } else { format!(" or {plain}://") };
        return Err(format!("The URL must begin with {encrypted}://{or_plain}."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("The URL must not contain a user name or password.".to_owned());
    }
    if url.fragment().is_some() {
        return Err("The URL must not contain a fragment (#…).".to_owned());
    }
    if url.port() == Some(0) {
        return Err("The URL's port must not be 0.".to_owned());
    }
    Ok(())
}

impl Default for Guard {
    fn default() -> Guard {
        Guard::public()
    }
}

impl PartialEq for Guard {
    fn eq(&self, other: &Guard) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.nets == other.0.nets
    }
}

impl Eq for Guard {}

impl Hash for Guard {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.0.nets).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(nets: &[&str]) -> Guard {
        Guard::new(nets.iter().map(|net| net.parse().unwrap()).collect())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_allowed_network_opens_itself_and_nothing_beside_it() {
        let guard = guard(&["10.1.0.0/16", "fd00:1::/32"]);
        for allowed in ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "fd00:1::5", "8.8.8.8"] {
            assert_eq!(guard.check_ip(ip(allowed)), Ok(()), "{allowed}");
        }
        for refused in ["10.0.255.255", "10.2.0.0", "::ffff:10.2.0.0", "fd00:2::1", "127.0.0.1"] {
            assert!(guard.check_ip(ip(refused)).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_refusal_says_what_kind_of_address_it_is() {
        let text = |address| guard(&[]).check_ip(ip(address)).unwrap_err().to_string();
        assert_eq!(text("127.0.0.1"), "127.0.0.1 is a loopback address");
        assert_eq!(text("::1"), "::1 is a loopback address");
        assert_eq!(
            text("::ffff:10.0.0.1"),
            "::ffff:10.0.0.1 stands for 10.0.0.1, which is a private address"
        );
    }

    #[test]
    fn guards_are_equal_where_they_allow_the_same() {
        let one = guard(&["10.0.0.0/8", "127.0.0.0/8"]);
        let other = guard(&["127.0.0.1/8", "10.0.0.0/8", "10.0.0.0/8"]);
        let hash = |guard: &Guard| {
            let mut hasher = DefaultHasher::new();
            guard.hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(one, other);
        assert_eq!(hash(&one), hash(&other));
        assert_ne!(one, guard(&["10.0.0.0/8"]));
        assert_ne!(hash(&one), hash(&guard(&["10.0.0.0/8"])));
    }

    fn check(url: &str) -> Result<(), String> {
        check_for(Transport::Webhook, url, false)
    }

    fn check_for(transport: Transport, url: &str, https_only: bool) -> Result<(), String> {
        Guard::public().check_url(&Url::parse(url).expect(url), transport, https_only)
    }

    #[test]
    fn each_transport_has_its_own_schemes() {
        use Transport::{Webhook, Websocket};
        let verdict = |transport, scheme: &str, https_only| {
            check_for(transport, &format!("{scheme}://hooks.example/"), https_only)
        };
        assert_eq!(verdict(Websocket, "wss", true), Ok(()));
        assert_eq!(verdict(Websocket, "wss", false), Ok(()));
        assert_eq!(verdict(Websocket, "ws", false), Ok(()));
        for (transport, scheme, https_only, expected) in [
            (Websocket, "ws", true, "wss://."),
            (Websocket, "https", true, "wss://."),
            (Websocket, "http", false, "wss:// or ws://."),
            (Webhook, "wss", true, "https://."),
            (Webhook, "ws", false, "https:// or http://."),
        ] {
            let refused = verdict(transport, scheme, https_only).unwrap_err();
            assert_eq!(refused, format!("The URL must begin with {expected}"));
        }
        assert!(check_for(Websocket, "wss://127.0.0.1/", true).is_err());
        assert!(check_for(Websocket, "ws://localhost/", false).is_err());
    }

    #[test]
    fn ordinary_urls_pass() {
        for url in [
            "https://hooks.example/in?tenant=1&tenant=2",
            "http://hooks.example:8080/",
            "https://1.1.1.1/",
            "https://[2606:4700::1111]:8443/x",
            "https://münchen.example/",
            "https://hooks.example./",
            "https://notlocalhost/",
            "https://localhost.example/",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn every_spelling_of_a_private_address_is_seen_through() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "2130706433",
            "017700000001",
            "127.0.0.1.",
            "127。0。0。1",
            "１２７.0.0.1",
            "%31%32%37.0.0.1",
            "①②⑦.0.0.1",
            "0",
            "10.1",
            "169.254.169.254",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:a9fe:a9fe]",
            "[64:ff9b::10.0.0.1]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "localhost。",
            "%6c%6f%63alhost",
            "ⓛocalhost",
            "foo.localhost",
            "a.b.localhost.",
        ] {
            let result = check(&format!("http://{host}/"));
            assert!(result.is_err(), "{host} passed");
            assert!(result.unwrap_err().contains("can't be delivered to"), "{host}");
        }
    }

    #[test]
    fn localhost_passes_where_the_loopback_is_allowed() {
        for url in ["http://localhost:9000/x", "http://a.localhost./", "http://127.0.0.1:9000/"] {
            let url = Url::parse(url).unwrap();
            let verdict = guard(&["127.0.0.0/8"]).check_url(&url, Transport::Webhook, false);
            assert_eq!(verdict, Ok(()), "{url}");
        }
        let url = Url::parse("http://localhost/").unwrap();
        assert!(guard(&["10.0.0.0/8"]).check_url(&url, Transport::Webhook, false).is_err());
    }

    #[test]
    fn what_a_delivery_has_no_use_for_is_refused() {
        for (url, word) in [
            ("ftp://hooks.example/", "https://"),
            ("wss://hooks.example/", "https://"),
            ("file:///etc/passwd", "https://"),
            ("data:text/plain,x", "https://"),
            ("https://user@hooks.example/", "user name"),
            ("https://:password@hooks.example/", "user name"),
            ("https://hooks.example/#part", "fragment"),
            ("https://hooks.example/#", "fragment"),
            ("https://hooks.example:0/", "port"),
            ("https://./", "no host"),
        ] {
            let message = check(url).expect_err(url);
            assert!(message.contains(word), "{url}: {message}");
            assert!(!message.contains("password@"), "{message}");
        }
        assert!(check_for(Transport::Webhook, "http://hooks.example/", true).is_err());
    }

    #[test]
    fn urls_have_a_longest_length() {
        let prefix = "https://hooks.example/";
        let of_length = |length: usize| format!("{prefix}{}", "a".repeat(length - prefix.len()));
        assert_eq!(check(&of_length(MAX_URL_BYTES)), Ok(()));
        assert!(check(&of_length(MAX_URL_BYTES + 1)).unwrap_err().contains("2048 bytes"));
    }
}
