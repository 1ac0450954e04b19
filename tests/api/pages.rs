//! Tests of pages (R46), and of the pages that explain problems.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use base64::Engine as _;
use rocket::http::{Accept, ContentType, Header};
use serde_json::{Value, json};
use vestibule::messages::{Language, Messages};
use vestibule::model::Digest;
use vestibule::templates::Templates;
use vestibule::testing::{PASSWORD, TestApp};
use vestibule::web::views;

use crate::support;
use crate::support::ADA;
use crate::support_pages::{Answer, OTHER, get, open, post, submit, use_link};

const PROBLEM_TYPES: [&str; 26] = [
    "malformed-json",
    "bad-request",
    "no-token",
    "invalid-token",
    "token-misplaced",
    "insufficient-scope",
    "not-found",
    "method-not-allowed",
    "link-unknown",
    "password-needed",
    "address-taken",
    "already-active",
    "link-expired",
    "request-timeout",
    "content-too-large",
    "unsupported-media-type",
    "invalid-fields",
    "rate-limited",
    "server-error",
    "unavailable",
    "invalid-request",
    "invalid-client",
    "invalid-grant",
    "unauthorized-client",
    "unsupported-grant-type",
    "invalid-scope",
];

/// Checks the rules that every page keeps.
fn assert_page_rules(page: &Answer) {
    let html = &page.body;
    let css = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let digest = Digest::of(css.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(digest.as_bytes());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let given = page.header("content-security-policy").to_owned();
    assert_eq!(given.replace("; frame-src 'self'", ""), policy);
    assert_eq!(given.contains("frame-src"), html.contains("<iframe"), "just what the page uses");
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        // F10: no proxy keeps or rewrites a page
        ("cache-control", "no-store, no-transform"),
        ("content-language", "en"),
        ("vary", "Accept-Language"),
    ] {
        assert_eq!(page.header(name), value);
    }
    assert!(!page.header("x-request-id").is_empty());
    assert!(!page.has("set-cookie") && !page.has("location") && !page.has("refresh"));
    assert_structure(html);
}

/// Checks the rules that the markup of every page keeps.
fn assert_structure(html: &str) {
    assert_structure_in("en", html);
}

fn assert_structure_in(tag: &str, html: &str) {
    assert!(html.to_lowercase().starts_with("<!doctype html>"));
    assert!(html.contains(&format!("<html lang=\"{tag}\">")));
    assert!(html.contains("name=\"viewport\" content=\"width=device-width, initial-scale=1\""));
    assert!(html.contains("<meta charset=\"utf-8\">"));
    let count = |needle: &str| html.matches(needle).count();
    assert_eq!((count("<h1>"), count("</h1>")), (1, 1), "{html}");
    assert!(count(" autofocus") <= 1, "more than one autofocus: {html}");
    assert_eq!((count("<main>"), count("<style>"), count("<title>")), (1, 1, 1));
    let title = html.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
    assert!(title.ends_with(" – Vestibule") && title.len() > " – Vestibule".len() + 3, "{title}");
    for banned in
        ["<script", "javascript:", " style=\"", " onclick", " onload", "@import", "url(", "<link"]
    {
        assert!(!html.contains(banned), "{banned} is in {html}");
    }
    // a page loads nothing from another site, and links to none
    for attribute in [" src=\"", " href=\"", " action=\""] {
        for rest in html.split(attribute).skip(1) {
            let url = rest.split('"').next().unwrap();
            let ours = url.starts_with("https://accounts.example.org/") || url.starts_with('#');
            assert!(ours || url.starts_with('/') && !url.starts_with("//"), "{attribute}{url}");
        }
    }
    for input in html.split("<input ").skip(1) {
        let input = input.split('>').next().unwrap();
        if input.contains("type=\"hidden\"") {
            continue;
        }
        let id = input.split("id=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(html.contains(&format!("<label for=\"{id}\">")), "no label for {id}");
    }
    for button in html.split("<button").skip(1) {
        let words = button.split('>').nth(1).unwrap().split('<').next().unwrap();
        assert!(!words.trim().is_empty(), "a button without a label");
    }
    for form in html.split("<form").skip(1) {
        assert!(form.split('>').next().unwrap().contains("method=\"post\""));
    }
    assert!(!html.contains("{{") && !html.contains("{%"), "{html}");
}

