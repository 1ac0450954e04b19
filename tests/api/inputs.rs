//! Tests of inputs in every legal form (F16, F17, F18): addresses with pasted characters around
//! them, content types as RFC 9110 writes them, and refusals that name the error.

use rocket::http::{ContentType, Header, Method, Status};
use serde_json::{Value, json};
use vestibule::model::EmailAddress;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{
    self, ADA, bearer, described_error_of, form, header, invalid, sign_in, sign_in_fields, tokens,
};
use crate::support_accounts::{BOB, Browser, post_as, token_in};
use crate::support_pages::{Answer, get, open, post, submit, texts};

/// Characters that copying leaves around an address.
const PASTED: [&str; 9] = [
    "\u{a0}", "\u{202a}", "\u{202e}", "\u{2066}", "\u{feff}", "\r\n", "\u{200b}", "\u{200e}",
    "\u{200f}",
];

fn with_pasted_around(pasted: &str, address: &str) -> [String; 3] {
    [
        format!("{pasted}{address}"),
        format!("{address}{pasted}"),
        format!("{pasted} {address}\t{pasted}"),
    ]
}

/// The address with `pasted` in the middle of each part.
fn with_pasted_inside(pasted: &str, address: &str) -> [String; 2] {
    let (local, domain) = address.split_once('@').unwrap();
    let split = |text: &str| format!("{}{pasted}{}", &text[..1], &text[1..]);
    [format!("{}@{domain}", split(local)), format!("{local}@{}", split(domain))]
}

#[rocket::async_test]
async fn r36_f16_json_operations_trim_addresses_and_refuse_invisible_characters() {
    // without limits: the test sends more letters than one account may cause
    let app = support::configured("[default.vestibule.limits]\nenabled = false").await;
    let ada = app.signed_in(ADA).await;
    let with_password = |email: &str| json!({ "email": email, "password": PASSWORD });
    let alone = |email: &str| json!({ "email": email });
    for pasted in PASTED {
        for email in with_pasted_around(pasted, BOB) {
            for (path, body) in [
                ("/v1/accounts", with_password(&email)),
                ("/v1/activation-mails", alone(&email)),
                ("/v1/password-resets", alone(&email)),
            ] {
                let answer = post(&app, path, &body).await;
                assert_eq!(answer.status, Status::Accepted, "{path} {email:?}: {answer:?}");
            }
            let answer = post_as(&ada, "/v1/me/email", &with_password(&email)).await;
            assert_eq!(answer.status, Status::Accepted, "{email:?}: {answer:?}");
        }
        for email in with_pasted_inside(pasted, BOB) {
            let mut answers = vec![];
            for (path, body) in [
                ("/v1/accounts", with_password(&email)),
                ("/v1/activation-mails", alone(&email)),
                ("/v1/password-resets", alone(&email)),
            ] {
                answers.push(post(&app, path, &body).await);
            }
            answers.push(post_as(&ada, "/v1/me/email", &with_password(&email)).await);
            for answer in answers {
                let answer = answer.problem(422, "invalid-fields");
                assert_eq!(answer.errors(), ["email: invisible-character"], "{email:?}");
                assert!(answer.body.contains("invisible character inside"), "{answer:?}");
            }
        }
    }
    // all spellings, trimmed, are one address
    assert_eq!(texts(&app, "SELECT email FROM sign_ups").await, [BOB]);
}

#[rocket::async_test]
async fn r36_f16_forms_trim_addresses_and_refuse_invisible_characters() {
    let app = support::app().await;
    app.account(ADA).await;
    for pasted in PASTED {
        for email in with_pasted_around(pasted, ADA) {
            let mut browser = Browser::signed_in(&app, &email, PASSWORD).await;
            let fields = [("email", email.as_str()), ("current_password", PASSWORD)];
            // the trimmed address is the account's own, and the page says so
            let page = browser.send("/account/email", &fields).await.page(422, "address");
            assert!(page.body.contains("has already"), "{email:?}: {}", page.body);
            for (path, fields) in [
                ("/account/sign-up", &[("email", email.as_str()), ("password", PASSWORD)][..]),
                ("/account/sign-up/new-link", &[("email", email.as_str())]),
                ("/account/forgotten-password", &[("email", email.as_str())]),
            ] {
                let page = submit(&app, path, fields).await;
                assert_eq!(page.status, Status::Accepted, "{path} {email:?}");
                assert!(page.body.contains(ADA), "{path} {email:?}: {}", page.body);
            }
        }
        for email in with_pasted_inside(pasted, ADA) {
            let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
            let fields = [("email", email.as_str()), ("current_password", PASSWORD)];
            let mut pages = vec![browser.send("/account/email", &fields).await];
            for (path, fields) in [
                ("/account/sign-up", &[("email", email.as_str()), ("password", PASSWORD)][..]),
                ("/account/sign-up/new-link", &[("email", email.as_str())]),
                ("/account/forgotten-password", &[("email", email.as_str())]),
            ] {
                pages.push(submit(&app, path, fields).await);
            }
            for page in pages {
                assert_eq!(page.status, Status::UnprocessableEntity, "{email:?}");
                let is_explained = page.body.contains("invisible character inside");
                assert!(is_explained, "{email:?}: {}", page.body);
            }
        }
    }
}

