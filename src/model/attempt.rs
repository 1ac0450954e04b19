//! Keys by which password guessing is limited: the name, the network, and both together.

use std::net::{IpAddr, Ipv6Addr};

use crate::model::{AccountId, Digest};

/// Keys of one attempt, as digests. The database holds only digests, so that they reveal no name of
/// an address without an account.
#[derive(Clone, Copy, Debug)]
pub struct AttemptKey {
    /// Digest of the name.
    pub name: Digest,
    /// Digest of the network.
    pub network: Digest,
    /// Digest of the name together with the network.
    pub name_and_network: Digest,
}

impl AttemptKey {
    /// `name` is an address as stored, or the typed text if that is no address.
    pub fn of(name: &str, address: Option<IpAddr>) -> Self {
        let network = network(address);
        let name_and_network = [network.as_bytes(), &b"/"[..], name.as_bytes()].concat();
        Self {
            name: labelled("name", name.as_bytes()),
            network: network_digest(address),
            name_and_network: labelled("place", &name_and_network),
        }
    }

    /// Keys for the current password of an account whose owner is signed in. Such attempts count
    /// for the account, apart from strangers' attempts for its name.
    #[must_use]
    pub fn signed_in(self, account: AccountId) -> Self {
        Self { name: Self::signed_in_digest(account), ..self }
    }

    /// Key for the current password of an account whose owner is signed in.
    pub fn signed_in_digest(account: AccountId) -> Digest {
        labelled("signed-in", account.to_string().as_bytes())
    }
}

/// Key of an address's network.
fn network_digest(address: Option<IpAddr>) -> Digest {
    labelled("network", network(address).as_bytes())
}

fn labelled(label: &str, bytes: &[u8]) -> Digest {
    Digest::of(&[label.as_bytes(), b":", bytes].concat())
}

/// Network that counts as one caller: an IPv4 address, or the /64 of an IPv6 address, since one
/// customer gets a /64 (RFC 6177 §2). All unknown addresses together count as one caller.
fn network(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network_of(address: &str) -> String {
        network(address.parse().ok())
    }

    #[test]
    fn r20_network_key_covers_one_customer() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
            ("::1", "::"),
            // these addresses do not parse, and share one network
            ("", "unknown"),
            ("192.0.2.1:80", "unknown"),
        ] {
            assert_eq!(network_of(address), expected, "{address}");
        }
    }

    #[test]
    fn r20_each_digest_has_one_meaning() {
        let of = |name, address: &str| AttemptKey::of(name, address.parse().ok());
        let (ada, bob) = (of("ada", "192.0.2.1"), of("bob", "192.0.2.1"));
        assert!(
            ada.name != bob.name
                && ada.name_and_network != bob.name_and_network
                && ada.network == bob.network
        );
        let elsewhere = of("ada", "192.0.2.2");
        assert!(ada.name == elsewhere.name && ada.name_and_network != elsewhere.name_and_network);
        // a name that looks like a network is still a name
        assert!(of("192.0.2.1", "192.0.2.1").name != ada.network);
    }
}
