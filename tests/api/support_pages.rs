//! Helpers for tests of sign-up, letters, pages and the rules for HTTP.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

use rocket::http::Status;
use rocket::local::asynchronous::LocalResponse;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use vestibule::storage::Engine;
use vestibule::testing::TestApp;

/// A second password.
pub const OTHER: &str = "another long passphrase";

/// An answer, read to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub status: Status,
    /// Sorted, with names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub async fn of(response: LocalResponse<'_>) -> Self {
        let status = response.status();
        let mut headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|header| (header.name().as_str().to_lowercase(), header.value().to_owned()))
            .collect();
        headers.sort();
        let body = response.into_bytes().await.unwrap_or_default();
        Self { status, headers, body: String::from_utf8(body).unwrap() }
    }

    /// The value of a header that occurs once.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(given, _)| given == name);
        let (_, value) = values.next().unwrap_or_else(|| panic!("no {name}: {self:?}"));
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(given, _)| given == name)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// `<field>: <code>` of each error.
    pub fn errors(&self) -> Vec<String> {
        let errors = self.json();
        let errors = errors["errors"].as_array().unwrap_or_else(|| panic!("no errors: {self:?}"));
        let word = |error: &Value, member: &str| error[member].as_str().unwrap().to_owned();
        for error in errors {
            assert!(!word(error, "message").is_empty());
        }
        errors.iter().map(|e| format!("{}: {}", word(e, "field"), word(e, "code"))).collect()
    }

    /// The answer without the request's id, which differs by design.
    pub fn without_id(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "x-request-id");
        self
    }

    /// Checks that the answer is the problem `slug`, and returns it.
    pub fn problem(self, status: u16, slug: &str) -> Self {
        assert_eq!(self.status.code, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{self:?}");
        assert_eq!(problem["status"], status, "{self:?}");
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        self
    }

    /// Checks that the answer is a page with this status and this text in its heading, and returns
    /// it.
    pub fn page(self, status: u16, heading: &str) -> Self {
        assert_eq!(self.status.code, status, "{self:?}");
        assert_eq!(self.header("content-type"), "text/html; charset=utf-8");
        let found = self.body.split("<h1>").nth(1).and_then(|rest| rest.split("</h1>").next());
        assert!(found.is_some_and(|text| text.contains(heading)), "{heading}: {}", self.body);
        self
    }
}

pub async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    Answer::of(app.post_json(path, body).await).await
}

pub async fn submit(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
    Answer::of(app.post_form(path, fields).await).await
}

pub async fn get(app: &TestApp, path: &str) -> Answer {
    Answer::of(app.client.get(path.to_owned()).dispatch().await).await
}

pub async fn open(app: &TestApp, token: &str) -> Answer {
    get(app, &format!("/activate?token={token}")).await
}

/// Uses a link by JSON, as the button does by a form.
pub async fn use_link(app: &TestApp, token: &str) -> Answer {
    post(app, "/v1/activations", &json!({ "token": token })).await
}

/// Whether `password` signs `email` in.
pub async fn signs_in(app: &TestApp, email: &str, password: &str) -> bool {
    let fields = [
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", email),
        ("password", password),
    ];
    app.token(&fields).await.status() == Status::Ok
}

/// A connection of its own, outside the application's pool.
async fn connection(app: &TestApp) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let url: String =
        app.client.rocket().figment().extract_inner("databases.vestibule.url").unwrap();
    AnyConnection::connect(&url).await.unwrap()
}

/// The first column of each row that `sql` finds, as text.
pub async fn texts(app: &TestApp, sql: &str) -> Vec<String> {
    let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    let rows = query.fetch_all(&mut connection(app).await).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// How many rows a table has.
pub async fn rows(app: &TestApp, table: &str) -> i64 {
    let query = sqlx::query(AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}")));
    query.fetch_one(&mut connection(app).await).await.unwrap().get(0)
}

/// All tables with people's data, in an order that tells their rows apart.
const TABLES: [&str; 9] = [
    "accounts",
    "account_links",
    "email_changes",
    "events",
    "links",
    "outbox",
    "page_sessions",
    "sessions",
    "sign_ups",
];

/// All rows of all tables, as text, so that a test can compare two states.
pub async fn dump(app: &TestApp) -> Vec<String> {
    let mut all = Vec::new();
    for table in TABLES {
        all.extend(dump_of(app, table).await);
    }
    all
}

/// All rows of one table, as text.
pub async fn dump_of(app: &TestApp, table: &str) -> Vec<String> {
    let row = match app.store().engine() {
        Engine::Postgres => format!("CAST({table} AS TEXT)"),
        Engine::Sqlite { .. } => {
            let columns =
                format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')");
            texts(app, &columns).await.join(" || ',' || ")
        }
    };
    texts(app, &format!("SELECT '{table}: ' || {row} FROM {table} ORDER BY 1")).await
}

/// All stored bytes, to search for secrets. On SQLite these are the bytes of its files, so that a
/// deleted value is found as well.
pub async fn stored_bytes(app: &TestApp) -> Vec<u8> {
    match app.store().engine() {
        Engine::Postgres => dump(app).await.join("\n").into_bytes(),
        Engine::Sqlite { file } => {
            let mut bytes = Vec::new();
            for suffix in ["", "-wal"] {
                let mut path = file.clone().into_os_string();
                path.push(suffix);
                bytes.extend(std::fs::read(path).unwrap());
            }
            bytes
        }
    }
}

/// A form on a page, with its initial values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormOnPage {
    pub action: String,
    pub fields: Vec<(String, String)>,
    /// The text of its button.
    pub button: String,
}

impl FormOnPage {
    /// The one form with the button `button`.
    pub fn of(page: &Answer, button: &str) -> Self {
        let mut all = page.body.split("<form ").skip(1).map(Self::parse);
        let found = all.find(|form| form.button == button);
        assert!(
            all.all(|form| form.button != button),
            "two forms have the button {button}: {page:?}"
        );
        found.unwrap_or_else(|| panic!("no form has the button {button}: {page:?}"))
    }

    fn parse(rest: &str) -> Self {
        let form = rest.split("</form>").next().unwrap();
        let value_of = |tag: &str, name: &str| {
            let value = tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
            Some(unescape(value))
        };
        let inputs = form.split("<input").skip(1);
        let fields = inputs.map(|rest| rest.split('>').next().unwrap());
        let fields = fields.filter_map(|tag| {
            Some((value_of(tag, "name")?, value_of(tag, "value").unwrap_or_default()))
        });
        let button = form.split("<button").nth(1).unwrap().split('>').nth(1).unwrap();
        Self {
            action: value_of(&format!(" {form}"), "action").unwrap(),
            fields: fields.collect(),
            button: unescape(button.split('<').next().unwrap()),
        }
    }

    /// The form with a text typed into a field.
    pub fn with(mut self, name: &str, typed: &str) -> Self {
        let field = self.fields.iter_mut().find(|(field, _)| field == name);
        typed.clone_into(&mut field.unwrap().1);
        self
    }

    /// The fields, as they are sent.
    pub fn filled(&self) -> Vec<(&str, &str)> {
        self.fields.iter().map(|(name, value)| (&**name, &**value)).collect()
    }
}

/// Undoes Tera's escapes.
pub fn unescape(html: &str) -> String {
    html.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#x27;", "'")
        .replace("&#39;", "'")
        .replace("&#x2F;", "/")
        .replace("&amp;", "&")
}
