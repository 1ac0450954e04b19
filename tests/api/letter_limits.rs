//! Tests that every operation that posts a letter is limited, and every kind of letter (S10).

#![expect(clippy::panic, reason = "this is how a test fails")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rocket::http::{ContentType, Method, Status};
use serde_json::{Value, json};
use vestibule::accounts::AccountToCreate;
use vestibule::clock::Timestamp;
use vestibule::mail::{LetterCap, LetterRequest, Recipient};
use vestibule::model::{AccountId, ClientInfo, EmailAddress, EmailChangeId};
use vestibule::storage::{ClaimLimit, Connection, LetterId, LetterState, NewLetter, StoreError};
use vestibule::testing::{BEGINNING, PASSWORD, Signed, TestApp};

use crate::openapi::{document, operations};
use crate::support::{self, ADA, bearer, form, from};
use crate::support_accounts::{
    BOB, Browser, NEW, accounts, change_password, letters, post_as, token_in,
};
use crate::support_pages::{Answer, OTHER, dump_of, post};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);
/// An address in one network; the next line has three in other networks.
const HERE: &str = "203.0.113.66";
const ELSEWHERE: [&str; 3] = ["192.0.2.1", "198.51.100.1", "2001:db8::1"];

/// The limit on the letters of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Limited {
    /// `sign_ups_*`, by network.
    AsSignUp,
    /// `requests_*`, by network.
    AsRequest,
    /// `requests_*` and `requests_per_account`.
    AsRequestOfAccount,
    /// `notices_per_hour`: the notice goes to the account's owner only.
    AsNotice,
    /// A refresh token that was spent before ends a session. Each such letter costs a session, and
    /// so a sign-in; `notices_per_hour` limits them as well.
    AsSignIn,
    /// The operation posts no letter.
    Nothing,
}

/// The limit of each operation that changes data. A new operation fails here until the test names
/// its limit.
fn limit_of(operation: &str) -> Limited {
    match operation {
        "signUp" | "pressSignUp" => Limited::AsSignUp,
        "sendActivationMail"
        | "pressSendAgain"
        | "renewActivation"
        | "requestPasswordReset"
        | "pressForgottenPassword"
        | "renewReset" => Limited::AsRequest,
        "changeEmail" | "pressEmail" | "renewEmailLink" => Limited::AsRequestOfAccount,
        "changePassword" | "pressPassword" | "resetPassword" | "pressResetPassword"
        | "pressConfirmEmail" | "deleteAccount" | "pressDeletion" => Limited::AsNotice,
        "token" => Limited::AsSignIn,
        "activate"
        | "pressActivate"
        | "disavow"
        | "pressDisavow"
        | "pressStopEmailChange"
        | "changeAccount"
        | "pressProfile"
        | "endSession"
        | "endSessions"
        | "pressEndSession"
        | "pressEndPageSession"
        | "pressEndSessions"
        | "pressSignIn"
        | "pressSignOut"
        | "pressWithdrawEmail"
        | "revoke"
        | "introspect" => Limited::Nothing,
        other => panic!("name the limit of the letters of {other}"),
    }
}

/// A service in which Ada is signed in both ways, and several people have an expired link each.
struct Fixture<'a> {
    app: &'a TestApp,
    ada: Signed<'a>,
    browser: Browser<'a>,
    /// Tokens of expired links that can be renewed, by the operation that renews them.
    expired: Vec<(&'static str, Vec<String>)>,
}

/// The operations that renew a link, with their paths.
const RENEWALS: [(&str, &str); 3] = [
    ("renewActivation", "/activate/new-link"),
    ("renewReset", "/reset-password/new-link"),
    ("renewEmailLink", "/confirm-email/new-link"),
];

impl<'a> Fixture<'a> {
    async fn new(app: &'a TestApp) -> Self {
        let mut expired = vec![];
        for (id, _) in RENEWALS {
            let mut tokens = vec![];
            for number in 0..3 {
                tokens.push(
                    Self::link(app, id, &format!("{}{number}@example.org", id.to_lowercase()))
                        .await,
                );
                app.advance(HOUR);
            }
            expired.push((id, tokens));
        }
        // all links have expired by then, and no limit counts them any more
        app.advance(7 * DAY);
        app.account(ADA).await;
        let browser = Browser::signed_in(app, ADA, PASSWORD).await;
        let ada = app.sign_in(ADA).await;
        Self { app, ada, browser, expired }
    }

