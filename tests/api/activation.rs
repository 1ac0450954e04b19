//! Tests of activation by the link in the letter (R43 to R45, R48, R55).

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use serde_json::{Value, json};
use vestibule::testing::{PASSWORD, TestApp};

use crate::support;
use crate::support::ADA;
use crate::support_accounts::{NEW, accounts, post_as, token_in};
use crate::support_pages::{
    Answer, OTHER, dump, get, open, post, rows, signs_in, stored_bytes, submit, texts, use_link,
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Signs Ada up and returns the token of her activation link.
async fn activation_token(app: &TestApp) -> String {
    assert_eq!(app.sign_up(ADA, PASSWORD).await, Status::Accepted);
    app.link_token(ADA).await
}

/// Makes a contested sign-up and returns the token of its link.
async fn contested_token(app: &TestApp) -> String {
    assert_eq!(app.sign_up(ADA, OTHER).await, Status::Accepted);
    activation_token(app).await
}

async fn press(app: &TestApp, token: &str) -> Answer {
    submit(app, "/activate", &[("token", token)]).await
}

async fn disavow(app: &TestApp, token: &str) -> Answer {
    post(app, "/v1/activations/disavowals", &json!({ "token": token })).await
}

/// The same token with its first character changed.
fn tampered(token: &str) -> String {
    let first = if token.starts_with('A') { 'B' } else { 'A' };
    format!("{first}{}", &token[1..])
}

/// The value of the hidden field `token` and the action of each form of a page.
fn forms(page: &Answer) -> Vec<(String, String)> {
    let between = |text: &str, start: &str| {
        let rest = text.split(start).nth(1).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    page.body
        .split("<form ")
        .skip(1)
        .map(|form| (between(form, "action=\""), between(form, "name=\"token\" value=\"")))
        .collect()
}

#[rocket::async_test]
async fn r43_opening_a_link_twenty_times_changes_nothing() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    let before = dump(&app).await;
    assert!(!before.is_empty());
    let path = format!("/activate?token={token}");
    let first = get(&app, &path).await.page(200, "Confirm your email address").without_id();
    for _ in 0..20 {
        let head = Answer::of(app.client.head(path.clone()).dispatch().await).await;
        assert_eq!((head.status, head.body.as_str()), (Status::Ok, ""));
        let again = get(&app, &path).await.without_id();
        assert_eq!(again.body, first.body);
        assert!(!again.has("set-cookie") && !head.has("set-cookie"));
    }
    app.deliver().await;
    assert_eq!(dump(&app).await, before);
    assert!(!signs_in(&app, ADA, PASSWORD).await);
    assert_eq!(press(&app, &token).await.status, Status::Ok, "the button still works");
}

#[rocket::async_test]
async fn r43_confirm_button_creates_account_without_sign_in() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    let page = open(&app, &token).await;
    assert!(page.body.contains(ADA));
    let (action, hidden) = forms(&page).remove(0);
    assert_eq!((action.as_str(), hidden.as_str()), ("/activate", token.as_str()));
    let done = submit(&app, &action, &[("token", &hidden)]).await;
    let done = done.page(200, "Your email address is confirmed");
    assert!(done.body.contains(ADA));
    assert!(!done.has("set-cookie") && !done.has("location"));
    assert!(!done.body.contains("vat_") && !done.body.contains("vrt_"));
    assert_eq!(rows(&app, "sessions").await, 0);
    assert!(signs_in(&app, ADA, PASSWORD).await);
    press(&app, &token).await.page(200, "already confirmed");
    open(&app, &token).await.page(200, "already confirmed");
    assert_eq!(rows(&app, "accounts").await, 1);
}

#[rocket::async_test]
async fn r43_activating_by_json_is_idempotent() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    for _ in 0..3 {
        let answer = use_link(&app, &token).await;
        assert_eq!(answer.status, Status::Ok);
        assert_eq!(answer.json(), json!({ "status": "active" }));
        assert!(!answer.has("set-cookie"));
    }
    assert_eq!((rows(&app, "accounts").await, rows(&app, "sessions").await), (1, 0));
    assert_eq!(rows(&app, "sign_ups").await, 0);
    app.advance(DAY * 29);
    assert_eq!(use_link(&app, &token).await.status, Status::Ok, "used before it expired");
}

