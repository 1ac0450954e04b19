//! Account page: signing in and out, signing up, and asking for a new password.

use rocket::http::{CookieJar, Status};
use rocket::{Route, State, get, post, routes};

use super::guard::{self, AccountResult, AccountsState, PageOrRedirect, PageRefusal, PageUser};
use super::unsaved_form::{self, embedded_form};
use crate::accounts::{SignInAttempt, SignInError, SignUpRequest};
use crate::config::Settings;
use crate::messages::Language;
use crate::model::{ClientInfo, EmailAddress, Locale, Name, Password, PersonalData};
use crate::web::guards::form::{Form, FormError};
use crate::web::guards::same_origin::SameOriginForm;
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::{AddressForm, PageForm, SignInForm, SignUpForm};
use crate::web::responses::page::PageState;
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;
use crate::web::views::FieldMessage;
use crate::web::views::account::{
    ForgottenPassword, LetterSent, SIGNED_OUT, SignInPage, SignUpPage, known,
};

/// The routes of this module, for the mount `/account`.
pub(super) fn routes() -> Vec<Route> {
    routes![
        sign_in_page,
        sign_in,
        sign_out,
        sign_up_page,
        sign_up,
        send_again,
        forgotten_page,
        forgotten
    ]
}

described!(
    sign_in_page,
    sign_in,
    sign_out,
    sign_up_page,
    sign_up,
    send_again,
    forgotten_page,
    forgotten,
);

/// The form to sign in
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "signInPage",
    params(("done" = Option<String>, Query, description = "What has just been done, for a notice.", example = "out")),
    responses(
        (status = 200, description = "The form."),
        (status = 303, description = "Somebody is signed in already: to the account."),
    ),
)]
#[get("/sign-in?<done>")]
fn sign_in_page(
    user: Result<PageUser, PageRefusal>,
    done: Option<&str>,
    language: Language,
    pages: &PageState,
    settings: &State<Settings>,
) -> AccountResult {
    match user {
        Ok(_) => Ok(PageOrRedirect::Redirect(guard::redirect_to(settings, "/account"))),
        Err(PageRefusal::SignIn | PageRefusal::Ended) => {
            let done = known(done, &SIGNED_OUT);
            let view = SignInPage { done, ..SignInPage::default() };
            Ok(PageOrRedirect::Page(pages.page(language, Status::Ok, &view)))
        }
        Err(refusal) => Err(refusal),
    }
}

/// Sign in at the account page
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressSignIn",
    request_body(content = SignInForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "Signed in, by a cookie: to the account, or to the form that was sent without a sign-in, with what was typed."),
        (status = 422, description = "Address and password do not belong together, or the address has yet to be confirmed; for every address there is a button to have a link sent."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/sign-in", data = "<form>")]
#[expect(clippy::too_many_arguments, reason = "each is a guard of the request")]
async fn sign_in(
    own: Result<SameOriginForm, Problem>,
    caller: ClientInfo,
    jar: &CookieJar<'_>,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &AccountsState,
    pages: &PageState,
    settings: &State<Settings>,
) -> AccountResult {
    own?;
    let form = form?;
    let email = form.get("email").unwrap_or_default();
    let password = Password::new(form.get("password").unwrap_or_default());
    let attempt =
        SignInAttempt { username: email, password: &password, client_id: None, caller: &caller };
    match accounts.sign_in_to_page(attempt).await {
        Ok(secret) => {
            guard::set_session_cookie(jar, &secret);
            let unsaved = embedded_form(&form);
            let path = unsaved.map_or("/account", |unsaved| {
                unsaved_form::store_in_cookie(jar, &secret, &unsaved)
            });
            Ok(PageOrRedirect::Redirect(guard::redirect_to(settings, path)))
        }
        Err(SignInError::Refused) => {
            let errors = vec![FieldMessage::new("password", "sign-in", "refused")];
            let link_to = Some(email).filter(|email| !email.is_empty());
            let unsaved = embedded_form(&form);
            let view = SignInPage { email, errors, link_to, unsaved, ..SignInPage::default() };
            Ok(PageOrRedirect::Page(pages.page(language, Status::UnprocessableEntity, &view)))
        }
        Err(SignInError::Failure(failure)) => Err(failure.into()),
    }
}

/// Sign out of the account page
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressSignOut",
    security(("cookie" = [])),
    request_body(content = PageForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To the sign-in."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/sign-out", data = "<form>")]
async fn sign_out(
    user: Result<PageUser, PageRefusal>,
    caller: ClientInfo,
    jar: &CookieJar<'_>,
    form: Result<Form, FormError>,
    accounts: &AccountsState,
    settings: &State<Settings>,
) -> AccountResult {
    let user = user?;
    user.accept(form)?;
    accounts.end_page_session(&user.session, &caller).await?;
    guard::clear_session_cookie(jar);
    Ok(PageOrRedirect::Redirect(guard::redirect_to(settings, "/account/sign-in?done=out")))
}

