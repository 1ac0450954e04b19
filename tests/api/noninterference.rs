//! Noninterference tests: no answer, export, list, metric, letter or time that is shown to one
//! party depends on a row that another party could make or owns (R18, R34, R47; S1, S7).
//!
//! The tests call every operation that the service describes, with databases that differ in one
//! thing: the state of an address that is not the caller's. Each operation is called by a stranger
//! and by the owner of another account. All answers must be the same but for ids and secrets, and
//! so must all pages that the owner can look at afterwards. `enumeration` tests how long the
//! answers take.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rocket::http::{ContentType, Header, Method, Status};
use serde_json::{Value, json};
use vestibule::accounts::AccountToCreate;
use vestibule::model::{
    AccountId, ClientInfo, EmailAddress, NewPassword, Password, PasswordPolicy, PersonalData,
};
use vestibule::testing::{PASSWORD, Signed, TestApp};

use crate::support;
use crate::support_accounts::{Browser, accounts, token_in};
use crate::support_pages::{Answer, OTHER, get};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const METRICS: &str = "[default.vestibule.metrics]\naddress = \"127.0.0.1:0\"\n";
/// More calls than any hourly limit for one address lets through.
const FLOOD: usize = 40;

/// Operations that take the token of a link, each with the letter that has the link. The tests call
/// them with the caller's own links.
const WITH_A_LINK: [(&str, &str); 15] = [
    ("activate", "activation"),
    ("activatePage", "activation"),
    ("confirmEmailPage", "email-change"),
    ("disavow", "activation"),
    ("pressActivate", "activation"),
    ("pressConfirmEmail", "email-change"),
    ("pressDisavow", "activation"),
    ("pressResetPassword", "password-reset"),
    ("pressStopEmailChange", "email-change-notice"),
    ("renewActivation", "activation"),
    ("renewEmailLink", "email-change"),
    ("renewReset", "password-reset"),
    ("resetPassword", "password-reset"),
    ("resetPasswordPage", "password-reset"),
    ("stopEmailChangePage", "email-change-notice"),
];

/// Operations that take a token of a session.
const WITH_A_TOKEN: [&str; 2] = ["introspect", "revoke"];

/// The state of the address that the caller asks about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AddressState {
    Free,
    Account,
    /// A sign-up waits, and the caller knows its password: any caller can make such a sign-up.
    Waiting,
    /// The same, and a request for a new password has contested it.
    Contested,
    /// Another account wants to change to the address.
    Wanted,
}

const OTHER_STATES: [AddressState; 4] =
    [AddressState::Account, AddressState::Waiting, AddressState::Contested, AddressState::Wanted];

/// Operations that take an address, with each member that an address goes into. A new operation or
/// member must be added to this list or to the next.
const WITH_AN_ADDRESS: [(&str, &str); 11] = [
    ("changeEmail", "email"),
    ("pressEmail", "email"),
    ("pressForgottenPassword", "email"),
    ("pressSendAgain", "email"),
    ("pressSignIn", "email"),
    ("pressSignIn", "typed_email"),
    ("pressSignUp", "email"),
    ("requestPasswordReset", "email"),
    ("sendActivationMail", "email"),
    ("signUp", "email"),
    ("token", "username"),
];

/// Operations that take no address.
const WITHOUT_AN_ADDRESS: [&str; 54] = [
    "accountExportSchema",
    "accountPage",
    "activate",
    "activatePage",
    "changeAccount",
    "changePassword",
    "changePasswordUrl",
    "check",
    "confirmEmailPage",
    "deleteAccount",
    "deletionPage",
    "disavow",
    "docs",
    "emailPage",
    "endSession",
    "endSessions",
    "eventsPage",
    "explainProblem",
    "exportAccount",
    "exportFile",
    "forgottenPasswordPage",
    "home",
    "introspect",
    "listEvents",
    "listSessions",
    "live",
    "metadata",
    "metadataOfPath",
    "openapi",
    "passwordPage",
    "pressActivate",
    "pressConfirmEmail",
    "pressDeletion",
    "pressDisavow",
    "pressEndPageSession",
    "pressEndSession",
    "pressEndSessions",
    "pressPassword",
    "pressProfile",
    "pressResetPassword",
    "pressSignOut",
    "pressStopEmailChange",
    "pressWithdrawEmail",
    "readAccount",
    "ready",
    "renewActivation",
    "renewEmailLink",
    "renewReset",
    "resetPassword",
    "resetPasswordPage",
    "revoke",
    "signInPage",
    "signUpPage",
    "stopEmailChangePage",
];