    /// The token of a new link that this operation renews.
    async fn link(app: &TestApp, id: &str, email: &str) -> String {
        match id {
            "renewActivation" => {
                app.sign_up(email, PASSWORD).await;
                token_in(app, "activation", email).await
            }
            "renewReset" => {
                let parsed = EmailAddress::parse(email).unwrap();
                let new =
                    AccountToCreate { email: parsed, name: None, locale: None, password: None };
                accounts(app).create(&new).await.unwrap();
                token_in(app, "invitation", email).await
            }
            _ => {
                let mover = app.signed_in(email).await;
                let new = format!("new.{email}");
                let body = json!({ "email": new, "password": PASSWORD });
                let asked = post_as(&mover, "/v1/me/email", &body).await;
                assert_eq!(asked.status, Status::Accepted);
                token_in(app, "email-change", &new).await
            }
        }
    }

    /// Sends the operation once. Each call would post a letter to another recipient.
    async fn send(&self, id: &str, number: usize, address: &str) -> u16 {
        let fresh = format!("fresh{number}@example.org");
        let post = |path: &'static str| self.app.client.post(path);
        let json = |path: &'static str, body: Value| {
            post(path).header(ContentType::JSON).body(body.to_string())
        };
        let page = |path: &'static str, fields: &[(&str, &str)]| {
            post(path).header(ContentType::Form).body(form(fields))
        };
        let request = match id {
            "signUp" => json("/v1/accounts", json!({ "email": fresh, "password": PASSWORD })),
            "pressSignUp" => page("/account/sign-up", &[("email", &fresh), ("password", PASSWORD)]),
            "sendActivationMail" => json("/v1/activation-mails", json!({ "email": fresh })),
            "pressSendAgain" => page("/account/sign-up/new-link", &[("email", &fresh)]),
            "requestPasswordReset" => json("/v1/password-resets", json!({ "email": fresh })),
            "pressForgottenPassword" => page("/account/forgotten-password", &[("email", &fresh)]),
            "changeEmail" => json("/v1/me/email", json!({ "email": fresh, "password": PASSWORD }))
                .header(bearer(&self.ada.access_token)),
            "pressEmail" => {
                let token = self.browser.form_token().await;
                let fields =
                    [("form_token", &*token), ("email", &*fresh), ("current_password", PASSWORD)];
                page("/account/email", &fields).header(self.browser.cookie_header().unwrap())
            }
            _ => {
                let (_, path) = RENEWALS.into_iter().find(|(renewal, _)| *renewal == id).unwrap();
                let (_, tokens) = self.expired.iter().find(|(renewal, _)| *renewal == id).unwrap();
                page(path, &[("token", &*tokens[number % tokens.len()])])
            }
        };
        let answer = Answer::of(from(request, address).dispatch().await).await;
        assert_eq!(answer.has("retry-after"), answer.status == Status::TooManyRequests, "{id}");
        answer.status.code
    }
}

/// The operations whose letters a caller asks for, with their limits.
async fn operations_that_request_letters() -> Vec<(String, Limited)> {
    let document = document(&support::app().await).await;
    let mut asking = vec![];
    for (_, method, operation) in operations(&document) {
        // a GET request changes nothing and posts no letter
        if method == Method::Get {
            continue;
        }
        let id = operation["operationId"].as_str().unwrap();
        match limit_of(id) {
            Limited::AsNotice | Limited::AsSignIn | Limited::Nothing => {}
            limit => asking.push((id.to_owned(), limit)),
        }
    }
    asking
}

#[rocket::async_test]
async fn s10_operations_that_request_letters_are_limited_by_network() {
    let asking = operations_that_request_letters().await;
    assert_eq!(asking.len(), 11, "{asking:?}");
    let toml = "[default.vestibule.limits]\nrequests_per_account = 100";
    for (id, limit) in asking {
        let toml = format!("{toml}\nsign_ups_per_address = 4\nrequests_per_address = 4");
        let app = support::configured(&toml).await;
        let fixture = Fixture::new(&app).await;
        for number in 0..4 {
            let answer = fixture.send(&id, number, HERE).await;
            assert!(answer < 400, "{id}: {answer}");
        }
        assert_eq!(fixture.send(&id, 4, HERE).await, 429, "{id} ({limit:?})");
        assert!(fixture.send(&id, 5, ELSEWHERE[0]).await < 400, "{id}");
        // all requests share one count, and sign-ups have another
        let other = if limit == Limited::AsSignUp { "signUp" } else { "requestPasswordReset" };
        assert_eq!(fixture.send(other, 6, HERE).await, 429, "{other} after {id}");
    }
}

