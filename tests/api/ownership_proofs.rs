//! Tests of proofs of ownership, by a link from the mailbox or by the current password while signed
//! in, after strangers have guessed wrong passwords (S8). The tests check the lists against
//! the OpenAPI document.

#![expect(clippy::panic, reason = "this is how a test fails")]

use std::collections::BTreeSet;

use rocket::http::{ContentType, Method, Status};
use serde_json::{Value, json};
use vestibule::accounts::AccountToCreate;
use vestibule::model::{AccountLinkPurpose, EmailAddress};
use vestibule::testing::{PASSWORD, TestApp};

use crate::openapi::{document, fields, operations};
use crate::support::{self, ADA, bearer, form, from};
use crate::support_accounts::{BOB, Browser, NEW, accounts, post_as, token_in};
use crate::support_pages::{Answer, OTHER, dump_of};

/// After three wrong passwords there is no attempt before the next day.
const THREE_ATTEMPTS: &str =
    "[default.vestibule.limits]\nfree_failures = 3\nfailures_in_a_row = 3\n";
const WRONG: &str = "incorrect horse battery staple";
const HOME: &str = "192.0.2.10";
const STRANGER: &str = "203.0.113.66";

async fn sign_in(app: &TestApp, address: &str, name: &str, password: &str) -> Answer {
    let fields = [
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", name),
        ("password", password),
    ];
    let request = app.client.post("/oauth/token").header(ContentType::Form);
    Answer::of(from(request, address).body(form(&fields)).dispatch().await).await
}

/// Strangers guess at a name until the limit closes it.
async fn exhaust_attempts(app: &TestApp, name: &str) {
    for _ in 0..3 {
        assert_eq!(sign_in(app, STRANGER, name, WRONG).await.status, Status::BadRequest, "{name}");
    }
    let refused = sign_in(app, STRANGER, name, WRONG).await;
    assert_eq!(refused.status, Status::TooManyRequests);
    assert_eq!(refused.header("retry-after"), (90 * 24 * 36).to_string());
}

/// How an operation with the token of a link proves that its caller owns the mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LinkOperation {
    Activation,
    Account(AccountLinkPurpose),
    /// No proof: the operation leaves or makes no account, or only asks for another letter.
    NoProof,
}

/// The proof of each kind of account link.
const fn proof_by(purpose: AccountLinkPurpose) -> LinkOperation {
    match purpose {
        AccountLinkPurpose::PasswordReset
        | AccountLinkPurpose::Invitation
        | AccountLinkPurpose::EmailChange
        | AccountLinkPurpose::EmailChangeStop => LinkOperation::Account(purpose),
    }
}

/// The proofs of each operation with the token of a link. A new operation fails here until it is
/// added.
fn link_operations(id: &str) -> Vec<LinkOperation> {
    match id {
        "activate" | "pressActivate" => vec![LinkOperation::Activation],
        "resetPassword" | "pressResetPassword" => {
            [AccountLinkPurpose::PasswordReset, AccountLinkPurpose::Invitation].map(proof_by).into()
        }
        "pressConfirmEmail" => vec![proof_by(AccountLinkPurpose::EmailChange)],
        "pressStopEmailChange" => vec![proof_by(AccountLinkPurpose::EmailChangeStop)],
        "disavow" | "pressDisavow" | "renewActivation" | "renewReset" | "renewEmailLink" => {
            vec![LinkOperation::NoProof]
        }
        other => panic!("decide whether {other} proves ownership of the mailbox"),
    }
}

/// An account or a sign-up whose link the test is about to use.
struct Prepared {
    token: String,
    /// The name that strangers have closed, and that the owner signs in by afterwards.
    name: &'static str,
    /// The owner's password afterwards.
    password: &'static str,
}

