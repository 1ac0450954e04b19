//! Tests of the languages of letters and pages, and of the texts that an operator replaces.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Toml};
use rocket::http::{Accept, ContentType, Header, Status};
use serde_json::json;
use vestibule::config::{self, Settings};
use vestibule::messages::{Arguments, Language, Messages};
use vestibule::model::Locale;
use vestibule::template_check::TemplateCheck;
use vestibule::testing::{PASSWORD, TestApp};

use crate::letters::{decode_encoded_words, message};
use crate::support;
use crate::support::ADA;
use crate::support_pages::{Answer, OTHER, open, submit};

/// A page in a browser with this `Accept-Language`.
async fn get_in(app: &TestApp, path: &str, languages: &str) -> Answer {
    let request = app.client.get(path.to_owned()).header(Accept::HTML);
    Answer::of(
        request.header(Header::new("Accept-Language", languages.to_owned())).dispatch().await,
    )
    .await
}

async fn sign_up_in(app: &TestApp, locale: &str) -> String {
    let body = json!({ "email": ADA, "password": PASSWORD, "locale": locale });
    assert_eq!(app.post_json("/v1/accounts", &body).await.status(), Status::Accepted);
    app.link_token(ADA).await
}

#[rocket::async_test]
async fn page_is_in_the_language_of_the_accept_language_header() {
    let app = support::app().await;
    for (languages, tag, heading) in [
        ("de", "de", "Dieser Link funktioniert nicht"),
        ("de-AT,de;q=0.9,en;q=0.8", "de", "Dieser Link funktioniert nicht"),
        ("fr-CH, fr;q=0.9, de;q=0.7, *;q=0.5", "de", "Dieser Link funktioniert nicht"),
        ("en;q=0.9,de;q=0.8", "en", "This link does not work"),
        ("fr", "en", "This link does not work"),
        ("*", "en", "This link does not work"),
        ("", "en", "This link does not work"),
        ("de;q=0", "en", "This link does not work"),
        ("<script>,../de,\u{e4}", "en", "This link does not work"),
    ] {
        let page = get_in(&app, "/activate?token=x", languages).await.page(404, heading);
        assert_eq!(page.header("content-language"), tag, "{languages}");
        assert_eq!(page.header("vary"), "Accept-Language");
        assert!(page.body.contains(&format!("<html lang=\"{tag}\">")));
    }
    let long = "de-x-".repeat(13_000);
    get_in(&app, "/activate?token=x", &long).await.page(404, "This link does not work");
    let page = app.client.get("/activate?token=x");
    let page = page.header(Header::new("Accept-Language", "fr"));
    let page = page.header(Header::new("Accept-Language", "de"));
    Answer::of(page.dispatch().await).await.page(404, "Dieser Link funktioniert nicht");
}

#[rocket::async_test]
async fn r46_error_pages_are_localized_and_api_errors_are_english() {
    let app = support::app().await;
    for path in ["/nowhere", "/problems/x", "/dev/mail/x", "/activate/x"] {
        let page = get_in(&app, path, "de").await.page(404, "Nicht gefunden");
        assert!(page.body.contains("Was Sie tun können"), "{}", page.body);
        assert!(page.body.contains("Wenn Sie um Hilfe bitten"), "{}", page.body);
    }
    let page = get_in(&app, "/problems/link-expired", "de").await.page(200, "Link abgelaufen");
    assert!(page.body.contains("Fordern Sie eine neue E-Mail an."), "{}", page.body);
    get_in(&app, "/problems/link-expired", "en").await.page(200, "Link expired");
    // the more exact explanation exists in English only, so a German page leaves it out
    for path in ["/account/sign-in", "/activate"] {
        let request = app.client.post(path).header(ContentType::JSON).body("{}");
        let request = request.header(Header::new("Accept-Language", "de"));
        let page = Answer::of(request.dispatch().await).await;
        let page = page.page(415, "Inhaltstyp nicht unterstützt");
        assert!(page.body.contains("Der Inhalt der Anfrage hat nicht den Typ"), "{}", page.body);
        assert!(!page.body.contains("A form is sent as"), "{}", page.body);
    }
    let german = Header::new("Accept-Language", "de");
    let request = app.client.get("/v1/me").header(german.clone());
    let problem = Answer::of(request.dispatch().await).await.problem(401, "no-token").json();
    assert_eq!(problem["title"], "Access token needed");
    let request = app.client.post("/oauth/token").header(ContentType::Form).header(german);
    let error = Answer::of(request.body("grant_type=x").dispatch().await).await;
    assert!(error.body.is_ascii() && !error.has("content-language"), "{error:?}");
}

