//! Tests of erasure: the export of a person with every kind of stored data has all of it, and after
//! their deletion none of it is left (item by item in [`crate::columns`]).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use vestibule::accounts::{Accounts, SignUpRequest};
use vestibule::crypto::entropy::Entropy;
use vestibule::model::{
    AccountId, AccountLinkPurpose, ClientInfo, EmailChangeId, LinkToken, Locale, Name, Password,
    UserAgent,
};
use vestibule::oauth::{Credentials, OAuth, PasswordGrant, ShownIn};
use vestibule::storage::NewAccountLink;
use vestibule::testing::{BEGINNING, PASSWORD, TestApp};

use crate::columns::{COLUMNS, ExportOf, rows, shown};
use crate::database::{TestDatabase, claim, email};
use crate::race_nodes::{NEW_PASSWORD, page_sign_in};

on_both_engines! {
    export_contains_all_data_and_deletion_leaves_none,
}

/// The values by which a person's data can be found in the database.
struct Marks {
    former: &'static str,
    present: &'static str,
    stopped: &'static str,
    pending: &'static str,
    name: &'static str,
    locale: &'static str,
    user_agent: &'static str,
    address: &'static str,
    request_id: &'static str,
    client_id: &'static str,
    /// The name of another person who signs up with the same address.
    other_name: &'static str,
    other_locale: &'static str,
}

const ADA: Marks = Marks {
    former: "ada.former@example.org",
    present: "ada.present@example.org",
    stopped: "ada.stopped@example.org",
    pending: "ada.pending@example.org",
    name: "Augusta Ada",
    locale: "en-AI",
    user_agent: "Analytical Engine Firefox on Linux",
    address: "203.0.113.77",
    request_id: "req-of-ada",
    client_id: "web",
    other_name: "Lady Lovelace",
    other_locale: "gsw-CH",
};

const BOB: Marks = Marks {
    former: "bob.former@example.org",
    present: "bob.present@example.org",
    stopped: "bob.stopped@example.org",
    pending: "bob.pending@example.org",
    name: "Robert",
    locale: "nds-DE",
    user_agent: "Typewriter Chrome on Windows",
    address: "198.51.100.1",
    request_id: "req-of-bob",
    client_id: "kiosk",
    other_name: "Bobby",
    other_locale: "sv-FI",
};

impl Marks {
    fn all(&self) -> [&'static str; 12] {
        [
            self.former,
            self.present,
            self.stopped,
            self.pending,
            self.name,
            self.locale,
            self.user_agent,
            self.address,
            self.request_id,
            self.client_id,
            self.other_name,
            self.other_locale,
        ]
    }

    fn caller(&self) -> ClientInfo {
        ClientInfo {
            address: Some(self.address.parse().unwrap()),
            user_agent: UserAgent::parse(self.user_agent),
            locale: Some(Locale::parse(self.locale).unwrap()),
            request_id: Some(self.request_id.to_owned()),
        }
    }

    fn request(&self, address: &str, password: &str, name: &str, locale: &str) -> SignUpRequest {
        SignUpRequest {
            email: email(address),
            password: vestibule::model::PasswordPolicy::new(8, "test")
                .judge(password, vestibule::model::PersonalData::default())
                .unwrap(),
            name: Name::parse(name).unwrap(),
            locale: Some(Locale::parse(locale).unwrap()),
            caller: self.caller(),
        }
    }
}

fn in_an_hour() -> vestibule::clock::Timestamp {
    BEGINNING + Duration::from_secs(3_600)
}

/// A link of the sign-up that waits for the address, as the courier would mint it.
async fn activation_link(accounts: &Accounts, address: &str) -> String {
    let (email, token) = (email(address), LinkToken::new(Entropy.secret()));
    let minted = accounts.store.write(async |tx| {
        let waiting = tx.find_sign_up_by_email(&email).await?.unwrap();
        let id = waiting.sign_up.id;
        tx.insert_activation_link(&token.digest(), id, BEGINNING, in_an_hour()).await
    });
    minted.await.unwrap_or_else(|error: vestibule::storage::StoreError| panic!("{error:?}"));
    token.reveal()
}

/// A link to the owner of the account; with a change of address, to its new address.
async fn account_link(
    accounts: &Accounts,
    account: AccountId,
    purpose: AccountLinkPurpose,
) -> String {
    let token = LinkToken::new(Entropy.secret());
    let minted = accounts.store.write(async |tx| {
        let changes = tx.find_email_changes_of(account, None, 100).await?;
        let pending = changes.iter().find(|change| change.state.ended_at().is_none());
        let email_change: Option<EmailChangeId> = match purpose {
            AccountLinkPurpose::PasswordReset => None,
            _ => pending.map(|change| change.id),
        };
        let new = NewAccountLink {
            digest: &token.digest(),
            purpose,
            account,
            email_change,
            now: BEGINNING,
            expires_at: in_an_hour(),
        };
        tx.insert_account_link(&new).await
    });
    minted.await.unwrap_or_else(|error: vestibule::storage::StoreError| panic!("{error:?}"));
    token.reveal()
}

