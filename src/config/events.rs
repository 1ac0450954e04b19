//! `[vestibule.events]`: events of accounts, and the part of a client's IP address that they keep.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::lifetime::{Lifetime, Unit};
use super::setting_error::Problem;

/// `[vestibule.events]`: events of accounts, for their owners and the operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventSettings {
    /// Retention period of events.
    pub keep: Lifetime,
    /// Part of the client's address that an event keeps.
    pub address: AddressDetail,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self { keep: Lifetime::of(90, Unit::Day), address: AddressDetail::Shortened }
    }
}

impl EventSettings {
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.keep.at_least_a_second("events.keep")
    }
}

/// The part of a client's IP address that events keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressDetail {
    None,
    /// The network only: an IPv4 address without its last 8 bits, an IPv6 address without its last
    /// 80. An access provider assigns such a network to one customer and its neighbours.
    Shortened,
    Full,
}

impl AddressDetail {
    /// The part to keep, such as `192.0.2.0` or `2001:db8:1::`. An IPv4-mapped IPv6 address (RFC
    /// 4291 §2.5.5.2) counts as the IPv4 address.
    pub fn of(self, address: IpAddr) -> Option<String> {
        let address = address.to_canonical();
        match (self, address) {
            (Self::None, _) => None,
            (Self::Full, address) => Some(address.to_string()),
            (Self::Shortened, IpAddr::V4(v4)) => {
                let [a, b, c, _] = v4.octets();
                Some(Ipv4Addr::new(a, b, c, 0).to_string())
            }
            (Self::Shortened, IpAddr::V6(v6)) => {
                let [a, b, c, ..] = v6.segments();
                Some(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_kept_to_the_configured_detail() {
        let keep = |detail: AddressDetail, text: &str| detail.of(text.parse().unwrap());
        for (text, shortened) in [
            ("192.0.2.77", "192.0.2.0"),
            ("::ffff:192.0.2.77", "192.0.2.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
            ("::1", "::"),
        ] {
            assert_eq!(keep(AddressDetail::Shortened, text).unwrap(), shortened);
            assert_eq!(keep(AddressDetail::None, text), None);
        }
        assert_eq!(keep(AddressDetail::Full, "::ffff:192.0.2.77").unwrap(), "192.0.2.77");
    }
}