#[rocket::async_test]
async fn s10_account_operations_that_request_letters_are_limited_by_account() {
    let mut tried = 0;
    for (id, limit) in operations_that_request_letters().await {
        if limit != Limited::AsRequestOfAccount || id == "renewEmailLink" {
            continue;
        }
        tried += 1;
        let app = support::configured("[default.vestibule.limits]\nrequests_per_account = 2").await;
        let fixture = Fixture::new(&app).await;
        for (number, address) in ELSEWHERE.into_iter().enumerate() {
            let answer = fixture.send(&id, number, address).await;
            assert_eq!(answer == 429, number == 2, "{id} from {address}: {answer}");
        }
        // the API and the page share the count, and no letter was posted
        for other in ["changeEmail", "pressEmail"] {
            assert_eq!(fixture.send(other, 2, HERE).await, 429, "{other} after {id}");
        }
        assert!(letters(&app, "fresh2@example.org").await.is_empty());
        // another account has its own count
        let bob = app.signed_in(BOB).await;
        let body = json!({ "email": "fresh2@example.org", "password": PASSWORD });
        assert_eq!(post_as(&bob, "/v1/me/email", &body).await.status, Status::Accepted);
        app.advance(HOUR / 2);
        let fixture = Fixture { browser: Browser::signed_in(&app, ADA, PASSWORD).await, ..fixture };
        assert!(
            fixture.send("pressEmail", 3, HERE).await < 400,
            "one request is no longer counted"
        );
        assert_eq!(fixture.send("pressEmail", 4, HERE).await, 429);
    }
    assert_eq!(tried, 2);
}

/// S10: a request over the limit is refused before the hash, so a wrong password in it costs no
/// attempt.
#[rocket::async_test]
async fn s10_account_request_over_the_limit_is_refused_before_the_password_check() {
    let app = support::configured("[default.vestibule.limits]\nrequests_per_account = 1").await;
    let ada = app.signed_in(ADA).await;
    let ask = async |password: &str| {
        let body = json!({ "email": NEW, "password": password });
        post_as(&ada, "/v1/me/email", &body).await.status.code
    };
    for _ in 0..3 {
        assert_eq!(ask(OTHER).await, 422);
    }
    assert_eq!(ask(PASSWORD).await, 202);
    let before = dump_of(&app, "guesses").await;
    for password in [OTHER, PASSWORD] {
        assert_eq!(ask(password).await, 429);
    }
    assert_eq!(dump_of(&app, "guesses").await, before);
}

#[rocket::async_test]
async fn s10_renewals_of_an_address_change_count_against_its_account() {
    let toml = "[default.vestibule.limits]\nrequests_per_account = 3\n\
                [default.vestibule.links]\nemail_ttl = \"1m\"";
    let app = support::configured(toml).await;
    let ada = app.signed_in(ADA).await;
    let body = json!({ "email": NEW, "password": PASSWORD });
    assert_eq!(post_as(&ada, "/v1/me/email", &body).await.status, Status::Accepted);
    let renew = async |token: &str| {
        let request = app.client.post("/confirm-email/new-link").header(ContentType::Form);
        from(request, HERE).body(form(&[("token", token)])).dispatch().await.status().code
    };
    for expected in [202, 202, 429] {
        let token = token_in(&app, "email-change", NEW).await;
        // a link that still works posts no letter
        for _ in 0..5 {
            assert_eq!(renew(&token).await, 202);
        }
        app.advance(Duration::from_secs(60));
        assert_eq!(renew(&token).await, expected);
    }
    assert_eq!(letters(&app, NEW).await.len(), 3);
}

/// The index of each kind in [`letter_kinds`]. A new kind does not compile until its index is
/// chosen.
const fn index_of(cause: &LetterRequest) -> usize {
    match cause {
        LetterRequest::SignUp { .. } => 0,
        LetterRequest::NewLink => 1,
        LetterRequest::PasswordReset { .. } => 2,
        LetterRequest::Invitation => 3,
        LetterRequest::EmailChange { .. } => 4,
        LetterRequest::PasswordChanged { .. } => 5,
        LetterRequest::EmailChanged { .. } => 6,
        LetterRequest::AccountDeleted { .. } => 7,
        LetterRequest::SessionEnded { .. } => 8,
        LetterRequest::EmailChangeNotice { .. } => 9,
        LetterRequest::OperatorReset => 10,
    }
}

