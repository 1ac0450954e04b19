//! Tests of letters as they are sent (R36, R37, R48, R49).

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is how a test fails"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rocket::http::{ContentType, Header, Status};
use serde_json::json;
use vestibule::config::PublicUrl;
use vestibule::mail::{Envelope, Letter, Rendered, Renderer, SentLetter};
use vestibule::messages::Messages;
use vestibule::model::Locale;
use vestibule::templates::Templates;
use vestibule::testing::{BEGINNING, PASSWORD, TestApp};

use crate::support;
use crate::support::ADA;
use crate::support_pages::{Answer, OTHER, open, post, rows, submit, unescape};

/// A part of a message: its headers by lower-case name, and its encoded body.
#[derive(Debug)]
pub struct Part {
    pub headers: BTreeMap<String, String>,
    body: String,
}

impl Part {
    fn parse(raw: &str) -> Self {
        let (head, body) = raw.split_once("\r\n\r\n").expect("headers, an empty line, a body");
        let mut headers = BTreeMap::new();
        for line in head.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n") {
            let (name, value) = line.split_once(':').expect("a header");
            let before = headers.insert(name.to_lowercase(), value.trim().to_owned());
            assert!(before.is_none(), "{name} is there twice");
        }
        Self { headers, body: body.to_owned() }
    }

    /// The parts of a `multipart/alternative`.
    pub fn parts(&self) -> Vec<Self> {
        let kind = &self.headers["content-type"];
        assert!(kind.starts_with("multipart/alternative;"), "{kind}");
        let boundary = kind.split("boundary=\"").nth(1).and_then(|b| b.split('"').next());
        let marker = format!("--{}", boundary.expect("a boundary"));
        let mut pieces: Vec<&str> = self.body.split(&marker).collect();
        assert!(pieces.pop().expect("an end").starts_with("--"));
        let whole = |piece: &&str| piece.strip_prefix("\r\n").expect("a part").to_owned();
        pieces.iter().skip(1).map(|piece| Self::parse(&whole(piece))).collect()
    }

    /// The body, decoded.
    pub fn text(&self) -> String {
        let lines = || self.body.replace("\r\n", "\n");
        let text = match self.headers["content-transfer-encoding"].as_str() {
            "7bit" => lines(),
            "base64" => {
                let packed: String = self.body.split_whitespace().collect();
                let text = String::from_utf8(STANDARD.decode(packed).unwrap()).unwrap();
                text.replace("\r\n", "\n")
            }
            other => panic!("{other}"),
        };
        match self.headers["content-type"].starts_with("text/html") {
            true => resolve_character_references(&text),
            false => text,
        }
    }
}

/// The HTML with decimal character references replaced by their characters.
fn resolve_character_references(html: &str) -> String {
    let mut pieces = html.split("&#");
    let mut text = pieces.next().unwrap().to_owned();
    for piece in pieces {
        match piece.split_once(';').and_then(|(code, rest)| Some((code.parse().ok()?, rest))) {
            Some((code, rest)) if code > 127 => {
                text.push(char::from_u32(code).expect("a character"));
                text.push_str(rest);
            }
            _ => {
                text.push_str("&#");
                text.push_str(piece);
            }
        }
    }
    text
}

