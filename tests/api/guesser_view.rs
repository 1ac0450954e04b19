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
enum Deed {
    Nothing,
    /// No act, since the account does not exist.
    IsNobody,
    SignsInAtHome,
    SignsInAtNewPlaces,
    SignsInOnThePage,
    AsksForAnotherAddress,
    ChangesThePassword,
    SignsOutEverywhere,
    IsDisabled,
    Leaves,
}

impl Deed {
    const ALL: [Self; 10] = [
        Self::Nothing,
        Self::IsNobody,
        Self::SignsInAtHome,
        Self::SignsInAtNewPlaces,
        Self::SignsInOnThePage,
        Self::AsksForAnotherAddress,
        Self::ChangesThePassword,
        Self::SignsOutEverywhere,
        Self::IsDisabled,
        Self::Leaves,
    ];

    /// Whether the act happens once, because it ends the account or session that a second one
    /// would need.
    const fn is_done_once(self) -> bool {
        matches!(self, Self::ChangesThePassword | Self::IsDisabled | Self::Leaves)
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

async fn at_home(app: &TestApp) -> String {
    let fields = support::sign_in_fields();
    let request = app.client.post("/oauth/token").header(ContentType::Form);
    support::tokens(from(request, HOME).body(form(&fields)).dispatch().await).await.access
}

async fn signed_in(app: &TestApp, path: &'static str, body: serde_json::Value) -> Status {
    let access = at_home(app).await;
    let request = match path {
        "/v1/me/password" => app.client.put(path),
        _ => app.client.post(path),
    };
    let request = request.header(support::bearer(&access)).header(ContentType::JSON);
    from(request, HOME).body(body.to_string()).dispatch().await.status()
}

async fn happen(app: &TestApp, deed: Deed, number: usize) {
    let new_place = format!("198.51.100.{number}");
    let id = async || {
        let email = vestibule::model::EmailAddress::parse(ADA).unwrap();
        let found = accounts(app).store.read(async |db| db.find_account_by_email(&email).await);
        found.await.unwrap().unwrap().account.id
    };
    match deed {
        Deed::Nothing | Deed::IsNobody => {}
        Deed::SignsInAtHome => assert_eq!(sign_in(app, HOME, PASSWORD).await.0, 200),
        Deed::SignsInAtNewPlaces => {
            // while the limit holds, the right password has to wait as well
            assert!(matches!(sign_in(app, &new_place, PASSWORD).await.0, 200 | 429));
        }
        Deed::SignsInOnThePage => {
            let fields = form(&[("email", ADA), ("password", PASSWORD)]);
            let request = app.client.post("/account/sign-in").header(ContentType::Form);
            let answer = from(request, HOME).body(fields).dispatch().await;
            assert_eq!(answer.status(), Status::SeeOther);
        }
        Deed::AsksForAnotherAddress => {
            let body = json!({ "email": NEW, "password": PASSWORD });
            assert_eq!(signed_in(app, "/v1/me/email", body).await, Status::Accepted);
        }
        Deed::ChangesThePassword => {
            let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
            assert_eq!(signed_in(app, "/v1/me/password", body).await, Status::NoContent);
        }
        Deed::SignsOutEverywhere => {
            let id = id().await;
            let ended = accounts(app).end_sessions(id, Actor::Owner, &ClientInfo::default()).await;
            assert!(ended.unwrap());
        }
        Deed::IsDisabled => assert!(accounts(app).disable(id().await).await.unwrap()),
        Deed::Leaves => {
            let body = json!({ "password": PASSWORD });
            assert_eq!(signed_in(app, "/v1/me/deletion", body).await, Status::NoContent);
        }
    }
}

/// All answers that the guessers get, from the free attempts to the hundredth in a row and beyond.
async fn seen(
    deed: Deed,
    first: usize,
    guessers: [&str; 2],
) -> (Vec<(u16, Option<String>)>, Vec<String>) {
    let app = support::configured(TOML).await;
    if deed != Deed::IsNobody {
        app.account(ADA).await;
        assert_eq!(sign_in(&app, HOME, PASSWORD).await.0, 200);
    }
    let mut seen = vec![];
    for number in 0..115 {
        let is_time = number == first || (number > first && number % 10 == 0);
        if is_time && !(deed.is_done_once() && number > first) {
            happen(&app, deed, number).await;
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
async fn s13_r18_a_guesser_sees_nothing_of_what_the_owner_does() {
    for (first, guessers) in [(3, AWAY), (30, AWAY), (3, BESIDE)] {
        let (expected, rows) = seen(Deed::Nothing, first, guessers).await;
        let statuses: Vec<u16> = expected.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 101);
        assert!(statuses.ends_with(&[429, 429, 400]), "{statuses:?}");
        for deed in Deed::ALL {
            // at a new place there is a wait by then, for the owner as well
            let (heard, left) = seen(deed, first, guessers).await;
            for (number, (one, other)) in heard.iter().zip(&expected).enumerate() {
                let place = guessers[number % 2];
                assert_eq!(one, other, "{deed:?} from {first}, at {place}: answer {number}");
            }
            assert_eq!(left, rows, "{deed:?} from {first}, at {guessers:?}");
        }
    }
}
