//! Reverse proxies whose word about a client's address counts.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Networks such as `127.0.0.1` or `10.0.0.0/8` that forwarded addresses are taken from. None by
/// default: `X-Forwarded-For` from anybody would be believed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Where a request really comes from that arrived from `peer` with this `X-Forwarded-For`: each
    /// proxy adds whom it was asked by at the end, so the list is read from there, as long as it was
    /// a trusted one who wrote. What cannot be read ends it: nobody gets anywhere by nonsense.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut client = peer.to_canonical();
        for hop in forwarded.rev() {
            if !self.0.iter().any(|network| network.contains(&client)) {
                break;
            }
            match hop.trim().parse::<IpAddr>() {
                Ok(address) => client = address.to_canonical(),
                Err(_) => break,
            }
        }
        client
    }
}

impl TryFrom<Vec<String>> for TrustedProxies {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let parse = |text: &String| {
            let network = text.parse::<IpNet>();
            let network = network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| format!("`{text}` is no address and no network such as 10.0.0.0/8"))
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

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<String> = trusted.iter().map(|text| (*text).to_owned()).collect();
        let proxies = TrustedProxies::try_from(trusted).unwrap();
        proxies.client(peer.parse().unwrap(), forwarded.iter().copied()).to_string()
    }

    #[test]
    fn r20_a_forwarded_address_counts_as_far_as_trusted_proxies_wrote_it() {
        let (near, far) = ("127.0.0.1", "10.0.0.0/8");
        for (trusted, peer, forwarded, expected) in [
            // nobody is trusted by default
            (&[][..], "192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            (&[near], "192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            (&[near], "127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            (&[near], "::ffff:127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            // what the client itself sent stands before what the proxy added
            (&[near], "127.0.0.1", &["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
            (&[near, far], "127.0.0.1", &["1.1.1.1", "203.0.113.9", "10.1.2.3"], "203.0.113.9"),
            (&[near], "127.0.0.1", &[], "127.0.0.1"),
            // nonsense ends it at whoever was known to be there
            (&[near, far], "127.0.0.1", &["203.0.113.9", "unknown", "10.1.2.3"], "10.1.2.3"),
            (&[near], "127.0.0.1", &["203.0.113.9", ""], "127.0.0.1"),
            (&[near], "127.0.0.1", &["203.0.113.9:4711"], "127.0.0.1"),
        ] {
            assert_eq!(client(trusted, peer, forwarded), expected, "{trusted:?} {forwarded:?}");
        }
        assert!(TrustedProxies::try_from(vec!["proxy.example".to_owned()]).is_err());
    }
}