/// Every kind of letter, with its limit.
fn letter_kinds(at: Timestamp, change: EmailChangeId) -> [(LetterRequest, LetterCap); 11] {
    let caller = ClientInfo::default();
    let moved = EmailAddress::parse(NEW).unwrap();
    [
        (LetterRequest::sign_up(at, &caller), LetterCap::PerRecipient),
        (LetterRequest::NewLink, LetterCap::PerRecipient),
        (LetterRequest::password_reset(at, &caller), LetterCap::PerRecipient),
        (LetterRequest::Invitation, LetterCap::PerRecipient),
        (LetterRequest::email_change(change, at, None), LetterCap::PerRecipient),
        (LetterRequest::password_changed(at, &caller, false), LetterCap::PerNotice),
        (LetterRequest::email_changed(at, &moved), LetterCap::PerNotice),
        (LetterRequest::account_deleted(at, false), LetterCap::PerNotice),
        (LetterRequest::session_ended(at, "web".to_owned(), None), LetterCap::PerNotice),
        // a thief must not be able to suppress the notice of a change that its victim can stop
        (LetterRequest::email_change_notice(change, at, None), LetterCap::None),
        // the operator may write without a limit
        (LetterRequest::OperatorReset, LetterCap::None),
    ]
}

#[rocket::async_test]
async fn s10_every_kind_of_letter_has_the_expected_cap() {
    const POSTED: usize = 12;
    let some_change = EmailChangeId::new(uuid::Uuid::from_u128(7));
    for (place, (kind, cap)) in letter_kinds(BEGINNING, some_change).iter().enumerate() {
        assert_eq!((index_of(kind), kind.cap()), (place, *cap), "{kind:?}");
    }
    for (place, cap) in
        letter_kinds(BEGINNING, some_change).map(|(_, cap)| cap).into_iter().enumerate()
    {
        let toml = "[default.vestibule.limits]\nletters_per_hour = 4\nnotices_per_hour = 3";
        let app = support::configured(toml).await;
        // an account for which each kind of letter has content
        let ada = app.signed_in(ADA).await;
        let body = json!({ "email": NEW, "password": PASSWORD });
        assert_eq!(post_as(&ada, "/v1/me/email", &body).await.status, Status::Accepted);
        app.deliver().await;
        let id = ada.account_id().await;
        let change = accounts(&app).pending_email_change(id).await.unwrap().unwrap().id;
        let to = if place == 4 {
            NEW
        } else if place == 1 {
            "waiting@example.org"
        } else {
            ADA
        };
        app.sign_up("waiting@example.org", PASSWORD).await;
        app.deliver().await;
        app.advance(2 * HOUR);
        let before = app.letters_to(to).await.len();
        for _ in 0..POSTED {
            app.advance(Duration::from_millis(1));
            let (cause, _) = letter_kinds(BEGINNING, change).into_iter().nth(place).unwrap();
            post_letter(&app, to, id, &cause).await;
            app.deliver().await;
        }
        let sent = |letters: usize| letters - before;
        let expected = match cap {
            LetterCap::PerRecipient => 4,
            LetterCap::PerNotice => 3,
            LetterCap::None => POSTED,
        };
        assert_eq!(sent(app.letters_to(to).await.len()), expected, "{place}: {cap:?}");
        if cap == LetterCap::PerNotice {
            // another kind has its own limit; the rest waits
            let other = if place == 5 { 6 } else { 5 };
            let (cause, _) = letter_kinds(BEGINNING, change).into_iter().nth(other).unwrap();
            post_letter(&app, to, id, &cause).await;
            app.deliver().await;
            assert_eq!(sent(app.letters_to(to).await.len()), expected + 1, "{place}");
            for later in [4, 7, 10, 10] {
                app.advance(HOUR);
                for _ in 0..POSTED {
                    app.deliver().await;
                }
                let left = sent(app.letters_to(to).await.len());
                assert_eq!(left, expected + later, "{place}");
            }
        }
    }
}

async fn post_letter(app: &TestApp, to: &str, account: AccountId, cause: &LetterRequest) {
    let email = EmailAddress::parse(to).unwrap();
    let recipient = Recipient { account: Some(account), ..Recipient::unknown(&email, None) };
    let outbox = &accounts(app).outbox;
    let posted = app.store().write(async |tx| outbox.post(tx, recipient, cause).await).await;
    posted.unwrap_or_else(|error: StoreError| panic!("{error:?}"));
}

