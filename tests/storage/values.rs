//! Tests of values: each comes out as it went in, on both engines.

use vestibule::clock::Timestamp;
use vestibule::model::{AccountId, Locale, Name, UserAgent};
use vestibule::storage::{LetterId, NewAccount, NewLetter, NewSession, NewSignUp};

use crate::database::{
    NOW, StartingSession, TestDatabase, WaitingSignUp, after, client, email, new_id,
};

on_both_engines! {
    text_in_every_script_survives,
    absent_values_stay_null,
    quotes_and_placeholders_are_text,
    text_of_the_greatest_length_survives,
    instants_at_the_edges_survive,
    every_byte_of_a_salt_survives,
    no_text_from_outside_can_hold_a_nul,
    nul_in_an_answer_of_the_mail_server_is_replaced,
}

const POLYGLOT: &str = "Zoë Ångström 李 \u{5d0}\u{5d1} 🦀 e\u{301}";

/// Stores a sign-up, an account, a session and a letter with this name, and checks each name on
/// reading.
async fn round_trip(db: &TestDatabase, text: &str) {
    let name = Name::parse(text).unwrap().unwrap();
    let user_agent = UserAgent::parse(text).unwrap();
    let locale = Locale::parse("zh-Hant-TW").unwrap();
    let waiting = WaitingSignUp::of("ada@xn--bcher-kva.example");
    let new = NewSignUp {
        name: Some(&name),
        locale: Some(&locale),
        user_agent: Some(&user_agent),
        ..waiting.row()
    };
    let account = NewAccount {
        id: AccountId::new(new_id()),
        email: &waiting.email,
        password_hash: &waiting.password_hash,
        name: Some(&name),
        locale: Some(&locale),
        now: NOW,
    };
    let starting =
        StartingSession { client: client("büro 🦀"), ..StartingSession::of(account.id) };
    let session = NewSession { user_agent: Some(&user_agent), ..starting.row() };
    let facts = serde_json::json!({ "browser": text }).to_string();
    let letter = NewLetter {
        id: LetterId::new(new_id()),
        kind: "sign-up",
        email: &waiting.email,
        locale: Some(&locale),
        account: None,
        facts: facts.clone(),
        now: NOW,
    };
    db.store
        .write(async |tx| {
            assert!(tx.insert_sign_up(&new).await?);
            assert!(tx.insert_account(&account).await?);
            assert!(tx.insert_session(&session).await?);
            tx.insert_letter(&letter).await
        })
        .await
        .unwrap();

    let found = db.store.read(async |tx| tx.find_sign_up(waiting.id).await).await.unwrap();
    let sign_up = found.unwrap().sign_up;
    assert_eq!((sign_up.name.as_ref(), sign_up.locale.as_ref()), (Some(&name), Some(&locale)));
    assert_eq!(
        (sign_up.user_agent.as_ref(), sign_up.email),
        (Some(&user_agent), email("ada@bücher.example"))
    );
    let found = db.store.read(async |tx| tx.find_account(account.id).await).await.unwrap();
    let found = found.unwrap().account;
    assert_eq!((found.name, found.locale), (Some(name), Some(locale.clone())));
    let found = db.find_session(starting.id).await.unwrap();
    assert_eq!((found.user_agent, found.client_id), (Some(user_agent), starting.client));
    assert_eq!(found.locale.as_ref(), Some(&locale));
    let claimed = db.claim(NOW, 1).await.remove(0);
    assert_eq!((claimed.facts.as_str(), &claimed.locale), (facts.as_str(), &Some(locale)));

    let said = Some(text);
    let postpone = db.store.write(async |tx| tx.postpone_letter(&claimed, NOW, 1, said).await);
    assert!(postpone.await.unwrap());
    assert_eq!(db.text("SELECT last_error FROM outbox").await.as_deref(), said);
}

async fn text_in_every_script_survives(db: TestDatabase) {
    round_trip(&db, POLYGLOT).await;
}

