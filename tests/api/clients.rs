//! Tests of registered clients, in the settings and in the database: lifetimes of their own, and
//! the rotation of secrets (R11, R16, R26).

use std::time::Duration;

use rocket::http::Status;
use rocket::local::asynchronous::LocalResponse;
use serde_json::Value;
use vestibule::config::{ClientSettings, Introspects, Lifetime};
use vestibule::model::{Client, ClientId, Digest, RegistrationError};
use vestibule::oauth::{
    ClientError, ClientList, OAuth, RegisteredClient, RegisteredIn, TokenKind, TokenState,
};
use vestibule::storage::StoreError;
use vestibule::testing::{BEGINNING, PASSWORD, TestApp};

use crate::support::{
    self, ADA, basic, described_error_of, error_of, invalid, opens, post_form_with, raw_basic,
    refreshed, sign_in, tokens,
};
use crate::support_clients::{
    SECRET, add, confidential, id, introspect, public, refresh_with, rotate, sha256, sign_in_with,
    try_to_add,
};

const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);

async fn app() -> TestApp {
    let app = support::app().await;
    app.account(ADA).await;
    app
}

async fn request_tokens<'a>(app: &'a TestApp, client: &str, secret: &str) -> LocalResponse<'a> {
    let fields = [("grant_type", "password"), ("username", ADA), ("password", PASSWORD)];
    post_form_with(app, "/oauth/token", basic(client, secret), &fields).await
}

/// Presents a refresh token as a public client.
async fn refresh_as_public_client<'a>(
    app: &'a TestApp,
    client: &str,
    token: &str,
) -> LocalResponse<'a> {
    let fields = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
    app.token(&fields).await
}

async fn is_client(app: &TestApp, client: &str, secret: &str) -> bool {
    let response = request_tokens(app, client, secret).await;
    match response.status() {
        Status::Ok => true,
        _ => {
            let expected = (Status::Unauthorized, "invalid_client".to_owned());
            assert_eq!(error_of(response).await, expected);
            false
        }
    }
}

fn hours(hours: u64) -> Option<Lifetime> {
    Some(Lifetime::from_secs(hours * 3_600))
}

#[rocket::async_test]
async fn database_client_works_like_a_client_of_the_settings() {
    let app = app().await;
    assert!(!is_client(&app, "desk", SECRET).await);
    add(&app, "desk", &confidential()).await;
    let first = sign_in_with(&app, basic("desk", SECRET)).await;
    assert_eq!((first.scope.as_str(), first.expires_in), ("account.read account.write", 900));
    let second = tokens(refresh_with(&app, basic("desk", SECRET), &first.refresh).await).await;
    assert!(opens(&app, &second.access).await);
    assert_eq!(introspect(&app, "desk", &second.access).await["client_id"], "desk");
    assert_eq!(introspect(&app, "shop", &second.access).await["active"], false);
    let fields = [("token", second.refresh.as_str())];
    let answer = post_form_with(&app, "/oauth/revoke", basic("desk", SECRET), &fields).await;
    assert_eq!(answer.status(), Status::Ok);
    assert!(!opens(&app, &second.access).await);
}

