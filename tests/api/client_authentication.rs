//! Tests of client authentication (RFC 6749 §2.3): R11 to R16.

use rocket::http::{ContentType, Header, Status};
use sha2::{Digest as _, Sha256};
use vestibule::config::ClientSettings;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support;
use crate::support::{
    ADA, Tokens, basic, described_error_of, error_of, form, invalid, post_form_with, raw_basic,
    tokens,
};
use crate::support_clients;

const SECRET: &str = "shop secret";
/// A client id with the separators of Basic and of the form encoding.
const ODD_ID: &str = "my client:é+%41";
const ODD_SECRET: &str = "a b+c:é%41&=";

fn invalid_client() -> (Status, String) {
    (Status::Unauthorized, "invalid_client".to_owned())
}

/// The error for a client that sent neither an `Authorization` header nor a secret. [`error_of`]
/// checks that the answer has no challenge.
fn invalid_client_unchallenged() -> (Status, String) {
    invalid("invalid_client")
}

/// A password grant that does not name its client.
fn grant_without_client() -> Vec<(&'static str, &'static str)> {
    vec![("grant_type", "password"), ("username", ADA), ("password", PASSWORD)]
}

fn grant_with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    grant_without_client().into_iter().chain(more.iter().copied()).collect()
}

async fn app() -> TestApp {
    let app = support::app().await;
    app.account(ADA).await;
    app
}

async fn error_with_header(app: &TestApp, header: Header<'static>) -> (Status, String) {
    error_of(post_form_with(app, "/oauth/token", header, &grant_without_client()).await).await
}

async fn signed_in_to_shop(app: &TestApp) -> Tokens {
    let answer =
        post_form_with(app, "/oauth/token", basic("shop", SECRET), &grant_without_client()).await;
    tokens(answer).await
}

#[rocket::async_test]
async fn r11_correct_secret_is_accepted_in_header_and_in_body() {
    let app = app().await;
    let by_header = signed_in_to_shop(&app).await;
    let body = grant_with(&[("client_id", "shop"), ("client_secret", SECRET)]);
    let in_body = tokens(app.token(&body).await).await;
    for tokens in [by_header, in_body] {
        assert_eq!(tokens.scope, "account.read orders.read");
    }
}

#[rocket::async_test]
async fn r11_r16_failed_client_authentication_gets_the_same_401() {
    let app = app_with_disabled_clients().await;
    let (mut answers, mut with_hint) = (vec![], vec![]);
    for (id, secret) in [
        ("shop", "wrong"),
        ("shop", "335c3bbcf32031bcdb9e2f7aabeff5c9b34009746f7aa45e08816271c9a766e5"),
        ("nobody", "wrong"),
        ("web", "a public client has none"),
        ("gone-shop", support_clients::SECRET),
        ("gone-web", "a public client has none"),
        ("SHOP", SECRET),
        ("shop ", SECRET),
    ] {
        let by_header =
            post_form_with(&app, "/oauth/token", basic(id, secret), &grant_without_client()).await;
        // a blank is sent as `+`, and so gets the hint
        let same = if secret.contains(' ') { &mut with_hint } else { &mut answers };
        same.push(described_error_of(by_header).await);
        let body = grant_with(&[("client_id", id), ("client_secret", secret)]);
        same.push(described_error_of(app.token(&body).await).await);
    }
    // the header names the client, and its secret is empty
    for id in ["shop", "nobody", "gone-shop", "gone-web"] {
        let by_header =
            post_form_with(&app, "/oauth/token", basic(id, ""), &grant_without_client()).await;
        answers.push(described_error_of(by_header).await);
    }
    for mut answers in [answers, with_hint] {
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!((answers[0].0, answers[0].1.clone()), invalid_client());
    }
}

#[rocket::async_test]
async fn r16_f18_secret_with_unencoded_plus_gets_the_same_hint_for_every_client() {
    let app = app().await;
    let plus = support_clients::sha256("shop+secret");
    let described = ClientSettings { secret_sha256: Some(plus), ..support_clients::confidential() };
    support_clients::add(&app, "plus", &described).await;
    let token = ("token", "x");
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        let fields = [&grant_without_client()[..], &[token]].concat();
        let mut answers = vec![];
        for id in ["plus", "shop", "web", "nobody"] {
            let header = raw_basic(format!("{id}:shop+secre"));
            answers
                .push(described_error_of(post_form_with(&app, path, header, &fields).await).await);
            let body = format!("{}&client_id={id}&client_secret=shop+secre", form(&fields));
            let request = app.client.post(path).header(ContentType::Form).body(body);
            answers.push(described_error_of(request.dispatch().await).await);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{path}: {answers:?}");
        assert_eq!((answers[0].0, answers[0].1.clone()), invalid_client());
        assert!(answers[0].2.contains("a + in a form is a blank"), "{path}: {answers:?}");
        // without a plus there is no hint
        let header = raw_basic("plus:wrong");
        let answer = described_error_of(post_form_with(&app, path, header, &fields).await).await;
        assert!(!answer.2.contains("%2B"), "{path}: {answer:?}");
    }
    // the right secret, unencoded, is refused with the hint; encoded, it is accepted
    for (secret, is_right) in [("shop+secret", false), ("shop%2Bsecret", true)] {
        let header = raw_basic(format!("plus:{secret}"));
        let answer = post_form_with(&app, "/oauth/token", header, &grant_without_client()).await;
        assert_eq!(answer.status() == Status::Ok, is_right, "{secret}");
    }
}