#[rocket::async_test]
async fn s10_r42_notices_to_the_owner_are_capped_by_the_hour() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let passwords = [PASSWORD, OTHER];
    for number in 0..10 {
        let (current, new) = (passwords[number % 2], passwords[(number + 1) % 2]);
        let changed = change_password(&app, &ada.access_token, current, new).await;
        assert_eq!(changed.status, Status::NoContent);
        app.deliver().await;
        app.advance(Duration::from_secs(10));
    }
    let told = async || {
        let all = letters(&app, ADA).await;
        all.into_iter().filter(|name| *name == "password-changed").count()
    };
    assert_eq!(told().await, 6);
    app.advance(HOUR);
    for _ in 0..10 {
        app.deliver().await;
    }
    assert_eq!(told().await, 10, "the other notices waited");
}

#[rocket::async_test]
async fn s10_at_most_twenty_notices_of_a_kind_wait_and_the_latest_is_replaced() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let passwords = [PASSWORD, OTHER];
    let mut changes = Vec::new();
    for number in 0..23 {
        app.advance(Duration::from_secs(10));
        let (current, new) = (passwords[number % 2], passwords[(number + 1) % 2]);
        let changed = change_password(&app, &ada.access_token, current, new).await;
        assert_eq!(changed.status, Status::NoContent);
        changes.push(accounts(&app).clock.now());
        let find = async |db: &mut Connection| {
            db.find_letters(&[LetterState::Waiting], None, "", 100, changes[number]).await
        };
        let waiting = app.store().read(find).await.unwrap();
        let waiting: Vec<_> = waiting.iter().map(|letter| letter.created_at).collect();
        let expected = match number {
            0..20 => changes.clone(),
            _ => [&changes[..19], &changes[number..]].concat(),
        };
        assert_eq!(waiting, expected, "after {} changes", number + 1);
    }
}

#[rocket::async_test]
async fn s3_s10_r35_sign_ups_over_the_cap_wait_as_one_letter_and_delay_no_reset() {
    const SIGN_UPS: usize = 30;
    let app = support::app().await;
    app.account(ADA).await;
    app.advance(2 * HOUR);
    let before = letters(&app, ADA).await.len();
    let waiting = async || {
        let waits = [LetterState::Waiting];
        let all =
            app.store().read(async |db| db.find_letters(&waits, None, "", 100, BEGINNING).await);
        all.await.unwrap().into_iter().map(|letter| letter.kind).collect::<Vec<_>>()
    };
    for number in 0..SIGN_UPS {
        let path = if number % 2 == 0 { "/v1/accounts" } else { "/account/sign-up" };
        let answer = match number % 2 {
            0 => post(&app, path, &json!({ "email": ADA, "password": PASSWORD })).await,
            _ => {
                let fields = form(&[("email", ADA), ("password", PASSWORD)]);
                let request = app.client.post(path).header(ContentType::Form).body(fields);
                Answer::of(request.dispatch().await).await
            }
        };
        assert_eq!(answer.status, Status::Accepted);
        app.deliver().await;
        app.advance(Duration::from_secs(5));
        assert!(waiting().await.len() <= 1, "{:?}", waiting().await);
    }
    assert_eq!(letters(&app, ADA).await.len() - before, 6);
    let asked = post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    assert_eq!(asked.status, Status::Accepted);
    app.deliver().await;
    assert_eq!(waiting().await, ["sign-up", "password-reset"]);
    app.advance(HOUR);
    app.deliver().await;
    let mut left = letters(&app, ADA).await.split_off(before + 6);
    // letters of one round leave side by side
    left.sort_unstable();
    assert_eq!(left, ["account-exists", "password-reset"]);
    assert!(waiting().await.is_empty());
}

#[rocket::async_test]
async fn s10_of_postponed_letters_of_one_kind_one_is_sent() {
    let app = support::app().await;
    app.account(ADA).await;
    app.advance(2 * HOUR);
    let before = letters(&app, ADA).await.len();
    // rows as a former version wrote them
    let email = EmailAddress::parse(ADA).unwrap();
    let cause =
        serde_json::to_string(&LetterRequest::sign_up(BEGINNING, &ClientInfo::default())).unwrap();
    for number in 1..=20 {
        let id = LetterId::new(uuid::Uuid::from_u128(number));
        let facts = cause.clone();
        let (email, now) = (&email, BEGINNING);
        let new = NewLetter { id, kind: "sign-up", email, locale: None, account: None, facts, now };
        app.store().write(async |tx| tx.insert_letter(&new).await).await.unwrap();
    }
    let (lease, due_at) = (uuid::Uuid::from_u128(7), BEGINNING + Duration::from_secs(1));
    let put_off = app.store().write(async |tx| {
        let letters = tx.claim_letters(lease, due_at, due_at, ClaimLimit::fresh(20)).await?;
        for letter in &letters {
            tx.postpone_letter(letter, due_at, 0, None).await?;
        }
        Ok::<_, StoreError>(letters.len())
    });
    assert_eq!(put_off.await.unwrap(), 20);
    app.deliver().await;
    app.deliver().await;
    app.deliver().await;
    // letters that are composed at the same moment as the last one may leave with it; without the
    // rule, the cap of six would be used up
    let sent = letters(&app, ADA).await.len() - before;
    assert!((1..6).contains(&sent), "{sent}");
}

