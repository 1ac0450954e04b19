//! Networks that requests come from, as parties that share what the service has to give.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Prefix lengths of IPv4, widest first: what a small provider or a company has, and one address.
const IPV4_PREFIXES: [u8; 2] = [24, 32];
/// Prefix lengths of IPv6, widest first: a site, a household, and one link (RFC 6177 §2).
const IPV6_PREFIXES: [u8; 3] = [48, 56, 64];

/// The network of a caller. All callers without a known address are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network(Option<IpAddr>);

/// One of the nested networks that an address is in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Subnet(Option<IpNet>);

impl Network {
    /// The one network of all callers without a known address.
    #[cfg(test)]
    pub(crate) const UNKNOWN: Self = Self(None);

    /// The network of an address; an IPv4 address that is mapped into IPv6 counts as IPv4.
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| address.to_canonical()))
    }

    /// The networks that the address is in, from the widest to the narrowest, each within the one
    /// before it: /24 and /32, or /48, /56 and /64, or one alone for an unknown address. A party
    /// with a whole /48 is one party at the first of them, however many /64s it uses.
    pub fn subnets(self) -> Vec<Subnet> {
        let known = |net: Option<IpNet>| net.map(|net| Subnet(Some(net.trunc())));
        match self.0 {
            None => vec![Subnet(None)],
            Some(IpAddr::V4(address)) => IPV4_PREFIXES
                .into_iter()
                .filter_map(|prefix| known(Ipv4Net::new(address, prefix).ok().map(IpNet::V4)))
                .collect(),
            Some(IpAddr::V6(address)) => IPV6_PREFIXES
                .into_iter()
                .filter_map(|prefix| known(Ipv6Net::new(address, prefix).ok().map(IpNet::V6)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_subnets_of_an_address_are_nested_from_the_widest_to_the_narrowest() {
        for (address, expected) in [
            ("192.0.2.77", &["192.0.2.0/24", "192.0.2.77/32"][..]),
            ("::ffff:192.0.2.77", &["192.0.2.0/24", "192.0.2.77/32"]),
            (
                "2001:db8:1:2345:6:7:8:9",
                &["2001:db8:1::/48", "2001:db8:1:2300::/56", "2001:db8:1:2345::/64"],
            ),
        ] {
            let subnets = Network::of(address.parse().ok()).subnets();
            let subnets = subnets.iter().map(|Subnet(net)| net.unwrap().to_string());
            assert_eq!(subnets.collect::<Vec<_>>(), expected, "{address}");
        }
        assert_eq!(Network::of(None).subnets(), [Subnet(None)]);
    }
}