/// An operation of the OpenAPI document, ready to be called.
#[derive(Clone)]
struct Operation {
    id: String,
    method: Method,
    path: String,
    content: Option<ContentType>,
    /// Members of the body with their examples.
    members: BTreeMap<String, Value>,
}

impl Operation {
    /// The members of the body that an address goes into.
    fn members_with_an_address(&self) -> impl Iterator<Item = &'static str> {
        let of_this = WITH_AN_ADDRESS.iter().filter(|(id, _)| *id == self.id);
        of_this.map(|(_, member)| *member)
    }

    fn takes_an_address(&self) -> bool {
        self.members_with_an_address().next().is_some()
    }

    /// Whether the operation takes a token, in its body or in its query.
    fn takes_a_token(&self) -> bool {
        self.members.contains_key("token") || self.path.contains("?token=")
    }

    /// The letter with the token's link, if the operation takes one.
    fn letter(&self) -> Option<&'static str> {
        WITH_A_LINK.iter().find(|(id, _)| *id == self.id).map(|(_, letter)| *letter)
    }

    /// The same operation, with this link's token.
    fn with_link_token(&self, token: &str) -> Self {
        let mut operation = self.clone();
        if let Some((path, _)) = self.path.split_once("?token=") {
            operation.path = format!("{path}?token={token}");
        }
        if let Some(member) = operation.members.get_mut("token") {
            *member = json!(token);
        }
        operation
    }

    /// Calls the operation with `address` in the members for it.
    async fn call(&self, app: &TestApp, address: &str, owner: Option<&Party<'_>>) -> Answer {
        app.advance(SECOND);
        let mut members = self.members.clone();
        for member in self.members_with_an_address() {
            members.insert(member.to_owned(), json!(address));
        }
        let mut request = app.client.req(self.method, self.path.clone());
        if let Some(owner) = owner {
            if !self.path.starts_with("/oauth/token") {
                request.add_header(owner.signed.header());
            }
            request.add_header(owner.browser.cookie_header().unwrap());
            members.insert("form_token".to_owned(), json!(owner.form_token));
        }
        match &self.content {
            Some(kind) if *kind == ContentType::JSON => {
                request.add_header(ContentType::JSON);
                request = request.body(json!(members).to_string());
            }
            Some(_) => {
                let texts =
                    members.iter().filter_map(|(name, value)| Some((&**name, value.as_str()?)));
                request.add_header(ContentType::Form);
                request = request.body(support::form(&texts.collect::<Vec<_>>()));
            }
            None => {}
        }
        request.add_header(Header::new("Accept-Language", "en"));
        Answer::of(request.dispatch().await).await
    }
}

/// Every operation that the service describes. Fails for an operation that no list has.
async fn operations(app: &TestApp) -> Vec<Operation> {
    let document = get(app, "/openapi.json").await.json();
    let resolve = |value: &Value| match value["$ref"].as_str() {
        Some(place) => document.pointer(&place[1..]).unwrap().clone(),
        None => value.clone(),
    };
    let decided: BTreeSet<&str> =
        WITH_AN_ADDRESS.iter().map(|(id, _)| *id).chain(WITHOUT_AN_ADDRESS).collect();
    let mut all = vec![];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(decided.contains(&*id), "{id} is new: decide whether it takes an address");
            let mut place = path.clone();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                let value = parameter["example"].as_str().unwrap_or("x");
                assert!(!is_address_member(name, parameter), "{id}: {name} takes an address");
                match parameter["in"].as_str().unwrap() {
                    "query" => {
                        let sign = if place.contains('?') { '&' } else { '?' };
                        place = format!("{place}{sign}{name}={value}");
                    }
                    _ => place = place.replace(&format!("{{{name}}}"), value),
                }
            }
            let content = operation["requestBody"]["content"].as_object();
            let content = content.and_then(|all| all.iter().next());
            let mut members = BTreeMap::new();
            if let Some((_, body)) = content {
                for (name, member) in resolve(&body["schema"])["properties"].as_object().unwrap() {
                    let is_decided = WITH_AN_ADDRESS.contains(&(&*id, &**name));
                    assert_eq!(is_address_member(name, member), is_decided, "{id}: {name}");
                    let value = match name.as_str() {
                        "password" | "current_password" => json!(PASSWORD),
                        "new_password" => json!("a whole new passphrase"),
                        _ => member["example"].clone(),
                    };
                    if !value.is_null() {
                        members.insert(name.clone(), value);
                    }
                }
            }
            all.push(Operation {
                id,
                method: method.to_uppercase().parse().unwrap(),
                path: place,
                content: content.map(|(kind, _)| match kind.as_str() {
                    "application/json" => ContentType::JSON,
                    _ => ContentType::Form,
                }),
                members,
            });
        }
    }
    assert!(all.len() > 50);
    all
}