#[rocket::async_test]
async fn r43_two_activations_at_once_make_one_account() {
    let app = support::app().await;
    for contest in [false, true] {
        let app = if contest { &support::app().await } else { &app };
        let token = if contest { contested_token(app).await } else { activation_token(app).await };
        let body = json!({ "token": token, "password": "chosen by the owner" });
        let tries = (0..8).map(|_| post(app, "/v1/activations", &body));
        for answer in rocket::futures::future::join_all(tries).await {
            assert_eq!(answer.status, Status::Ok, "{answer:?}");
        }
        assert_eq!(rows(app, "accounts").await, 1);
    }
}

#[rocket::async_test]
async fn r43_expired_activation_link_offers_a_new_one() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    app.advance(DAY - Duration::from_secs(1));
    open(&app, &token).await.page(200, "Confirm your email address");
    app.advance(Duration::from_secs(1));
    let page = open(&app, &token).await.page(410, "expired");
    assert!(!page.body.contains(ADA), "an expired link shows no address");
    press(&app, &token).await.page(410, "expired");
    use_link(&app, &token).await.problem(410, "link-expired");
    disavow(&app, &token).await.problem(410, "link-expired");
    assert!(!signs_in(&app, ADA, PASSWORD).await);
    assert_eq!(app.letters_to(ADA).await.len(), 1, "the page alone sends nothing");

    let (action, hidden) = forms(&page).remove(0);
    let sent = submit(&app, &action, &[("token", &hidden)]).await;
    sent.page(202, "Look in your mailbox");
    assert_eq!(app.letters_to(ADA).await.len(), 2);
    let fresh = app.link_token(ADA).await;
    assert_ne!(fresh, token);
    // the reader of an old link may not be the person who signed up: the page asks for a password
    // (S2)
    press(&app, &fresh).await.page(409, "Confirm your email address");
    let fields = [("token", fresh.as_str()), ("password", OTHER)];
    submit(&app, "/activate", &fields).await.page(200, "is confirmed");
    assert!(signs_in(&app, ADA, OTHER).await);
    open(&app, &token).await.page(200, "already confirmed");
}

#[rocket::async_test]
async fn r43_new_link_form_answers_unknown_and_known_tokens_alike() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    for token in ["", "x", &tampered(&token), &"A".repeat(43)] {
        let sent = submit(&app, "/activate/new-link", &[("token", token)]).await;
        sent.page(202, "Look in your mailbox");
    }
    assert_eq!(app.letters_to(ADA).await.len(), 1);
    submit(&app, "/activate/new-link", &[("token", &token)]).await.page(202, "Look in your");
    assert_eq!(app.letters_to(ADA).await.len(), 2);
    assert_eq!(rows(&app, "accounts").await, 0, "the button for a new link makes no account");
}

#[rocket::async_test]
async fn r43_unknown_and_damaged_activation_links_get_the_same_404() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    let mut pages = Vec::new();
    for bad in [
        "",
        "x",
        &tampered(&token),
        &token[1..],
        &format!("{token}A"),
        &format!("{token}%00"),
        "%ff",
        "..%2f..",
        "%3Cscript%3Ealert(1)%3C/script%3E",
        &"A".repeat(5_000),
    ] {
        let page = open(&app, bad).await.page(404, "This link does not work");
        assert!(!page.body.contains(ADA) && !page.body.contains("<script"));
        pages.push(page.body);
        let decoded = percent_encoding::percent_decode_str(bad).decode_utf8_lossy().into_owned();
        if !decoded.contains('\0') {
            press(&app, &decoded).await.page(404, "This link does not work");
            use_link(&app, &decoded).await.problem(404, "link-unknown");
            disavow(&app, &decoded).await.problem(404, "link-unknown");
        }
    }
    assert!(pages.windows(2).all(|pair| pair[0] == pair[1]), "all bad links get the same page");
    get(&app, "/activate").await.page(404, "This link does not work");
    use_link(&app, "a\0").await.problem(422, "invalid-fields");
    post(&app, "/v1/activations", &json!({})).await.problem(422, "invalid-fields");
    post(&app, "/v1/activations", &json!({ "token": 1 })).await.problem(422, "invalid-fields");
    assert_eq!(use_link(&app, &token).await.status, Status::Ok, "the link itself is unharmed");
}