async fn prepare(app: &TestApp, proof: LinkOperation, is_contested: bool) -> Prepared {
    let exhaust_signed_in = async |name: &str| {
        let person = app.sign_in(name).await;
        for status in [422, 422, 422, 429] {
            let body = json!({ "password": WRONG });
            let answer = post_as(&person, "/v1/me/deletion", &body).await;
            assert_eq!(answer.status.code, status);
        }
    };
    let change = async || {
        app.account(ADA).await;
        let body = json!({ "email": NEW, "password": PASSWORD });
        let asked = post_as(&app.sign_in(ADA).await, "/v1/me/email", &body).await;
        assert_eq!(asked.status, Status::Accepted);
        exhaust_signed_in(ADA).await;
    };
    let (letter, mailbox, name, password) = match proof {
        LinkOperation::NoProof => unreachable!(),
        LinkOperation::Activation => {
            exhaust_attempts(app, ADA).await;
            app.sign_up(ADA, PASSWORD).await;
            if is_contested {
                app.sign_up(ADA, WRONG).await;
            }
            ("activation", ADA, ADA, if is_contested { OTHER } else { PASSWORD })
        }
        LinkOperation::Account(AccountLinkPurpose::PasswordReset) => {
            app.account(ADA).await;
            exhaust_signed_in(ADA).await;
            exhaust_attempts(app, ADA).await;
            app.post_json("/v1/password-resets", &json!({ "email": ADA })).await;
            ("password-reset", ADA, ADA, OTHER)
        }
        LinkOperation::Account(AccountLinkPurpose::Invitation) => {
            let email = EmailAddress::parse(ADA).unwrap();
            let new = AccountToCreate { email, name: None, locale: None, password: None };
            accounts(app).create(&new).await.unwrap();
            exhaust_attempts(app, ADA).await;
            ("invitation", ADA, ADA, OTHER)
        }
        LinkOperation::Account(AccountLinkPurpose::EmailChange) => {
            change().await;
            exhaust_attempts(app, NEW).await;
            ("email-change", NEW, NEW, PASSWORD)
        }
        LinkOperation::Account(AccountLinkPurpose::EmailChangeStop) => {
            change().await;
            exhaust_attempts(app, ADA).await;
            ("email-change-notice", ADA, ADA, PASSWORD)
        }
    };
    Prepared { token: token_in(app, letter, mailbox).await, name, password }
}

#[rocket::async_test]
async fn s8_every_mailbox_proof_resets_failures_and_makes_the_location_known() {
    let described = document(&support::app().await).await;
    let mut proven = BTreeSet::new();
    for (path, method, operation) in operations(&described) {
        let fields = fields(&described, &operation);
        if method == Method::Get || path.starts_with("/oauth/") || !fields.contains("token") {
            continue;
        }
        let id = operation["operationId"].as_str().unwrap();
        for proof in link_operations(id) {
            for is_contested in [false, true] {
                if proof == LinkOperation::NoProof
                    || (is_contested && proof != LinkOperation::Activation)
                {
                    continue;
                }
                let case = format!("{id}, {proof:?}, contested: {is_contested}");
                let app = support::configured(THREE_ATTEMPTS).await;
                let Prepared { token, name, password } = prepare(&app, proof, is_contested).await;
                let sent = [("token", token.as_str()), ("password", password)];
                let request = app.client.req(method, path.clone());
                let request = match operation["requestBody"].to_string().contains("json") {
                    true => {
                        let body = json!({ "token": token, "password": password });
                        request.header(ContentType::JSON).body(body.to_string())
                    }
                    false => request.header(ContentType::Form).body(form(&sent)),
                };
                let used = Answer::of(from(request, HOME).dispatch().await).await;
                assert!(used.status.class().is_success(), "{case}: {used:?}");
                // the strangers' earlier failures do not count at any location
                for elsewhere in ["198.51.100.7", "198.51.100.8"] {
                    let answer = sign_in(&app, elsewhere, name, password).await;
                    assert_eq!(answer.status, Status::Ok, "{case}: {answer:?}");
                }
                // the strangers' later failures do not count where the link was used
                exhaust_attempts(&app, name).await;
                let answer = sign_in(&app, HOME, name, password).await;
                assert_eq!(answer.status, Status::Ok, "{case}: {answer:?}");
                let access = answer.json()["access_token"].as_str().unwrap().to_owned();
                let request = app.client.post("/v1/me/deletion").header(bearer(&access));
                let body = json!({ "password": password }).to_string();
                let deleted = request.header(ContentType::JSON).body(body).dispatch().await;
                assert_eq!(deleted.status(), Status::NoContent, "{case}");
                proven.insert(case);
            }
        }
    }
    assert_eq!(proven.len(), 10, "{proven:#?}");
}

/// The operator vouches for the address, with a password or by an invitation.
#[rocket::async_test]
async fn s8_account_created_by_the_operator_starts_without_failures() {
    let app = support::configured(THREE_ATTEMPTS).await;
    exhaust_attempts(&app, ADA).await;
    let email = EmailAddress::parse(ADA).unwrap();
    let judged = accounts(&app).policy.judge(PASSWORD, vestibule::model::PersonalData::default());
    let password = Some(judged.unwrap());
    let new = AccountToCreate { email, name: None, locale: None, password };
    accounts(&app).create(&new).await.unwrap();
    assert_eq!(sign_in(&app, HOME, ADA, PASSWORD).await.status, Status::Ok);
}

/// The operations for signed-in callers that take the current password.
fn signed_in_operations(described: &Value) -> Vec<(String, Method, Value)> {
    let is_one = |(path, _, operation): &(String, Method, Value)| {
        let security = operation["security"].to_string();
        let fields = fields(described, operation);
        (security.contains("bearer") || security.contains("cookie"))
            && !path.starts_with("/oauth/")
            && (fields.contains("password") || fields.contains("current_password"))
    };
    operations(described).into_iter().filter(is_one).collect()
}

/// A person who is signed in by token and on the page.
struct SignedIn<'a> {
    app: &'a TestApp,
    access: String,
    browser: Browser<'a>,
}