async fn quotes_and_placeholders_are_text(db: TestDatabase) {
    round_trip(&db, r#"'; DROP TABLE accounts; -- "$1" ?1 :a @b \x00 \0 %s"#).await;
}

async fn text_of_the_greatest_length_survives(db: TestDatabase) {
    round_trip(&db, &"🦀".repeat(100)).await;
}

async fn absent_values_stay_null(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    let found = db.store.read(async |tx| tx.find_sign_up(sign_up).await).await.unwrap();
    let found = found.unwrap().sign_up;
    assert_eq!((found.name, found.locale, found.user_agent), (None, None, None));
    assert_eq!(found.contested_at, None);

    let account = db.account("ada@example.org").await;
    let found = db.store.read(async |tx| tx.find_account(account).await).await.unwrap().unwrap();
    assert_eq!((found.account.name, found.account.locale), (None, None));
    let session = db.session(account).await;
    let found = db.find_session(session).await.unwrap();
    assert_eq!((found.locale, found.user_agent), (None, None));
    db.letter("ada@example.org", NOW).await;
    assert_eq!(db.claim(NOW, 1).await[0].locale, None);
    for column in ["sent_at", "dead_at"] {
        assert_eq!(db.integer(&format!("SELECT {column} FROM outbox")).await, None);
    }
}

async fn instants_at_the_edges_survive(db: TestDatabase) {
    for (index, millis) in [i64::MIN, -1, 0, 1, i64::MAX].into_iter().enumerate() {
        let now = Timestamp::from_unix_millis(millis);
        let waiting = WaitingSignUp::of(&format!("ada{index}@example.org"));
        let new = NewSignUp { now, expires_at: now, ..waiting.row() };
        assert!(db.store.write(async |tx| tx.insert_sign_up(&new).await).await.unwrap());
        let found = db.store.read(async |tx| tx.find_sign_up(waiting.id).await).await.unwrap();
        assert_eq!(found.unwrap().sign_up.created_at, now);
    }
}

async fn every_byte_of_a_salt_survives(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for from in (0..=255_u8).step_by(32) {
        let mut salt = [0; 32];
        for (offset, byte) in (0..).zip(&mut salt) {
            *byte = from + offset;
        }
        let starting = StartingSession::of(account);
        let new = NewSession { salt, ..starting.row() };
        assert!(db.store.write(async |tx| tx.insert_session(&new).await).await.unwrap());
        assert_eq!(db.find_session(starting.id).await.unwrap().salt, salt);
    }
}

/// PostgreSQL refuses a NUL in a text and SQLite keeps it, so none may reach storage.
async fn no_text_from_outside_can_hold_a_nul(db: TestDatabase) {
    assert!(Name::parse("A\0da").is_err());
    assert!(Locale::parse("e\0n").is_err());
    assert!("we\0b".parse::<vestibule::model::ClientId>().is_err());
    assert!("re\0ad".parse::<vestibule::model::Scope>().is_err());
    assert!(vestibule::model::EmailAddress::parse("a\0da@example.org").is_err());
    // stored without the NUL
    let user_agent = UserAgent::parse("Fire\0fox").unwrap();
    let waiting = WaitingSignUp::of("ada@example.org");
    let new = NewSignUp { user_agent: Some(&user_agent), ..waiting.row() };
    assert!(db.store.write(async |tx| tx.insert_sign_up(&new).await).await.unwrap());
    let found = db.store.read(async |tx| tx.find_sign_up(waiting.id).await).await.unwrap();
    assert_eq!(found.unwrap().sign_up.user_agent.unwrap().as_str(), "Firefox");
}

async fn nul_in_an_answer_of_the_mail_server_is_replaced(db: TestDatabase) {
    db.letter("ada@example.org", NOW).await;
    let said = "550 no \0 such user";
    let letter = db.claim(NOW, 1).await.remove(0);
    let postpone = db.store.write(async |tx| tx.postpone_letter(&letter, NOW, 1, Some(said)).await);
    assert!(postpone.await.unwrap());
    let kept = db.text("SELECT last_error FROM outbox").await;
    assert_eq!(kept.as_deref(), Some("550 no \u{fffd} such user"));
    let letter = db.claim(NOW, 1).await.remove(0);
    let dead = db.store.write(async |tx| tx.mark_dead(&letter, after(1), said).await);
    assert!(dead.await.unwrap());
    assert_eq!(db.text("SELECT last_error FROM outbox").await, kept);
}