#[rocket::async_test]
async fn r43_contested_sign_up_asks_for_a_password_and_explains_refusals() {
    let app = support::app().await;
    let token = contested_token(&app).await;
    let page = open(&app, &token).await.page(200, "Confirm your email address");
    assert!(page.body.contains("type=\"password\"") && page.body.contains("minlength=\"15\""));
    assert!(page.body.contains("autocomplete=\"new-password\""));
    press(&app, &token).await.page(409, "Confirm your email address");
    let empty = submit(&app, "/activate", &[("token", &token), ("password", "")]).await;
    empty.page(409, "Confirm your email address");
    use_link(&app, &token).await.problem(409, "password-needed");
    for (password, reason, code) in [
        ("tiny secret", "at least 15 characters", "too-short"),
        ("ada@example.org 1", "is your email address", "contains-address"),
        ("vestibule Vestibule", "name of this service", "contains-service-name"),
        ("P@ssw0rd-P@ssw0rd", "many people have", "common"),
        ("zxy zxy zxy zxy zxy", "something short repeated", "pattern"),
    ] {
        let page = submit(&app, "/activate", &[("token", &token), ("password", password)]).await;
        let page = page.page(422, "Confirm your email address");
        assert!(page.body.contains(reason), "{}", page.body);
        assert!(page.body.contains("role=\"alert\"") && page.body.contains("<title>Error: "));
        assert!(page.body.contains("aria-invalid=\"true\""));
        assert!(!page.body.contains(password), "a password is never shown again");
        let answer =
            post(&app, "/v1/activations", &json!({ "token": token, "password": password })).await;
        let answer = answer.problem(422, "invalid-fields");
        assert_eq!(answer.errors(), [format!("password: {code}")]);
        assert!(!answer.body.contains(password));
    }
    assert_eq!(rows(&app, "accounts").await, 0);
    let fields = [("token", token.as_str()), ("password", "all lower case, spaces")];
    submit(&app, "/activate", &fields).await.page(200, "Your email address is confirmed");
    assert!(signs_in(&app, ADA, "all lower case, spaces").await);
}

#[rocket::async_test]
async fn password_in_activation_counts_only_for_contested_sign_up() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    let body = json!({ "token": token, "password": "short" });
    assert_eq!(post(&app, "/v1/activations", &body).await.status, Status::Ok);
    assert!(signs_in(&app, ADA, PASSWORD).await);
    assert!(!signs_in(&app, ADA, "short").await);
}

#[rocket::async_test]
async fn r43_disavowal_drops_the_sign_up_for_all_its_links() {
    for by_page in [true, false] {
        let app = support::app().await;
        let token = activation_token(&app).await;
        let other = activation_token(&app).await;
        if by_page {
            let page = open(&app, &token).await;
            let (action, hidden) = forms(&page).remove(1);
            assert_eq!(action, "/activate/disavowal");
            let done = submit(&app, &action, &[("token", &hidden)]).await;
            done.page(200, "The sign-up is dropped");
        } else {
            let answer = disavow(&app, &token).await;
            assert_eq!((answer.status, answer.body.as_str()), (Status::NoContent, ""));
        }
        for token in [&token, &other] {
            open(&app, token).await.page(404, "The sign-up is dropped");
            press(&app, token).await.page(404, "The sign-up is dropped");
            use_link(&app, token).await.problem(404, "link-unknown");
            let again = disavow(&app, token).await;
            assert_eq!(again.status, Status::NoContent, "disavowing is idempotent");
        }
        assert_eq!((rows(&app, "sign_ups").await, rows(&app, "accounts").await), (0, 0));
        let body = json!({ "email": ADA });
        assert_eq!(post(&app, "/v1/activation-mails", &body).await.status, Status::Accepted);
        assert_eq!(app.letters_to(ADA).await.len(), 2, "no sign-up waits any more");
        assert_eq!(app.sign_up(ADA, PASSWORD).await, Status::Accepted);
        assert_eq!(app.activate(ADA).await, Status::Ok, "a later sign-up is independent");
        open(&app, &token).await.page(404, "The sign-up is dropped");
    }
}

