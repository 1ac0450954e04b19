//! Tests of signing up: `POST /v1/accounts` and `POST /v1/activation-mails` (R34 to R38).

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::collections::BTreeSet;
use std::time::Duration;

use rocket::futures::future::join_all;
use rocket::http::{ContentType, Header, Status};
use serde_json::{Value, json};
use vestibule::model::EmailAddress;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support;
use crate::support::ADA;
use crate::support_pages::{Answer, OTHER, open, post, rows, signs_in, submit, use_link};

const HOUR: Duration = Duration::from_secs(3_600);

async fn sign_up(app: &TestApp, email: &str) -> Answer {
    post(app, "/v1/accounts", &json!({ "email": email, "password": PASSWORD })).await
}

async fn sign_up_as(app: &TestApp, email: &str, password: &str, name: &str) {
    let body = json!({ "email": email, "password": password, "name": name });
    assert_eq!(post(app, "/v1/accounts", &body).await.status, Status::Accepted);
}

async fn is_waiting(app: &TestApp, email: &str) -> bool {
    let email: EmailAddress = email.parse().unwrap();
    app.store().read(async |db| db.find_sign_up_by_email(&email).await).await.unwrap().is_some()
}

fn token_of(link: &str) -> String {
    link.split_once("token=").unwrap().1.to_owned()
}