#[rocket::async_test]
async fn s15_clock_step_back_postpones_no_letter() {
    let app = support::app().await;
    app.account(ADA).await;
    let reset = async || {
        let asked = post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
        assert_eq!(asked.status, Status::Accepted);
        app.deliver().await;
        letters(&app, ADA).await.into_iter().filter(|name| *name == "password-reset").count()
    };
    app.advance(10 * HOUR);
    for _ in 0..6 {
        reset().await;
    }
    app.step_back(5 * HOUR);
    assert_eq!(reset().await, 7);
}

#[rocket::async_test]
async fn s10_r47_capped_notices_do_not_delay_a_requested_link() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let id = ada.account_id().await;
    app.advance(2 * HOUR);
    let change = EmailChangeId::new(uuid::Uuid::from_u128(7));
    let notices = letter_kinds(BEGINNING, change).into_iter().map(|(cause, _)| cause);
    let notices: Vec<LetterRequest> =
        notices.filter(|cause| cause.cap() != LetterCap::PerRecipient).collect();
    for _ in 0..7 {
        for notice in &notices {
            post_letter(&app, ADA, id, notice).await;
            app.deliver().await;
        }
        app.advance(Duration::from_secs(60));
    }
    assert!(letters(&app, ADA).await.len() > 20, "the notices have reached their caps");
    let before = letters(&app, ADA).await.len();
    let asked = post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    assert_eq!(asked.status, Status::Accepted);
    app.deliver().await;
    let all = letters(&app, ADA).await;
    assert_eq!((all.len(), all.last().copied()), (before + 1, Some("password-reset")));
}

/// Where the source posts letters, by file and function, with the limit there.
const POSTED_IN: [(&str, &str, &str); 14] = [
    ("accounts/deletion.rs", "close_within", "a notice"),
    ("accounts/email_change.rs", "confirm_email_change", "a notice"),
    ("accounts/email_change.rs", "renew_email_link", "a request, of the account as well"),
    ("accounts/email_change.rs", "request_email_change", "a request, of the account as well"),
    ("accounts/operator.rs", "create", "the operator"),
    ("accounts/operator.rs", "send_reset", "the operator"),
    ("accounts/operator.rs", "send_sign_up_link", "the operator"),
    ("accounts/password.rs", "change_password", "a notice"),
    ("accounts/password.rs", "invite_again", "a request"),
    ("accounts/password.rs", "request_password_reset", "a request"),
    ("accounts/password.rs", "reset_password", "a notice"),
    ("accounts/sign_up.rs", "store_sign_up", "a sign-up"),
    ("accounts/sign_up.rs", "send_new_link", "a request"),
    ("oauth/sessions.rs", "end_stolen_session", "a theft"),
];

#[test]
fn s10_letters_are_posted_only_in_the_listed_functions() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    for folder in [
        "accounts",
        "accounts/limits",
        "app",
        "cli",
        "oauth",
        "web",
        "web/account",
        "web/guards",
        "web/responses",
        "web/fairings",
        "web/views",
        "web/openapi",
    ] {
        let Ok(files) = std::fs::read_dir(source.join(folder)) else { continue };
        for file in files {
            let path = file.unwrap().path();
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let mut function = String::new();
            for line in text.lines() {
                if let Some((_, rest)) = line.split_once("fn ") {
                    function =
                        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                }
                if line.contains(".post(tx") {
                    let name = path.file_name().unwrap().to_string_lossy().into_owned();
                    found.insert((format!("{folder}/{name}"), function.clone()));
                }
            }
        }
    }
    let decided =
        POSTED_IN.iter().map(|(file, function, _)| ((*file).to_owned(), (*function).to_owned()));
    assert_eq!(found, decided.collect());
}
