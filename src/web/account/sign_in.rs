//! Account page: signing in and out, signing up, and asking for a new password.

use rocket::http::Status;
use rocket::{Route, get, post, routes};

use super::guard::{self, AccountResult, PageOrRedirect, PageRefusal, Visitor};
use super::unsaved_form::{self, embedded_form};
use crate::accounts::{SignInAttempt, SignInError, SignUpRequest};
use crate::model::{ClientInfo, EmailAddress, Locale, Name, Password, PersonalData};
use crate::web::guards::form::PostedForm;
use crate::web::guards::page_context::PageContext;
use crate::web::guards::same_origin::SameOriginForm;
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::{AddressForm, PageForm, SignInForm, SignUpForm};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;
use crate::web::views::account::{
    ForgottenPassword, LetterSent, SIGNED_OUT, SignInPage, SignUpPage, known,
};
use crate::web::views::{FieldMessage, View};

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

/// A page for a user who is not signed in.
fn page(context: &PageContext<'_>, status: Status, view: &impl View) -> AccountResult {
    Ok(PageOrRedirect::Page(context.page(status, view)))
}

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
fn sign_in_page(user: Visitor<'_>, done: Option<&str>, context: PageContext<'_>) -> AccountResult {
    match user {
        Ok(_) => Ok(PageOrRedirect::Redirect(context.redirect("/account"))),
        Err(PageRefusal::SignIn | PageRefusal::Ended) => {
            let done = known(done, &SIGNED_OUT);
            let view = SignInPage { done, ..SignInPage::default() };
            page(&context, Status::Ok, &view)
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
async fn sign_in(
    own: Result<SameOriginForm, Problem>,
    caller: ClientInfo,
    form: PostedForm<SignInForm>,
    context: PageContext<'_>,
) -> AccountResult {
    own?;
    let form = form?;
    let email = form.get("email").unwrap_or_default();
    let password = Password::new(form.get("password").unwrap_or_default());
    let attempt =
        SignInAttempt { username: email, password: &password, client_id: None, caller: &caller };
    match context.accounts.sign_in_to_page(attempt).await {
        Ok(secret) => {
            guard::set_session_cookie(context.jar, &secret);
            let unsaved = embedded_form(&form);
            let path = unsaved.map_or("/account", |unsaved| {
                unsaved_form::store_in_cookie(context.jar, &secret, &unsaved)
            });
            Ok(PageOrRedirect::Redirect(context.redirect(path)))
        }
        Err(SignInError::Refused) => {
            let errors = vec![FieldMessage::new("password", "sign-in", "refused")];
            let link_to = Some(email).filter(|email| !email.is_empty());
            let unsaved = embedded_form(&form);
            let view = SignInPage { email, errors, link_to, unsaved, ..SignInPage::default() };
            page(&context, Status::UnprocessableEntity, &view)
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
    user: Visitor<'_>,
    caller: ClientInfo,
    form: PostedForm<PageForm>,
) -> AccountResult {
    let user = user?;
    user.accept(form)?;
    user.accounts().end_page_session(&user.session, &caller).await?;
    guard::clear_session_cookie(user.context.jar);
    user.redirect("/account/sign-in?done=out")
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
fn sign_up_page(context: PageContext<'_>) -> AccountResult {
    let min_length = context.min_length();
    page(&context, Status::Ok, &SignUpPage { email: "", name: "", min_length, errors: vec![] })
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
    form: PostedForm<SignUpForm>,
    context: PageContext<'_>,
) -> AccountResult {
    own?;
    let form = form?;
    let text = |name| form.get(name).unwrap_or_default();
    let mut errors = Vec::new();
    let email = EmailAddress::parse(text("email"));
    let name = Name::parse(text("name"));
    let called = name.as_ref().ok().and_then(Option::as_ref);
    let owner = PersonalData { email: email.as_ref().ok(), name: called };
    let judged = context.accounts.policy.judge(text("password"), owner);
    errors.extend(email.as_ref().err().map(|e| FieldMessage::new("email", "email", e.code())));
    errors.extend(name.as_ref().err().map(|e| FieldMessage::new("name", "name", e.code())));
    errors.extend(judged.as_ref().err().map(|e| FieldMessage::password("password", *e)));
    let (Ok(email), Ok(password), Ok(name)) = (email, judged, name) else {
        let min_length = context.min_length();
        let view = SignUpPage { email: text("email"), name: text("name"), min_length, errors };
        return page(&context, Status::UnprocessableEntity, &view);
    };
    // the user reads the language of the page, so letters use it
    let locale = Locale::parse(context.pages.messages().tag(context.language)).ok();
    let view = LetterSent { email: &email.to_unicode(), is_sign_up: true, again: false };
    context.accounts.sign_up(SignUpRequest { email, password, name, locale, caller }).await?;
    page(&context, Status::Accepted, &view)
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
    form: PostedForm<AddressForm>,
    context: PageContext<'_>,
) -> AccountResult {
    own?;
    let form = form?;
    let typed = form.get("email").unwrap_or_default();
    let email = match EmailAddress::parse(typed) {
        Ok(email) => email,
        Err(error) => {
            let errors = vec![FieldMessage::new("email", "email", error.code())];
            let min_length = context.min_length();
            let view = SignUpPage { email: typed, name: "", min_length, errors };
            return page(&context, Status::UnprocessableEntity, &view);
        }
    };
    context.accounts.send_new_link(&email, &caller).await?;
    let view = LetterSent { email: &email.to_unicode(), is_sign_up: true, again: true };
    page(&context, Status::Accepted, &view)
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
fn forgotten_page(context: PageContext<'_>) -> AccountResult {
    let view = ForgottenPassword { email: "", errors: vec![] };
    page(&context, Status::Ok, &view)
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
    form: PostedForm<AddressForm>,
    context: PageContext<'_>,
) -> AccountResult {
    own?;
    let form = form?;
    let typed = form.get("email").unwrap_or_default();
    let email = match EmailAddress::parse(typed) {
        Ok(email) => email,
        Err(error) => {
            let errors = vec![FieldMessage::new("email", "email", error.code())];
            let view = ForgottenPassword { email: typed, errors };
            return page(&context, Status::UnprocessableEntity, &view);
        }
    };
    context.accounts.request_password_reset(&email, &caller).await?;
    let view = LetterSent { email: &email.to_unicode(), is_sign_up: false, again: false };
    page(&context, Status::Accepted, &view)
}
