//! Request guard of the account page: the signed-in user.

use rocket::Request;
use rocket::http::{CookieJar, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::response::{self, Redirect, Responder};
use rocket::time::Duration;

use super::unsaved_form::{self, RestoredForm, UnsavedForm};
use crate::accounts::{Accounts, PAGE_SESSION_TTL, ProfileError};
use crate::config::Settings;
use crate::model::{PageSession, PageSessionSecret};
use crate::web::guards::cookies;
use crate::web::guards::form::{Form, FormFields, PostedForm};
use crate::web::guards::language;
use crate::web::guards::page_context::PageContext;
use crate::web::guards::same_origin::is_of_own_page;
use crate::web::responses::page::{Page, PageProblem, Pages};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;
use crate::web::views::View;
use crate::web::views::account::SignInPage;

/// The session cookie. Because of the prefix, browsers refuse it without `Secure` and `Path=/`, and
/// from any other host (RFC 6265bis §4.1.3.2).
const SESSION_COOKIE: &str = "__Host-vestibule-account";

/// Why a page of the account is not shown.
#[derive(Debug)]
pub(super) enum PageRefusal {
    /// There is no session cookie.
    SignIn,
    /// The session of the cookie has ended.
    Ended,
    /// A form was sent without a live session. The flag says whether there was a cookie.
    Unsaved(Box<UnsavedForm>, bool),
    /// A form was sent with a live session, but with the form token of another session.
    OtherSession(Box<(UnsavedForm, PageSessionSecret)>),
    Problem(PageProblem),
}

impl<E: Into<Problem>> From<E> for PageRefusal {
    fn from(error: E) -> Self {
        Self::Problem(PageProblem(error.into()))
    }
}

/// The refusal for an account that could not be read.
pub(super) fn no_profile(error: ProfileError) -> PageRefusal {
    match error {
        ProfileError::Gone => PageRefusal::SignIn,
        ProfileError::Store(error) => error.into(),
    }
}

impl<'r> Responder<'r, 'static> for PageRefusal {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        match self {
            Self::Problem(problem) => problem.respond_to(request),
            Self::Unsaved(sent, has_cookie) => match form_to_sign_in(request, &sent) {
                Some(page) => page.respond_to(request),
                None if has_cookie => Self::Ended.respond_to(request),
                None => Self::SignIn.respond_to(request),
            },
            Self::OtherSession(of) if is_of_own_page(request) => {
                let (sent, secret) = *of;
                let path =
                    unsaved_form::store_in_cookie(request.cookies(), &secret, &sent.as_unsaved());
                redirect(request, path).respond_to(request)
            }
            Self::OtherSession(_) => {
                Self::from(Problem::of(problem_type::FOREIGN_FORM)).respond_to(request)
            }
            Self::SignIn => redirect(request, "/account/sign-in").respond_to(request),
            Self::Ended => redirect(request, "/account/sign-in?done=ended").respond_to(request),
        }
    }
}

fn redirect(request: &Request<'_>, path: &str) -> Redirect {
    let settings = request.rocket().state::<Settings>();
    let base = settings.map_or("", |settings| settings.public_url.base_path());
    Redirect::to(format!("{base}{path}"))
}

/// The sign-in form, which carries the sent form along.
///
/// Only for a form that certainly came from a page of this service: another site must not fill a
/// form that appears after the sign-in.
fn form_to_sign_in(request: &Request<'_>, sent: &UnsavedForm) -> Option<Page> {
    let pages = request.rocket().state::<Pages>().filter(|_| is_of_own_page(request))?;
    let unsaved = Some(sent.as_unsaved());
    let view = SignInPage { unsaved, ..SignInPage::default() };
    Some(pages.page(language::of(request), Status::Forbidden, &view))
}

/// A page, or a redirect to one.
pub(super) enum PageOrRedirect {
    Page(Page),
    Redirect(Redirect),
}

impl<'r> Responder<'r, 'static> for PageOrRedirect {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        match self {
            Self::Page(page) => page.respond_to(request),
            Self::Redirect(redirect) => redirect.respond_to(request),
        }
    }
}

/// The user who sent a request, or why there is none.
pub(super) type Visitor<'r> = Result<PageUser<'r>, PageRefusal>;

/// The result of a route of the account page.
pub(super) type AccountResult = Result<PageOrRedirect, PageRefusal>;