/// Whether a member takes an address, by its name or its format, so that no member is overlooked.
fn is_address_member(name: &str, member: &Value) -> bool {
    let name = name.to_lowercase();
    ["email", "username", "login_hint", "address"].iter().any(|part| name.contains(part))
        || member["format"] == "email"
        || member["schema"]["format"] == "email"
}

/// A person with an account, signed in by token and on the page.
struct Party<'a> {
    email: String,
    signed: Signed<'a>,
    browser: Browser<'a>,
    form_token: String,
}

fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn password(text: &str) -> NewPassword {
    PasswordPolicy::new(8, "test").judge(text, PersonalData::default()).unwrap()
}

/// Makes an account without a request.
async fn create_account(app: &TestApp, address: &str, chosen: &str) -> AccountId {
    let new = AccountToCreate {
        email: email(address),
        name: None,
        locale: None,
        password: Some(password(chosen)),
    };
    accounts(app).create(&new).await.unwrap()
}

impl<'a> Party<'a> {
    /// Signs the person in. Each step has an instant of its own: rows of one instant may be listed
    /// in any order.
    async fn create(app: &'a TestApp, address: &str) -> Self {
        create_account(app, address, PASSWORD).await;
        app.advance(SECOND);
        let signed = app.sign_in(address).await;
        app.advance(SECOND);
        let browser = Browser::signed_in(app, address, PASSWORD).await;
        let form_token = browser.form_token().await;
        Self { email: address.to_owned(), signed, browser, form_token }
    }

    /// All pages and lists that the owner can look at, and the letters that they got.
    async fn visible_texts(&self, app: &TestApp) -> Vec<(String, String)> {
        let mut seen = vec![];
        for path in ["/v1/me", "/v1/me/sessions", "/v1/me/events", "/v1/me/export"] {
            app.advance(SECOND);
            let answer = Answer::of(self.signed.get(path).dispatch().await).await;
            seen.push((format!("GET {path}"), comparable(&answer)));
        }
        for path in ["/account", "/account/events", "/account/export", "/account/email"] {
            app.advance(SECOND);
            seen.push((format!("GET {path}"), comparable(&self.browser.open(path).await)));
        }
        let mut letters: Vec<String> = vec![];
        for letter in app.letters_to(&self.email).await {
            letters.push(without_secrets(&format!("{}\n{}", letter.name, letter.text)));
        }
        letters.sort_unstable();
        seen.push(("letters".to_owned(), letters.join("\n\n")));
        seen
    }
}

impl AddressState {
    /// Puts `address` into this state. The clock advances equally in every state.
    async fn prepare(self, app: &TestApp, address: &str) {
        let asks = async |path: &str| {
            let answer = app.post_json(path, &json!({ "email": address })).await;
            assert_eq!(answer.status(), Status::Accepted);
        };
        match self {
            Self::Free => {}
            Self::Account => {
                create_account(app, address, OTHER).await;
            }
            Self::Waiting => assert_eq!(app.sign_up(address, PASSWORD).await, Status::Accepted),
            Self::Contested => {
                assert_eq!(app.sign_up(address, PASSWORD).await, Status::Accepted);
                app.deliver().await;
                asks("/v1/password-resets").await;
            }
            Self::Wanted => {
                let id = create_account(app, &format!("zoe-{address}"), PASSWORD).await;
                let known = Password::new(PASSWORD);
                let (new, caller) = (email(address), ClientInfo::default());
                accounts(app).request_email_change(id, &new, &known, &caller).await.unwrap();
            }
        }
        app.deliver().await;
        // two hours later no hourly limit counts the preparation any more
        app.advance(HOUR * 2);
    }
}