/// Every page that the service answers, good and bad.
async fn every_page(app: &TestApp) -> Vec<(&'static str, Answer)> {
    let mut pages = vec![("no letters", get(app, "/dev/mail").await)];
    let sign_up = async |password: &str| {
        app.sign_up(ADA, password).await;
        app.link_token(ADA).await
    };
    let token = sign_up(PASSWORD).await;
    pages.push(("waiting", open(app, &token).await));
    pages.push(("letters", get(app, "/dev/mail").await));
    let id = app.last_letter_to(ADA).await.id;
    pages.push(("letter", get(app, &format!("/dev/mail/{id}")).await));
    pages.push(("no such letter", get(app, "/dev/mail/x").await));
    let token = sign_up(OTHER).await;
    pages.push(("contested", open(app, &token).await));
    let weak = [("token", token.as_str()), ("password", "x")];
    pages.push(("refused", submit(app, "/activate", &weak).await));
    pages.push(("needed", submit(app, "/activate", &weak[..1]).await));
    let dropped = submit(app, "/activate/disavowal", &weak[..1]).await;
    pages.push(("dropped", dropped));
    let token = sign_up(PASSWORD).await;
    let press = [("token", token.as_str())];
    pages.push(("activated", submit(app, "/activate", &press).await));
    pages.push(("already", submit(app, "/activate", &press).await));
    pages.push(("already active", submit(app, "/activate/disavowal", &press).await));
    pages.push(("new link", submit(app, "/activate/new-link", &press).await));
    pages.push(("unknown", open(app, "x").await));
    app.sign_up("bob@example.org", PASSWORD).await;
    let token = app.link_token("bob@example.org").await;
    app.advance(std::time::Duration::from_secs(24 * 3_600));
    pages.push(("expired", open(app, &token).await));
    let delete = app.client.delete("/activate").dispatch().await;
    pages.push(("405", Answer::of(delete).await));
    let typed = app.client.post("/activate").header(ContentType::JSON).body("{}");
    pages.push(("415", Answer::of(typed.dispatch().await).await));
    let large = app.client.post("/activate").header(ContentType::Form).body("x".repeat(40_000));
    pages.push(("413", Answer::of(large.dispatch().await).await));
    let twice = app.client.post("/activate").header(ContentType::Form).body("token=a&token=a");
    pages.push(("400", Answer::of(twice.dispatch().await).await));
    pages.push(("below a page", get(app, "/activate/x").await));
    pages.push(("problem", get(app, "/problems/not-found").await));
    pages.push(("no such problem", get(app, "/problems/x").await));
    let nowhere = app.client.get("/nowhere").header(Accept::HTML);
    pages.push(("404", Answer::of(nowhere.dispatch().await).await));
    pages
}

#[rocket::async_test]
async fn r46_f10_every_page_has_the_required_headers_and_structure() {
    let app = support::app().await;
    let pages = every_page(&app).await;
    let statuses: Vec<(&str, u16)> =
        pages.iter().map(|(name, page)| (*name, page.status.code)).collect();
    assert_eq!(
        statuses,
        [
            ("no letters", 200),
            ("waiting", 200),
            ("letters", 200),
            ("letter", 200),
            ("no such letter", 404),
            ("contested", 200),
            ("refused", 422),
            ("needed", 409),
            ("dropped", 200),
            ("activated", 200),
            ("already", 200),
            ("already active", 409),
            ("new link", 202),
            ("unknown", 404),
            ("expired", 410),
            ("405", 405),
            ("415", 415),
            ("413", 413),
            ("400", 400),
            ("below a page", 404),
            ("problem", 200),
            ("no such problem", 404),
            ("404", 404),
        ]
    );
    for (_, page) in &pages {
        assert_page_rules(page);
    }
}

#[test]
fn every_page_links_to_the_next_step() {
    let messages = Messages::load(None, "en").unwrap();
    let templates = Templates::load(None, &messages).unwrap().strict().unwrap();
    let common = json!({ "service": "Vestibule", "base": "/id", "lang": "en", "css": "" });
    for views::Sample { name, context } in &views::samples::all() {
        let template = format!("page/{name}.html.tera");
        let html = templates.render(Language::ENGLISH, &template, &common, context).unwrap();
        let home = "<p class=\"service\"><a href=\"/id/account\">Vestibule</a></p>";
        assert!(html.contains(home), "{name}");
        let main = html.split("<main>").nth(1).unwrap().split("</main>").next().unwrap();
        let next = match *name {
            // the page tells the person that there is nothing more to do
            "disavowed" => continue,
            // these pages are for programmers, who came from elsewhere
            "problem" if context["request_id"].is_null() => continue,
            "account-letter-sent" if context["is_sign_up"] == true => "/id/account/sign-up",
            "account-letter-sent" => "/id/account/forgotten-password",
            "email-change-expired" => "/id/account/email",
            "account-deleted" => "/id/account/sign-up",
            "new-link-sent"
            | "address-taken"
            | "link-unknown"
            | "email-change-too-late"
            | "problem" => "/id/account",
            _ => "",
        };
        let links = main.matches("<a href=\"/id/").count() + main.matches("<form ").count();
        assert!(links > 0 || name.starts_with("dev-") || *name == "account-events", "{name}");
        assert!(
            main.contains(&format!("<a href=\"{next}\">")) || next.is_empty(),
            "{name}: {main}"
        );
    }
}