impl<'a> SignedIn<'a> {
    async fn new(app: &'a TestApp) -> Self {
        let browser = Browser::signed_in(app, ADA, PASSWORD).await;
        let access = app.sign_in(ADA).await.access_token;
        Self { app, access, browser }
    }

    async fn reauthenticate(&self, operation: &(String, Method, Value), current: &str) -> Answer {
        let (path, method, described) = operation;
        let mut fields = vec![
            ("current_password", current),
            ("password", current),
            ("new_password", OTHER),
            ("email", NEW),
        ];
        let request = self.app.client.req(*method, path.clone());
        let request = if described["security"].to_string().contains("bearer") {
            let body: Value =
                fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            let request = request.header(bearer(&self.access)).header(ContentType::JSON);
            request.body(body.to_string())
        } else {
            let token = self.browser.form_token().await;
            fields.push(("form_token", &token));
            let request =
                request.header(self.browser.cookie_header().unwrap()).header(ContentType::Form);
            request.body(form(&fields))
        };
        Answer::of(from(request, STRANGER).dispatch().await).await
    }
}

#[rocket::async_test]
async fn s8_r42_reauthentication_is_not_limited_by_strangers_guesses() {
    let described = document(&support::app().await).await;
    let all = signed_in_operations(&described);
    let ids: Vec<&str> =
        all.iter().map(|(_, _, one)| one["operationId"].as_str().unwrap()).collect();
    let mut expected = [
        "changePassword",
        "changeEmail",
        "deleteAccount",
        "pressPassword",
        "pressEmail",
        "pressDeletion",
    ];
    expected.sort_unstable();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected, "add each new operation with reauthentication to this test");
    for (operation, id) in all.iter().zip(ids) {
        let toml = format!("{THREE_ATTEMPTS}failures_per_address = 6\nfailures_in_all = 12\n");
        let app = support::configured(&toml).await;
        app.account(ADA).await;
        app.account(BOB).await;
        let owner = SignedIn::new(&app).await;
        // the name is closed, and the limits of the network and of the node are reached
        exhaust_attempts(&app, ADA).await;
        for (number, address) in [STRANGER; 3].into_iter().chain([HOME; 3]).enumerate() {
            let name = format!("{number}@example.org");
            assert_eq!(sign_in(&app, address, &name, WRONG).await.status, Status::BadRequest);
        }
        for (address, name) in [(STRANGER, BOB), (HOME, BOB)] {
            let refused = sign_in(&app, address, name, PASSWORD).await;
            assert_eq!(refused.status, Status::TooManyRequests, "{address}");
        }
        // two wrong passwords by the signed-in owner are below the limit
        for _ in 0..2 {
            let wrong = owner.reauthenticate(operation, WRONG).await;
            assert_eq!(wrong.status, Status::UnprocessableEntity, "{id}: {wrong:?}");
        }
        let right = owner.reauthenticate(operation, PASSWORD).await;
        let is_done = right.status.class().is_success() || right.status == Status::SeeOther;
        assert!(is_done, "{id}: {right:?}");
    }
}

#[rocket::async_test]
async fn s8_r42_signed_in_thief_has_limited_attempts_over_all_operations() {
    let app = support::configured(THREE_ATTEMPTS).await;
    app.account(ADA).await;
    let described = document(&app).await;
    let all = signed_in_operations(&described);
    let thief = SignedIn::new(&app).await;
    for number in 0..3 {
        let wrong = thief.reauthenticate(&all[2 * number % all.len()], WRONG).await;
        assert_eq!(wrong.status, Status::UnprocessableEntity, "{wrong:?}");
    }
    let before = (dump_of(&app, "accounts").await, dump_of(&app, "guesses").await);
    for operation in &all {
        let refused = thief.reauthenticate(operation, PASSWORD).await;
        assert_eq!(refused.status, Status::TooManyRequests, "{operation:?}");
        assert_eq!(refused.header("retry-after"), (90 * 24 * 36).to_string());
    }
    // another sign-in is refused as well, of either kind
    let again = SignedIn::new(&app).await;
    assert_eq!(again.reauthenticate(&all[0], PASSWORD).await.status, Status::TooManyRequests);
    assert_eq!((dump_of(&app, "accounts").await, dump_of(&app, "guesses").await), before);
    // the owner can sign in meanwhile, at a new location as well
    for address in [HOME, "198.51.100.7"] {
        assert_eq!(sign_in(&app, address, ADA, PASSWORD).await.status, Status::Ok);
    }
    app.advance(std::time::Duration::from_secs(90 * 24 * 36));
    let later = SignedIn::new(&app).await;
    assert_eq!(later.reauthenticate(&all[0], WRONG).await.status, Status::UnprocessableEntity);
    assert_eq!(later.reauthenticate(&all[0], PASSWORD).await.status, Status::TooManyRequests);
}