/// Sends all letters that are due but one, to an address of the person, which the mail server
/// refuses for good: the export says nothing about letters to addresses that were not the person's
/// (S7).
async fn send_all_but_one(accounts: &Accounts, marks: &Marks) {
    let mut sent = claim(&accounts.store, BEGINNING, 100).await;
    let own = [marks.former, marks.present];
    let refused = sent.iter().position(|letter| own.contains(&letter.email.as_str())).unwrap();
    let refused = &sent.swap_remove(refused);
    let said = format!("550 no such user as {}", marks.present);
    let noted = accounts.store.write(async |tx| {
        for letter in &sent {
            assert!(tx.mark_sent(letter, BEGINNING).await?);
        }
        tx.mark_dead(refused, BEGINNING, &said).await
    });
    assert!(
        noted.await.unwrap_or_else(|error: vestibule::storage::StoreError| panic!("{error:?}"))
    );
}

/// Signs in by token and on the page, and fails once.
async fn sign_in(oauth: &OAuth, marks: &Marks) {
    let grant = async |password: &str| {
        let request = PasswordGrant {
            client: Some(Credentials {
                client_id: marks.client_id.to_owned(),
                secret: None,
                shown_in: ShownIn::Body,
                had_plus: false,
            }),
            username: marks.present.to_owned(),
            password: Password::new(password),
            scope: None,
            caller: marks.caller(),
        };
        oauth.password_grant(&request).await
    };
    let pair = grant(PASSWORD).await.unwrap();
    if pair.refresh.is_some() {
        crate::race_nodes::refresh(oauth, &pair).await.unwrap();
    }
    assert!(grant(NEW_PASSWORD).await.is_err());
    let (password, caller) = (Password::new(PASSWORD), marks.caller());
    let attempt = vestibule::accounts::SignInAttempt {
        username: marks.present,
        password: &password,
        client_id: None,
        caller: &caller,
    };
    oauth.accounts.sign_in_to_page(attempt).await.unwrap();
}

/// An account with every kind of stored data about a person.
async fn account_with_all_data(oauth: &OAuth, marks: &Marks) -> AccountId {
    let (accounts, caller) = (&oauth.accounts, marks.caller());
    let password = Password::new(PASSWORD);
    let request = marks.request(marks.former, PASSWORD, marks.name, marks.locale);
    accounts.sign_up(request).await.unwrap();
    let link = activation_link(accounts, marks.former).await;
    accounts.activate(&link, None, &caller).await.unwrap();
    let named = vestibule::accounts::IdOrEmail::Email(email(marks.former));
    let id = accounts.find_named(&named).await.unwrap().unwrap().account.id;

    account_link(accounts, id, AccountLinkPurpose::PasswordReset).await;
    accounts.request_password_reset(&email(marks.former), &caller).await.unwrap();
    send_all_but_one(accounts, marks).await;
    let change = async |address| {
        accounts.request_email_change(id, &email(address), &password, &caller).await.unwrap();
    };
    change(marks.present).await;
    let link = account_link(accounts, id, AccountLinkPurpose::EmailChange).await;
    accounts.confirm_email_change(&link, &caller).await.unwrap();
    change(marks.stopped).await;
    let link = account_link(accounts, id, AccountLinkPurpose::EmailChangeStop).await;
    accounts.stop_email_change(&link, &caller).await.unwrap();
    send_all_but_one(accounts, marks).await;
    change(marks.pending).await;
    account_link(accounts, id, AccountLinkPurpose::EmailChange).await;
    accounts.request_password_reset(&email(marks.present), &caller).await.unwrap();
    account_link(accounts, id, AccountLinkPurpose::PasswordReset).await;
    sign_in(oauth, marks).await;

    // a sign-up with the same address
    let request = marks.request(marks.present, NEW_PASSWORD, marks.other_name, marks.other_locale);
    accounts.sign_up(request).await.unwrap();
    activation_link(accounts, marks.present).await;
    // the rest of the letters is on its way
    claim(&accounts.store, BEGINNING, 100).await;
    id
}