/// The token of a link to the caller's own mailbox: of a sign-up or a new password for `xenia`, or
/// of a change to `wanted`.
async fn link(app: &TestApp, letter: &str, xenia: &str, wanted: &str) -> String {
    let holder = match letter {
        "activation" => {
            assert_eq!(app.sign_up(xenia, PASSWORD).await, Status::Accepted);
            xenia
        }
        "password-reset" => {
            create_account(app, xenia, PASSWORD).await;
            let asked = app.post_json("/v1/password-resets", &json!({ "email": xenia })).await;
            assert_eq!(asked.status(), Status::Accepted);
            xenia
        }
        _ => {
            let id = create_account(app, xenia, PASSWORD).await;
            let (new, known) = (email(wanted), Password::new(PASSWORD));
            let caller = ClientInfo::default();
            accounts(app).request_email_change(id, &new, &known, &caller).await.unwrap();
            if letter == "email-change" { wanted } else { xenia }
        }
    };
    app.deliver().await;
    token_in(app, letter, holder).await
}

/// The answers of the operations on the caller's own links: at once, again, and when the links have
/// expired.
async fn answers_for_own_links(
    app: &TestApp,
    state: AddressState,
    operation: &Operation,
) -> Vec<(String, String)> {
    let (id, Some(letter)) = (&operation.id, operation.letter()) else { return vec![] };
    let vera = format!("vera-{id}@example.org").to_lowercase();
    let xenia = format!("xenia-{id}@example.org").to_lowercase();
    state.prepare(app, &vera).await;
    // no link leads to a taken address, and the link that stops a change belongs to the old address
    let wanted = match (state, letter) {
        (AddressState::Account, "email-change") => format!("free-{vera}"),
        _ => vera,
    };
    let token = link(app, letter, &xenia, &wanted).await;
    let operation = operation.with_link_token(&token);
    let mut seen = vec![];
    for time in ["at once", "again"] {
        let answer = operation.call(app, "", None).await;
        assert_ne!(answer.status, Status::NotFound, "{id} {time}: the link is a real one");
        seen.push((format!("{id} of the caller's own link, {time}"), comparable(&answer)));
        app.deliver().await;
    }
    app.advance(HOUR * 25);
    let answer = operation.call(app, "", None).await;
    seen.push((format!("{id} of the caller's own link, a day later"), comparable(&answer)));
    app.deliver().await;
    app.advance(HOUR * 2);
    let masked =
        seen.into_iter().map(|(source, output)| (source, output.replace(&wanted, "(wanted)")));
    masked.collect()
}

/// The text without ids, tokens and other secrets, which differ by design.
fn without_secrets(text: &str) -> String {
    let mut output = String::new();
    let is_of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut rest = text;
    while let Some(start) = rest.find(is_of_a_word) {
        output.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !is_of_a_word(c)).unwrap_or(rest.len());
        output.push_str(if end >= 32 { "…" } else { &rest[..end] });
        rest = &rest[end..];
    }
    output.push_str(rest);
    output
}

/// Sorts lists by their texts: rows of one instant come in any order.
fn sort_lists(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(sort_lists);
            items.sort_by_key(Value::to_string);
        }
        Value::Object(members) => members.values_mut().for_each(sort_lists),
        _ => {}
    }
}

/// The whole answer, as the tests compare it.
fn comparable(answer: &Answer) -> String {
    let answer = answer.clone().without_id();
    let mut body = without_secrets(&answer.body);
    if let Ok(mut json) = serde_json::from_str::<Value>(&body) {
        sort_lists(&mut json);
        body = json.to_string();
    }
    let headers: Vec<String> =
        answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{}\n{}\n{body}", answer.status, without_secrets(&headers.join("\n")))
}

