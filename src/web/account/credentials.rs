//! Account page: changing the password or the address, and deleting the account.
//!
//! Each of these needs the current password again (reauthentication).

use rocket::http::{CookieJar, Status};
use rocket::{Route, State, get, post, routes};

use super::guard::{self, AccountResult, AccountsState, PageOrRedirect, PageRefusal, PageUser};
use crate::accounts::{EmailChangeError, OwnSession, ReauthenticationError};
use crate::config::Settings;
use crate::messages::Language;
use crate::model::{ClientInfo, EmailAddress, Password, PersonalData};
use crate::web::guards::form::{Form, FormError};
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::{DeletionForm, EmailChangeForm, PageForm, PasswordChangeForm};
use crate::web::responses::page::PageState;
use crate::web::responses::problem_type;
use crate::web::views::account::{
    ChangeEmail, ChangePassword, DeleteAccount, DeletedPage, resumed,
};
use crate::web::views::{FieldMessage, View};

/// The routes of this module, for the mount `/account`.
pub(super) fn routes() -> Vec<Route> {
    routes![
        password_page,
        change_password,
        email_page,
        change_email,
        withdraw_email,
        deletion_page,
        delete
    ]
}

described!(
    password_page,
    change_password,
    email_page,
    change_email,
    withdraw_email,
    deletion_page,
    delete
);

/// Renders a page of this file in the language of the signed-in user.
fn page(
    user: &PageUser,
    status: Status,
    view: &impl View,
    language: Language,
    pages: &PageState,
) -> PageOrRedirect {
    let language = pages.language_of(user.session.locale.as_ref(), language);
    PageOrRedirect::Page(pages.page(language, status, view))
}

/// The message for a wrong current password. Other errors are not the form's and refuse the page.
fn wrong(error: ReauthenticationError) -> Result<Vec<FieldMessage>, PageRefusal> {
    match error {
        ReauthenticationError::Wrong => {
            Ok(vec![FieldMessage::new("current_password", "current-password", "wrong")])
        }
        ReauthenticationError::Gone => Err(PageRefusal::SignIn),
        ReauthenticationError::Failure(failure) => Err(failure.into()),
    }
}

fn password_view(
    user: &PageUser,
    accounts: &AccountsState,
    errors: Vec<FieldMessage>,
) -> ChangePassword {
    ChangePassword {
        form_token: user.form_token(),
        email: user.session.email.to_unicode(),
        min_length: accounts.policy.min_length(),
        errors,
    }
}

/// The form for another password
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "passwordPage",
    security(("cookie" = [])),
    responses(
        (status = 200, description = "The form."),
        (status = 303, description = "Nobody is signed in: to the sign-in."),
    ),
)]
#[get("/password")]
fn password_page(
    user: Result<PageUser, PageRefusal>,
    language: Language,
    accounts: &AccountsState,
    pages: &PageState,
) -> AccountResult {
    let user = user?;
    let view = password_view(&user, accounts, vec![]);
    Ok(page(&user, Status::Ok, &view, language, pages))
}

/// Change the password on the page
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressPassword",
    security(("cookie" = [])),
    request_body(content = PasswordChangeForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To another page of the account, or to the sign-in."),
        (status = 422, description = "The current password is wrong, or the new one cannot be taken."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/password", data = "<form>")]
async fn change_password(
    user: Result<PageUser, PageRefusal>,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &AccountsState,
    pages: &PageState,
    settings: &State<Settings>,
) -> AccountResult {
    let (user, form) = PageUser::sent(user, form, "password")?;
    let session = &user.session;
    let typed = form.get("new_password").unwrap_or_default();
    let owner = accounts.profile(session.account).await.map_err(guard::no_profile)?;
    let errors = match accounts.policy.judge(typed, PersonalData::of(&owner)) {
        Err(error) => vec![FieldMessage::password("new_password", error)],
        Ok(new) => {
            let current = Password::new(form.get("current_password").unwrap_or_default());
            let own = OwnSession::Page(session.digest);
            let changed =
                accounts.change_password(session.account, own, &current, &new, &caller).await;
            match changed {
                Ok(()) => {
                    return Ok(PageOrRedirect::Redirect(guard::redirect_to(
                        settings,
                        "/account?done=password",
                    )));
                }
                Err(error) => wrong(error)?,
            }
        }
    };
    let view = password_view(&user, accounts, errors);
    Ok(page(&user, Status::UnprocessableEntity, &view, language, pages))
}

fn email_view(user: &PageUser, new_email: &str, errors: Vec<FieldMessage>) -> ChangeEmail {
    ChangeEmail {
        form_token: user.form_token(),
        email: user.session.email.to_unicode(),
        new_email: new_email.to_owned(),
        done: None,
        errors,
    }
}

/// The form for another address
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "emailPage",
    security(("cookie" = [])),
    responses(
        (status = 200, description = "The form."),
        (status = 303, description = "Nobody is signed in: to the sign-in."),
    ),
)]
#[get("/email")]
fn email_page(
    user: Result<PageUser, PageRefusal>,
    language: Language,
    pages: &PageState,
) -> AccountResult {
    let user = user?;
    let view = match user.kept("email") {
        Some(kept) => {
            ChangeEmail { done: Some(resumed()), ..email_view(&user, &kept.email, vec![]) }
        }
        None => email_view(&user, "", vec![]),
    };
    Ok(page(&user, Status::Ok, &view, language, pages))
}

