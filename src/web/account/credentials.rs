//! Account page: changing the password or the address, and deleting the account.
//!
//! Each of these needs the current password again (reauthentication).

use rocket::http::Status;
use rocket::{Route, get, post, routes};

use super::guard::{self, AccountResult, PageRefusal, PageUser, Visitor};
use crate::accounts::{EmailChangeError, OwnSession, ReauthenticationError};
use crate::model::{ClientInfo, EmailAddress, Password, PersonalData};
use crate::web::guards::form::PostedForm;
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::{DeletionForm, EmailChangeForm, PageForm, PasswordChangeForm};
use crate::web::responses::problem_type;
use crate::web::views::FieldMessage;
use crate::web::views::account::{
    ChangeEmail, ChangePassword, DeleteAccount, DeletedPage, resumed,
};

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

fn password_view(user: &PageUser<'_>, errors: Vec<FieldMessage>) -> ChangePassword {
    ChangePassword {
        form_token: user.form_token(),
        email: user.session.email.to_unicode(),
        min_length: user.context.min_length(),
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
fn password_page(user: Visitor<'_>) -> AccountResult {
    let user = user?;
    user.page(Status::Ok, &password_view(&user, vec![]))
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
    user: Visitor<'_>,
    caller: ClientInfo,
    form: PostedForm<PasswordChangeForm>,
) -> AccountResult {
    let (user, form) = PageUser::sent(user, form, "password")?;
    let session = &user.session;
    let typed = form.get("new_password").unwrap_or_default();
    let owner = PersonalData { email: Some(&session.email), name: session.name.as_ref() };
    let errors = match user.accounts().policy.judge(typed, owner) {
        Err(error) => vec![FieldMessage::password("new_password", error)],
        Ok(new) => {
            let current = Password::new(form.get("current_password").unwrap_or_default());
            let own = OwnSession::Page(session.digest);
            let accounts = user.accounts();
            match accounts.change_password(session.account, own, &current, &new, &caller).await {
                Ok(()) => return user.redirect("/account?done=password"),
                Err(error) => wrong(error)?,
            }
        }
    };
    user.page(Status::UnprocessableEntity, &password_view(&user, errors))
}

fn email_view(user: &PageUser<'_>, new_email: &str, errors: Vec<FieldMessage>) -> ChangeEmail {
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
fn email_page(user: Visitor<'_>) -> AccountResult {
    let user = user?;
    let view = match user.kept("email") {
        Some(kept) => {
            ChangeEmail { done: Some(resumed()), ..email_view(&user, &kept.email, vec![]) }
        }
        None => email_view(&user, "", vec![]),
    };
    user.page(Status::Ok, &view)
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
    user: Visitor<'_>,
    caller: ClientInfo,
    form: PostedForm<EmailChangeForm>,
) -> AccountResult {
    let (user, form) = PageUser::sent(user, form, "email")?;
    let typed = form.get("email").unwrap_or_default();
    let errors = match EmailAddress::parse(typed) {
        Err(error) => vec![FieldMessage::new("email", "email", error.code())],
        Ok(new) => {
            let password = Password::new(form.get("current_password").unwrap_or_default());
            let account = user.session.account;
            let accounts = user.accounts();
            match accounts.request_email_change(account, &new, &password, &caller).await {
                Ok(()) => return user.redirect("/account?done=email"),
                Err(EmailChangeError::Unchanged) => {
                    vec![FieldMessage::new("email", "email", "unchanged")]
                }
                Err(EmailChangeError::Reauthentication(error)) => wrong(error)?,
            }
        }
    };
    user.page(Status::UnprocessableEntity, &email_view(&user, typed, errors))
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
    user: Visitor<'_>,
    caller: ClientInfo,
    form: PostedForm<PageForm>,
) -> AccountResult {
    let (user, _) = PageUser::sent(user, form, "account")?;
    // a change that has ended already counts as withdrawn
    user.accounts().withdraw_email_change(user.session.account, &caller).await?;
    user.redirect("/account?done=withdrawn")
}

fn deletion_view(user: &PageUser<'_>, errors: Vec<FieldMessage>) -> DeleteAccount {
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
fn deletion_page(user: Visitor<'_>) -> AccountResult {
    let user = user?;
    user.page(Status::Ok, &deletion_view(&user, vec![]))
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
    user: Visitor<'_>,
    caller: ClientInfo,
    form: PostedForm<DeletionForm>,
) -> AccountResult {
    let (user, form) = PageUser::sent(user, form, "deletion")?;
    let password = Password::new(form.get("current_password").unwrap_or_default());
    match user.accounts().delete(user.session.account, &password, &caller).await {
        Ok(()) => {
            guard::clear_session_cookie(user.context.jar);
            user.page(Status::Ok, &DeletedPage {})
        }
        Err(error) => user.page(Status::UnprocessableEntity, &deletion_view(&user, wrong(error)?)),
    }
}
