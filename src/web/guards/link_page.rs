//! Request guard for the pages behind the links in letters: it counts the attempt, and renders the
//! pages in the language of the link's owner.

use rocket::Request;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};

use crate::accounts::{Accounts, LinkStatus};
use crate::model::Locale;
use crate::web::fairings::link_rate_limit::LinkAttempt;
use crate::web::guards::page_context::PageContext;
use crate::web::responses::page::PageResult;
use crate::web::views::View;

/// The page behind a link.
pub struct LinkPage<'r>(PageContext<'r>);

impl<'r> LinkPage<'r> {
    /// The use cases around accounts.
    pub fn accounts(&self) -> &'r Accounts {
        self.0.accounts
    }

    /// The minimum length of a new password, in characters.
    pub fn min_length(&self) -> usize {
        self.0.min_length()
    }

    /// With the language of the owner while the link is live, else of the request. The page after a
    /// button uses the language of the page before.
    pub fn of<Live, Ended>(
        self,
        status: &LinkStatus<Live, Ended>,
        locale: impl Fn(&Live) -> Option<&Locale>,
    ) -> Self {
        Self(self.0.in_language_of(status.live().and_then(locale)))
    }

    /// Renders a page.
    pub fn page(&self, status: Status, view: &impl View) -> PageResult {
        Ok(self.0.page(status, view))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for LinkPage<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        // the guard marks the attempt and never fails
        request.guard::<LinkAttempt>().await.succeeded();
        request.guard::<PageContext<'r>>().await.map(Self)
    }
}
