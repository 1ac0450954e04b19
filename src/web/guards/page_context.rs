//! Request guard with the parts that every page needs: the renderer, the use cases, the language,
//! and the cookies.

use rocket::Request;
use rocket::http::{CookieJar, Status};
use rocket::outcome::IntoOutcome;
use rocket::request::{FromRequest, Outcome};
use rocket::response::Redirect;

use crate::accounts::Accounts;
use crate::config::Settings;
use crate::messages::Language;
use crate::model::Locale;
use crate::web::guards::language;
use crate::web::responses::page::{Page, Pages};
use crate::web::views::View;

/// What a route of pages needs besides its input.
pub struct PageContext<'r> {
    /// The use cases around accounts.
    pub accounts: &'r Accounts,
    /// The renderer.
    pub pages: &'r Pages,
    /// The language of the pages.
    pub language: Language,
    /// The cookies, for setting them only.
    pub jar: &'r CookieJar<'r>,
    settings: &'r Settings,
}

impl PageContext<'_> {
    /// With the language that a person has chosen, else with the language of the request.
    pub fn in_language_of(self, person: Option<&Locale>) -> Self {
        Self { language: self.pages.language_of(person, self.language), ..self }
    }

    /// Renders a page.
    pub fn page(&self, status: Status, view: &impl View) -> Page {
        self.pages.page(self.language, status, view)
    }

    /// Redirects to a path of the service, below its public base path.
    pub fn redirect(&self, path: &str) -> Redirect {
        redirect_to(self.settings, path)
    }

    /// The minimum length of a new password, in characters.
    pub fn min_length(&self) -> usize {
        self.accounts.policy.min_length()
    }
}

/// Redirects to a path of the service, below its public base path.
pub fn redirect_to(settings: &Settings, path: &str) -> Redirect {
    Redirect::to(format!("{}{path}", settings.public_url.base_path()))
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for PageContext<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let state = request.rocket();
        let context = || {
            Some(Self {
                accounts: state.state()?,
                pages: state.state()?,
                language: language::of(request),
                jar: request.cookies(),
                settings: state.state()?,
            })
        };
        // a service without one of these parts does not start
        context().or_error((Status::InternalServerError, ()))
    }
}
