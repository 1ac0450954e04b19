//! Networks of callers. Callers in one network share its limits and its place in queues.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Prefix lengths of IPv4, widest first: a small provider or a company, and one address.
const IPV4_PREFIXES: [u8; 2] = [24, 32];
/// Prefix lengths of IPv6, widest first: a site, a household, and one link (RFC 6177 §2).
const IPV6_PREFIXES: [u8; 3] = [48, 56, 64];

/// Network of a caller. All callers without a known address share one network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network(Option<IpAddr>);

/// One of the nested networks of an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Subnet(Option<IpNet>);

impl Network {
    /// The network that all callers without a known address share.
    #[cfg(test)]
    pub(crate) const UNKNOWN: Self = Self(None);

    /// Network of an address. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| address.to_canonical()))
    }

    /// Nested networks of the address, from the widest to the narrowest:
    ///
    /// - IPv4: /24 and /32;
    /// - IPv6: /48, /56 and /64;
    /// - unknown address: one network.
    ///
    /// A caller with a whole /48 counts as one at the /48, however many /64s it uses.
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