/// The counters that requests move.
fn counters(app: &TestApp) -> BTreeMap<String, String> {
    let of_requests = ["requests", "sign_ins", "events", "limited", "hashes", "refreshes"];
    let text = app.metrics();
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    lines
        .filter(|(name, _)| {
            of_requests.iter().any(|of| name.starts_with(&format!("vestibule_{of}_")))
                && name.contains("_total")
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// By how much the counters have moved.
fn counter_changes(app: &TestApp, before: &BTreeMap<String, String>) -> String {
    let number = |text: Option<&String>| text.map_or(0.0, |text| text.parse().unwrap());
    let moved = counters(app).into_iter().filter_map(|(name, value)| {
        let by = number(Some(&value)) - number(before.get(&name));
        (by != 0.0).then(|| format!("{name} {by}"))
    });
    moved.collect::<Vec<_>>().join("\n")
}

/// All that the stranger and the owner see while the address is in this state, each with its
/// source.
async fn observations(state: AddressState) -> Vec<(String, String)> {
    let app = support::configured(METRICS).await;
    let all = operations(&app).await;
    let mut seen = vec![];
    for operation in &all {
        let is_decided = operation.letter().is_some() || WITH_A_TOKEN.contains(&&*operation.id);
        assert_eq!(
            operation.takes_a_token(),
            is_decided,
            "{}: decide about its token",
            operation.id
        );
        seen.extend(answers_for_own_links(&app, state, operation).await);
    }
    state.prepare(&app, "vera@example.org").await;
    // these operations take no address, so one state is enough
    for operation in all.iter().filter(|operation| !operation.takes_an_address()) {
        let answer = operation.call(&app, "", None).await;
        seen.push((format!("{} by a stranger", operation.id), comparable(&answer)));
        let owner = Party::create(&app, &format!("xavier-{}@example.org", operation.id)).await;
        let answer = operation.call(&app, "", Some(&owner)).await;
        seen.push((format!("{} by an owner", operation.id), comparable(&answer)));
        app.advance(HOUR);
    }
    for operation in all.iter().filter(|operation| operation.takes_an_address()) {
        let id = &operation.id;
        let asked_about = format!("vera-{id}@example.org").to_lowercase();
        state.prepare(&app, &asked_about).await;
        let before = counters(&app);
        for n in 0..3 {
            let answer = operation.call(&app, &asked_about, None).await;
            seen.push((format!("{id} by a stranger, call {n}"), comparable(&answer)));
        }
        seen.push((format!("metrics of {id} by a stranger"), counter_changes(&app, &before)));
        app.deliver().await;
        let answer = operation.call(&app, &asked_about, None).await;
        seen.push((format!("{id} by a stranger, later"), comparable(&answer)));
        app.advance(HOUR * 2);

        let asked_about = format!("vera-too-{id}@example.org").to_lowercase();
        state.prepare(&app, &asked_about).await;
        let owner = Party::create(&app, &format!("xavier-{id}@example.org").to_lowercase()).await;
        let before = counters(&app);
        for n in 0..3 {
            let answer = operation.call(&app, &asked_about, Some(&owner)).await;
            seen.push((format!("{id} by an owner, call {n}"), comparable(&answer)));
            let looked = owner.visible_texts(&app).await;
            seen.extend(
                looked.into_iter().map(|(at, output)| (format!("{at} after {id}"), output)),
            );
        }
        seen.push((format!("metrics of {id} by an owner"), counter_changes(&app, &before)));
        app.advance(HOUR * 25);
        app.purge().await;
        app.deliver().await;
        let answer = operation.call(&app, &asked_about, Some(&owner)).await;
        seen.push((format!("{id} by an owner, a day later"), comparable(&answer)));
        let owner = Party { signed: app.sign_in(&owner.email).await, ..owner };
        let looked = owner.visible_texts(&app).await;
        seen.extend(
            looked.into_iter().map(|(at, output)| (format!("{at} a day after {id}"), output)),
        );

        // the calls go on until a limit refuses them, and the refusals are compared as well
        app.advance(HOUR * 2);
        let asked_about = format!("vera-again-{id}@example.org").to_lowercase();
        state.prepare(&app, &asked_about).await;
        for n in 0..FLOOD {
            let answer = operation.call(&app, &asked_about, None).await;
            seen.push((format!("{id} by a stranger, of many call {n}"), comparable(&answer)));
        }
        app.advance(HOUR * 2);
    }
    seen
}

#[rocket::async_test]
async fn r18_s7_responses_do_not_depend_on_rows_of_other_parties() {
    let free = observations(AddressState::Free).await;
    for (source, output) in &free {
        assert!(!output.starts_with("50"), "{source}: {output}");
    }
    for state in OTHER_STATES {
        let seen = observations(state).await;
        assert_eq!(seen.len(), free.len(), "{state:?}");
        for ((source, output), (of, expected)) in seen.iter().zip(&free) {
            assert_eq!(source, of);
            if output != expected {
                let at = output.lines().zip(expected.lines()).find(|(one, other)| one != other);
                panic!("{state:?}: {source} differs: {at:?}");
            }
        }
    }
}
