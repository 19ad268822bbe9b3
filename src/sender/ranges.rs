//! The address ranges that are not the public internet.
//!
//! From IANA's registries of special-purpose IPv4 and IPv6 addresses. The few anycast
//! addresses inside them that are globally reachable (such as 192.0.0.9) are no place for a
//! receiver, so the ranges are refused whole.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What an address is, before any network is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// An ordinary address of the public internet.
    Global,
    /// Something else, named so that it reads after "is".
    Special(&'static str),
    /// An IPv6 address that only carries this one.
    StandsFor(Ipv4Addr),
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// The first range that contains an address names it.
const SPECIAL_V4: [(Ipv4Net, &str); 16] = [
    (v4(0, 0, 0, 0, 8), "an address of \"this\" network"),
    (v4(10, 0, 0, 0, 8), "a private address"),
    (v4(100, 64, 0, 0, 10), "a shared address behind a provider's NAT"),
    (v4(127, 0, 0, 0, 8), "a loopback address"),
    (v4(169, 254, 0, 0, 16), "a link-local address"),
    (v4(172, 16, 0, 0, 12), "a private address"),
    (v4(192, 0, 0, 0, 24), "an address reserved for protocols"),
    (v4(192, 0, 2, 0, 24), "a documentation address"),
    (v4(192, 88, 99, 0, 24), "a former 6to4 relay address"),
    (v4(192, 168, 0, 0, 16), "a private address"),
    (v4(198, 18, 0, 0, 15), "a benchmarking address"),
    (v4(198, 51, 100, 0, 24), "a documentation address"),
    (v4(203, 0, 113, 0, 24), "a documentation address"),
    (v4(224, 0, 0, 0, 4), "a multicast address"),
    (v4(255, 255, 255, 255, 32), "the broadcast address"),
    (v4(240, 0, 0, 0, 4), "a reserved address"),
];

const LOOPBACK_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128);
const UNSPECIFIED_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128);
const DUMMY_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x100, 0, 0, 1, 0, 0, 0, 0), 64);

const SPECIAL_V6: [(Ipv6Net, &str); 14] = [
    (UNSPECIFIED_V6, "the unspecified address"),
    (LOOPBACK_V6, "a loopback address"),
    (v6(0, 0, 0, 96), "a deprecated IPv4-compatible address"),
    (v6(0x64, 0xff9b, 1, 48), "a local address translation"),
    (v6(0x100, 0, 0, 64), "a discard address"),
    (DUMMY_V6, "a dummy address"),
    (v6(0x2001, 0, 0, 23), "an address reserved for protocols"),
    (v6(0x2001, 0xdb8, 0, 32), "a documentation address"),
    (v6(0x3fff, 0, 0, 20), "a documentation address"),
    (v6(0x5f00, 0, 0, 16), "a segment routing address"),
    (v6(0xfc00, 0, 0, 7), "a private address"),
    (v6(0xfe80, 0, 0, 10), "a link-local address"),
    (v6(0xfec0, 0, 0, 10), "a deprecated site-local address"),
    (v6(0xff00, 0, 0, 8), "a multicast address"),
];

/// The only part of IPv6 from which addresses of the public internet are given out.
const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);

pub(super) fn judge_v4(address: Ipv4Addr) -> Verdict {
    match SPECIAL_V4.iter().find(|(net, _)| net.contains(&address)) {
        Some((_, name)) => Verdict::Special(name),
        None => Verdict::Global,
    }
}

pub(super) fn judge_v6(address: Ipv6Addr) -> Verdict {
    if let Some(v4) = embedded_v4(address) {
        return Verdict::StandsFor(v4);
    }
    match SPECIAL_V6.iter().find(|(net, _)| net.contains(&address)) {
        Some((_, name)) => Verdict::Special(name),
        None if GLOBAL_UNICAST.contains(&address) => Verdict::Global,
        None => Verdict::Special("not a public address"),
    }
}

/// The IPv4 address inside a mapped (RFC 4291), NAT64 (RFC 6052) or 6to4 (RFC 3056) one.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(from(g, h)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global_v4(text: &str) -> bool {
        judge_v4(text.parse().unwrap()) == Verdict::Global
    }

    fn global_v6(text: &str) -> bool {
        judge_v6(text.parse().unwrap()) == Verdict::Global
    }

    #[test]
    fn the_first_and_last_address_of_each_v4_range_is_special() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.255"),
        ] {
            assert!(!global_v4(first), "{first}");
            assert!(!global_v4(last), "{last}");
        }
    }

    #[test]
    fn the_v4_addresses_just_outside_are_global() {
        for neighbour in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.1.255",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
        ] {
            assert!(global_v4(neighbour), "{neighbour}");
        }
    }

    #[test]
    fn the_first_and_last_address_of_each_v6_range_is_special() {
        for (first, last) in [
            ("::", "::1"),
            ("::2", "::ffff:ffff"),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
            ("100::", "100::ffff:ffff:ffff:ffff"),
            ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            // Everything outside 2000::/3 that has no name of its own.
            ("::1:0:0:0", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert!(!global_v6(first), "{first}");
            assert!(!global_v6(last), "{last}");
        }
    }

    #[test]
    fn the_v6_addresses_just_outside_are_global() {
        for neighbour in [
            "2000::",
            "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:200::",
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
            "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2003::",
            "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff:1000::",
            "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert!(global_v6(neighbour), "{neighbour}");
        }
    }

    #[test]
    fn v6_addresses_that_carry_a_v4_address_stand_for_it() {
        for (address, v4) in [
            ("::ffff:0:0", "0.0.0.0"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("::ffff:255.255.255.255", "255.255.255.255"),
            ("64:ff9b::", "0.0.0.0"),
            ("64:ff9b::8.8.8.8", "8.8.8.8"),
            ("64:ff9b::255.255.255.255", "255.255.255.255"),
            ("2002::", "0.0.0.0"),
            ("2002:a00:1:ffff::1", "10.0.0.1"),
            ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "255.255.255.255"),
        ] {
            let verdict = judge_v6(address.parse().unwrap());
            assert_eq!(verdict, Verdict::StandsFor(v4.parse().unwrap()), "{address}");
        }
        // Neighbours of the prefixes carry nothing.
        for plain in ["::fffe:127.0.0.1", "64:ff9b::1:0:0", "::1:ffff:127.0.0.1"] {
            assert!(matches!(judge_v6(plain.parse().unwrap()), Verdict::Special(_)), "{plain}");
        }
    }
}