/// Change the address on the page
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressEmail",
    security(("cookie" = [])),
    request_body(content = EmailChangeForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To another page of the account, or to the sign-in."),
        (status = 422, description = "The current password is wrong, or the address cannot be taken."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/email", data = "<form>")]
async fn change_email(
    user: Result<PageUser, PageRefusal>,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &AccountsState,
    pages: &PageState,
    settings: &State<Settings>,
) -> AccountResult {
    let (user, form) = PageUser::sent(user, form, "email")?;
    let typed = form.get("email").unwrap_or_default();
    let errors = match EmailAddress::parse(typed) {
        Err(error) => vec![FieldMessage::new("email", "email", error.code())],
        Ok(new) => {
            let password = Password::new(form.get("current_password").unwrap_or_default());
            let account = user.session.account;
            match accounts.request_email_change(account, &new, &password, &caller).await {
                Ok(()) => {
                    return Ok(PageOrRedirect::Redirect(guard::redirect_to(
                        settings,
                        "/account?done=email",
                    )));
                }
                Err(EmailChangeError::Unchanged) => {
                    vec![FieldMessage::new("email", "email", "unchanged")]
                }
                Err(EmailChangeError::Reauthentication(error)) => wrong(error)?,
            }
        }
    };
    let view = email_view(&user, typed, errors);
    Ok(page(&user, Status::UnprocessableEntity, &view, language, pages))
}

/// Take a change of address back on the page
///
/// The password is not needed: a user who may see the account may keep its address.
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressWithdrawEmail",
    security(("cookie" = [])),
    request_body(content = PageForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To another page of the account, or to the sign-in."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/email/withdrawal", data = "<form>")]
async fn withdraw_email(
    user: Result<PageUser, PageRefusal>,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    accounts: &AccountsState,
    settings: &State<Settings>,
) -> AccountResult {
    let (user, _) = PageUser::sent(user, form, "account")?;
    // a change that has ended already counts as withdrawn
    accounts.withdraw_email_change(user.session.account, &caller).await?;
    Ok(PageOrRedirect::Redirect(guard::redirect_to(settings, "/account?done=withdrawn")))
}

fn deletion_view(user: &PageUser, errors: Vec<FieldMessage>) -> DeleteAccount {
    DeleteAccount { form_token: user.form_token(), email: user.session.email.to_unicode(), errors }
}

/// The form to leave
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "deletionPage",
    security(("cookie" = [])),
    responses(
        (status = 200, description = "The form."),
        (status = 303, description = "Nobody is signed in: to the sign-in."),
    ),
)]
#[get("/deletion")]
fn deletion_page(
    user: Result<PageUser, PageRefusal>,
    language: Language,
    pages: &PageState,
) -> AccountResult {
    let user = user?;
    Ok(page(&user, Status::Ok, &deletion_view(&user, vec![]), language, pages))
}

/// Delete the account on the page
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressDeletion",
    security(("cookie" = [])),
    request_body(content = DeletionForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The account is gone."),
        (status = 303, description = "To another page of the account, or to the sign-in."),
        (status = 422, description = "The current password is wrong."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/deletion", data = "<form>")]
async fn delete(
    user: Result<PageUser, PageRefusal>,
    caller: ClientInfo,
    jar: &CookieJar<'_>,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &AccountsState,
    pages: &PageState,
) -> AccountResult {
    let (user, form) = PageUser::sent(user, form, "deletion")?;
    let password = Password::new(form.get("current_password").unwrap_or_default());
    match accounts.delete(user.session.account, &password, &caller).await {
        Ok(()) => {
            guard::clear_session_cookie(jar);
            Ok(page(&user, Status::Ok, &DeletedPage {}, language, pages))
        }
        Err(error) => {
            let view = deletion_view(&user, wrong(error)?);
            Ok(page(&user, Status::UnprocessableEntity, &view, language, pages))
        }
    }
}
