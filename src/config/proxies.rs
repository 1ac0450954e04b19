//! Trusted reverse proxies, and the client's address behind them.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use super::forwarded::{self, ForwardedFault};

/// Networks such as `127.0.0.1` or `10.0.0.0/8` whose `X-Forwarded-For` is trusted. Empty by
/// default: otherwise any client could forge its address.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// The address of the client of a request that arrived from `peer` with this `X-Forwarded-For`.
    ///
    /// Each proxy appends the address of its own client. The list is therefore read from its end,
    /// as long as a trusted proxy wrote the element. An unreadable element ends the reading at the
    /// proxy that wrote it, so that a client gains nothing by malformed elements. The fault is
    /// returned as well.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> (IpAddr, Option<ForwardedFault>) {
        let mut client = peer.to_canonical();
        let mut hops = forwarded.rev().peekable();
        if hops.peek().is_none() && self.contain(client) {
            return (client, Some(ForwardedFault::Missing));
        }
        for hop in hops {
            if !self.contain(client) {
                break;
            }
            match forwarded::address(hop) {
                Ok(address) => client = address,
                Err(fault) => return (client, Some(fault)),
            }
        }
        (client, None)
    }

    fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The canonical form of a network: a network of IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2)
/// becomes the IPv4 network. Addresses are compared in the same form.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let v4 = v4.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    v4.map_or(network, IpNet::V4)
}

impl TryFrom<Vec<String>> for TrustedProxies {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let parse = |text: &String| {
            let network = text.parse::<IpNet>();
            let network = network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map(canonical).map_err(|_| {
                format!("`{text}` is neither an address nor a network such as 10.0.0.0/8")
            })
        };
        texts.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }
}

impl From<TrustedProxies> for Vec<String> {
    fn from(proxies: TrustedProxies) -> Self {
        proxies.0.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(trusted: &[&str], peer: &str, forwarded: &[&str]) -> (String, Option<ForwardedFault>) {
        let trusted: Vec<String> = trusted.iter().map(|text| (*text).to_owned()).collect();
        let proxies = TrustedProxies::try_from(trusted).unwrap();
        let (client, fault) = proxies.client(peer.parse().unwrap(), forwarded.iter().copied());
        (client.to_string(), fault)
    }

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        read(trusted, peer, forwarded).0
    }

    #[test]
    fn r20_forwarded_address_counts_if_a_trusted_proxy_wrote_it() {
        let (near, far) = ("127.0.0.1", "10.0.0.0/8");
        for (trusted, peer, forwarded, expected) in [
            // no proxy is trusted by default
            (&[][..], "192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            (&[near], "192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            (&[near], "127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            (&[near], "::ffff:127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            // elements from the client itself stand before the element from the proxy
            (&[near], "127.0.0.1", &["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
            (&[near, far], "127.0.0.1", &["1.1.1.1", "203.0.113.9", "10.1.2.3"], "203.0.113.9"),
            (&[near], "127.0.0.1", &[], "127.0.0.1"),
            // a malformed element ends the reading at the last known address
            (&[near, far], "127.0.0.1", &["203.0.113.9", "unknown", "10.1.2.3"], "10.1.2.3"),
            (&[near], "127.0.0.1", &["203.0.113.9", ""], "127.0.0.1"),
            (&[near], "127.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            (&[near], "127.0.0.1", &["1.1.1.1", " \"[2001:db8::9]:4711\""], "2001:db8::9"),
            // a proxy in every notation of its address
            (&[near, far], "127.0.0.1", &["203.0.113.9", "[::ffff:10.1.2.3]:80"], "203.0.113.9"),
            (&["::ffff:127.0.0.1"], "127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            (&["::ffff:10.0.0.0/104"], "10.1.2.3", &["203.0.113.9"], "203.0.113.9"),
            (&["::ffff:10.0.0.0/104"], "11.1.2.3", &["203.0.113.9"], "11.1.2.3"),
        ] {
            assert_eq!(client(trusted, peer, forwarded), expected, "{trusted:?} {forwarded:?}");
        }
        assert!(TrustedProxies::try_from(vec!["proxy.example".to_owned()]).is_err());
    }

    #[test]
    fn f2_only_trusted_proxies_cause_faults() {
        use ForwardedFault as F;

        for (peer, forwarded, fault) in [
            ("127.0.0.1", &["203.0.113.9"][..], None),
            ("127.0.0.1", &["nonsense", "203.0.113.9"], None),
            ("127.0.0.1", &["203.0.113.9", "unknown"], Some(F::Unknown)),
            ("127.0.0.1", &["203.0.113.9", "_hidden"], Some(F::Obfuscated)),
            ("127.0.0.1", &["203.0.113.9", ""], Some(F::Malformed)),
            ("127.0.0.1", &[], Some(F::Missing)),
            // the header of an untrusted peer is not read
            ("192.0.2.1", &["nonsense"], None),
            ("192.0.2.1", &[], None),
        ] {
            assert_eq!(read(&["127.0.0.1"], peer, forwarded).1, fault, "{peer} {forwarded:?}");
        }
        assert_eq!(read(&[], "127.0.0.1", &[]).1, None, "no proxy is trusted");
    }
}
