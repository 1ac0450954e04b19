//! Account page: the overview with the profile and the sessions.

use rocket::http::Status;
use rocket::{Route, State, get, post, routes};

use super::guard::{self, AccountResult, PageUser, Visitor};
use crate::accounts::ProfileChange;
use crate::messages::Language;
use crate::model::{
    Actor, ClientInfo, Locale, Name, PageSessionId, SessionId, SessionSummary, UserAgent,
};
use crate::oauth::{OAuth, SessionPage};
use crate::storage::PageSessionSummary;
use crate::web::guards::form::{Form, PostedForm};
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::{PageForm, ProfileForm, SessionForm};
use crate::web::responses::page::Pages;
use crate::web::responses::problem_type;
use crate::web::views::account::{
    self, DONE, LanguageChoice, Overview, PageSessionView, SessionView, known,
};
use crate::web::views::{FieldMessage, MessageKey};

/// The routes of this module, for the mount `/account`.
pub(super) fn routes() -> Vec<Route> {
    routes![show, change_profile, end_session, end_page_session, end_all]
}

described!(show, change_profile, end_session, end_page_session, end_all);

/// The account, as a page
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "accountPage",
    security(("cookie" = [])),
    params(
        ("done" = Option<String>, Query, description = "What has just been done; other words say nothing.", example = "saved"),
        ("before" = Option<String>, Query, description = "Show sign-ins from where an earlier page ended.", example = "01890000-0000-7000-8000-000000000002"),
    ),
    responses(
        (status = 200, description = "The page."),
        (status = 303, description = "Nobody is signed in: to the sign-in."),
    ),
)]
#[get("/?<done>&<before>")]
async fn show(
    user: Visitor<'_>,
    done: Option<&str>,
    before: Option<&str>,
    oauth: &State<OAuth>,
) -> AccountResult {
    let user = user?;
    // the id of the last session of the previous page; an invalid id shows the first page
    let before = before.and_then(|id| id.parse().ok());
    let kept = user.kept("profile");
    let typed =
        kept.map(|kept| TypedProfile { name: Some(&kept.name), locale: Some(&kept.locale) });
    let done = kept.map_or_else(|| known(done, &DONE), |_| Some(account::resumed()));
    let notice = Notice { done, before, typed, ..Notice::default() };
    overview(&user, Status::Ok, notice, oauth).await
}

/// The outcome of the form that led to the page.
#[derive(Default)]
struct Notice<'a> {
    done: Option<MessageKey>,
    /// Sessions before this one are shown.
    before: Option<SessionId>,
    errors: Vec<FieldMessage>,
    /// The typed fields, if the user has to correct them.
    typed: Option<TypedProfile<'a>>,
}

/// The fields of the profile form.
#[derive(Clone, Copy)]
struct TypedProfile<'a> {
    name: Option<&'a str>,
    locale: Option<&'a str>,
}

async fn overview(
    user: &PageUser<'_>,
    status: Status,
    notice: Notice<'_>,
    oauth: &OAuth,
) -> AccountResult {
    let (accounts, pages) = (user.accounts(), user.context.pages);
    let account = accounts.profile(user.session.account).await.map_err(guard::no_profile)?;
    let SessionPage { sessions, next } = oauth.sessions_of(account.id, notice.before).await?;
    let page_sessions = accounts.page_sessions_of(account.id).await?;
    let mut page_sessions: Vec<_> =
        page_sessions.iter().map(|one| page_session_view(one, user.session.id)).collect();
    page_sessions.sort_by_key(|one| !one.current);
    let pending = accounts.pending_email_change(account.id).await?;
    let own = account.locale.as_ref().and_then(|locale| pages.messages().best(locale));
    let (name, chosen) = match notice.typed {
        Some(typed) => (typed.name.map(Name::shown), chosen_language(typed.locale, pages)),
        None => (account.name.as_ref().map(ToString::to_string), own),
    };
    let view = Overview {
        form_token: user.form_token(),
        email: account.email.to_unicode(),
        name: name.unwrap_or_default(),
        created_at: account.created_at.unix_millis(),
        pending_email: pending.map(|change| change.email.to_unicode()),
        languages: languages(pages, chosen),
        page_sessions,
        sessions: sessions.iter().map(session_view).collect(),
        next: next.map(|id| id.to_string()),
        done: notice.done,
        errors: notice.errors,
    };
    user.page(status, &view)
}

/// The available language that a form names.
fn chosen_language(locale: Option<&str>, pages: &Pages) -> Option<Language> {
    pages.messages().best(&Locale::parse(locale?).ok()?)
}