#[rocket::async_test]
async fn r43_an_account_cannot_be_disavowed() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    assert_eq!(use_link(&app, &token).await.status, Status::Ok);
    disavow(&app, &token).await.problem(409, "already-active");
    let page = submit(&app, "/activate/disavowal", &[("token", &token)]).await;
    page.page(409, "already active");
    assert!(signs_in(&app, ADA, PASSWORD).await);
}

#[rocket::async_test]
async fn activation_link_of_address_with_account_is_refused_as_taken() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    // makes an account as the command line or an import would
    let email = ADA.parse().unwrap();
    app.store()
        .write(async |tx| {
            let waiting = tx.find_sign_up_by_email(&email).await?.unwrap();
            let made = tx
                .insert_account(&vestibule::storage::NewAccount {
                    id: "01890000-0000-7000-8000-000000000001".parse().unwrap(),
                    email: &email,
                    password_hash: &waiting.password_hash,
                    name: None,
                    locale: None,
                    now: vestibule::testing::BEGINNING,
                })
                .await?;
            assert!(made);
            Ok::<_, vestibule::storage::StoreError>(())
        })
        .await
        .unwrap();
    open(&app, &token).await.page(409, "already has an account");
    press(&app, &token).await.page(409, "already has an account");
    use_link(&app, &token).await.problem(409, "address-taken");
    assert_eq!(rows(&app, "accounts").await, 1);
}

#[rocket::async_test]
async fn unconfirmed_sign_up_is_purged_after_thirty_days() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    app.advance(DAY * 30 - Duration::from_secs(1));
    app.purge().await;
    assert_eq!(rows(&app, "sign_ups").await, 1);
    app.advance(Duration::from_secs(1));
    assert!(app.purge().await > 0);
    assert_eq!(rows(&app, "sign_ups").await, 0);
    open(&app, &token).await.page(410, "expired");
    let sent = submit(&app, "/activate/new-link", &[("token", &token)]).await;
    sent.page(202, "Look in your mailbox");
    assert_eq!(app.letters_to(ADA).await.len(), 1, "no sign-up waits any more");
}

/// S18: a sign-up ends 30 days after it was made, and its links end with it. New letters do not
/// prolong it.
#[rocket::async_test]
async fn s18_fresh_links_do_not_prolong_a_sign_up() {
    let app = support::app().await;
    activation_token(&app).await;
    let minute = Duration::from_secs(60);
    app.advance(DAY * 15);
    assert_eq!(app.sign_up(ADA, PASSWORD).await, Status::Accepted, "the same sign-up again");
    app.advance(DAY * 15 - minute);
    post(&app, "/v1/activation-mails", &json!({ "email": ADA })).await;
    let letter = app.last_letter_to(ADA).await;
    assert!(letter.text.contains("1 minute"), "{}", letter.text);
    let token = app.link_token(ADA).await;
    app.advance(minute - Duration::from_secs(1));
    open(&app, &token).await.page(200, "Confirm your email address");
    post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    let last = app.link_token(ADA).await;
    assert_ne!(last, token);
    open(&app, &last).await.page(200, "Confirm your email address");
    app.advance(Duration::from_secs(1));
    for token in [&token, &last] {
        open(&app, token).await.page(410, "expired");
        use_link(&app, token).await.problem(410, "link-expired");
    }
    let sent = app.letters_to(ADA).await.len();
    for path in ["/v1/activation-mails", "/v1/password-resets"] {
        assert_eq!(post(&app, path, &json!({ "email": ADA })).await.status, Status::Accepted);
    }
    submit(&app, "/activate/new-link", &[("token", &token)]).await.page(202, "Look in your");
    assert_eq!(app.letters_to(ADA).await.len(), sent, "no sign-up waits any more");
    app.purge().await;
    assert_eq!(rows(&app, "sign_ups").await, 0);
    assert_eq!(rows(&app, "accounts").await, 0);
}

