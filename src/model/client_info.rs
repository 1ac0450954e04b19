//! Who makes a request, as far as that can be seen from outside.

use std::net::IpAddr;

use crate::model::{Locale, Network, UserAgent};

/// Where a request comes from. Nothing of it is proven but the address of the connection.
#[derive(Clone, Debug, Default)]
pub struct ClientInfo {
    /// Of the connection, or of the client behind a trusted proxy.
    pub address: Option<IpAddr>,
    pub user_agent: Option<UserAgent>,
    /// The language that the request asks for; what a person has set for themselves goes before it.
    pub locale: Option<Locale>,
    pub request_id: Option<String>,
}

impl ClientInfo {
    /// The command line: the operator, who has no address and no browser.
    pub fn operator() -> Self {
        Self::default()
    }

    /// The network that shares limits and queues with the caller.
    pub fn network(&self) -> Network {
        Network::of(self.address)
    }

    /// Their browser in words, such as letters say them.
    pub fn browser(&self) -> Option<String> {
        self.user_agent.as_ref().and_then(UserAgent::describe)
    }
}