/// The new locale of the account: `None` if the form keeps it, `Some(None)` if the form removes it.
///
/// An unchanged choice keeps the account's locale, which may be more specific than the page can
/// show (`de-AT`) or unavailable (`fr`).
fn new_locale(user: &PageUser<'_>, form: &Form<ProfileForm>) -> Option<Option<Locale>> {
    let pages = user.context.pages;
    let messages = pages.messages();
    let before = user.session.locale.as_ref().and_then(|locale| messages.best(locale));
    // only a language that the page offers; any other value leaves the choice to the browser
    let chosen = chosen_language(form.get("locale"), pages);
    let locale = || chosen.and_then(|language| Locale::parse(messages.tag(language)).ok());
    (chosen != before).then(locale)
}

/// The available languages, each with its own name.
fn languages(pages: &Pages, chosen: Option<Language>) -> Vec<LanguageChoice> {
    let messages = pages.messages();
    let choice = |language: Language| LanguageChoice {
        tag: messages.tag(language).to_owned(),
        name: messages.own_name(language),
        chosen: chosen == Some(language),
    };
    messages.languages().map(choice).collect()
}

fn session_view(session: &SessionSummary) -> SessionView {
    SessionView {
        id: session.id.to_string(),
        app: session.client_id.to_string(),
        browser: session.user_agent.as_ref().and_then(UserAgent::describe),
        created_at: session.created_at.unix_millis(),
        last_used_at: session.last_used_at.unix_millis(),
    }
}

fn page_session_view(session: &PageSessionSummary, own: PageSessionId) -> PageSessionView {
    PageSessionView {
        id: session.id.to_string(),
        browser: session.user_agent.as_ref().and_then(UserAgent::describe),
        created_at: session.created_at.unix_millis(),
        current: session.id == own,
    }
}

/// Change name or language on the page
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressProfile",
    security(("cookie" = [])),
    request_body(content = ProfileForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To another page of the account, or to the sign-in."),
        (status = 422, description = "The name cannot be taken; the page says why."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/profile", data = "<form>")]
async fn change_profile(
    user: Visitor<'_>,
    caller: ClientInfo,
    form: PostedForm<ProfileForm>,
    oauth: &State<OAuth>,
) -> AccountResult {
    let (user, form) = PageUser::sent(user, form, "profile")?;
    let name = match Name::parse(form.get("name").unwrap_or_default()) {
        Ok(name) => name,
        Err(error) => {
            let errors = vec![FieldMessage::new("name", "name", error.code())];
            let status = Status::UnprocessableEntity;
            let typed = TypedProfile { name: form.get("name"), locale: form.get("locale") };
            let notice = Notice { errors, typed: Some(typed), ..Notice::default() };
            return overview(&user, status, notice, oauth).await;
        }
    };
    let change = ProfileChange { name: Some(name), locale: new_locale(&user, &form) };
    match user.accounts().change_profile(user.session.account, change, &caller).await {
        Ok(_) => user.redirect("/account?done=saved"),
        Err(error) => Err(guard::no_profile(error)),
    }
}

/// Sign out one session on the page
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressEndSession",
    security(("cookie" = [])),
    request_body(content = SessionForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To another page of the account, or to the sign-in."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/sessions/end", data = "<form>")]
async fn end_session(
    user: Visitor<'_>,
    caller: ClientInfo,
    form: PostedForm<SessionForm>,
    oauth: &State<OAuth>,
) -> AccountResult {
    let (user, form) = PageUser::sent(user, form, "account")?;
    // a session that has ended already is fine
    if let Some(id) = form.get("id").and_then(|id| id.parse().ok()) {
        oauth.end_session(user.session.account, id, &caller).await?;
    }
    user.redirect("/account?done=session")
}

/// Sign out another sign-in at the account page
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressEndPageSession",
    security(("cookie" = [])),
    request_body(content = SessionForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To another page of the account, or to the sign-in."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/page-sessions/end", data = "<form>")]
async fn end_page_session(
    user: Visitor<'_>,
    caller: ClientInfo,
    form: PostedForm<SessionForm>,
) -> AccountResult {
    let (user, form) = PageUser::sent(user, form, "account")?;
    if let Some(id) = form.get("id").and_then(|id| id.parse().ok()) {
        user.accounts().end_page_session_of(user.session.account, id, &caller).await?;
    }
    user.redirect("/account?done=session")
}

/// Sign out everywhere, here as well
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "pressEndSessions",
    security(("cookie" = [])),
    request_body(content = PageForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To another page of the account, or to the sign-in."),
    ),
    extensions(("x-problems" = json!([problem_type::FOREIGN_FORM]))),
)]
#[post("/sessions/end-all", data = "<form>")]
async fn end_all(
    user: Visitor<'_>,
    caller: ClientInfo,
    form: PostedForm<PageForm>,
) -> AccountResult {
    let (user, _) = PageUser::sent(user, form, "account")?;
    user.accounts().end_sessions(user.session.account, Actor::Owner, &caller).await?;
    guard::clear_session_cookie(user.context.jar);
    user.redirect("/account/sign-in?done=everywhere")
}
