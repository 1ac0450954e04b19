//! Tests of registered clients: their rows, and their sessions when a client is disabled or
//! removed.

use std::time::Duration;

use vestibule::clock::Timestamp;
use vestibule::config::Introspects;
use vestibule::model::{
    Client, ClientAuthentication, ClientId, ClientLifetimes, GrantType, SessionId,
};
use vestibule::storage::{ClientRecord, SessionRecord};

use crate::database::{
    NOW, StartingSession, TestDatabase, access_only, after, at_once, client, digest, rotating,
    scope,
};

on_both_engines! {
    client_is_read_back_as_registered,
    second_registration_of_a_client_id_is_refused,
    one_of_eight_concurrent_registrations_of_an_id_succeeds,
    clients_are_listed_in_the_order_of_their_ids,
    rotated_client_secret_leaves_its_predecessor_valid_for_a_time,
    a_public_client_has_no_secret_to_rotate,
    a_client_is_disabled_and_enabled_once,
    origins_of_disabled_clients_are_not_allowed,
    r27_a_disabled_or_removed_client_gets_no_session,
    r27_session_read_tells_that_its_client_is_disabled_or_removed,
    r27_sessions_of_a_disabled_or_removed_client_are_not_renewed,
    r27_a_renewal_that_races_the_disabling_of_its_client_leaves_no_live_session,
    client_in_the_settings_overrides_its_disabled_row,
    count_and_purge_take_sessions_of_one_client,
}

fn public(id: &str) -> Client {
    Client {
        id: client(id),
        authentication: ClientAuthentication::Public,
        grants: GrantType::ALL.into(),
        scope: scope("read write"),
        introspects: Introspects::Own,
        allowed_origins: Default::default(),
        lifetimes: ClientLifetimes::default(),
    }
}

fn confidential(id: &str) -> Client {
    let authentication =
        ClientAuthentication::Confidential { secret: digest("first"), previous: None };
    Client { authentication, ..public(id) }
}

impl TestDatabase {
    async fn register(&self, client: &Client) -> bool {
        self.store.write(async |tx| tx.insert_client(client, NOW).await).await.unwrap()
    }

    async fn find_client(&self, id: &ClientId) -> Option<ClientRecord> {
        self.store.read(async |db| db.find_client(id).await).await.unwrap()
    }

    async fn disable(&self, id: &ClientId) -> bool {
        self.store.write(async |tx| tx.disable_client(id, NOW).await).await.unwrap()
    }

    async fn enable(&self, id: &ClientId) -> bool {
        self.store.write(async |tx| tx.enable_client(id).await).await.unwrap()
    }

    async fn delete_client(&self, id: &ClientId) -> bool {
        self.store.write(async |tx| tx.delete_client(id).await).await.unwrap()
    }

    async fn rotate(&self, id: &ClientId, secret: &str, until: Timestamp) -> bool {
        let secret = digest(secret);
        let rotate = async |tx: &mut vestibule::storage::Connection| {
            tx.rotate_client_secret(id, &secret, Some(until)).await
        };
        self.store.write(rotate).await.unwrap()
    }

    /// Starts a session through the client. Returns whether it was started, and its id.
    async fn starts(&self, id: &ClientId) -> (bool, SessionId) {
        let account = self.account_of(id).await;
        let new = StartingSession {
            client: id.clone(),
            client_is_stored: true,
            ..StartingSession::of(account)
        };
        (self.start(&new).await, new.id)
    }

    async fn account_of(&self, id: &ClientId) -> vestibule::model::AccountId {
        let count = self.count("accounts").await;
        self.account(&format!("ada{count}@{}.example", id.as_str())).await
    }
}

async fn client_is_read_back_as_registered(db: TestDatabase) {
    let full = Client {
        introspects: Introspects::All,
        allowed_origins: "https://a.example http://localhost:3000".parse().unwrap(),
        lifetimes: ClientLifetimes {
            access: Some(Duration::from_millis(1_500)),
            idle: Some(Duration::from_secs(60)),
            session: Some(Duration::from_secs(100 * 366 * 24 * 3_600)),
        },
        ..confidential("my é")
    };
    let bare = Client { grants: [GrantType::Password].into(), scope: scope(""), ..public("bare") };
    for wanted in [full, bare] {
        assert!(db.find_client(&wanted.id).await.is_none());
        assert!(db.register(&wanted).await);
        let found = db.find_client(&wanted.id).await.unwrap();
        assert_eq!(format!("{:?}", found.client), format!("{wanted:?}"));
        assert_eq!(found.client.authentication, wanted.authentication);
        assert_eq!((found.created_at, found.disabled_at), (NOW, None));
    }
    assert!(db.find_client(&client("BARE")).await.is_none());
}

