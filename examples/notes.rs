//! Example of a Rocket application that mounts Vestibule and keeps notes of signed-in people:
//! `cargo run --example notes`.
//!
//! An application needs the stage, a scope, and the guard on each route. The client that requests
//! the scope is registered in the settings; this example has no `Rocket.toml` and registers it
//! below.

use std::collections::HashMap;
use std::sync::Mutex;

use rocket::figment::providers::{Format, Toml};
use rocket::serde::json::Json;
use rocket::{Build, Rocket, State, get, launch, post, routes};
use vestibule::model::AccountId;
use vestibule::web::{Bearer, RequiredScope};

/// Scope for reading and writing notes.
struct UseNotes;

impl RequiredScope for UseNotes {
    const SCOPE: &'static str = "notes";
}

/// Notes of all accounts.
#[derive(Default)]
struct Notes(Mutex<HashMap<AccountId, Vec<String>>>);

#[get("/notes")]
fn list(bearer: Bearer<UseNotes>, notes: &State<Notes>) -> Json<Vec<String>> {
    let notes = notes.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Json(notes.get(&bearer.account()).cloned().unwrap_or_default())
}

#[post("/notes", data = "<note>")]
fn add(bearer: Bearer<UseNotes>, note: String, notes: &State<Notes>) {
    let mut notes = notes.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    notes.entry(bearer.account()).or_default().push(note);
}

const SETTINGS: &str = r#"
[default.vestibule.clients.notebook]
public = true
grants = ["password", "refresh_token"]
scopes = ["notes"]
"#;

#[launch]
fn application() -> Rocket<Build> {
    let settings = rocket::Config::figment().merge(Toml::string(SETTINGS).nested());
    rocket::custom(settings)
        .attach(vestibule::stage())
        .manage(Notes::default())
        .mount("/", routes![list, add])
}

#[cfg(test)]
mod tests {
    use rocket::http::Status;
    use vestibule::testing::TestApp;

    use super::*;

    #[rocket::async_test]
    async fn notes_are_visible_to_their_owner_only() {
        let app = TestApp::around(application()).await;
        let refused = app.client.get("/notes").dispatch().await;
        assert_eq!(refused.status(), Status::Unauthorized);
        assert_eq!(refused.headers().get_one("WWW-Authenticate"), Some("Bearer"));

        let ada = app.signed_in_to("notebook", "ada@example.org").await;
        let bob = app.signed_in_to("notebook", "bob@example.org").await;
        let added = ada.post("/notes").body("buy milk").dispatch().await;
        assert_eq!(added.status(), Status::Ok);
        let notes = |answer: Option<Vec<String>>| answer.expect("JSON");
        let hers = notes(ada.get("/notes").dispatch().await.into_json().await);
        assert_eq!(hers, ["buy milk"]);
        assert!(notes(bob.get("/notes").dispatch().await.into_json().await).is_empty());
    }

    #[rocket::async_test]
    async fn token_without_the_scope_is_refused() {
        let app = TestApp::around(application()).await;
        let ada = app.signed_in("ada@example.org").await;
        let refused = ada.get("/notes").dispatch().await;
        assert_eq!(refused.status(), Status::Forbidden);
        let challenge = refused.headers().get_one("WWW-Authenticate").expect("a challenge");
        assert!(challenge.ends_with("scope=\"notes\""), "{challenge}");
    }
}