fn decode_quoted_printable(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'=' {
            bytes.extend(hex::decode(&tail[..2]).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Decodes the encoded words of a header (RFC 2047).
pub fn decode_encoded_words(header: &str) -> String {
    let mut decoded = String::new();
    let mut was_encoded = false;
    for word in header.split(' ') {
        let inner = word.strip_prefix("=?utf-8?").and_then(|word| word.strip_suffix("?="));
        let Some((encoding, text)) = inner.and_then(|inner| inner.split_once('?')) else {
            decoded.push_str(if decoded.is_empty() { "" } else { " " });
            decoded.push_str(word);
            was_encoded = false;
            continue;
        };
        decoded.push_str(if was_encoded || decoded.is_empty() { "" } else { " " });
        decoded.push_str(&match encoding {
            "b" => String::from_utf8(STANDARD.decode(text).unwrap()).unwrap(),
            "q" => decode_quoted_printable(&text.replace('_', " ")),
            other => panic!("{other}"),
        });
        was_encoded = true;
    }
    decoded
}

/// Checks the rules for every message, and parses it.
pub fn message(raw: &[u8]) -> Part {
    let raw = String::from_utf8(raw.to_vec()).expect("UTF-8");
    assert!(raw.is_ascii(), "7 bits only");
    assert!(!raw.replace("\r\n", "").contains(['\r', '\n']), "CRLF only");
    assert!(raw.split("\r\n").all(|line| line.len() <= 998), "RFC 5322 §2.1.1");
    let message = Part::parse(&raw);
    for forbidden in ["bcc", "cc", "resent-to", "reply-to"] {
        assert!(!message.headers.contains_key(forbidden));
    }
    assert_eq!(message.headers["auto-submitted"], "auto-generated");
    assert_eq!(message.headers["mime-version"], "1.0");
    message
}

/// Checks that the letter has one text part and one HTML part, and returns their contents.
fn parts(letter: &SentLetter) -> (String, String) {
    let message = message(&letter.raw);
    let parts = message.parts();
    let kinds: Vec<&str> = parts.iter().map(|part| part.headers["content-type"].as_str()).collect();
    assert_eq!(
        kinds,
        ["text/plain; charset=utf-8", "text/html; charset=utf-8"],
        "the preferred part is the last"
    );
    let (text, html) = (parts[0].text(), parts[1].text());
    assert_eq!(text.trim_end(), letter.text.trim_end());
    assert_eq!(html.trim_end(), letter.html.trim_end());
    (text, html)
}

async fn letter_after_sign_up(app: &TestApp) -> SentLetter {
    assert_eq!(app.sign_up(ADA, PASSWORD).await, Status::Accepted);
    app.last_letter_to(ADA).await
}

#[rocket::async_test]
async fn r49_letter_has_from_to_subject_date_and_message_id() {
    let app = support::app().await;
    app.advance(Duration::from_secs(3_661));
    let letter = letter_after_sign_up(&app).await;
    let message = message(&letter.raw);
    assert_eq!(message.headers["from"], "Vestibule <no-reply@accounts.example.org>");
    assert_eq!(message.headers["to"], ADA);
    assert_eq!(message.headers["subject"], "Confirm your email address for Vestibule");
    let date = &message.headers["date"];
    assert!(date.starts_with("Thu, 01 Jan 2026 01:01:01"), "{date}");
    let id = format!("<{}@accounts.example.org>", letter.id);
    assert_eq!(message.headers["message-id"], id);
    assert_eq!(letter.to, ADA);
}

#[rocket::async_test]
async fn r49_link_is_unbroken_on_a_7bit_line_of_its_own() {
    let app = support::app().await;
    let letter = letter_after_sign_up(&app).await;
    let link = letter.link.clone().unwrap();
    assert!(link.len() > 76, "long enough to be wrapped by careless programs");
    for part in message(&letter.raw).parts() {
        assert_eq!(part.headers["content-transfer-encoding"], "7bit");
        assert!(part.body.split("\r\n").any(|line| line == link), "{}", part.body);
    }
    let (text, html) = parts(&letter);
    assert!(text.contains("24 hours") && html.contains("24 hours"));
    assert!(html.contains(&format!("<a href=\"{link}\"")), "{html}");
}

#[rocket::async_test]
async fn r49_service_name_beyond_ascii_is_preserved() {
    let app = support::configured("[default.vestibule]\nname = \"Vestíbulo 門\"").await;
    let letter = letter_after_sign_up(&app).await;
    let message = message(&letter.raw);
    assert_eq!(
        decode_encoded_words(&message.headers["subject"]),
        "Confirm your email address for Vestíbulo 門"
    );
    let from = decode_encoded_words(&message.headers["from"]);
    assert_eq!(from.replace('"', ""), "Vestíbulo 門 <no-reply@accounts.example.org>");
    let (text, html) = parts(&letter);
    assert!(text.contains("Vestíbulo 門") && html.contains("Vestíbulo 門"));
    let link = letter.link.unwrap();
    assert!(text.lines().any(|line| line == link), "{text}");
    let page = open(&app, link.split_once("token=").unwrap().1).await;
    assert!(page.body.contains("Vestíbulo 門"));
}

#[rocket::async_test]
async fn r49_long_service_name_stays_in_one_subject_header() {
    let name = "Ö ".repeat(80) + "end";
    let app = support::configured(&format!("[default.vestibule]\nname = \"{name}\"")).await;
    let letter = letter_after_sign_up(&app).await;
    let subject = decode_encoded_words(&message(&letter.raw).headers["subject"]);
    assert_eq!(subject, format!("Confirm your email address for {name}"));
}

#[rocket::async_test]
async fn r36_a_letter_has_one_recipient_in_the_folded_spelling() {
    let app = support::app().await;
    for (typed, folded) in [
        ("O'Brien+tag@Example.ORG", "o'brien+tag@example.org"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("a!#$%&*/=?^_`{|}~b@example.org", "a!#$%&*/=?^_`{|}~b@example.org"),
    ] {
        assert_eq!(app.sign_up(typed, PASSWORD).await, Status::Accepted, "{typed}");
        let letter = app.last_letter_to(folded).await;
        assert_eq!(message(&letter.raw).headers["to"], folded);
    }
}

#[rocket::async_test]
async fn r37_strangers_name_and_user_agent_are_in_no_letter_and_on_no_page() {
    for name in [
        "<script>alert(1)</script>",
        "<b>bold</b>",
        "{{7*7}}",
        "{{ \"qu\" ~ \"ux\" }}",
        "{% raw %}",
        "https://evil.example/win",
        "\" onmouseover=\"alert(1)",
        "=?utf-8?b?ZXZpbA==?=",
        ".",
        "Ada\u{200f}adA",
    ] {
        let app = support::app().await;
        let send = async |password: &str| {
            let body = json!({ "email": ADA, "password": password, "name": name }).to_string();
            let request = app.client.post("/v1/accounts").header(ContentType::JSON).body(body);
            let request = request
                .header(Header::new("User-Agent", "Firefox <i>evil</i> {{ \"qu\" ~ \"ux\" }}"));
            assert_eq!(request.dispatch().await.status(), Status::Accepted, "{name}");
        };
        send(PASSWORD).await;
        let first = app.link_token(ADA).await;
        let mut texts = vec![open(&app, &first).await.body];
        send(OTHER).await;
        texts.push(open(&app, &first).await.body);
        let chosen = [("token", first.as_str()), ("password", "chosen by the owner")];
        texts.push(submit(&app, "/activate", &chosen).await.body);
        send(PASSWORD).await;
        texts.push(crate::support_pages::get(&app, "/dev/mail").await.body);
        let letters = app.letters_to(ADA).await;
        assert_eq!(letters.last().unwrap().name, "account-exists");
        for letter in letters {
            let page = crate::support_pages::get(&app, &format!("/dev/mail/{}", letter.id)).await;
            texts.push(page.body);
            texts.extend([letter.subject.clone(), letter.text.clone(), letter.html.clone()]);
            texts.push(String::from_utf8(letter.raw).unwrap());
        }
        for text in texts {
            let plain = unescape(&text);
            if name.len() > 1 {
                assert!(!plain.contains(name), "{name} in {plain}");
            }
            assert!(!plain.contains("evil") && !plain.contains("quux"), "{plain}");
            assert!(!plain.contains("7*7") && !plain.contains("<script"), "{plain}");
        }
    }
}

#[rocket::async_test]
async fn r37_names_that_break_or_reorder_a_line_are_refused() {
    let app = support::app().await;
    for name in ["a\r\n.\r\nb", "a\n.", "\u{202e}ada", "a\u{2066}b", "a\u{2028}b", "a\u{7f}b"] {
        let body = json!({ "email": ADA, "password": PASSWORD, "name": name });
        let answer = post(&app, "/v1/accounts", &body).await.problem(422, "invalid-fields");
        assert_eq!(answer.errors(), ["name: control-characters"], "{name:?}");
    }
    assert_eq!(rows(&app, "outbox").await, 0);
}

#[rocket::async_test]
async fn r37_name_is_returned_to_its_owner_as_typed() {
    for name in ["<b>{{7*7}}</b>", "O'Neil & \"Söhne\"", "."] {
        let app = support::app().await;
        let body = json!({ "email": ADA, "password": PASSWORD, "name": name });
        assert_eq!(post(&app, "/v1/accounts", &body).await.status, Status::Accepted);
        assert_eq!(app.activate(ADA).await, Status::Ok);
        let ada = app.sign_in(ADA).await;
        let me = Answer::of(ada.get("/v1/me").dispatch().await).await;
        assert_eq!(me.header("content-type"), "application/json");
        assert_eq!(me.json()["name"], name);
    }
}

#[rocket::async_test]
async fn r48_failed_letter_is_retried_with_a_fresh_link() {
    let folder = tempfile::TempDir::new().unwrap();
    let mail = folder.path().join("mail");
    // a file stands where the folder should be: the "server" is down
    std::fs::write(&mail, "in the way").unwrap();
    let settings = format!(
        "[default.vestibule.mail]\ntransport = \"file\"\ndirectory = \"{}\"",
        mail.display()
    );
    let app = support::configured(&settings).await;
    assert_eq!(app.sign_up(ADA, PASSWORD).await, Status::Accepted);
    let mut waited = 0;
    for _ in 0..5 {
        assert!(app.letters_to(ADA).await.is_empty());
        app.advance(Duration::from_secs(30));
        waited += 30;
    }
    assert!(waited > 60);
    std::fs::remove_file(&mail).unwrap();
    app.advance(Duration::from_secs(60));
    let letter = app.last_letter_to(ADA).await;
    assert_eq!(std::fs::read_dir(&mail).unwrap().count(), 1);
    let date = &message(&letter.raw).headers["date"];
    assert!(date.contains("00:03:30"), "the date is that of the successful attempt: {date}");
    assert_eq!(app.activate(ADA).await, Status::Ok);
}

#[cfg(unix)]
#[rocket::async_test]
async fn r49_the_file_transport_writes_private_files_that_hold_the_letter() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::TempDir::new().unwrap();
    let mail = folder.path().join("new").join("mail");
    let settings = format!(
        "[default.vestibule.mail]\ntransport = \"file\"\ndirectory = \"{}\"",
        mail.display()
    );
    let app = support::configured(&settings).await;
    for email in [ADA, "bob@example.org"] {
        assert_eq!(app.sign_up(email, PASSWORD).await, Status::Accepted);
        let letter = app.last_letter_to(email).await;
        let path = mail.join(format!("{}.eml", letter.id));
        assert_eq!(std::fs::read(&path).unwrap(), letter.raw);
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path) & 0o777, 0o600);
        assert_eq!(mode(&mail) & 0o777, 0o700);
        parts(&letter);
    }
    let names: Vec<_> = std::fs::read_dir(&mail).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no temporary file stays: {names:?}");
}

/// Renders every sample letter in every language with the service's own renderer.
#[test]
fn every_sample_letter_renders_with_the_same_facts_in_text_and_html() {
    let messages = Messages::load(None, "en").unwrap();
    let templates = Templates::load(None, &messages).unwrap().strict().unwrap();
    let names: Vec<String> = templates.names().map(str::to_owned).collect();
    let url = PublicUrl::try_from("https://accounts.example.org".to_owned()).unwrap();
    let Ok(sender) = "Vestibule <no-reply@accounts.example.org>".parse();
    let renderer = Renderer::new(templates, "Vestibule", &url, &sender).unwrap();
    let mut rendered_names = Vec::new();
    for (tag, letter) in in_each_language(&Letter::samples()) {
        let rendered = render(&renderer, &letter, tag);
        let again = render(&renderer, &letter, tag);
        rendered_names.push(letter.name());
        let length = rendered.subject.chars().count();
        assert!((10..=78).contains(&length), "{}", rendered.subject);
        let one = message(&rendered.message.formatted());
        let two = message(&again.message.formatted());
        for header in ["message-id", "date", "subject", "to", "from"] {
            assert_eq!(one.headers[header], two.headers[header], "the same at every try");
        }
        assert_eq!(one.headers["content-language"], tag);
        for text in [&rendered.subject, &rendered.text, &rendered.html] {
            assert!(!text.contains("{{") && !text.contains("{%") && !text.contains('$'), "{text}");
        }
        let html = unescape(&rendered.html);
        let facts = serde_json::to_value(&letter).unwrap();
        for (name, value) in facts.as_object().unwrap() {
            let words = match (name.as_str(), tag) {
                ("at" | "signed_up_at", "en") => "23 November 2026 at 09:41 UTC".to_owned(),
                ("at" | "signed_up_at", _) => "23. November 2026 um 09:41 UTC".to_owned(),
                ("valid_for", _) => {
                    let seconds = value.as_u64().unwrap();
                    let (count, unit) = match (seconds, tag) {
                        (3_600, "en") => (60, "minutes"),
                        (3_600, _) => (60, "Minuten"),
                        (86_400, "en") => (24, "hours"),
                        (86_400, _) => (24, "Stunden"),
                        (days, "en") => (days / 86_400, "days"),
                        (days, _) => (days / 86_400, "Tage"),
                    };
                    format!("{count} {unit}")
                }
                _ => value.as_str().unwrap_or_default().to_owned(),
            };
            // a line may be broken between two words
            let text = rendered.text.replace('\n', " ");
            assert!(text.contains(&words), "the text lacks {name}: {words}");
            assert!(html.contains(&words), "the HTML lacks {name}: {words}");
        }
        assert!(
            rendered
                .text
                .lines()
                .all(|line| { line.chars().count() <= 78 || Some(line) == letter.link() })
        );
        for sentence in rendered.text.split("\n\n") {
            let mut lines = sentence.lines();
            lines.next();
            assert!(
                !lines.any(|line| line.starts_with("Somebody")),
                "a capital in mid-sentence: {sentence}"
            );
        }
        for banned in ["<script", "<img", "<link", "@import", "url("] {
            assert!(!rendered.html.contains(banned), "{banned}");
        }
        let forgotten = "https://accounts.example.org/account/forgotten-password";
        for rest in rendered.html.split("href=\"").skip(1) {
            let target = unescape(rest.split('"').next().unwrap());
            assert!(Some(target.as_str()) == letter.link() || target == forgotten, "{target}");
        }
        assert!(rendered.html.contains(&format!("<html lang=\"{tag}\">")));
    }
    for name in names.iter().filter_map(|name| name.strip_prefix("mail/")) {
        let Some((folder, _)) = name.split_once('/') else { continue };
        assert!(rendered_names.contains(&folder), "no sample of {folder}");
    }
}

fn in_each_language(letters: &[Letter]) -> Vec<(&'static str, Letter)> {
    ["en", "de"].into_iter().flat_map(|tag| letters.iter().map(move |l| (tag, l.clone()))).collect()
}

fn render(renderer: &Renderer, letter: &Letter, tag: &str) -> Rendered {
    let to = ADA.parse().unwrap();
    let id: vestibule::storage::LetterId = "01890000-0000-7000-8000-000000000001".parse().unwrap();
    let locale = Locale::parse(tag).unwrap();
    renderer
        .render(letter, Envelope { id, to: &to, locale: Some(&locale), now: BEGINNING })
        .unwrap()
}

/// F8: each link is whole in the source of the letter, on one line of 7 bits, and in the decoded
/// text, for every language and every name.
#[test]
fn r49_f8_every_link_arrives_whole_in_every_language_and_with_every_name() {
    let messages = Messages::load(None, "en").unwrap();
    let templates = Templates::load(None, &messages).unwrap();
    for name in ["Vestibule", "Bücher & Söhne", "Konten, GmbH (門) 📚"] {
        for url in ["https://accounts.example.org", "https://konten.bücher.example/auf/langem/weg"]
        {
            let url = PublicUrl::try_from(url.to_owned()).unwrap();
            let Ok(sender) = format!("{name} <a@example.org>").parse();
            let renderer = Renderer::new(templates.clone(), name, &url, &sender).unwrap();
            for (tag, letter) in in_each_language(&Letter::samples()) {
                let rendered = render(&renderer, &letter, tag);
                let raw = rendered.message.formatted();
                let message = message(&raw);
                assert_eq!(decode_encoded_words(&message.headers["subject"]), rendered.subject);
                let parts = message.parts();
                let (text, html) = (parts[0].text(), parts[1].text());
                assert_eq!(text.trim_end(), rendered.text.trim_end());
                assert_eq!(html.trim_end(), rendered.html.trim_end());
                let encoding = |part: &Part| part.headers["content-transfer-encoding"].clone();
                let is_ascii = rendered.text.is_ascii();
                assert_eq!(encoding(&parts[0]), if is_ascii { "7bit" } else { "base64" });
                assert_eq!(encoding(&parts[1]), "7bit", "{}", letter.name());

                // another library's decoder reads the same
                let parsed = mail_parser::MessageParser::new().parse(&raw).expect("a message");
                let theirs = parsed.body_text(0).unwrap().replace("\r\n", "\n");
                assert_eq!(theirs.trim_end(), rendered.text.trim_end());

                let Some(link) = letter.link() else { continue };
                assert!(text.lines().any(|line| line == link), "{text}");
                assert!(theirs.lines().any(|line| line == link), "{theirs}");
                assert!(html.lines().any(|line| line == link), "{html}");
                assert!(html.contains(&format!("<a href=\"{link}\"")), "{html}");
                assert_eq!(text.matches("token=").count(), 1, "{text}");
                let source = String::from_utf8(raw).unwrap();
                assert!(source.split("\r\n").any(|line| line == link), "{source}");
                assert!(!source.contains("quoted-printable"), "{source}");
            }
        }
    }
}

#[rocket::async_test]
async fn r49_f6_any_service_name_is_preserved_in_subject_and_sender() {
    for name in [
        "Acme, Inc.",
        "a: b",
        "(c)",
        "d;",
        "[e]",
        "f @ g",
        "\"h\"",
        "<i>",
        "j \\ k",
        "Bücher & Söhne",
        "📚",
        "O'Neil",
        "m <n@example.org>",
    ] {
        let toml = format!("[default.vestibule]\nname = {}", json!(name));
        let app = support::configured(&toml).await;
        let letter = letter_after_sign_up(&app).await;
        let message = message(&letter.raw);
        let subject = decode_encoded_words(&message.headers["subject"]);
        assert_eq!(subject, format!("Confirm your email address for {name}"));
        let parsed = mail_parser::MessageParser::new().parse(&letter.raw).expect("a message");
        let from: Vec<_> = parsed.from().unwrap().iter().collect();
        assert_eq!(from.len(), 1, "{}", message.headers["from"]);
        assert_eq!(from[0].name(), Some(name), "{}", message.headers["from"]);
        assert_eq!(from[0].address(), Some("no-reply@accounts.example.org"));
    }
}

/// A notice tells the account's owner how to regain the account, and has no link that opens it to
/// another reader.
#[test]
fn notices_point_to_the_password_reset_and_carry_no_token() {
    let messages = Messages::load(None, "en").unwrap();
    let templates = Templates::load(None, &messages).unwrap();
    let url = PublicUrl::try_from("https://accounts.example.org/auth".to_owned()).unwrap();
    let Ok(sender) = "a@example.org".parse();
    let renderer = Renderer::new(templates, "Vestibule", &url, &sender).unwrap();
    let forgotten = "https://accounts.example.org/auth/account/forgotten-password";
    for (tag, letter) in in_each_language(&Letter::samples()) {
        let rendered = render(&renderer, &letter, tag);
        let leads = matches!(
            letter.name(),
            "account-exists" | "session-ended" | "password-changed" | "email-changed"
        );
        assert_eq!(rendered.text.lines().any(|line| line == forgotten), leads, "{}", letter.name());
        assert_eq!(rendered.html.contains(&format!("href=\"{forgotten}\"")), leads);
        assert_eq!(letter.link().is_some(), rendered.text.contains("token="));
    }
}

#[rocket::async_test]
async fn a_file_in_the_templates_folder_replaces_one_template() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::create_dir_all(folder.path().join("mail/activation")).unwrap();
    let subject = folder.path().join("mail/activation/subject.txt.tera");
    std::fs::write(subject, "Hello\r\nBcc: eve@example.org\n from {{ service }}\n").unwrap();
    let toml =
        format!("[default.vestibule.templates]\ndirectory = \"{}\"", folder.path().display());
    let app = support::configured(&toml).await;
    let letter = letter_after_sign_up(&app).await;
    let message = message(&letter.raw);
    assert_eq!(message.headers["subject"], "Hello Bcc: eve@example.org from Vestibule");
    assert!(letter.text.contains("Somebody, most likely you"));
}