async fn second_registration_of_a_client_id_is_refused(db: TestDatabase) {
    assert!(db.register(&public("web")).await);
    assert!(!db.register(&confidential("web")).await);
    let found = db.find_client(&client("web")).await.unwrap();
    assert!(found.client.is_public(), "the first registration stays");
    assert!(db.delete_client(&client("web")).await);
    assert!(!db.delete_client(&client("web")).await);
    assert!(db.register(&confidential("web")).await);
}

async fn one_of_eight_concurrent_registrations_of_an_id_succeeds(db: TestDatabase) {
    let store = db.store.clone();
    let registered = at_once(8, |_| {
        let store = store.clone();
        async move {
            let client = public("web");
            store.write(async |tx| tx.insert_client(&client, NOW).await).await.unwrap()
        }
    })
    .await;
    assert_eq!(registered.iter().filter(|registered| **registered).count(), 1);
    assert_eq!(db.count("clients").await, 1);
}

async fn clients_are_listed_in_the_order_of_their_ids(db: TestDatabase) {
    for id in ["till", "desk", "web"] {
        assert!(db.register(&public(id)).await);
    }
    assert!(db.disable(&client("till")).await);
    let list = db.store.read(async |db| db.find_clients(None, 100).await).await.unwrap();
    let ids: Vec<_> = list.iter().map(|record| record.client.id.as_str()).collect();
    assert_eq!(ids, ["desk", "till", "web"]);
}

async fn rotated_client_secret_leaves_its_predecessor_valid_for_a_time(db: TestDatabase) {
    let desk = client("desk");
    assert!(db.register(&confidential("desk")).await);
    assert!(db.rotate(&desk, "second", after(60)).await);
    let proven = async |secret: &str, now| {
        let found = db.find_client(&desk).await.unwrap();
        found.client.authentication.is_proven_by(Some(&digest(secret)), now)
    };
    assert!(proven("first", after(59)).await && proven("second", after(59)).await);
    assert!(!proven("first", after(60)).await && proven("second", after(60)).await);
    assert!(db.rotate(&desk, "third", after(60)).await);
    assert!(!proven("first", NOW).await, "only the immediate predecessor works");
    assert!(proven("second", NOW).await && proven("third", NOW).await);
    assert!(!db.rotate(&client("nobody"), "x", NOW).await);
}

async fn a_public_client_has_no_secret_to_rotate(db: TestDatabase) {
    assert!(db.register(&public("till")).await);
    assert!(!db.rotate(&client("till"), "x", after(60)).await);
    assert!(db.find_client(&client("till")).await.unwrap().client.is_public());
}

async fn a_client_is_disabled_and_enabled_once(db: TestDatabase) {
    let (desk, missing) = (client("desk"), client("nobody"));
    assert!(db.register(&public("desk")).await);
    assert!(!db.enable(&desk).await && !db.disable(&missing).await && !db.enable(&missing).await);
    assert!(db.disable(&desk).await && !db.disable(&desk).await);
    assert_eq!(db.find_client(&desk).await.unwrap().disabled_at, Some(NOW));
    assert!(db.enable(&desk).await && !db.enable(&desk).await);
    assert_eq!(db.find_client(&desk).await.unwrap().disabled_at, None);
}

async fn origins_of_disabled_clients_are_not_allowed(db: TestDatabase) {
    let is_allowed = async |origin: &str| {
        let found = db.store.read(async |db| db.find_allowed_origin(origin).await).await.unwrap();
        assert!(found.as_deref().is_none_or(|found| found == origin), "{found:?}");
        found.is_some()
    };
    assert!(db.register(&public("bare")).await);
    let two = "https://a.example http://b-c.example:8080".parse().unwrap();
    let desk = Client { allowed_origins: two, ..public("desk") };
    assert!(db.register(&desk).await);
    assert!(is_allowed("https://a.example").await && is_allowed("http://b-c.example:8080").await);
    for other in [
        "",
        " ",
        "%",
        "https://_.example",
        "https://A.example",
        "https://a.exampl",
        "a.example",
        "https://a.example ",
        "http://b-c.example:8080 https://a.example",
        "https://a.example http://b-c.example:8080",
    ] {
        assert!(!is_allowed(other).await, "{other}");
    }
    assert!(!is_allowed(&format!("https://{}", "a".repeat(100_000))).await);
    assert!(db.disable(&desk.id).await);
    assert!(!is_allowed("https://a.example").await);
}

