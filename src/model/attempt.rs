//! What guessing at passwords is limited by: whom a password is tried for, and from where.

use std::net::{IpAddr, Ipv6Addr};

use crate::model::{AccountId, Digest};

/// A name that a password is tried for and the network that it comes from, as digests: what the
/// database keeps of them, and what tells nothing of a name that belongs to nobody.
#[derive(Clone, Copy, Debug)]
pub struct AttemptKey {
    pub name: Digest,
    pub network: Digest,
    /// This name at this network.
    pub name_and_network: Digest,
}

impl AttemptKey {
    /// `name` is an address as it is stored, or whatever else was typed in its place.
    pub fn of(name: &str, address: Option<IpAddr>) -> Self {
        let network = network(address);
        let name_and_network = [network.as_bytes(), &b"/"[..], name.as_bytes()].concat();
        Self {
            name: labelled("name", name.as_bytes()),
            network: network_digest(address),
            name_and_network: labelled("place", &name_and_network),
        }
    }

    /// The same for the current password of an account whose owner is signed in: it is counted for
    /// the account, apart from what strangers try for its name.
    #[must_use]
    pub fn signed_in(self, account: AccountId) -> Self {
        Self { name: Self::signed_in_digest(account), ..self }
    }

    /// The digest that stands for the current password of an account whose owner is signed in.
    pub fn signed_in_digest(account: AccountId) -> Digest {
        labelled("signed-in", account.to_string().as_bytes())
    }
}

/// The digest that stands for the network of an address.
fn network_digest(address: Option<IpAddr>) -> Digest {
    labelled("network", network(address).as_bytes())
}

fn labelled(label: &str, bytes: &[u8]) -> Digest {
    Digest::of(&[label.as_bytes(), b":", bytes].concat())
}

/// Who counts as one: an IPv4 address, the /64 of an IPv6 address, since that is what one customer
/// gets (RFC 6177 §2), and all together whose address is not known.
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
    fn r20_a_network_is_what_one_customer_has() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
            ("::1", "::"),
            // whatever that is, it is one and the same
            ("", "unknown"),
            ("192.0.2.1:80", "unknown"),
        ] {
            assert_eq!(network_of(address), expected, "{address}");
        }
    }

    #[test]
    fn r20_each_digest_stands_for_one_thing() {
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