/// Request guard for a user who is signed in at the account page.
pub(super) struct PageUser<'r> {
    /// The session that the cookie names.
    pub session: PageSession,
    /// The parts of a page, in the language of the user.
    pub context: PageContext<'r>,
    secret: PageSessionSecret,
    kept: Option<RestoredForm>,
}

impl PageUser<'_> {
    /// Renders a page.
    pub fn page(&self, status: Status, view: &impl View) -> AccountResult {
        Ok(PageOrRedirect::Page(self.context.page(status, view)))
    }

    /// Redirects to a path of the service.
    pub fn redirect(&self, path: &str) -> AccountResult {
        Ok(PageOrRedirect::Redirect(self.context.redirect(path)))
    }

    /// The use cases around accounts.
    pub fn accounts(&self) -> &Accounts {
        self.context.accounts
    }

    /// The token for the forms of a page.
    pub fn form_token(&self) -> String {
        self.secret.form_token()
    }

    /// The text that was typed into this form before the sign-in, if it was kept.
    pub fn kept(&self, form: &str) -> Option<&RestoredForm> {
        self.kept.as_ref().filter(|kept| kept.is_of(form))
    }

    /// The user and the form, if the form came from a page of this sign-in. Otherwise the form
    /// `name` is offered again, after a sign-in if needed.
    pub fn sent<F: FormFields>(
        user: Result<Self, PageRefusal>,
        form: PostedForm<F>,
        name: &'static str,
    ) -> Result<(Self, Form<F>), PageRefusal> {
        match (user, form) {
            (Ok(user), Ok(form)) if !user.has_sent(&form) && unsaved_form::is_restorable(name) => {
                Err(PageRefusal::OtherSession(Box::new((
                    UnsavedForm::new(name, &form),
                    user.secret,
                ))))
            }
            (Ok(user), form) => {
                let form = user.accept(form)?;
                Ok((user, form))
            }
            (Err(refusal @ (PageRefusal::SignIn | PageRefusal::Ended)), Ok(form)) => {
                let has_cookie = matches!(refusal, PageRefusal::Ended);
                Err(PageRefusal::Unsaved(Box::new(UnsavedForm::new(name, &form)), has_cookie))
            }
            (Err(refusal), _) => Err(refusal),
        }
    }

    /// The form, if it came from a page of this sign-in.
    pub fn accept<F: FormFields>(&self, form: PostedForm<F>) -> Result<Form<F>, PageRefusal> {
        let form = form?;
        match self.has_sent(&form) {
            true => Ok(form),
            false => Err(Problem::of(problem_type::FOREIGN_FORM).into()),
        }
    }

    fn has_sent<F: FormFields>(&self, form: &Form<F>) -> bool {
        self.secret.has_form_token(form.get("form_token").unwrap_or_default())
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for PageUser<'r> {
    type Error = PageRefusal;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, PageRefusal> {
        match find(request).await {
            Ok(user) => Outcome::Success(user),
            // routes take the `Result` and choose the status
            Err(refusal) => Outcome::Error((Status::Unauthorized, refusal)),
        }
    }
}

async fn find<'r>(request: &'r Request<'_>) -> Result<PageUser<'r>, PageRefusal> {
    let secret = cookie(request).ok_or(PageRefusal::SignIn)?;
    let context = request.guard::<PageContext<'_>>().await.succeeded();
    let context = context.ok_or(PageRefusal::SignIn)?;
    let session = context.accounts.find_page_session(&secret).await?.ok_or(PageRefusal::Ended)?;
    let context = context.in_language_of(session.locale.as_ref());
    let kept = RestoredForm::take(request, &secret);
    Ok(PageUser { session, context, secret, kept })
}

fn cookie(request: &Request<'_>) -> Option<PageSessionSecret> {
    PageSessionSecret::parse(cookies::find(request, SESSION_COOKIE)?)
}

/// Sets the session cookie. Its lifetime is that of the sign-in, so it survives closing the
/// browser.
pub(super) fn set_session_cookie(jar: &CookieJar<'_>, secret: &PageSessionSecret) {
    let seconds = i64::try_from(PAGE_SESSION_TTL.as_secs()).unwrap_or(0);
    jar.add(cookies::of_this_host(SESSION_COOKIE, secret.reveal(), Duration::seconds(seconds)));
}

/// Deletes the session cookie.
pub(super) fn clear_session_cookie(jar: &CookieJar<'_>) {
    jar.add(cookies::of_this_host(SESSION_COOKIE, String::new(), Duration::ZERO));
}