/// S18: when less than a link's lifetime is left, a second sign-up replaces the first one. The new
/// sign-up lives thirty days and is contested: neither sign-up's password counts.
#[rocket::async_test]
async fn s18_sign_up_replaces_nearly_expired_one_and_is_contested() {
    for (left, is_replaced) in [(DAY, false), (DAY - Duration::from_secs(1), true)] {
        let app = support::app().await;
        let body = json!({ "email": ADA, "password": PASSWORD, "name": "Mallory", "locale": "de" });
        assert_eq!(post(&app, "/v1/accounts", &body).await.status, Status::Accepted);
        app.deliver().await;
        app.advance(DAY * 30 - left);
        post(&app, "/v1/activation-mails", &json!({ "email": ADA })).await;
        let old = app.link_token(ADA).await;
        assert_eq!(app.sign_up(ADA, PASSWORD).await, Status::Accepted);
        let token = app.link_token(ADA).await;
        assert_eq!(rows(&app, "sign_ups").await, 1);
        app.advance(left - Duration::from_secs(1));
        app.purge().await;
        if !is_replaced {
            assert_eq!(
                use_link(&app, &old).await.status,
                Status::Ok,
                "the waiting sign-up is unchanged"
            );
            continue;
        }
        for token in [&old, &token] {
            use_link(&app, token).await.problem(409, "password-needed");
        }
        app.advance(Duration::from_secs(1));
        open(&app, &old).await.page(410, "expired");
        app.advance(DAY * 29);
        app.purge().await;
        assert_eq!(rows(&app, "sign_ups").await, 1, "the new sign-up lives thirty days");
        post(&app, "/v1/activation-mails", &json!({ "email": ADA })).await;
        let body = json!({ "token": app.link_token(ADA).await, "password": OTHER });
        assert_eq!(post(&app, "/v1/activations", &body).await.status, Status::Ok);
        assert!(signs_in(&app, ADA, OTHER).await && !signs_in(&app, ADA, PASSWORD).await);
        assert_eq!(texts(&app, "SELECT COALESCE(name, 'none') FROM accounts").await, ["none"]);
    }
}

/// S18: an expired sign-up has no effect, whether or not the cleanup has purged it.
#[rocket::async_test]
async fn s18_sign_up_after_expired_one_is_not_contested() {
    for is_purged in [true, false] {
        let app = support::app().await;
        assert_eq!(app.sign_up(ADA, OTHER).await, Status::Accepted);
        app.deliver().await;
        app.advance(DAY * 30);
        if is_purged {
            app.purge().await;
        }
        let token = activation_token(&app).await;
        assert_eq!(use_link(&app, &token).await.status, Status::Ok);
        assert!(signs_in(&app, ADA, PASSWORD).await && !signs_in(&app, ADA, OTHER).await);
        let kinds = texts(&app, "SELECT kind FROM events WHERE kind = 'sign-up'").await;
        assert_eq!(kinds.len(), 1, "the event of the expired sign-up is deleted");
    }
}