#[rocket::async_test]
async fn r34_known_waiting_and_unknown_addresses_are_answered_alike() {
    let app = support::app().await;
    app.account("known@example.org").await;
    sign_up(&app, "waiting@example.org").await;
    for path in ["/v1/accounts", "/v1/activation-mails"] {
        let mut answers = Vec::new();
        for email in ["known@example.org", "waiting@example.org", "unknown@example.org"] {
            let body = json!({ "email": email, "password": PASSWORD });
            let answer = post(&app, path, &body).await;
            assert_eq!(answer.status, Status::Accepted);
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(answer.json(), json!({ "status": "activation_pending" }));
            let answer = answer.without_id();
            answers.push((answer.status, answer.headers, answer.body));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{path}: {answers:?}");
    }
}

#[rocket::async_test]
async fn r34_sign_up_at_a_known_address_sends_a_notice_and_stores_nothing() {
    let app = support::app().await;
    app.account("ada@example.org").await;
    let links = rows(&app, "links").await;
    assert_eq!(app.sign_up("ADA@example.org", OTHER).await, Status::Accepted);
    let letter = app.last_letter_to("ada@example.org").await;
    assert_eq!(letter.name, "account-exists");
    assert!(letter.link.is_none());
    assert!(!letter.text.contains("token="));
    assert!(!is_waiting(&app, "ada@example.org").await, "the waiting row is dropped");
    assert_eq!(rows(&app, "sign_ups").await, 0);
    assert_eq!(rows(&app, "accounts").await, 1);
    assert_eq!(rows(&app, "links").await, links);
    assert!(signs_in(&app, "ada@example.org", PASSWORD).await);
    assert!(!signs_in(&app, "ada@example.org", OTHER).await);
}

#[rocket::async_test]
async fn r34_repeated_letter_is_sent_only_for_a_waiting_sign_up() {
    let app = support::app().await;
    app.account("known@example.org").await;
    sign_up(&app, "waiting@example.org").await;
    app.deliver().await;
    for email in ["known@example.org", "waiting@example.org", "unknown@example.org"] {
        let answer = post(&app, "/v1/activation-mails", &json!({ "email": email })).await;
        assert_eq!(answer.status, Status::Accepted);
    }
    assert_eq!(app.letters_to("known@example.org").await.len(), 1);
    assert_eq!(app.letters_to("waiting@example.org").await.len(), 2);
    assert_eq!(app.letters_to("unknown@example.org").await.len(), 0);
    assert_eq!(app.activate("waiting@example.org").await, Status::Ok);
}

#[rocket::async_test]
async fn r35_fifty_concurrent_sign_ups_leave_one_row_and_a_capped_number_of_letters() {
    let app = support::configured("[default.vestibule.limits]\nletters_per_hour = 3").await;
    let body = json!({ "email": "ada@example.org", "password": PASSWORD });
    let answers = join_all((0..50).map(|_| post(&app, "/v1/accounts", &body))).await;
    for answer in answers {
        assert_eq!(answer.status, Status::Accepted, "{answer:?}");
    }
    assert_eq!(rows(&app, "sign_ups").await, 1);
    assert!(is_waiting(&app, "ada@example.org").await);
    assert_eq!(app.letters_to("ada@example.org").await.len(), 1, "one letter of a kind waits");
    for _ in 0..10 {
        sign_up(&app, "ada@example.org").await;
        app.deliver().await;
    }
    assert_eq!(app.letters_to("ada@example.org").await.len(), 3);
    app.advance(HOUR - Duration::from_secs(1));
    assert_eq!(app.letters_to("ada@example.org").await.len(), 3, "within the hour");
    app.advance(Duration::from_secs(2));
    let letters = app.letters_to("ada@example.org").await;
    assert_eq!(letters.len(), 4, "one of the waiting letters is sent");
    app.advance(HOUR * 2);
    assert_eq!(app.letters_to("ada@example.org").await.len(), 4);

    // every letter's link works, and all links make one account
    let tokens: BTreeSet<String> =
        letters.iter().map(|letter| token_of(letter.link.as_deref().unwrap())).collect();
    assert_eq!(tokens.len(), 4);
    for token in tokens {
        assert_eq!(use_link(&app, &token).await.status, Status::Ok);
    }
    assert_eq!(rows(&app, "accounts").await, 1);
}

#[rocket::async_test]
async fn r35_letter_cap_is_counted_for_each_address() {
    let app = support::configured("[default.vestibule.limits]\nletters_per_hour = 1").await;
    for _ in 0..3 {
        sign_up(&app, "ada@example.org").await;
        sign_up(&app, "bob@example.org").await;
        app.deliver().await;
    }
    assert_eq!(app.letters_to("ada@example.org").await.len(), 1);
    assert_eq!(app.letters_to("bob@example.org").await.len(), 1);
}

#[rocket::async_test]
async fn r35_disabled_limits_cap_no_letters() {
    let toml = "[default.vestibule.limits]\nenabled = false\nletters_per_hour = 1";
    let app = support::configured(toml).await;
    for _ in 0..12 {
        sign_up(&app, "ada@example.org").await;
        app.deliver().await;
    }
    assert_eq!(app.letters_to("ada@example.org").await.len(), 12);
}

#[rocket::async_test]
async fn r35_repeated_sign_up_with_the_same_password_sends_a_letter_and_both_links_work() {
    for used in [0, 1] {
        let app = support::app().await;
        for _ in 0..2 {
            sign_up(&app, "ada@example.org").await;
            app.deliver().await;
        }
        let letters = app.letters_to("ada@example.org").await;
        let tokens: Vec<String> =
            letters.iter().map(|letter| token_of(letter.link.as_deref().unwrap())).collect();
        assert_eq!(tokens.len(), 2);
        assert_ne!(tokens[0], tokens[1]);
        assert_eq!(use_link(&app, &tokens[used]).await.status, Status::Ok);
        assert!(signs_in(&app, "ada@example.org", PASSWORD).await);
        open(&app, &tokens[1 - used]).await.page(200, "already confirmed");
        assert_eq!(use_link(&app, &tokens[1 - used]).await.status, Status::Ok);
        assert_eq!(rows(&app, "accounts").await, 1);
    }
}

/// Two sign-ups in either order: the password counts that is typed on the page of the link.
async fn assert_contested(first: (&str, &str), second: (&str, &str)) {
    let app = support::app().await;
    let email = "ada@example.org";
    sign_up_as(&app, email, first.0, first.1).await;
    let early = app.link_token(email).await;
    sign_up_as(&app, email, second.0, second.1).await;
    let late = app.link_token(email).await;
    assert_ne!(early, late);
    assert_eq!(rows(&app, "sign_ups").await, 1);
    for token in [&early, &late] {
        use_link(&app, token).await.problem(409, "password-needed");
        let page = submit(&app, "/activate", &[("token", token)]).await;
        let page = page.page(409, "Confirm your email address");
        assert!(page.body.contains("type=\"password\""));
        for name in [first.1, second.1] {
            assert!(!page.body.contains(name));
        }
    }
    assert!(!signs_in(&app, email, first.0).await && !signs_in(&app, email, second.0).await);

    let chosen = "what the owner has chosen";
    let body = json!({ "token": early, "password": chosen });
    assert_eq!(post(&app, "/v1/activations", &body).await.status, Status::Ok);
    assert!(signs_in(&app, email, chosen).await);
    assert!(!signs_in(&app, email, first.0).await, "the first sign-up's password is planted");
    assert!(!signs_in(&app, email, second.0).await, "the second sign-up's password is planted");
    let body = json!({ "token": late, "password": second.0 });
    assert_eq!(
        post(&app, "/v1/activations", &body).await.status,
        Status::Ok,
        "the account is active already"
    );
    assert!(!signs_in(&app, email, second.0).await, "a used link sets no password");

    let fields = [
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", email),
        ("password", chosen),
    ];
    let tokens = Answer::of(app.token(&fields).await).await.json();
    let access = tokens["access_token"].as_str().unwrap();
    let header = Header::new("Authorization", format!("Bearer {access}"));
    let me = Answer::of(app.client.get("/v1/me").header(header).dispatch().await).await.json();
    assert_eq!(me["email"], email);
    assert_eq!(me["name"], Value::Null, "a name is planted");
}

#[rocket::async_test]
async fn r35_an_attacker_before_the_owner_plants_nothing() {
    assert_contested((OTHER, "Planted Name"), (PASSWORD, "Ada Herself")).await;
}

#[rocket::async_test]
async fn r35_an_attacker_after_the_owner_plants_nothing() {
    assert_contested((PASSWORD, "Ada Herself"), (OTHER, "Planted Name")).await;
}

#[rocket::async_test]
async fn r35_contested_sign_up_stays_contested_after_another_sign_up() {
    let app = support::app().await;
    sign_up_as(&app, "ada@example.org", PASSWORD, "Ada").await;
    sign_up_as(&app, "ada@example.org", OTHER, "Mallory").await;
    sign_up_as(&app, "ada@example.org", PASSWORD, "Ada").await;
    let token = app.link_token("ada@example.org").await;
    use_link(&app, &token).await.problem(409, "password-needed");
    assert!(!signs_in(&app, "ada@example.org", PASSWORD).await);
}

#[rocket::async_test]
async fn r36_invalid_address_is_refused_and_gets_no_letter() {
    let app = support::app().await;
    let long = format!("{}@{}.example", "l".repeat(64), ["d".repeat(60).as_str(); 3].join("."));
    for (email, code) in [
        ("", "malformed"),
        ("ada", "malformed"),
        ("@example.org", "malformed"),
        ("ada@", "malformed"),
        ("a@b@c.example", "malformed"),
        ("a@example.org,b@example.org", "malformed"),
        ("a@example.org, b@example.org", "malformed"),
        (&long, "too-long"),
        ("ada\r\nBcc: eve@example.org", "local-part"),
        ("ada@example.org\r\nBcc: eve", "domain"),
        ("ada\n@example.org", "invisible-character"),
        ("<ada@example.org>", "local-part"),
        ("Ada <ada@example.org>", "local-part"),
        ("\"a b\"@example.org", "local-part"),
        ("mi\u{212a}e@example.org", "local-part"),
        ("m\u{131}ke@example.org", "local-part"),
        ("\u{ff4d}ike@example.org", "local-part"),
        ("mike@\u{ff45}xample.org", "domain"),
        ("mike@example.\u{212a}om", "domain"),
        ("ada@localhost", "domain"),
        ("ada@127.0.0.1", "domain"),
        ("ada@[127.0.0.1]", "domain"),
    ] {
        let bodies = [
            ("/v1/accounts", json!({ "email": email, "password": PASSWORD })),
            ("/v1/activation-mails", json!({ "email": email })),
        ];
        for (path, body) in bodies {
            let answer = post(&app, path, &body).await.problem(422, "invalid-fields");
            assert_eq!(answer.errors(), [format!("email: {code}")], "{email:?}");
        }
    }
    app.deliver().await;
    assert_eq!(rows(&app, "sign_ups").await, 0);
    assert_eq!(rows(&app, "outbox").await, 0);
}

#[rocket::async_test]
async fn r36_spellings_of_one_mailbox_are_one_account() {
    for (first, second, folded) in [
        ("Ada@Example.ORG", " ada@example.org\t", "ada@example.org"),
        ("ada@bücher.example", "ADA@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\u{308}cher.example", "ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
    ] {
        let app = support::app().await;
        sign_up(&app, first).await;
        assert_eq!(app.activate(folded).await, Status::Ok);
        sign_up(&app, second).await;
        let letters = app.letters_to(folded).await;
        assert_eq!(letters.last().unwrap().name, "account-exists", "{second}");
        assert_eq!(rows(&app, "accounts").await, 1);
        assert!(signs_in(&app, second, PASSWORD).await);
    }
}

#[rocket::async_test]
async fn r36_addresses_that_only_look_alike_are_two_accounts() {
    for (one, other) in [
        ("ada+a@example.org", "ada+b@example.org"),
        ("a.da@example.org", "ada@example.org"),
        ("mike@g\u{131}thub.com", "mike@github.com"),
    ] {
        let app = support::app().await;
        sign_up(&app, one).await;
        sign_up_as(&app, other, OTHER, "").await;
        assert_eq!(rows(&app, "sign_ups").await, 2);
        app.deliver().await;
        let folded: EmailAddress = one.parse().unwrap();
        assert_eq!(app.activate(folded.as_str()).await, Status::Ok);
        assert!(signs_in(&app, one, PASSWORD).await);
        assert!(!signs_in(&app, other, PASSWORD).await);
    }
}

#[rocket::async_test]
async fn r38_unknown_sign_up_members_are_ignored() {
    let app = support::app().await;
    let body = json!({
        "email": "ada@example.org", "password": PASSWORD,
        "activated": true, "active": true, "role": "admin", "id": "1", "epoch": 7,
        "password_hash": "x", "scope": "admin", "contested_at": 1, "created_at": "1970-01-01",
        "__proto__": { "activated": true }, "disabled_at": 1, "expires_at": 0, "status": "active",
    });
    assert_eq!(post(&app, "/v1/accounts", &body).await.status, Status::Accepted);
    assert!(!signs_in(&app, "ada@example.org", PASSWORD).await, "the address is not confirmed");
    assert_eq!(rows(&app, "accounts").await, 0);
    let token = app.link_token("ada@example.org").await;
    let body = json!({ "token": token, "email": "eve@example.org", "password": OTHER });
    assert_eq!(post(&app, "/v1/activations", &body).await.status, Status::Ok);
    let ada = app.sign_in("ada@example.org").await;
    let me = Answer::of(ada.get("/v1/me").dispatch().await).await.json();
    let members: Vec<&String> = me.as_object().unwrap().keys().collect();
    assert_eq!(members, ["created_at", "email", "id", "locale", "name"]);
    assert_eq!(me["created_at"], "2026-01-01T00:00:00.000Z", "{me}");
}

#[rocket::async_test]
async fn all_errors_of_the_fields_are_reported_at_once_without_the_values() {
    let app = support::app().await;
    let secret = "hunter2";
    for (body, expected) in [
        (json!({}), vec!["email: missing", "password: missing"]),
        (json!({ "email": null, "password": null }), vec!["email: missing", "password: missing"]),
        (json!({ "email": "ada@example.org" }), vec!["password: missing"]),
        (
            json!({ "email": "x", "password": secret, "name": "a\nb", "locale": "de_DE" }),
            vec![
                "email: malformed",
                "name: control-characters",
                "password: too-short",
                "locale: malformed",
            ],
        ),
        (
            json!({ "email": 1, "password": [secret], "name": { "a": 1 }, "locale": true }),
            vec![
                "email: not-a-text",
                "name: not-a-text",
                "password: not-a-text",
                "locale: not-a-text",
            ],
        ),
        (
            json!({ "email": "a\0@example.org", "password": format!("{secret}\0 and much more") }),
            vec!["email: nul", "password: nul"],
        ),
        (
            json!({ "email": "ada@example.org", "password": "ada@example.org1" }),
            vec!["password: contains-address"],
        ),
        (
            json!({ "email": "ada@example.org", "password": "VestibuleVestibule" }),
            vec!["password: contains-service-name"],
        ),
        (
            json!({ "email": "ada@example.org", "password": "KingAugusta1815", "name": "Augusta King" }),
            vec!["password: contains-name"],
        ),
        (
            json!({ "email": "ada@example.org", "password": secret.repeat(100) }),
            vec!["password: too-long"],
        ),
        (
            json!({ "email": "ada@example.org", "password": PASSWORD, "name": "x".repeat(101) }),
            vec!["name: too-long"],
        ),
    ] {
        let answer = post(&app, "/v1/accounts", &body).await.problem(422, "invalid-fields");
        assert_eq!(answer.errors(), expected, "{body}");
        assert!(!answer.body.contains(secret), "{answer:?}");
    }
    assert_eq!(rows(&app, "outbox").await, 0);
    assert_eq!(rows(&app, "sign_ups").await, 0);
}

#[rocket::async_test]
async fn bodies_other_than_json_objects_get_distinct_errors() {
    let app = support::app().await;
    let good = json!({ "email": "ada@example.org", "password": PASSWORD }).to_string();
    let padded = format!("{{\"x\":\"{}\"}}", "x".repeat(33 * 1_024));
    let json_type = Some(ContentType::JSON);
    for (kind, body, status, slug) in [
        (None, good.as_str(), 415, "unsupported-media-type"),
        (Some(ContentType::Form), &good, 415, "unsupported-media-type"),
        (Some(ContentType::Plain), &good, 415, "unsupported-media-type"),
        (Some(ContentType::new("multipart", "form-data")), &good, 415, "unsupported-media-type"),
        (json_type.clone(), "", 400, "malformed-json"),
        (json_type.clone(), "{\"email\":", 400, "malformed-json"),
        (json_type.clone(), "{} hunter2", 400, "malformed-json"),
        (json_type.clone(), "[]", 422, "invalid-fields"),
        (json_type.clone(), "\"hunter2\"", 422, "invalid-fields"),
        (json_type.clone(), "null", 422, "invalid-fields"),
        (json_type, &padded, 413, "content-too-large"),
    ] {
        for path in [
            "/v1/accounts",
            "/v1/activation-mails",
            "/v1/activations",
            "/v1/activations/disavowals",
        ] {
            let mut request = app.client.post(path).body(body);
            if let Some(kind) = &kind {
                request = request.header(kind.clone());
            }
            let answer = Answer::of(request.dispatch().await).await.problem(status, slug);
            assert!(!answer.body.contains("hunter2"));
        }
    }
    let request = app.client.post("/v1/accounts").header(ContentType::JSON);
    let answer = request.body(b"{\"email\":\"\xff\"}").dispatch().await;
    Answer::of(answer).await.problem(400, "malformed-json");
    let deep = "[".repeat(20_000);
    let request = app.client.post("/v1/accounts").header(ContentType::JSON).body(deep);
    Answer::of(request.dispatch().await).await.problem(400, "malformed-json");
    let request = app.client.post("/v1/accounts").header(ContentType::new("application", "json"));
    let request = request.header(Header::new("Content-Length", "1073741824")).body(&good);
    Answer::of(request.dispatch().await).await.problem(413, "content-too-large");
    let kind = "application/json; charset=utf-8".parse::<ContentType>().unwrap();
    let request = app.client.post("/v1/accounts").header(kind).body(good);
    assert_eq!(request.dispatch().await.status(), Status::Accepted);
}

#[rocket::async_test]
async fn sign_up_carries_name_and_locale_into_the_account() {
    let app = support::app().await;
    let body = json!({
        "email": "ada@example.org", "password": PASSWORD, "name": " Ada Lovelace ", "locale": "en-GB",
    });
    assert_eq!(post(&app, "/v1/accounts", &body).await.status, Status::Accepted);
    assert_eq!(app.activate("ada@example.org").await, Status::Ok);
    let ada = app.sign_in("ada@example.org").await;
    let me = Answer::of(ada.get("/v1/me").dispatch().await).await.json();
    assert_eq!((&me["name"], &me["locale"]), (&json!("Ada Lovelace"), &json!("en-GB")));
}

#[rocket::async_test]
async fn letter_and_page_show_time_and_browser_of_the_sign_up() {
    let app = support::app().await;
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let body = json!({ "email": "ada@example.org", "password": PASSWORD }).to_string();
    let request = app.client.post("/v1/accounts").header(ContentType::JSON).body(body);
    let request = request.header(Header::new("User-Agent", agent));
    assert_eq!(request.dispatch().await.status(), Status::Accepted);
    let letter = app.last_letter_to("ada@example.org").await;
    let page = open(&app, &token_of(letter.link.as_deref().unwrap())).await;
    for text in [&letter.text, &letter.html, &page.body] {
        assert!(text.contains("Firefox (Linux)"), "{text}");
        assert!(text.contains("1 January 2026 at 00:00 UTC"), "{text}");
    }
}

/// A letter that described another person's browser would make its reader disavow their own
/// sign-up.
#[rocket::async_test]
async fn r35_each_letter_describes_the_sign_up_that_caused_it() {
    let app = support::app().await;
    let browsers = [
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36", "Chrome (Windows)"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0", "Firefox (Linux)"),
    ];
    for (n, (header, name)) in browsers.into_iter().enumerate() {
        let body = json!({ "email": ADA, "password": format!("{PASSWORD} {n}"), "locale": "de" });
        let request = app.client.post("/v1/accounts").header(ContentType::JSON);
        let request = request.header(Header::new("User-Agent", header)).body(body.to_string());
        assert_eq!(request.dispatch().await.status(), Status::Accepted);
        let letter = app.last_letter_to(ADA).await;
        assert!(letter.text.contains(name) && letter.html.contains(name), "{}", letter.text);
        app.advance(Duration::from_secs(3_600));
    }
    let page = app.client.get(format!("/activate?token={}", app.link_token(ADA).await));
    let page = page.dispatch().await.into_string().await.unwrap();
    assert!(page.contains("Signed up") && page.contains("Password in doubt since"), "{page}");
}
