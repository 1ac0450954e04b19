//! State of the link in a letter, for its page.

/// State of a link. A link that does not work tells nothing about the account's current state.
#[derive(Debug)]
pub enum LinkStatus<Live, Ended> {
    /// The link works.
    Live(Live),
    /// The matter of the link has ended: through this link, another link, or in another way.
    Ended(Ended),
    /// The link has expired.
    Expired,
    /// No such link.
    Unknown,
}

impl<Live, Ended> LinkStatus<Live, Ended> {
    /// What a working link is for.
    pub const fn live(&self) -> Option<&Live> {
        match self {
            Self::Live(live) => Some(live),
            Self::Ended(_) | Self::Expired | Self::Unknown => None,
        }
    }
}