#[rocket::async_test]
async fn r11_r16_unknown_disabled_and_removed_clients_and_wrong_secrets_get_the_same_error() {
    let app = app().await;
    for client in ["desk", "closed", "gone"] {
        add(&app, client, &confidential()).await;
        assert!(is_client(&app, client, SECRET).await);
    }
    assert!(app.oauth().disable_client(&id("closed")).await.unwrap());
    app.oauth().remove_client(&id("gone")).await.unwrap();
    // the two kinds differ in the hint about a `+`, as which a blank is sent
    let with_blank = [
        ("nobody", SECRET),
        ("desk", "wrong secret"),
        ("closed", SECRET),
        ("closed", "wrong secret"),
        ("gone", SECRET),
    ];
    let without = [("nobody", "wrong"), ("desk", "wrong"), ("desk", ""), ("closed", "wrong")];
    for attempts in [&with_blank[..], &without] {
        let mut answers = vec![];
        for (client, secret) in attempts {
            answers.push(described_error_of(request_tokens(&app, client, secret).await).await);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    assert!(app.oauth().enable_client(&id("closed")).await.unwrap());
    assert!(is_client(&app, "closed", SECRET).await);
}

#[rocket::async_test]
async fn r8_r13_impossible_client_ids_are_unknown_on_both_engines() {
    let app = app().await;
    let long = "x".repeat(10_000);
    for pair in ["sh\0op:x", "sh%00op:x", "%01:x", &format!("{long}:x")] {
        let fields = [("grant_type", "password"), ("username", ADA), ("password", PASSWORD)];
        let answer = post_form_with(&app, "/oauth/token", raw_basic(pair), &fields).await;
        let expected = (Status::Unauthorized, "invalid_client".to_owned());
        assert_eq!(error_of(answer).await, expected, "{pair}");
    }
}

#[rocket::async_test]
async fn r11_old_secret_works_beside_the_new_one_until_its_end() {
    let app = app().await;
    add(&app, "desk", &confidential()).await;
    let oauth = app.oauth();
    let digest = |secret: &str| Digest::of(secret.as_bytes());
    rotate(oauth, &id("desk"), &digest("second"), 24 * HOUR).await.unwrap();
    assert!(is_client(&app, "desk", SECRET).await && is_client(&app, "desk", "second").await);
    assert!(!is_client(&app, "desk", "third").await);
    app.advance(24 * HOUR - SECOND);
    assert!(is_client(&app, "desk", SECRET).await && is_client(&app, "desk", "second").await);
    app.advance(SECOND);
    assert!(!is_client(&app, "desk", SECRET).await && is_client(&app, "desk", "second").await);

    // a secret before the last one does not come back
    rotate(oauth, &id("desk"), &digest("third"), HOUR).await.unwrap();
    assert!(!is_client(&app, "desk", SECRET).await);
    rotate(oauth, &id("desk"), &digest("fourth"), HOUR).await.unwrap();
    assert!(!is_client(&app, "desk", "second").await, "only the immediate predecessor works");
    assert!(is_client(&app, "desk", "third").await && is_client(&app, "desk", "fourth").await);

    // a keep time of zero ends the old secret at once
    rotate(oauth, &id("desk"), &digest("fifth"), Duration::ZERO).await.unwrap();
    assert!(!is_client(&app, "desk", "fourth").await && is_client(&app, "desk", "fifth").await);
}

#[rocket::async_test]
async fn s15_ended_secret_stays_refused_when_the_clock_steps_back() {
    let app = app().await;
    add(&app, "desk", &confidential()).await;
    let digest = |secret: &str| Digest::of(secret.as_bytes());
    rotate(app.oauth(), &id("desk"), &digest("second"), Duration::ZERO).await.unwrap();
    app.step_back(HOUR);
    assert!(!is_client(&app, "desk", SECRET).await, "the old secret ended at once");
    assert!(is_client(&app, "desk", "second").await);
    rotate(app.oauth(), &id("desk"), &digest("third"), HOUR).await.unwrap();
    assert!(is_client(&app, "desk", "second").await);
    app.advance(HOUR);
    assert!(!is_client(&app, "desk", "second").await);
    assert_eq!(app.purge().await, 1);
    app.step_back(HOUR);
    assert!(!is_client(&app, "desk", "second").await, "the old secret is deleted");
}

#[rocket::async_test]
async fn secret_rotation_keeps_sessions() {
    let app = app().await;
    add(&app, "desk", &confidential()).await;
    let pair = sign_in_with(&app, basic("desk", SECRET)).await;
    let digest = Digest::of(b"second");
    rotate(app.oauth(), &id("desk"), &digest, Duration::ZERO).await.unwrap();
    assert!(opens(&app, &pair.access).await);
    assert_eq!(refresh_with(&app, basic("desk", SECRET), &pair.refresh).await.status().code, 401);
    tokens(refresh_with(&app, basic("desk", "second"), &pair.refresh).await).await;
}

#[rocket::async_test]
async fn r26_lifetimes_of_a_client_override_the_defaults() {
    let toml = "[default.vestibule.clients.web]\n\
        access_ttl = \"1h\"\nrefresh_idle_ttl = \"2h\"\nsession_ttl = \"3h\"";
    let app = support::configured(toml).await;
    app.account(ADA).await;
    let described = ClientSettings {
        access_ttl: hours(1),
        refresh_idle_ttl: hours(2),
        session_ttl: hours(3),
        ..public()
    };
    add(&app, "desk", &described).await;
    for client in ["web", "desk"] {
        let first = app.sign_in_to(client, ADA).await;
        app.advance(HOUR - SECOND);
        assert!(opens(&app, &first.access_token).await, "{client}");
        app.advance(SECOND);
        assert!(!opens(&app, &first.access_token).await, "{client}");
        // a session of this client may idle for one hour and lives for two
        app.advance(HOUR - SECOND);
        let second =
            tokens(refresh_as_public_client(&app, client, &first.refresh_token).await).await;
        assert_eq!(second.expires_in, 3_600, "{client}");
        app.advance(HOUR / 2);
        let third = tokens(refresh_as_public_client(&app, client, &second.refresh).await).await;
        assert_eq!(third.expires_in, 1_801, "{client}: no longer than its session");
        app.advance(HOUR / 2 + SECOND);
        assert!(!opens(&app, &third.access).await, "{client}");
        let answer = refresh_as_public_client(&app, client, &third.refresh).await;
        assert_eq!(error_of(answer).await, invalid("invalid_grant"), "{client}");

        let idle = app.sign_in_to(client, ADA).await;
        app.advance(2 * HOUR);
        let answer = refresh_as_public_client(&app, client, &idle.refresh_token).await;
        assert_eq!(error_of(answer).await, invalid("invalid_grant"), "{client}");
    }
    // other clients have the default lifetimes
    assert_eq!(sign_in_with(&app, basic("shop", SECRET)).await.expires_in, 900);
}

#[rocket::async_test]
async fn resource_server_introspects_tokens_and_gets_none() {
    let app = app().await;
    let described = ClientSettings {
        grants: vec![],
        scopes: vec![],
        introspects: Introspects::All,
        ..confidential()
    };
    add(&app, "notes", &described).await;
    let ada = sign_in(&app).await;
    assert_eq!(introspect(&app, "notes", &ada.access).await["active"], true);
    assert_eq!(introspect(&app, "notes", &ada.refresh).await["active"], true);
    let unauthorized = invalid("unauthorized_client");
    assert_eq!(error_of(request_tokens(&app, "notes", SECRET).await).await, unauthorized);
    let answer = refresh_with(&app, basic("notes", SECRET), &ada.refresh).await;
    assert_eq!(error_of(answer).await, unauthorized);
}

#[rocket::async_test]
async fn database_clients_follow_the_rules_of_the_settings() {
    let app = app().await;
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let short = Lifetime::from(Duration::from_millis(999));
    let all = || public();
    for (described, wrong, key) in [
        (ClientSettings { public: false, ..all() }, RegistrationError::NoAuthentication, ""),
        (
            ClientSettings { secret_sha256: Some(sha256("x")), ..all() },
            RegistrationError::PublicWithSecret,
            "",
        ),
        (
            ClientSettings { public: false, secret_sha256: Some("x".into()), ..all() },
            RegistrationError::Digest,
            "secret_sha256",
        ),
        (ClientSettings { grants: vec![], ..all() }, RegistrationError::NoGrant, "grants"),
        (
            ClientSettings { grants: words(&["refresh_token"]), ..all() },
            RegistrationError::RefreshOnly,
            "grants",
        ),
        (
            ClientSettings { grants: words(&["magic"]), ..all() },
            RegistrationError::Grant("magic".into()),
            "grants",
        ),
        (
            ClientSettings { scopes: words(&["a\"b"]), ..all() },
            RegistrationError::Scope("a\"b".into()),
            "scopes",
        ),
        (
            ClientSettings { access_ttl: Some(short), ..all() },
            RegistrationError::Lifetime,
            "access_ttl",
        ),
        (
            ClientSettings { refresh_idle_ttl: Some(short), ..all() },
            RegistrationError::Lifetime,
            "refresh_idle_ttl",
        ),
        (
            ClientSettings { session_ttl: Some(short), ..all() },
            RegistrationError::Lifetime,
            "session_ttl",
        ),
    ] {
        let error = try_to_add(app.oauth(), "desk", &described).await.unwrap_err();
        match error {
            ClientError::Registration { key: named, error } => {
                assert_eq!((error, named), (wrong, key));
            }
            other => panic!("{other:?}"),
        }
    }
    for origin in ["*", "null", "https://a.example/", "https://a.example:443", "ftp://a.example"] {
        let described = ClientSettings { allowed_origins: words(&[origin]), ..all() };
        let error = try_to_add(app.oauth(), "desk", &described).await.unwrap_err();
        let is_origin = matches!(&error, ClientError::Registration { key: "allowed_origins", .. });
        assert!(is_origin, "{origin}: {error:?}");
    }
    for wrong in ["", "a\nb", &"x".repeat(129)] {
        let error = try_to_add(app.oauth(), wrong, &all()).await.unwrap_err();
        assert!(matches!(error, ClientError::Registration { key: "", .. }), "{wrong}: {error:?}");
    }
    assert!(all_clients(app.oauth()).await.iter().all(|c| c.client.id != id("desk")));
}

#[rocket::async_test]
async fn clients_of_the_settings_take_precedence_and_cannot_be_changed() {
    let app = app().await;
    let oauth = app.oauth();
    let web = id("web");
    let is_in_settings = |error: ClientError| assert!(matches!(error, ClientError::InSettings));
    is_in_settings(try_to_add(oauth, "web", &public()).await.unwrap_err());
    is_in_settings(oauth.disable_client(&web).await.unwrap_err());
    is_in_settings(oauth.enable_client(&web).await.unwrap_err());
    is_in_settings(oauth.remove_client(&web).await.unwrap_err());
    let digest = Digest::of(b"x");
    is_in_settings(rotate(oauth, &web, &digest, HOUR).await.unwrap_err());

    // a disabled client was in the database before the settings named it
    let now = vestibule::testing::BEGINNING;
    let mut leftover = oauth.find_registered_client(&web).await.unwrap().0.client;
    leftover.scope = "other".parse().unwrap();
    app.store()
        .write(async |tx| {
            assert!(tx.insert_client(&leftover, now).await?);
            tx.disable_client(&leftover.id, now).await
        })
        .await
        .unwrap();
    let first = sign_in(&app).await;
    assert_eq!(first.scope, "account.read account.write");
    let second = refreshed(&app, &first.refresh).await;
    assert!(opens(&app, &second.access).await);
    let list = all_clients(oauth).await;
    let of_web: Vec<_> = list.iter().filter(|c| c.client.id == web).collect();
    assert_eq!(of_web.len(), 2);
    assert_eq!(of_web[0].registered_in, RegisteredIn::Settings);
    let shadowed = of_web[1].registered_in;
    assert!(matches!(shadowed, RegisteredIn::Database { is_shadowed: true, .. }), "{shadowed:?}");
    // the operator can remove it, which ends no session
    assert_eq!(oauth.remove_client(&web).await.unwrap().ended, 0);
    assert!(opens(&app, &second.access).await);
    is_in_settings(oauth.remove_client(&web).await.unwrap_err());
}

/// The clients of all pages of the list.
async fn all_clients(oauth: &OAuth) -> Vec<RegisteredClient> {
    let (mut list, mut all) = (oauth.list_clients(), Vec::new());
    while let Some(page) = list.next_page().await.unwrap() {
        all.extend(page);
    }
    all
}

/// A page holds a fixed number of the database's clients, and each client is on one page.
#[rocket::async_test]
async fn s11_clients_are_listed_page_by_page() {
    let app = app().await;
    let oauth = app.oauth();
    let declared: Vec<ClientId> =
        all_clients(oauth).await.into_iter().map(|c| c.client.id).collect();
    let page = usize::try_from(ClientList::PAGE).unwrap();
    let web = oauth.find_registered_client(&id("web")).await.unwrap().0.client;
    for (from, to) in [(0, page - 1), (page - 1, page), (page, 2 * page + 1)] {
        let clients =
            (from..to).map(|number| Client { id: id(&format!("n{number:06}")), ..web.clone() });
        let clients: Vec<Client> = clients.collect();
        let added = app.store().write(async |tx| {
            for client in &clients {
                assert!(tx.insert_client(client, BEGINNING).await?);
            }
            Ok::<_, StoreError>(())
        });
        added.await.unwrap();
        let mut expected: Vec<ClientId> = (0..to).map(|n| id(&format!("n{n:06}"))).collect();
        expected.extend(declared.iter().cloned());
        expected.sort_unstable();
        let (mut list, mut all) = (oauth.list_clients(), Vec::new());
        while let Some(clients) = list.next_page().await.unwrap() {
            assert!(clients.len() <= page + declared.len(), "{}", clients.len());
            all.extend(clients.into_iter().map(|c| c.client.id));
        }
        assert_eq!(all, expected);
    }
}

#[rocket::async_test]
async fn unknown_client_cannot_be_changed_and_taken_id_not_added() {
    let app = app().await;
    let oauth = app.oauth();
    let (unknown, digest) = (id("nobody"), Digest::of(b"x"));
    let is_unknown = |error: ClientError| assert!(matches!(error, ClientError::Unknown));
    is_unknown(oauth.find_registered_client(&unknown).await.unwrap_err());
    is_unknown(oauth.disable_client(&unknown).await.unwrap_err());
    is_unknown(oauth.enable_client(&unknown).await.unwrap_err());
    is_unknown(oauth.remove_client(&unknown).await.unwrap_err());
    is_unknown(rotate(oauth, &unknown, &digest, HOUR).await.unwrap_err());
    add(&app, "till", &public()).await;
    let error = try_to_add(oauth, "till", &public()).await.unwrap_err();
    assert!(matches!(error, ClientError::Taken));
    let error = rotate(oauth, &id("till"), &digest, HOUR).await.unwrap_err();
    assert!(matches!(error, ClientError::Public));
    assert!(!oauth.enable_client(&id("till")).await.unwrap());
    assert!(oauth.disable_client(&id("till")).await.unwrap());
    assert!(!oauth.disable_client(&id("till")).await.unwrap());
}

#[rocket::async_test]
async fn inspection_neither_uses_nor_ends_a_token() {
    let app = app().await;
    let state = async |token: &str| app.oauth().inspect(token).await.unwrap().state;
    add(&app, "desk", &public()).await;
    let first = app.sign_in_to("desk", ADA).await;
    let (access, refresh) = (first.access_token.clone(), first.refresh_token.clone());

    let found = app.oauth().inspect(&access).await.unwrap();
    assert_eq!((found.kind, found.is_whole), (Some(TokenKind::Access), true));
    assert_eq!(found.state, TokenState::Live);
    let owner = found.owner.unwrap();
    assert_eq!((owner.email.as_str(), owner.client_id), (ADA, id("desk")));
    assert!(owner.issued_at.is_some() && owner.expires_at.is_some());
    let found = app.oauth().inspect(&refresh).await.unwrap();
    assert_eq!((found.kind, found.state), (Some(TokenKind::Refresh), TokenState::Live));

    for text in ["", "x", "vat_x", &access[..20], &access.replace("vat_", "vrt_")] {
        let found = app.oauth().inspect(text).await.unwrap();
        assert_eq!((found.state, found.is_whole), (TokenState::Damaged, false), "{text}");
        assert!(found.owner.is_none() && found.session.is_none());
    }
    app.advance(Duration::from_secs(900));
    assert_eq!(state(&access).await, TokenState::Expired);
    let second = tokens(refresh_as_public_client(&app, "desk", &refresh).await).await;
    assert_eq!(state(&refresh).await, TokenState::Predecessor);
    app.settle().await;
    app.advance(HOUR);
    // an introspection does not count as a use
    assert_eq!(state(&second.access).await, TokenState::Expired);
    app.settle().await;
    assert_eq!(state(&refresh).await, TokenState::Predecessor);
    let third = tokens(refresh_as_public_client(&app, "desk", &second.refresh).await).await;
    assert_eq!(state(&refresh).await, TokenState::LateRetry);
    app.advance(HOUR);
    assert_eq!(state(&refresh).await, TokenState::Stolen);
    assert_eq!(state(&third.refresh).await, TokenState::Live, "the inspection ended no session");
    assert_eq!(state(&access).await, TokenState::RevokedOrReplaced);

    let stored = id("desk");
    app.store()
        .write(async |tx| tx.disable_client(&stored, vestibule::testing::BEGINNING).await)
        .await
        .unwrap();
    assert_eq!(state(&third.refresh).await, TokenState::ClientDisabled);
    app.store().write(async |tx| tx.delete_client(&stored).await).await.unwrap();
    assert_eq!(state(&third.refresh).await, TokenState::ClientUnknown);
    add(&app, "desk", &public()).await;
    assert_eq!(
        state(&third.refresh).await,
        TokenState::SessionUnknown,
        "the id belongs to another client now"
    );

    let idle = app.sign_in_to("desk", ADA).await;
    app.advance(14 * 24 * HOUR);
    assert_eq!(state(&idle.refresh_token).await, TokenState::SessionIdle);
    assert_eq!(state(&idle.access_token).await, TokenState::SessionIdle);
}

#[rocket::async_test]
async fn events_of_clients_belong_to_no_account() {
    let app = app().await;
    let oauth = app.oauth();
    let desk = id("desk");
    add(&app, "desk", &confidential()).await;
    rotate(oauth, &desk, &Digest::of(b"x"), HOUR).await.unwrap();
    oauth.disable_client(&desk).await.unwrap();
    oauth.disable_client(&desk).await.unwrap();
    oauth.enable_client(&desk).await.unwrap();
    oauth.remove_client(&desk).await.unwrap();
    let events = app.sign_in(ADA).await.get("/v1/me/events").dispatch().await;
    let events: Value = events.into_json().await.unwrap();
    assert!(!events.to_string().contains("client-"), "{events}");
}
