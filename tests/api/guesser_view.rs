//! Tests that a guesser sees the same for every act of the account's owner (S13, R18): the status,
//! `Retry-After`, and the rows that a guess reads and writes. The rows are the guess's work, and so
//! they determine its time.

use std::time::Duration;

use rocket::http::{ContentType, Status};
use serde_json::json;
use vestibule::model::{Actor, ClientInfo};
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, ADA, form, from};
use crate::support_accounts::{NEW, accounts};
use crate::support_pages::{OTHER, dump_of};

const HOME: &str = "192.0.2.10";
/// The guessers' addresses: far away, or beside the owner in the same /24.
const AWAY: [&str; 2] = ["203.0.113.66", "203.0.113.67"];
const BESIDE: [&str; 2] = ["192.0.2.11", "192.0.2.12"];
/// Settings that leave the limits of the name alone.
const TOML: &str = "[default.vestibule.limits]\nfailures_per_address = 100000\n\
                    failures_in_all = 1000000";

/// The owner's act while a guesser guesses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OwnerAct {
    Nothing,
    /// The account does not exist.
    NoAccount,
    SignsInAtHome,
    SignsInAtNewLocations,
    SignsInOnThePage,
    AsksForAnotherAddress,
    ChangesThePassword,
    SignsOutEverywhere,
    IsDisabledByOperator,
    DeletesTheAccount,
}

impl OwnerAct {
    const ALL: [Self; 10] = [
        Self::Nothing,
        Self::NoAccount,
        Self::SignsInAtHome,
        Self::SignsInAtNewLocations,
        Self::SignsInOnThePage,
        Self::AsksForAnotherAddress,
        Self::ChangesThePassword,
        Self::SignsOutEverywhere,
        Self::IsDisabledByOperator,
        Self::DeletesTheAccount,
    ];

    /// Whether the act happens once, because it ends the account or session that a second one
    /// would need.
    const fn happens_once(self) -> bool {
        matches!(
            self,
            Self::ChangesThePassword | Self::IsDisabledByOperator | Self::DeletesTheAccount
        )
    }
}

async fn sign_in(app: &TestApp, address: &str, password: &str) -> (u16, Option<String>) {
    let fields = [
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", ADA),
        ("password", password),
    ];
    let request = app.client.post("/oauth/token").header(ContentType::Form);
    let answer = from(request, address).body(form(&fields)).dispatch().await;
    let wait = support::header(&answer, "Retry-After").map(str::to_owned);
    (answer.status().code, wait)
}

async fn sign_in_at_home(app: &TestApp) -> String {
    let fields = support::sign_in_fields();
    let request = app.client.post("/oauth/token").header(ContentType::Form);
    support::tokens(from(request, HOME).body(form(&fields)).dispatch().await).await.access
}

async fn post_signed_in(app: &TestApp, path: &'static str, body: serde_json::Value) -> Status {
    let access = sign_in_at_home(app).await;
    let request = match path {
        "/v1/me/password" => app.client.put(path),
        _ => app.client.post(path),
    };
    let request = request.header(support::bearer(&access)).header(ContentType::JSON);
    from(request, HOME).body(body.to_string()).dispatch().await.status()
}

async fn perform(app: &TestApp, act: OwnerAct, number: usize) {
    let new_location = format!("198.51.100.{number}");
    let id = async || {
        let email = vestibule::model::EmailAddress::parse(ADA).unwrap();
        let found = accounts(app).store.read(async |db| db.find_account_by_email(&email).await);
        found.await.unwrap().unwrap().account.id
    };
    match act {
        OwnerAct::Nothing | OwnerAct::NoAccount => {}
        OwnerAct::SignsInAtHome => assert_eq!(sign_in(app, HOME, PASSWORD).await.0, 200),
        OwnerAct::SignsInAtNewLocations => {
            // while the limit holds, the right password has to wait as well
            assert!(matches!(sign_in(app, &new_location, PASSWORD).await.0, 200 | 429));
        }
        OwnerAct::SignsInOnThePage => {
            let fields = form(&[("email", ADA), ("password", PASSWORD)]);
            let request = app.client.post("/account/sign-in").header(ContentType::Form);
            let answer = from(request, HOME).body(fields).dispatch().await;
            assert_eq!(answer.status(), Status::SeeOther);
        }
        OwnerAct::AsksForAnotherAddress => {
            let body = json!({ "email": NEW, "password": PASSWORD });
            assert_eq!(post_signed_in(app, "/v1/me/email", body).await, Status::Accepted);
        }
        OwnerAct::ChangesThePassword => {
            let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
            assert_eq!(post_signed_in(app, "/v1/me/password", body).await, Status::NoContent);
        }
        OwnerAct::SignsOutEverywhere => {
            let id = id().await;
            let ended = accounts(app).end_sessions(id, Actor::Owner, &ClientInfo::default()).await;
            assert!(ended.unwrap());
        }
        OwnerAct::IsDisabledByOperator => assert!(accounts(app).disable(id().await).await.unwrap()),
        OwnerAct::DeletesTheAccount => {
            let body = json!({ "password": PASSWORD });
            assert_eq!(post_signed_in(app, "/v1/me/deletion", body).await, Status::NoContent);
        }
    }
}

/// All answers that the guessers get, from the free attempts to the hundredth in a row and beyond.
async fn view_of_guessers(
    act: OwnerAct,
    first: usize,
    guessers: [&str; 2],
) -> (Vec<(u16, Option<String>)>, Vec<String>) {
    let app = support::configured(TOML).await;
    if act != OwnerAct::NoAccount {
        app.account(ADA).await;
        assert_eq!(sign_in(&app, HOME, PASSWORD).await.0, 200);
    }
    let mut seen = vec![];
    for number in 0..115 {
        let is_time = number == first || (number > first && number % 10 == 0);
        if is_time && !(act.happens_once() && number > first) {
            perform(&app, act, number).await;
        }
        for address in guessers {
            seen.push(sign_in(&app, address, "incorrect horse battery staple").await);
        }
        app.advance(Duration::from_secs(if number < 20 { 1 } else { 1_000 }));
    }
    app.advance(Duration::from_secs(90 * 24 * 36));
    seen.push(sign_in(&app, guessers[0], "incorrect horse battery staple").await);
    let mut rows = dump_of(&app, "guesses").await;
    rows.extend(dump_of(&app, "networks").await);
    (seen, rows)
}

#[rocket::async_test]
async fn s13_r18_guesser_sees_no_trace_of_the_owners_acts() {
    for (first, guessers) in [(3, AWAY), (30, AWAY), (3, BESIDE)] {
        let (expected, rows) = view_of_guessers(OwnerAct::Nothing, first, guessers).await;
        let statuses: Vec<u16> = expected.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 101);
        assert!(statuses.ends_with(&[429, 429, 400]), "{statuses:?}");
        for act in OwnerAct::ALL {
            // at a new location the owner has to wait by then, too
            let (heard, left) = view_of_guessers(act, first, guessers).await;
            for (number, (one, other)) in heard.iter().zip(&expected).enumerate() {
                let place = guessers[number % 2];
                assert_eq!(one, other, "{act:?} from {first}, at {place}: answer {number}");
            }
            assert_eq!(left, rows, "{act:?} from {first}, at {guessers:?}");
        }
    }
}
