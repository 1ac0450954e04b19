//! `[vestibule.metrics]` and `[vestibule.admission]`: metrics endpoint, and limits on concurrent
//! requests.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use serde::{Deserialize, Deserializer, Serialize};

use super::Lifetime;

/// `[vestibule.metrics]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// Address that serves `GET /metrics` only; without it, metrics are not served.
    #[serde(default, deserialize_with = "address")]
    pub address: Option<SocketAddr>,
}

/// `[vestibule.admission]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionSettings {
    /// Concurrent requests; further requests are refused with 503.
    pub in_flight: NonZeroUsize,
    /// Longest time for the whole body of a request to arrive; a slower request is refused with
    /// 408.
    pub body_timeout: Lifetime,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    // a port without an address would be parsed as a number
    let value = serde_json::Value::deserialize(deserializer)?;
    let address = value.as_str().and_then(|text| text.parse().ok());
    let wanted = "expected an address and a port, such as 127.0.0.1:9464";
    address.map(Some).ok_or_else(|| serde::de::Error::custom(wanted))
}