/// S14: a used link shows the address that it was sent for, not the account's present address.
#[rocket::async_test]
async fn s14_a_used_link_does_not_show_the_present_address() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    let page = press(&app, &token).await.page(200, "is confirmed");
    assert!(page.body.contains(ADA), "the page shows the link's own address");
    let before = [press(&app, &token).await, open(&app, &token).await];
    let ada = app.sign_in(ADA).await;
    let body = json!({ "email": NEW, "password": PASSWORD });
    assert_eq!(post_as(&ada, "/v1/me/email", &body).await.status, Status::Accepted);
    let change = token_in(&app, "email-change", NEW).await;
    submit(&app, "/confirm-email", &[("token", &change)]).await.page(200, "confirmed");
    let after = [press(&app, &token).await, open(&app, &token).await];
    for (before, after) in before.into_iter().zip(after) {
        let after = after.page(200, "already confirmed");
        assert!(!after.body.contains(NEW), "{}", after.body);
        assert_eq!(before.body, after.body);
    }
    let answer = use_link(&app, &token).await;
    assert_eq!((answer.status, answer.json()), (Status::Ok, json!({ "status": "active" })));
    let id = app.sign_in(NEW).await.account_id().await;
    assert!(accounts(&app).disable(id).await.unwrap());
    assert!(!open(&app, &token).await.body.contains(NEW));
    assert!(accounts(&app).delete_by_operator(id).await.unwrap());
    open(&app, &token).await.page(404, "does not work");
}

#[rocket::async_test]
async fn links_are_recognized_for_thirty_days_after_expiry() {
    let app = support::app().await;
    let used = activation_token(&app).await;
    assert_eq!(use_link(&app, &used).await.status, Status::Ok);
    assert_eq!(app.sign_up("bob@example.org", PASSWORD).await, Status::Accepted);
    let expired = app.link_token("bob@example.org").await;
    app.advance(DAY * 31 - Duration::from_secs(1));
    app.purge().await;
    open(&app, &used).await.page(200, "already confirmed");
    open(&app, &expired).await.page(410, "expired");
    app.advance(Duration::from_secs(1));
    app.purge().await;
    for token in [&used, &expired] {
        open(&app, token).await.page(404, "This link does not work");
        use_link(&app, token).await.problem(404, "link-unknown");
    }
    assert_eq!(rows(&app, "links").await, 0);
    assert!(signs_in(&app, ADA, PASSWORD).await);
}

#[rocket::async_test]
async fn the_lifetime_of_links_is_a_setting_and_starts_when_the_letter_leaves() {
    let toml = "[default.vestibule.links]\nactivation_ttl = \"30m\"";
    let app = support::configured(toml).await;
    assert_eq!(app.sign_up(ADA, PASSWORD).await, Status::Accepted);
    app.advance(Duration::from_secs(3_600));
    let letter = app.last_letter_to(ADA).await;
    assert!(letter.text.contains("30 minutes") && letter.html.contains("30 minutes"));
    let token = app.link_token(ADA).await;
    app.advance(Duration::from_secs(1_799));
    open(&app, &token).await.page(200, "Confirm your email address");
    app.advance(Duration::from_secs(1));
    open(&app, &token).await.page(410, "expired");
}