/// The form to sign up
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "signUpPage",
    responses(
        (status = 200, description = "The form."),
    ),
)]
#[get("/sign-up")]
fn sign_up_page(language: Language, accounts: &AccountsState, pages: &PageState) -> AccountResult {
    let min_length = accounts.policy.min_length();
    let view = SignUpPage { email: "", name: "", min_length, errors: vec![] };
    Ok(PageOrRedirect::Page(pages.page(language, Status::Ok, &view)))
}

/// Sign up at the account page
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressSignUp",
    request_body(content = SignUpForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 202, description = "A letter is on its way, whoever the address belongs to."),
        (status = 422, description = "Something cannot be taken; the page says what."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/sign-up", data = "<form>")]
async fn sign_up(
    own: Result<SameOriginForm, Problem>,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &AccountsState,
    pages: &PageState,
) -> AccountResult {
    own?;
    let form = form?;
    let text = |name| form.get(name).unwrap_or_default();
    let mut errors = Vec::new();
    let email = EmailAddress::parse(text("email"));
    let name = Name::parse(text("name"));
    let called = name.as_ref().ok().and_then(Option::as_ref);
    let owner = PersonalData { email: email.as_ref().ok(), name: called };
    let judged = accounts.policy.judge(text("password"), owner);
    errors.extend(email.as_ref().err().map(|e| FieldMessage::new("email", "email", e.code())));
    errors.extend(name.as_ref().err().map(|e| FieldMessage::new("name", "name", e.code())));
    errors.extend(judged.as_ref().err().map(|e| FieldMessage::password("password", *e)));
    let (Ok(email), Ok(password), Ok(name)) = (email, judged, name) else {
        let min_length = accounts.policy.min_length();
        let view = SignUpPage { email: text("email"), name: text("name"), min_length, errors };
        return Ok(PageOrRedirect::Page(pages.page(language, Status::UnprocessableEntity, &view)));
    };
    // the user reads the language of the page, so letters use it
    let locale = Locale::parse(pages.messages().tag(language)).ok();
    let view = LetterSent { email: &email.to_unicode(), is_sign_up: true, again: false };
    accounts.sign_up(SignUpRequest { email, password, name, locale, caller }).await?;
    Ok(PageOrRedirect::Page(pages.page(language, Status::Accepted, &view)))
}

/// Ask for the letter of a sign-up again
///
/// The button of the page that follows a sign-up. The sign-up stays as it is, with its password.
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressSendAgain",
    request_body(content = AddressForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 202, description = "If a sign-up waits, a letter is on its way."),
        (status = 422, description = "That is no address."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/sign-up/new-link", data = "<form>")]
async fn send_again(
    own: Result<SameOriginForm, Problem>,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &AccountsState,
    pages: &PageState,
) -> AccountResult {
    own?;
    let form = form?;
    let typed = form.get("email").unwrap_or_default();
    let email = match EmailAddress::parse(typed) {
        Ok(email) => email,
        Err(error) => {
            let errors = vec![FieldMessage::new("email", "email", error.code())];
            let min_length = accounts.policy.min_length();
            let view = SignUpPage { email: typed, name: "", min_length, errors };
            return Ok(PageOrRedirect::Page(pages.page(
                language,
                Status::UnprocessableEntity,
                &view,
            )));
        }
    };
    accounts.send_new_link(&email, &caller).await?;
    let view = LetterSent { email: &email.to_unicode(), is_sign_up: true, again: true };
    Ok(PageOrRedirect::Page(pages.page(language, Status::Accepted, &view)))
}

/// The form for a forgotten password
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "forgottenPasswordPage",
    responses(
        (status = 200, description = "The form."),
    ),
)]
#[get("/forgotten-password")]
fn forgotten_page(language: Language, pages: &PageState) -> AccountResult {
    let view = ForgottenPassword { email: "", errors: vec![] };
    Ok(PageOrRedirect::Page(pages.page(language, Status::Ok, &view)))
}

/// Ask for a letter to choose a new password
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressForgottenPassword",
    request_body(content = AddressForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 202, description = "If there is an account or a sign-up that waits, a letter is on its way."),
        (status = 422, description = "That is no address."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/forgotten-password", data = "<form>")]
async fn forgotten(
    own: Result<SameOriginForm, Problem>,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &AccountsState,
    pages: &PageState,
) -> AccountResult {
    own?;
    let form = form?;
    let typed = form.get("email").unwrap_or_default();
    let email = match EmailAddress::parse(typed) {
        Ok(email) => email,
        Err(error) => {
            let errors = vec![FieldMessage::new("email", "email", error.code())];
            let view = ForgottenPassword { email: typed, errors };
            return Ok(PageOrRedirect::Page(pages.page(
                language,
                Status::UnprocessableEntity,
                &view,
            )));
        }
    };
    accounts.request_password_reset(&email, &caller).await?;
    let view = LetterSent { email: &email.to_unicode(), is_sign_up: false, again: false };
    Ok(PageOrRedirect::Page(pages.page(language, Status::Accepted, &view)))
}