#[rocket::async_test]
async fn r46_pages_ignore_redirect_parameters() {
    let app = support::app().await;
    app.sign_up(ADA, PASSWORD).await;
    let token = app.link_token(ADA).await;
    for extra in
        ["next=//evil.example", "next=https://evil.example", "return_to=%2F%2Fevil.example"]
    {
        let page = get(&app, &format!("/activate?token={token}&{extra}")).await;
        let page = page.page(200, "Confirm your email address");
        assert!(!page.body.contains("evil"));
        assert_page_rules(&page);
    }
    let fields =
        [("next", "//evil.example"), ("token", token.as_str()), ("redirect", "//evil.example")];
    let page =
        submit(&app, "/activate", &fields).await.page(200, "Your email address is confirmed");
    assert!(!page.body.contains("evil") && !page.has("location"));
}

#[rocket::async_test]
async fn r46_error_page_shows_the_request_id() {
    let app = support::app().await;
    let request = app.client.get("/problems/x").header(Header::new("X-Request-Id", "abc-123"));
    let page = Answer::of(request.dispatch().await).await.page(404, "Not found");
    assert!(page.body.contains("abc-123"));
    let page = get(&app, "/problems/not-found").await.page(200, "Not found");
    assert!(!page.body.contains("If you ask for help"));
}

#[rocket::async_test]
async fn every_problem_type_has_a_page_with_advice() {
    let app = support::app().await;
    for slug in PROBLEM_TYPES {
        let page = get(&app, &format!("/problems/{slug}")).await;
        assert_eq!(page.status.code, 200, "{slug}");
        assert_page_rules(&page);
        assert!(page.body.contains("What to do"), "{slug}");
        let letter = page.body.split("<main>").nth(1).unwrap().contains("letter");
        assert!(!letter || slug == "not-found", "pages say email, not letter: {}", page.body);
    }
    for slug in ["nothing", "", "not-found%00", "NOT-FOUND", "..%2f..", "not-found/x"] {
        let page = get(&app, &format!("/problems/{slug}")).await;
        page.page(404, "Not found");
    }
}