async fn r27_a_disabled_or_removed_client_gets_no_session(db: TestDatabase) {
    let desk = client("desk");
    assert!(!db.starts(&desk).await.0, "the client is not registered yet");
    assert!(db.register(&public("desk")).await);
    assert!(db.starts(&desk).await.0);
    assert!(db.disable(&desk).await);
    assert!(!db.starts(&desk).await.0);
    assert!(db.enable(&desk).await);
    assert!(db.starts(&desk).await.0);
    assert!(db.delete_client(&desk).await);
    assert!(!db.starts(&desk).await.0);
    assert_eq!(db.count("sessions").await, 2);
}

/// A new session through the client, as stored.
async fn started(db: &TestDatabase, id: &ClientId) -> SessionRecord {
    let (started, session) = db.starts(id).await;
    assert!(started);
    db.find_session(session).await.unwrap()
}

async fn r27_session_read_tells_that_its_client_is_disabled_or_removed(db: TestDatabase) {
    let desk = client("desk");
    assert!(db.register(&public("desk")).await);
    let session = started(&db, &desk).await;
    let enabled = async || {
        let account = session.account;
        let listed =
            db.store.read(async |db| db.find_sessions_of(account, None, 1_000, NOW).await).await;
        let listed: Vec<_> = listed.unwrap().iter().map(|one| one.client_enabled).collect();
        let found = db.find_session(session.id).await.unwrap().client_enabled;
        assert_eq!(listed, [found]);
        found
    };
    assert_eq!(enabled().await, Some(true));
    assert!(db.disable(&desk).await);
    assert_eq!(enabled().await, Some(false));
    assert!(db.delete_client(&desk).await);
    assert_eq!(enabled().await, None);
}

async fn r27_sessions_of_a_disabled_or_removed_client_are_not_renewed(db: TestDatabase) {
    let desk = client("desk");
    assert!(db.register(&public("desk")).await);
    let read = started(&db, &desk).await;
    let scope = scope("read");
    let renewals = [access_only(1, &scope, NOW), rotating(1, &scope, NOW)];
    let renewals =
        renewals.map(|renewal| vestibule::storage::Renewal { client_is_stored: true, ..renewal });
    assert!(db.disable(&desk).await);
    for renewal in &renewals {
        assert!(!db.renew(&read, renewal).await, "disabled");
    }
    assert!(db.delete_client(&desk).await);
    for renewal in &renewals {
        assert!(!db.renew(&read, renewal).await, "removed");
    }
    assert!(db.register(&public("desk")).await);
    assert!(db.renew(&read, &renewals[1]).await, "the client is enabled again");
}

async fn r27_a_renewal_that_races_the_disabling_of_its_client_leaves_no_live_session(
    db: TestDatabase,
) {
    let desk = client("desk");
    assert!(db.register(&public("desk")).await);
    for round in 1..=20 {
        let read = started(&db, &desk).await;
        let store = db.store.clone();
        let renewing = async {
            let scope = scope("read");
            let renewal = vestibule::storage::Renewal {
                client_is_stored: true,
                ..rotating(round, &scope, NOW)
            };
            db.renew(&read, &renewal).await
        };
        let disabling = store.write(async |tx| {
            tx.disable_client(&desk, NOW).await?;
            tx.purge_sessions_of_client(&desk).await
        });
        let (_, disabled) = tokio::join!(renewing, disabling);
        disabled.unwrap();
        let found = db.find_session(read.id).await;
        assert!(found.is_none_or(|session| session.client_enabled == Some(false)));
        assert!(db.enable(&desk).await);
    }
    assert_eq!(db.count("sessions").await, 0);
}

async fn client_in_the_settings_overrides_its_disabled_row(db: TestDatabase) {
    assert!(db.register(&public("web")).await && db.disable(&client("web")).await);
    let account = db.account("ada@example.org").await;
    let id = db.session(account).await;
    let read = db.find_session(id).await.unwrap();
    let scope = scope("read");
    assert!(db.renew(&read, &rotating(1, &scope, NOW)).await);
}

async fn count_and_purge_take_sessions_of_one_client(db: TestDatabase) {
    let (desk, till) = (client("desk"), client("till"));
    for id in ["desk", "till"] {
        assert!(db.register(&public(id)).await);
        for _ in 0..3 {
            started(&db, &client(id)).await;
        }
    }
    let count = async |id: &ClientId| {
        db.store.read(async |db| db.count_sessions_of_client(id).await).await.unwrap()
    };
    assert_eq!((count(&desk).await, count(&till).await), (3, 3));
    let purge = async |id: &ClientId| {
        db.store.write(async |tx| tx.purge_sessions_of_client(id).await).await.unwrap()
    };
    assert_eq!((purge(&desk).await, purge(&desk).await), (3, 0));
    assert_eq!((count(&desk).await, count(&till).await), (0, 3));
}