#[rocket::async_test]
async fn sign_up_in_german_gets_a_german_letter_and_page() {
    let app = support::app().await;
    let token = sign_up_in(&app, "de-AT").await;
    let letter = app.last_letter_to(ADA).await;
    let raw = message(&letter.raw);
    assert_eq!(raw.headers["content-language"], "de");
    let subject = &raw.headers["subject"];
    assert!(subject.is_ascii() && subject.starts_with("=?utf-8?"), "RFC 2047: {subject}");
    assert_eq!(decode_encoded_words(subject), "Bestätigen Sie Ihre E-Mail-Adresse für Vestibule");
    let link = letter.link.clone().unwrap();
    for part in raw.parts() {
        let text = part.text();
        assert!(text.contains("höchstwahrscheinlich Sie selbst"), "{text}");
        assert!(text.contains("1. Januar 2026 um 00:00 UTC"), "{text}");
        assert!(text.lines().any(|line| line == link), "the link is unbroken: {text}");
    }
    assert!(letter.html.contains("<html lang=\"de\">"));
    // the browser's language does not count
    let page = get_in(&app, &format!("/activate?token={token}"), "en").await;
    let page = page.page(200, "Bestätigen Sie Ihre E-Mail-Adresse");
    assert!(page.body.contains("1. Januar 2026 um 00:00 UTC"), "{}", page.body);
    assert_eq!(page.header("content-language"), "de");
    // the page after the button is in the same language
    let page = submit(&app, "/activate", &[("token", &token)]).await;
    page.page(200, "Ihre E-Mail-Adresse ist bestätigt");
}

#[rocket::async_test]
async fn letter_is_in_the_language_of_its_recipient_not_of_the_requester() {
    let app = support::app().await;
    let sign_up = async |languages: &str, locale: Option<&str>, password: &str| {
        let mut body = json!({ "email": ADA, "password": password });
        if let Some(locale) = locale {
            body["locale"] = json!(locale);
        }
        let request = app.client.post("/v1/accounts").header(ContentType::JSON);
        let request = request.header(Header::new("Accept-Language", languages.to_owned()));
        let answer = request.body(body.to_string()).dispatch().await;
        assert_eq!(answer.status(), Status::Accepted);
        let subject = app.last_letter_to(ADA).await.subject;
        app.advance(std::time::Duration::from_secs(3_600));
        subject
    };
    let german = "Bestätigen Sie Ihre E-Mail-Adresse für Vestibule";
    // without a chosen language the browser's counts
    assert_eq!(sign_up("de-DE,en;q=0.5", None, PASSWORD).await, german);
    assert_eq!(sign_up("fr", Some("de"), PASSWORD).await, german);
    // the sign-up has a language now, so every letter about it is in that language
    assert_eq!(sign_up("en", None, PASSWORD).await, german);
    app.post_json("/v1/activation-mails", &json!({ "email": ADA })).await;
    assert_eq!(app.last_letter_to(ADA).await.subject, german);
    assert_eq!(app.activate(ADA).await, Status::Ok);
    app.advance(std::time::Duration::from_secs(3_600));
    // a stranger who reads English tries the address
    let subject = sign_up("en", Some("en"), OTHER).await;
    assert_eq!(subject, "Sie haben bereits ein Konto bei Vestibule");
}

#[rocket::async_test]
async fn unsupported_locale_falls_back_to_browser_and_default_language() {
    let app = support::app().await;
    let token = sign_up_in(&app, "fr").await;
    let letter = app.last_letter_to(ADA).await;
    assert_eq!(letter.subject, "Confirm your email address for Vestibule");
    let page = get_in(&app, &format!("/activate?token={token}"), "de").await;
    page.page(200, "Bestätigen Sie Ihre E-Mail-Adresse");
    open(&app, &token).await.page(200, "Confirm your email address");
}

#[rocket::async_test]
async fn password_errors_are_in_the_language_of_the_page() {
    let app = support::app().await;
    app.sign_up(ADA, PASSWORD).await;
    app.sign_up(ADA, OTHER).await;
    let token = app.link_token(ADA).await;
    for (language, password, words) in [
        ("de", "kurz", "Ein Passwort hat mindestens 15 Zeichen"),
        ("de", "ada@example.org", "Dieses Passwort ist Ihre E-Mail-Adresse"),
        ("de", "vestibulevestibule", "Dieses Passwort ist der Name dieses Dienstes"),
        ("en", "short", "A password has at least 15 characters"),
    ] {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("token", &token)
            .append_pair("password", password)
            .finish();
        let request = app.client.post("/activate").header(ContentType::Form).body(body);
        let request = request.header(Header::new("Accept-Language", language));
        let page = Answer::of(request.dispatch().await).await;
        assert_eq!(page.status.code, 422);
        assert!(page.body.contains(words), "{words}: {}", page.body);
        let field = page.body.split("id=\"password\"").nth(1).unwrap().split('>').next().unwrap();
        assert!(!field.contains("value="), "the page does not repeat the password");
    }
}