/// The person's export, checked against its schema.
async fn export(accounts: &Accounts, id: AccountId, marks: &Marks) -> Value {
    let export = accounts.export(id, &marks.caller()).await.unwrap();
    let mut document = serde_json::to_value(&export).unwrap();
    let mut part = export.first;
    loop {
        for page in &part.pages {
            let members = document.as_object_mut().unwrap();
            let list = members.entry(page.list.name()).or_insert_with(|| json!([]));
            let rows = page.rows.iter().map(|row| serde_json::to_value(row).unwrap());
            list.as_array_mut().unwrap().extend(rows);
        }
        let Some(next) = part.next else { break };
        part = accounts.export_part(next).await.unwrap();
    }
    let mut export = document;
    export["$schema"] = json!("https://accounts.example.org/schemas/account-export.json");

    let schema = include_str!("../../schemas/account-export.json");
    let validator = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .build(&serde_json::from_str(schema).unwrap())
        .unwrap();
    let wrong: Vec<String> = validator.iter_errors(&export).map(|e| e.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // the schema check must be able to fail
    let mut spoilt = export.clone();
    spoilt["exported_at"] = json!("yesterday");
    assert!(!validator.is_valid(&spoilt));
    export
}

/// The rows that hold one of the texts.
fn holding<'a>(rows: &'a BTreeSet<String>, texts: &[String]) -> Vec<&'a String> {
    rows.iter().filter(|row| texts.iter().any(|text| row.contains(text))).collect()
}

async fn export_contains_all_data_and_deletion_leaves_none(db: TestDatabase) {
    let settings = "[default.vestibule.events]\naddress = \"full\"";
    let app = TestApp::on_database(&db.url, settings).await;
    let oauth = app.oauth();
    let accounts = &oauth.accounts;
    let bob = account_with_all_data(oauth, &BOB).await;
    let without_ada = rows(&db).await;

    let ada = account_with_all_data(oauth, &ADA).await;
    let stored = rows(&db).await;
    let mut exports = vec![export(accounts, ada, &ADA).await];
    // a contested sign-up has no name, and a disabled account has no sessions
    let request = ADA.request(ADA.present, PASSWORD, ADA.other_name, ADA.other_locale);
    accounts.sign_up(request).await.unwrap();
    exports.push(export(accounts, ada, &ADA).await);
    assert!(accounts.disable(ada).await.unwrap());
    exports.push(export(accounts, ada, &ADA).await);
    assert!(accounts.enable(ada).await.unwrap());
    sign_in(oauth, &ADA).await;

    for (table, column, kept) in COLUMNS {
        let ExportOf::Shown(path) = kept else { continue };
        let seen = exports.iter().any(|export| !shown(export, path).is_empty());
        assert!(seen, "{table}.{column} is not in the export at {path}");
    }
    let first = exports[0].to_string();
    for mark in ADA.all() {
        assert!(first.contains(mark), "the export lacks {mark}");
    }
    for mark in BOB.all().into_iter().chain([bob.to_string().as_str()]) {
        assert!(!first.contains(mark), "the export contains {mark}");
    }

    let mut marks: Vec<String> = ADA.all().iter().map(|mark| (*mark).to_owned()).collect();
    marks.retain(|mark| mark != ADA.client_id);
    marks.push(ada.to_string());
    for mark in &marks {
        assert!(!holding(&stored, std::slice::from_ref(mark)).is_empty(), "{mark} is not stored");
    }
    accounts.delete(ada, &Password::new(PASSWORD), &ADA.caller()).await.unwrap();

    // besides Bob's rows, only the record of a deletion and a letter about it are left
    let left = rows(&db).await;
    assert_eq!(without_ada.difference(&left).count(), 0, "rows of another account have changed");
    let mut left: Vec<&String> = left.difference(&without_ada).collect();
    left.sort();
    // besides the hourly counts of networks, which name no person
    left.retain(|row| !row.starts_with("networks:"));
    assert_eq!(left.len(), 2, "{left:#?}");
    assert!(left[0].starts_with("events:") && left[0].contains("kind=account-deleted"));
    assert!(left[1].starts_with("outbox:") && left[1].contains("kind=account-deleted"));
    for mark in &marks {
        let may_be_left = *mark == ADA.present || *mark == ADA.locale;
        assert!(!left[0].contains(mark), "{}", left[0]);
        assert_eq!(left[1].contains(mark), may_be_left, "{}", left[1]);
    }

    // the letter leaves, and the last row with it
    let letters = claim(&db.store, BEGINNING, 100).await;
    let farewell = letters.iter().find(|letter| letter.kind == "account-deleted").unwrap();
    assert!(db.store.write(async |tx| tx.drop_letter(farewell).await).await.unwrap());
    let left = rows(&db).await;
    assert_eq!(holding(&left, &marks), Vec::<&String>::new());
    assert_eq!(
        left.len(),
        without_ada.len() + 2,
        "the event of the deletion, and the counts of the network"
    );

    // Bob's account still works
    page_sign_in(oauth, &email(BOB.present), PASSWORD).await.unwrap();
    export(accounts, bob, &BOB).await;
}