#[rocket::async_test]
async fn every_error_links_to_an_existing_page() {
    let app = support::app().await;
    app.sign_up(ADA, PASSWORD).await;
    app.sign_up(ADA, OTHER).await;
    let contested = app.link_token(ADA).await;
    let ada = app.signed_in("eve@example.org").await;
    let narrow = [
        ("grant_type", "password"),
        ("client_id", "kiosk"),
        ("username", "eve@example.org"),
        ("password", PASSWORD),
    ];
    let narrow = Answer::of(app.token(&narrow).await).await.json();
    let narrow = format!("Bearer {}", narrow["access_token"].as_str().unwrap());
    let narrow = app.client.patch("/v1/me").header(Header::new("Authorization", narrow));
    let mut answers = vec![
        use_link(&app, "x").await,
        use_link(&app, &contested).await,
        post(&app, "/v1/accounts", &json!({})).await,
        post(&app, "/v1/accounts", &json!([])).await,
        get(&app, "/v1/me").await,
        get(&app, "/v1/me?access_token=x").await,
        get(&app, "/v1/accounts").await,
        get(&app, "/nowhere").await,
        get(&app, "/v1/nowhere").await,
        get(&app, "/health/nowhere").await,
        Answer::of(ada.get("/v1/me/sessions/x").dispatch().await).await,
        Answer::of(ada.patch("/v1/me", &json!({ "name": 1 })).dispatch().await).await,
        Answer::of(narrow.header(ContentType::JSON).body("{}").dispatch().await).await,
    ];
    for fields in [
        vec![],
        vec![("grant_type", "magic")],
        vec![
            ("grant_type", "password"),
            ("client_id", "nobody"),
            ("username", "a"),
            ("password", "b"),
        ],
        vec![
            ("grant_type", "password"),
            ("client_id", "web"),
            ("username", "a"),
            ("password", "b"),
        ],
        vec![
            ("grant_type", "password"),
            ("client_id", "web"),
            ("username", ADA),
            ("password", PASSWORD),
        ],
        vec![("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", "x")],
        vec![("grant_type", "refresh_token"), ("client_id", "kiosk"), ("refresh_token", "x")],
        vec![
            ("grant_type", "password"),
            ("client_id", "web"),
            ("username", "eve@example.org"),
            ("password", PASSWORD),
            ("scope", "everything"),
        ],
    ] {
        answers.push(Answer::of(app.token(&fields).await).await);
    }
    answers.push(get(&app, "/oauth/token").await);
    answers.push(get(&app, "/oauth/nowhere").await);
    let mut seen = std::collections::BTreeSet::new();
    for answer in answers {
        assert!((400..500).contains(&answer.status.code), "{answer:?}");
        let problem: Value = answer.json();
        let uri = problem.get("type").or(problem.get("error_uri")).and_then(Value::as_str);
        let uri = uri.unwrap_or_else(|| panic!("no URI: {answer:?}"));
        let path = uri.strip_prefix("https://accounts.example.org").unwrap_or(uri);
        assert_eq!(path == uri, problem.get("type").is_some(), "error_uri is absolute");
        let page = get(&app, path).await;
        assert_eq!(page.status.code, 200, "{answer:?}");
        seen.insert(path.to_owned());
    }
    assert!(seen.len() >= 14, "{seen:?}");
}

/// Renders every page template with its samples, in every language.
#[test]
fn every_page_template_renders() {
    let messages = Messages::load(None, "en").unwrap();
    let templates = Templates::load(None, &messages).unwrap().strict().unwrap();
    let css = templates.stylesheet().unwrap();
    let samples = views::samples::all();
    for language in messages.languages() {
        let tag = messages.tag(language);
        let common = json!({ "service": "Vestibule", "base": "", "lang": tag, "css": css });
        for views::Sample { name, context } in &samples {
            let template = format!("page/{name}.html.tera");
            let html = templates.render(language, &template, &common, context);
            let html = html.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_structure_in(tag, &html);
            assert!(
                !html.contains("<strong class=\"value\"></strong>"),
                "an empty value in {name}"
            );
            assert!(!html.contains("{$") && !html.contains("<p></p>"), "a gap in {name}");
            // a page must not show a message's key in the place of its text
            for key in messages.phrases(language).keys().filter(|key| key.contains('-')) {
                let is_shown = html.contains(&format!(">{key}<"));
                assert!(!is_shown, "{key} is shown in {name}");
            }
        }
    }
    let shared = ["base", "components"];
    for name in templates.names() {
        let Some(name) = name.strip_prefix("page/") else { continue };
        let name = name.strip_suffix(".html.tera").unwrap();
        let has_context = samples.iter().any(|sample| sample.name == name);
        assert!(has_context || shared.contains(&name), "no test renders {name}");
    }
}

#[rocket::async_test]
async fn letter_preview_is_in_a_sandboxed_frame() {
    let app = support::app().await;
    app.sign_up(ADA, PASSWORD).await;
    let letter = app.last_letter_to(ADA).await;
    let part = get(&app, &format!("/dev/mail/{}/html", letter.id)).await;
    assert_eq!((part.status.code, part.body.as_str()), (200, letter.html.as_str()));
    let policy = part.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    assert!(!policy.contains("allow-scripts"));
    assert_eq!(part.header("cache-control"), "no-store, no-transform");
    let page = get(&app, &format!("/dev/mail/{}", letter.id)).await;
    assert!(page.body.contains("<iframe sandbox="));
    assert!(page.body.contains(&letter.link.unwrap()));
}

#[rocket::async_test]
async fn letter_previews_are_served_to_the_local_machine_only() {
    let app = support::app().await;
    for path in ["/dev/mail", "/dev/mail/x", "/dev/mail/x/html"] {
        let request = app.client.get(path).remote("203.0.113.7:4711".parse().unwrap());
        Answer::of(request.dispatch().await).await.page(404, "Not found");
    }
    let request = app.client.get("/dev/mail").remote("127.0.0.1:4711".parse().unwrap());
    assert_eq!(request.dispatch().await.status().code, 200);
}
