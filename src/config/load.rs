//! What is measured, and how much is taken on at once.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use serde::{Deserialize, Deserializer, Serialize};

use super::Lifetime;

/// `[vestibule.metrics]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// Where `GET /metrics` is served, and nothing else; nowhere if it is not set.
    #[serde(default, deserialize_with = "address")]
    pub address: Option<SocketAddr>,
}

/// `[vestibule.admission]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionSettings {
    /// Requests that are answered at once; further ones are refused with 503.
    pub in_flight: NonZeroUsize,
    /// How long the body of a request may take to arrive, as a whole; then it is refused with 408.
    pub body_timeout: Lifetime,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    // a port alone is a number
    let value = serde_json::Value::deserialize(deserializer)?;
    let address = value.as_str().and_then(|text| text.parse().ok());
    let wanted = "expected an address and a port, such as 127.0.0.1:9464";
    address.map(Some).ok_or_else(|| serde::de::Error::custom(wanted))
}
