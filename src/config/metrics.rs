//! `[vestibule.metrics]`: metrics endpoint.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize};

/// `[vestibule.metrics]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// Address that serves `GET /metrics` only; without it, metrics are not served.
    #[serde(default, deserialize_with = "address")]
    pub address: Option<SocketAddr>,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    // a port without an address would be parsed as a number
    let value = serde_json::Value::deserialize(deserializer)?;
    let address = value.as_str().and_then(|text| text.parse().ok());
    let wanted = "expected an address and a port, such as 127.0.0.1:9464";
    address.map(Some).ok_or_else(|| serde::de::Error::custom(wanted))
}