#[rocket::async_test]
async fn r44_a_link_carries_43_characters_of_base64url_and_serves_one_purpose() {
    let app = support::app().await;
    let token = activation_token(&app).await;
    assert_eq!(token.len(), 43);
    assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    let refresh =
        [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", &token)];
    let answer = Answer::of(app.token(&refresh).await).await;
    assert_eq!(answer.json()["error"], "invalid_grant");
    let header = Header::new("Authorization", format!("Bearer {token}"));
    let me = app.client.get("/v1/me").header(header).dispatch().await;
    assert_eq!(me.status(), Status::Unauthorized);
}

#[rocket::async_test]
async fn r44_r48_r55_database_contains_no_secret() {
    let app = support::app().await;
    let password = "Zaphod's secret passphrase";
    assert_eq!(app.sign_up(ADA, password).await, Status::Accepted);
    let letter = app.last_letter_to(ADA).await;
    let live = app.link_token(ADA).await;
    assert_eq!(app.sign_up("bob@example.org", PASSWORD).await, Status::Accepted);
    let waiting = app.link_token("bob@example.org").await;
    assert_eq!(use_link(&app, &live).await.status, Status::Ok);
    let fields = [
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", ADA),
        ("password", password),
    ];
    let first = Answer::of(app.token(&fields).await).await.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let refresh = text(&first["refresh_token"]);
    let fields =
        [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", &refresh)];
    let second = Answer::of(app.token(&fields).await).await.json();
    app.settle().await;

    let bytes = stored_bytes(&app).await;
    let holds = |needle: &str| bytes.windows(needle.len()).any(|part| part == needle.as_bytes());
    assert!(holds(ADA) && holds("$argon2id$"), "these are the bytes of the database");
    let mut secrets = vec![live.clone(), waiting, password.to_owned(), PASSWORD.to_owned()];
    for token in [&first["access_token"], &first["refresh_token"], &second["access_token"]] {
        // each token with its prefix and without it
        secrets.extend([text(token), text(token)[4..].to_owned()]);
    }
    secrets.push(text(&second["refresh_token"]));
    for secret in &secrets {
        assert!(!holds(secret), "{secret} is in the database");
    }
    for line in letter.text.lines().filter(|line| line.len() > 20) {
        assert!(!holds(line), "a rendered letter is in the database: {line}");
    }
    use base64::Engine as _;
    let raw = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&live).unwrap();
    assert!(!bytes.windows(32).any(|part| part == raw), "the token's bytes are in the database");
    let digest = vestibule::model::Digest::of(&raw);
    let in_hex = hex::encode(digest.as_bytes());
    let is_there = bytes.windows(32).any(|part| part == digest.as_bytes()) || holds(&in_hex);
    assert!(is_there, "the token's digest is not in the database");
}

#[rocket::async_test]
async fn r45_links_use_the_public_url_despite_forged_headers() {
    for (url, base) in [
        ("https://accounts.example.org", ""),
        ("https://accounts.example.org/", ""),
        ("https://example.org/auth", "/auth"),
        ("http://example.org:8080/a/b/", "/a/b"),
    ] {
        let app =
            support::configured(&format!("[default.vestibule]\npublic_url = \"{url}\"")).await;
        let body = json!({ "email": ADA, "password": PASSWORD }).to_string();
        let forged = |name: &'static str, value: &'static str| Header::new(name, value);
        let request = app
            .client
            .post("/v1/accounts")
            .header(ContentType::JSON)
            .header(forged("Host", "evil.example"))
            .header(forged("X-Forwarded-Host", "evil.example"))
            .header(forged("X-Forwarded-Proto", "gopher"))
            .header(forged("X-Forwarded-Prefix", "/evil"))
            .header(forged("Forwarded", "host=evil.example;proto=http"))
            .body(body);
        assert_eq!(request.dispatch().await.status(), Status::Accepted);
        let letter = app.last_letter_to(ADA).await;
        let link = letter.link.clone().unwrap();
        let expected = format!("{}/activate?token=", url.trim_end_matches('/'));
        assert!(link.starts_with(&expected), "{link}");
        assert!(letter.text.contains(&link) && letter.html.contains(&link));
        let raw = String::from_utf8(letter.raw).unwrap();
        assert!(!raw.contains("evil") && !raw.contains("gopher"), "{raw}");

        let token = app.link_token(ADA).await;
        let request = app.client.get(format!("/activate?token={token}"));
        let request = request.header(forged("Host", "evil.example"));
        let request = request.header(forged("X-Forwarded-Host", "evil.example"));
        let page = Answer::of(request.dispatch().await).await.page(200, "Confirm");
        assert!(!page.body.contains("evil"));
        let actions: Vec<String> = forms(&page).into_iter().map(|(action, _)| action).collect();
        assert_eq!(actions, [format!("{base}/activate"), format!("{base}/activate/disavowal")]);
        let problem = use_link(&app, "x").await.json();
        assert_eq!(problem["type"], format!("{base}/problems/link-unknown"));
        app.advance(DAY);
        let page = open(&app, &token).await.page(410, "expired");
        assert_eq!(forms(&page)[0].0, format!("{base}/activate/new-link"));
    }
}