#[rocket::async_test]
async fn default_language_is_configurable() {
    let app = support::configured("[default.vestibule.messages]\ndefault_locale = \"de\"").await;
    app.sign_up(ADA, PASSWORD).await;
    let letter = app.last_letter_to(ADA).await;
    assert_eq!(letter.subject, "Bestätigen Sie Ihre E-Mail-Adresse für Vestibule");
    open(&app, "x").await.page(404, "Dieser Link funktioniert nicht");
    get_in(&app, "/activate?token=x", "en").await.page(404, "This link does not work");
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn toml(section: &str, folder: &Path) -> String {
    format!("[default.vestibule.{section}]\ndirectory = \"{}\"\n", folder.display())
}

#[rocket::async_test]
async fn a_message_file_replaces_one_file_and_a_folder_adds_a_language() {
    let folder = tempfile::TempDir::new().unwrap();
    let german = include_str!("../../messages/de/page.ftl");
    let german = german.replace("Dieser Link funktioniert nicht", "Oje, dieser Link");
    write(folder.path(), "de/page.ftl", &german);
    write(folder.path(), "fr/mots.ftl", "link-unknown = Ce lien ne fonctionne pas\n");
    let app = support::configured(&toml("messages", folder.path())).await;
    get_in(&app, "/activate?token=x", "de").await.page(404, "Oje, dieser Link");
    let page = get_in(&app, "/activate?token=x", "fr-CH").await;
    let page = page.page(404, "Ce lien ne fonctionne pas");
    assert_eq!(page.header("content-language"), "fr");
    assert!(page.body.contains("It may not be whole"), "the rest is English: {}", page.body);
    sign_up_in(&app, "de").await;
    let letter = app.last_letter_to(ADA).await;
    assert_eq!(
        letter.subject, "Bestätigen Sie Ihre E-Mail-Adresse für Vestibule",
        "a message of another file"
    );
}

fn load_check(toml: &str) -> Result<TemplateCheck, String> {
    let all = format!("[default.vestibule]\npublic_url = \"https://accounts.example.org\"\n{toml}");
    let figment = Figment::new().merge(Toml::string(&all).nested()).select("debug");
    let figment = config::defaults(figment);
    let settings = Settings::read(&figment).unwrap();
    TemplateCheck::read(settings, &figment).map_err(|error| error.to_string())
}

fn findings(toml: &str) -> Vec<String> {
    load_check(toml).unwrap().check().unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn compiled_in_texts_pass_the_check() {
    assert_eq!(findings(""), [""; 0]);
}

/// Checks, without the command, the rule that `vestibule templates check` relies on.
#[test]
fn every_language_has_the_same_messages_with_the_same_variables() {
    let messages = Messages::load(None, "en").unwrap();
    let all = |language: Language| -> Vec<String> {
        let keys = messages.phrases(language).keys();
        keys.filter(|key| !key.starts_with("problem-"))
            .map(|key| format!("{key} {:?}", messages.variables(language, key)))
            .collect()
    };
    let tags: Vec<&str> = messages.languages().map(|language| messages.tag(language)).collect();
    assert_eq!(tags, ["en", "de"]);
    let english = all(Language::ENGLISH);
    assert!(english.len() > 150);
    for language in messages.languages() {
        assert_eq!(all(language), english);
    }
}

/// *Letter* is the code's word, and *address* alone is a street address: neither is in a text for
/// people.
#[test]
fn texts_for_users_say_email_and_email_address() {
    let english = [
        include_str!("../../messages/en/account.ftl"),
        include_str!("../../messages/en/mail.ftl"),
        include_str!("../../messages/en/page.ftl"),
    ];
    let words = english.join("\n");
    let words = words.lines().filter(|line| !line.starts_with('#')).map(|line| {
        // the key before the `=` is not shown to people
        line.split_once(" =").map_or(line, |(_, words)| words).to_lowercase()
    });
    let letters: Vec<_> = words.filter(|line| line.contains("letter")).collect();
    assert_eq!(letters.len(), 1, "only the letters from a to z: {letters:?}");
    let messages = Messages::load(None, "en").unwrap();
    for (tag, label) in [("en", "Email address"), ("de", "E-Mail-Adresse")] {
        let language = messages.best(&Locale::parse(tag).unwrap()).unwrap();
        let said = messages.try_format(language, "page-address", &Arguments::default());
        assert_eq!(said.unwrap(), label);
    }
}

#[test]
fn template_check_reports_mistakes_with_file_and_line() {
    let folder = tempfile::TempDir::new().unwrap();
    let page = include_str!("../../messages/de/page.ftl");
    let page = page.replace("activate-confirm = E-Mail-Adresse bestätigen\n", "");
    let page = page.replace("Das Konto für { $email }", "Das Konto für { $mail }");
    write(folder.path(), "messages/de/page.ftl", &format!("{page}\nnobody-asks = Hallo\n"));
    let template = "{% extends \"page/base.html.tera\" %}\n{% block content %}\n\
        {{ t(key=\"no-such-key\") }}\n{{ t(key=\"disavowed\", name=\"x\") }}\n\
        {{ t(key=\"disavowed.title\") }}{{ t(key=\"disavowed-thanks\") }}\n{{ nothing }}\n\
        {% endblock content %}\n";
    write(folder.path(), "templates/page/disavowed.html.tera", template);
    let toml = toml("messages", &folder.path().join("messages"))
        + &toml("templates", &folder.path().join("templates"));
    let found = findings(&toml);
    let line_of = |needle: &str| {
        let text = std::fs::read_to_string(folder.path().join("messages/de/page.ftl")).unwrap();
        1 + text.lines().position(|line| line.starts_with(needle)).unwrap()
    };
    for (file, line, finding) in [
        ("messages/de/page.ftl", line_of("activated-ready"), "`activated-ready` uses $mail"),
        ("messages/de/page.ftl", line_of("nobody-asks"), "nothing uses `nobody-asks`"),
        ("page/disavowed.html.tera", 3, "`no-such-key` is missing in `en`"),
        ("page/disavowed.html.tera", 4, "`disavowed` does not use `name`"),
    ] {
        let place = format!("{file}:{line}: ");
        let is_there = found.iter().any(|found| found.contains(&place) && found.contains(finding));
        assert!(is_there, "{place}{finding}\n{}", found.join("\n"));
    }
    assert!(found.iter().any(|found| found.contains("`activate-confirm` is missing in `de`")));
}

#[test]
fn broken_override_is_refused_with_file_and_line() {
    for (section, name, text, problem) in [
        ("messages", "de/page.ftl", "a = b\n\n{ oh\n", "de/page.ftl:3: "),
        ("messages", "de/page.ftl", "a = b\nc = { $\n", "de/page.ftl:"),
        ("messages", "de/page.ftl", "a = b\nb = b\na = c\n", "de/page.ftl:3: `a` is defined twice"),
        ("messages", "de/page.ftl", "mail-greeting = Hallo", "`mail-greeting` is defined twice"),
        ("messages", "de/pages.ftl", "a = b", "did you mean page.ftl?"),
        ("messages", "de/page.txt", "a = b", "expected message files"),
        ("messages", "deutsch!/page.ftl", "a = b", "expected a folder for a language"),
        ("messages", "page.ftl", "a = b", "expected a folder for a language"),
        ("templates", "page/problem.html.tera", "\n{% if %}", "page/problem.html.tera:2: "),
        ("templates", "page/problems.html.tera", "", "did you mean page/problem.html.tera?"),
    ] {
        let folder = tempfile::TempDir::new().unwrap();
        write(folder.path(), name, text);
        let error = load_check(&toml(section, folder.path())).unwrap_err();
        assert!(error.contains(problem), "{text}: {error}");
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
        assert!(error.contains(&format!("setting `vestibule.{section}.directory`")), "{error}");
    }
    let nowhere = toml("messages", Path::new("/nowhere/at/all"));
    assert!(load_check(&nowhere).unwrap_err().contains("/nowhere/at/all"));
    let error = load_check("[default.vestibule.messages]\ndefault_locale = \"fr\"\n").unwrap_err();
    assert!(error.contains("vestibule.messages.default_locale"), "{error}");
    assert!(error.contains("en, de"), "{error}");
}

#[test]
fn preview_writes_every_page_and_letter() {
    let folder = tempfile::TempDir::new().unwrap();
    let check = load_check("").unwrap();
    let index = check.preview(folder.path(), None).unwrap();
    let text = std::fs::read_to_string(&index).unwrap();
    let mut files = 0;
    for link in text.split("href=\"").skip(1) {
        let file = folder.path().join(link.split('"').next().unwrap());
        let shown = std::fs::read_to_string(&file).unwrap();
        assert!(!shown.contains("{{") && !shown.contains("{$"), "{}", file.display());
        files += 1;
    }
    assert!(files > 100, "{files}");
    let german = tempfile::TempDir::new().unwrap();
    check.preview(german.path(), Some("de")).unwrap();
    assert!(!german.path().join("en").exists() && german.path().join("de").exists());
    assert!(check.preview(german.path(), Some("fr")).is_err());
}