#[rocket::async_test]
async fn r36_f16_token_endpoint_trims_usernames() {
    let app = support::app().await;
    app.account(ADA).await;
    let ask = async |username: &str| {
        let mut fields = sign_in_fields();
        fields[2] = ("username", username);
        app.token(&fields).await
    };
    for pasted in PASTED {
        for username in with_pasted_around(pasted, ADA) {
            tokens(ask(&username).await).await;
        }
        for username in with_pasted_inside(pasted, ADA) {
            let (status, error, _) = described_error_of(ask(&username).await).await;
            assert_eq!((status, error), invalid("invalid_grant"), "{username:?}");
        }
    }
}

#[rocket::async_test]
async fn f15_pages_and_letters_show_addresses_in_unicode() {
    const WRITTEN: &str = "ada@bücher.example";
    const STORED: &str = "ada@xn--bcher-kva.example";
    const NEW: &str = "ada@żółć.example";
    let app = support::app().await;
    let page =
        submit(&app, "/account/sign-up", &[("email", WRITTEN), ("password", PASSWORD)]).await;
    assert!(page.body.contains(WRITTEN) && !page.body.contains("xn--"), "{}", page.body);
    app.deliver().await;
    let token = token_in(&app, "activation", STORED).await;
    let page = open(&app, &token).await;
    assert!(page.body.contains(WRITTEN) && !page.body.contains("xn--"), "{}", page.body);
    let page = submit(&app, "/activate", &[("token", &token)]).await;
    assert!(page.body.contains(WRITTEN) && !page.body.contains("xn--"), "{}", page.body);

    // sign-in works with either spelling
    Browser::signed_in(&app, STORED, PASSWORD).await;
    let mut browser = Browser::signed_in(&app, WRITTEN, PASSWORD).await;
    for path in ["/account", "/account/password", "/account/email", "/account/deletion"] {
        let page = browser.open(path).await;
        assert!(
            page.body.contains(WRITTEN) && !page.body.contains("xn--"),
            "{path}: {}",
            page.body
        );
    }
    let fields = [("email", NEW), ("current_password", PASSWORD)];
    assert_eq!(browser.send("/account/email", &fields).await.status.code, 303);
    let page = browser.open("/account").await;
    assert!(page.body.contains(NEW) && !page.body.contains("xn--"), "{}", page.body);
    let stored = EmailAddress::parse(NEW).unwrap();
    let token = token_in(&app, "email-change", stored.as_str()).await;
    let page = get(&app, &format!("/confirm-email?token={token}")).await;
    assert!(page.body.contains(NEW) && page.body.contains("a…@bücher.example"), "{}", page.body);
    let notice = token_in(&app, "email-change-notice", STORED).await;
    let page = get(&app, &format!("/confirm-email/stop?token={notice}")).await;
    assert!(page.body.contains(NEW) && !page.body.contains("xn--"), "{}", page.body);
    let page = submit(&app, "/confirm-email", &[("token", &token)]).await;
    assert!(page.body.contains(NEW) && !page.body.contains("xn--"), "{}", page.body);
    for (name, reader) in [("email-change-notice", STORED), ("email-changed", STORED)] {
        let letters = app.letters_to(reader).await;
        let letter = letters.iter().find(|letter| letter.name == name).expect(name);
        assert!(letter.text.contains(NEW), "{name}: {}", letter.text);
    }
    // programs get the stored form
    let fields = [&sign_in_fields()[..2], &[("username", NEW), ("password", PASSWORD)]].concat();
    let access = tokens(app.token(&fields).await).await.access;
    let me = app.client.get("/v1/me").header(bearer(&access)).dispatch().await;
    let me: Value = me.into_json().await.unwrap();
    assert_eq!(me["email"], stored.as_str());
    // an address with look-alike letters is shown in its stored form
    let page = submit(&app, "/account/forgotten-password", &[("email", "ada@аррӏе.example")]).await;
    assert!(page.body.contains("ada@xn--80ak6aa92e.example"), "{}", page.body);
}

