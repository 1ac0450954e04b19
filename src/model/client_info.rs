//! Client information of a request: address, browser, language and request id.

use std::net::IpAddr;

use crate::model::{Locale, Network, UserAgent};

/// Origin of a request. Only the address of the connection is proved.
#[derive(Clone, Debug, Default)]
pub struct ClientInfo {
    /// Address of the connection, or of the client behind a trusted proxy.
    pub address: Option<IpAddr>,
    /// `User-Agent` header of the request.
    pub user_agent: Option<UserAgent>,
    /// Language that the request asks for. A language in the person's profile has priority.
    pub locale: Option<Locale>,
    /// Id of the request, as the log and events name it.
    pub request_id: Option<String>,
}

impl ClientInfo {
    /// The operator at the command line, without an address or a browser.
    pub fn operator() -> Self {
        Self::default()
    }

    /// Network of the caller, which shares limits and queues.
    pub fn network(&self) -> Network {
        Network::of(self.address)
    }

    /// Name of the browser for letters.
    pub fn browser(&self) -> Option<String> {
        self.user_agent.as_ref().and_then(UserAgent::describe)
    }
}