/// The clients of the settings, with a disabled public client and a disabled confidential one.
async fn app_with_disabled_clients() -> TestApp {
    let app = app().await;
    for (name, registration) in
        [("gone-web", support_clients::public()), ("gone-shop", support_clients::confidential())]
    {
        support_clients::add(&app, name, &registration).await;
        assert!(app.oauth().disable_client(&support_clients::id(name)).await.unwrap());
    }
    app
}

/// Requests that name a client or none, and have no secret.
const WITHOUT_SECRET: [&[(&str, &str)]; 9] = [
    &[],
    &[("client_id", "")],
    &[("client_id", ""), ("client_secret", "")],
    &[("client_id", "nobody")],
    &[("client_id", "nobody"), ("client_secret", "")],
    &[("client_id", "shop")],
    &[("client_id", "shop"), ("client_secret", "")],
    &[("client_id", "gone-web")],
    &[("client_id", "gone-shop"), ("client_secret", "")],
];

#[rocket::async_test]
async fn r11_r15_f9_client_without_secret_gets_400_and_no_challenge() {
    let app = app_with_disabled_clients().await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "vrt_x")];
    let mut answers = vec![];
    for more in WITHOUT_SECRET {
        for (path, fields) in [
            ("/oauth/token", &grant_without_client()[..]),
            ("/oauth/token", &refresh),
            ("/oauth/revoke", &[("token", "x")]),
        ] {
            let answer = app.post_form(path, &[fields, more].concat()).await;
            let answer = described_error_of(answer).await;
            assert_eq!(
                (answer.0, answer.1.clone()),
                invalid_client_unchallenged(),
                "{path} {more:?}"
            );
            answers.push(answer);
        }
        // a script of a page sends its cookies and its `Origin`, too
        let headers = Header::new("Origin", "https://accounts.example.org");
        let fields = grant_with(more);
        let answer = post_form_with(&app, "/oauth/token", headers, &fields).await;
        assert_eq!(error_of(answer).await, invalid_client_unchallenged(), "{more:?}");
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[rocket::async_test]
async fn r11_f9_authorization_header_that_fails_gets_the_challenge() {
    let app = app_with_disabled_clients().await;
    for header in [
        basic("shop", "wrong"),
        basic("shop", ""),
        basic("nobody", ""),
        basic("gone-web", ""),
        raw_basic(""),
        Header::new("Authorization", ""),
        Header::new("Authorization", "Bearer vat_x"),
    ] {
        for (path, fields) in
            [("/oauth/token", grant_without_client()), ("/oauth/revoke", vec![("token", "x")])]
        {
            let described = format!("{path} {header:?}");
            let answer = post_form_with(&app, path, header.clone(), &fields).await;
            assert_eq!(error_of(answer).await, invalid_client(), "{described}");
            // the header decides; the body's `client_id` does not
            let fields = [&fields[..], &[("client_id", "web")]].concat();
            let answer = post_form_with(&app, path, header.clone(), &fields).await;
            let (status, error) = error_of(answer).await;
            let refused = [invalid_client(), invalid("invalid_request")];
            assert!(refused.contains(&(status, error)), "{described}");
        }
    }
}

#[rocket::async_test]
async fn r11_revocation_endpoint_refuses_a_wrong_client_secret() {
    let app = app().await;
    let fields = [("token", "x"), ("client_id", "shop"), ("client_secret", "wrong")];
    let answer = app.post_form("/oauth/revoke", &fields).await;
    assert_eq!(error_of(answer).await, invalid_client());
    let answer =
        post_form_with(&app, "/oauth/revoke", basic("shop", "wrong"), &[("token", "x")]).await;
    assert_eq!(error_of(answer).await, invalid_client());
}

#[rocket::async_test]
async fn r12_two_authentication_methods_in_one_request_are_refused() {
    let app = app().await;
    for (more, expected) in [
        (&[("client_secret", SECRET)][..], invalid("invalid_request")),
        (&[("client_secret", "wrong")], invalid("invalid_request")),
        (&[("client_id", "shop"), ("client_secret", SECRET)], invalid("invalid_request")),
        (&[("client_id", "web")], invalid("invalid_request")),
    ] {
        let header = basic("shop", SECRET);
        let answer = post_form_with(&app, "/oauth/token", header, &grant_with(more)).await;
        assert_eq!(error_of(answer).await, expected, "{more:?}");
    }
    for more in [
        &[("client_id", "shop")][..],
        &[("client_id", "shop"), ("client_secret", "")],
        &[("client_id", "")],
    ] {
        let header = basic("shop", SECRET);
        tokens(post_form_with(&app, "/oauth/token", header, &grant_with(more)).await).await;
    }
    let lone = grant_with(&[("client_secret", SECRET)]);
    assert_eq!(error_of(app.token(&lone).await).await, invalid("invalid_request"));
}

#[rocket::async_test]
async fn r13_malformed_authorization_header_gets_401() {
    let app = app().await;
    for header in [
        Header::new("Authorization", "Basic"),
        Header::new("Authorization", "Basic "),
        Header::new("Authorization", ""),
        Header::new("Authorization", "Basic !!!"),
        Header::new("Authorization", "Basic c2hvcDpzaG9wK3NlY3JldA"), // unpadded
        Header::new("Authorization", "Bearer vat_x"),
        Header::new("Authorization", "Negotiate c2hvcDpzaG9wK3NlY3JldA=="),
        raw_basic("shop"),
        raw_basic(""),
        raw_basic(":"),
        raw_basic(":shop secret"),
        raw_basic(b"shop:\xff"),
        raw_basic("shop:%ff"),
        raw_basic("shop:%zz"),
        raw_basic("shop:\0"),
        raw_basic("sh\0op:shop+secret"),
        raw_basic("sh%00op:"),
        raw_basic("x".repeat(65_536)),
    ] {
        let described = format!("{header:?}");
        assert_eq!(error_with_header(&app, header).await, invalid_client(), "{described}");
    }
}

#[rocket::async_test]
async fn r14_credentials_are_form_decoded_once() {
    let digest = hex::encode(Sha256::digest(ODD_SECRET));
    let app = support::configured(&format!(
        "[default.vestibule.clients.\"{ODD_ID}\"]\nsecret_sha256 = \"{digest}\"\n\
         grants = [\"password\"]\nscopes = [\"account.read\"]"
    ))
    .await;
    app.account(ADA).await;
    let header = basic(ODD_ID, ODD_SECRET);
    tokens(post_form_with(&app, "/oauth/token", header, &grant_without_client()).await).await;
    let body = grant_with(&[("client_id", ODD_ID), ("client_secret", ODD_SECRET)]);
    tokens(app.token(&body).await).await;

    // decoded twice, these credentials would be right
    let encode = |text: &str| percent(&percent(text));
    let twice = raw_basic(format!("{}:{}", encode(ODD_ID), encode(ODD_SECRET)));
    assert_eq!(error_with_header(&app, twice).await, invalid_client());
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[rocket::async_test]
async fn r14_scheme_is_case_insensitive_and_a_repeated_header_is_refused() {
    let app = app().await;
    let encoded = basic("shop", SECRET).value().trim_start_matches("Basic ").to_owned();
    for scheme in ["basic", "BASIC", "bAsIc", "Basic ", "Basic  "] {
        let header = Header::new("Authorization", format!("{scheme} {encoded}"));
        tokens(post_form_with(&app, "/oauth/token", header, &grant_without_client()).await).await;
    }
    let request = app.client.post("/oauth/token").header(rocket::http::ContentType::Form);
    let mut request = request.body(crate::support::form(&grant_without_client()));
    for _ in 0..2 {
        request.add_header(basic("shop", SECRET));
    }
    assert_eq!(error_of(request.dispatch().await).await, invalid("invalid_request"));
}

#[rocket::async_test]
async fn r15_refreshing_without_the_secret_leaves_the_token_unspent() {
    // with a grace of 0 s, a token that was spent by mistake ends its session
    let app = support::configured("[default.vestibule.tokens]\nreuse_grace = \"0s\"").await;
    app.account(ADA).await;
    let token = signed_in_to_shop(&app).await.refresh;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    for (more, expected) in [
        (&[][..], invalid_client_unchallenged()),
        (&[("client_id", "shop")], invalid_client_unchallenged()),
        (&[("client_id", "shop"), ("client_secret", "")], invalid_client_unchallenged()),
        (&[("client_id", "shop"), ("client_secret", "wrong")], invalid_client()),
    ] {
        let fields = [&fields[..], more].concat();
        assert_eq!(error_of(app.token(&fields).await).await, expected, "{more:?}");
    }
    let header = basic("shop", SECRET);
    tokens(post_form_with(&app, "/oauth/token", header, &fields).await).await;
}

#[rocket::async_test]
async fn r16_a_public_client_may_send_an_empty_secret() {
    let app = app().await;
    let header = basic("web", "");
    tokens(post_form_with(&app, "/oauth/token", header, &grant_without_client()).await).await;
    tokens(app.token(&grant_with(&[("client_id", "web"), ("client_secret", "")])).await).await;
}

#[rocket::async_test]
async fn requests_without_client_id_use_the_default_client() {
    let app = support::configured("[default.vestibule]\ndefault_client = \"web\"").await;
    app.account(ADA).await;
    assert_eq!(
        tokens(app.token(&grant_without_client()).await).await.scope,
        "account.read account.write"
    );
    let named = grant_with(&[("client_id", "kiosk")]);
    assert_eq!(tokens(app.token(&named).await).await.scope, "account.read");
    let unknown = grant_with(&[("client_id", "nobody")]);
    assert_eq!(error_of(app.token(&unknown).await).await, invalid_client_unchallenged());
}