/// Method, path with its parameters filled in, and content type of every operation that takes a
/// body.
async fn operations_with_body(app: &TestApp) -> Vec<(Method, String, String)> {
    let document = app.client.get("/openapi.json").dispatch().await;
    let document: Value = document.into_json().await.unwrap();
    let mut all = vec![];
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
            let method = method.to_uppercase().parse().unwrap();
            let kind = content.keys().next().unwrap();
            all.push((method, path.replace("{id}", "x"), kind.clone()));
        }
    }
    assert!(all.len() > 25, "{all:?}");
    all
}

#[rocket::async_test]
async fn r3_f17_every_route_reads_all_legal_forms_of_content_headers() {
    let app = support::app().await;
    app.account(ADA).await;
    let (access, browser) =
        (sign_in(&app).await.access, Browser::signed_in(&app, ADA, PASSWORD).await);
    for (method, path, kind) in operations_with_body(&app).await {
        let ask = async |headers: &[(&'static str, String)]| {
            let mut request = app.client.req(method, path.clone()).body("?");
            request.add_header(bearer(&access));
            request.add_header(browser.cookie_header().unwrap());
            for (name, value) in headers {
                request.add_header(Header::new(*name, value.clone()));
            }
            if path.starts_with("/oauth") {
                request = app.client.req(method, path.clone()).body("?");
                for (name, value) in headers {
                    request.add_header(Header::new(*name, value.clone()));
                }
            }
            Answer::of(request.dispatch().await).await
        };
        let content_type = |value: String| [("Content-Type", value)];
        for legal in [
            kind.clone(),
            format!("{kind};"),
            format!("{kind} ;"),
            format!("{kind} ; charset=utf-8"),
            format!("{kind};\tcharset=\"UTF-8\" ;"),
            format!("{};charset=\"utf-8\"", kind.to_uppercase()),
        ] {
            let answer = ask(&content_type(legal.clone())).await;
            let is_read =
                answer.status.code != 415 && !answer.body.contains("has to be application/");
            assert!(is_read, "{method} {path} {legal}: {answer:?}");
        }
        let plain = [("Content-Type", kind.clone()), ("Content-Encoding", "identity".to_owned())];
        assert_ne!(ask(&plain).await.status.code, 415, "{method} {path}");

        let refused = |answer: &Answer, sent: &str| match path.starts_with("/oauth") {
            true => {
                assert_eq!(answer.status, Status::BadRequest, "{path} {sent}: {answer:?}");
                assert_eq!(answer.json()["error"], "invalid_request", "{path} {sent}");
            }
            false => assert_eq!(answer.status.code, 415, "{method} {path} {sent}: {answer:?}"),
        };
        for other in [
            "text/plain".to_owned(),
            "nonsense".to_owned(),
            format!("{kind}; charset=iso-8859-1"),
            format!("{kind}; charset"),
            format!("{kind}, {kind}"),
        ] {
            let answer = ask(&content_type(other.clone())).await;
            refused(&answer, &other);
            assert_eq!(answer.header("accept"), kind, "{method} {path} {other}");
            let is_patch = method == Method::Patch;
            assert_eq!(answer.has("accept-patch"), is_patch, "{method} {path} {other}");
            let is_named = answer.body.contains(&*kind) || answer.body.contains("Accept");
            assert!(is_named, "{method} {path} {other}: {answer:?}");
        }
        for coding in ["gzip", "br", "identity, gzip", "x"] {
            let headers = [("Content-Type", kind.clone()), ("Content-Encoding", coding.to_owned())];
            let answer = ask(&headers).await;
            refused(&answer, coding);
            assert_eq!(answer.header("accept-encoding"), "identity", "{method} {path} {coding}");
            let is_named = answer.body.contains("Content-Encoding");
            assert!(is_named, "{method} {path} {coding}: {answer:?}");
        }
    }
    // the service acts on the body that it has read
    let request = app.client.post("/oauth/token").body(form(&sign_in_fields()));
    let kind = "application/x-www-form-urlencoded ; charset=\"utf-8\"";
    tokens(request.header(Header::new("Content-Type", kind)).dispatch().await).await;
    let request = app.client.post("/v1/password-resets").body(json!({ "email": ADA }).to_string());
    let request = request.header(Header::new("Content-Type", "application/json;"));
    assert_eq!(request.dispatch().await.status(), Status::Accepted);
}

#[rocket::async_test]
async fn r19_f18_invalid_scope_error_names_the_refused_scopes() {
    let app = support::app().await;
    app.account(ADA).await;
    let describe = async |fields: &[(&str, &str)]| {
        let (status, error, description) = described_error_of(app.token(fields).await).await;
        assert_eq!((status, error), invalid("invalid_scope"), "{fields:?}");
        description
    };
    let sign_in_with = |scope| [&sign_in_fields()[..], &[("scope", scope)]].concat();
    let named = describe(&sign_in_with("account.read orders.read x:y")).await;
    assert!(named.contains("the scope orders.read x:y"), "{named}");
    assert!(!named.contains("account.read"), "{named}");
    // the test's form encodes the blank as `+`, so the answer gives the hint
    assert!(named.contains("%2B"), "{named}");
    let named = describe(&sign_in_with("orders.read")).await;
    assert!(named.contains("orders.read") && !named.contains("%2B"), "{named}");
    let named = describe(&sign_in_with("account.read+account.write")).await;
    assert!(named.contains("account.read+account.write"), "{named}");
    let long = format!("x{}", "y".repeat(5_000));
    let named = describe(&sign_in_with(&long)).await;
    assert!(named.contains("xyyy") && named.len() < 400, "{named}");
    for malformed in ["\u{e9}", "a\"b", " "] {
        let named = describe(&sign_in_with(malformed)).await;
        assert!(named.contains("malformed"), "{malformed:?}: {named}");
    }
    // a session may have fewer scopes than its client
    let narrow = tokens(app.token(&sign_in_with("account.read")).await).await;
    let refresh = [("grant_type", "refresh_token"), ("client_id", "web")];
    let wider =
        [("refresh_token", narrow.refresh.as_str()), ("scope", "account.read account.write")];
    let named = describe(&[&refresh[..], &wider].concat()).await;
    assert!(named.contains("the scope account.write"), "{named}");
}

#[rocket::async_test]
async fn r18_f18_unencoded_plus_gets_the_same_hint_with_and_without_an_account() {
    let app = support::app().await;
    app.account("ada+tag@example.org").await;
    let ask = async |body: &str| {
        let request = app.client.post("/oauth/token").header(ContentType::Form).body(body);
        described_error_of(request.dispatch().await).await
    };
    let body = |username: &str, password: &str| {
        format!("grant_type=password&client_id=web&username={username}&password={password}")
    };
    let encoded = form(&[("", PASSWORD)])[1..].to_owned();
    let raw = PASSWORD.replace(' ', "+");
    for (username, other, password) in [
        ("ada+tag@example.org", "bob+tag@example.org", encoded.as_str()),
        ("ada%2Btag@example.org", "bob%2Btag@example.org", "a+wrong+long+password"),
    ] {
        let answer = ask(&body(username, password)).await;
        assert_eq!((answer.0, answer.1.clone()), invalid("invalid_grant"), "{username}");
        assert!(answer.2.contains("a + in a form is a blank"), "{username}: {}", answer.2);
        assert_eq!(answer, ask(&body(other, password)).await, "{other}");
    }
    for (username, password) in [
        // a form that is percent-encoded has its blanks as `+`
        ("ada%40example.org", "a+wrong+long+password"),
        ("ada%2Btag%40example.org", "a+wrong+long+password"),
        ("ada+tag%40example.org", "a+wrong+long+password"),
        ("ada%2Btag@example.org", "wrong"),
    ] {
        let answer = ask(&body(username, password)).await;
        assert!(!answer.2.contains("%2B"), "{username}: {}", answer.2);
    }
    let right = body("ada%2Btag@example.org", &raw);
    let request = app.client.post("/oauth/token").header(ContentType::Form).body(right);
    tokens(request.dispatch().await).await;
}

#[rocket::async_test]
async fn r4_f18_error_names_the_repeated_parameter() {
    let app = support::app().await;
    for name in ["scope", "username", "grant_type"] {
        let body = format!("{name}=a&{name}=b");
        let request = app.client.post("/oauth/token").header(ContentType::Form).body(body);
        let response = request.dispatch().await;
        assert_eq!(header(&response, "Accept"), None);
        let (status, error, description) = described_error_of(response).await;
        assert_eq!((status, error), invalid("invalid_request"));
        assert!(description.contains(name), "{description}");
    }
}
