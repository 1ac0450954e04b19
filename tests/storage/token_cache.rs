//! Tests of the token cache, which keeps access tokens for a second: an ended token opens nothing
//! (R27).

use std::time::Duration;

use vestibule::accounts::{OwnSession, ProfileChange};
use vestibule::model::{Actor, ClientInfo, Name, Password, Scope};
use vestibule::oauth::{AccessDenied, Grant, OAuth, RefreshGrant, Revocation, TokenPair};
use vestibule::testing::{PASSWORD, TestApp};

use crate::database::TestDatabase;
use crate::race_nodes::{self, NEW_PASSWORD, Nodes, Person, judged, password_grant, refresh, web};

on_both_engines! {
    r27_cached_token_is_refused_after_every_act_that_ends_it,
    r27_cached_grant_shows_changed_name_and_address_at_once,
    r27_session_ended_by_another_process_is_refused_within_a_second,
    r27_clock_set_back_does_not_extend_cache_entries,
    r27_other_token_of_a_cached_session_is_read_again,
    r26_expiry_of_a_cached_token_is_checked_at_each_use,
    r52_cached_token_expires_while_the_database_is_unavailable,
}

const SECOND: Duration = Duration::from_secs(1);

async fn presented(oauth: &OAuth, pair: &TokenPair) -> Result<std::sync::Arc<Grant>, AccessDenied> {
    oauth.protect(&pair.access.reveal(), &Scope::empty()).await
}

async fn opens(oauth: &OAuth, pair: &TokenPair) -> bool {
    race_nodes::opens(oauth, &pair.access.reveal()).await
}

#[derive(Clone, Copy, Debug)]
enum Act {
    RevokeAccess,
    RevokeRefresh,
    SignOut,
    SignOutEverywhere,
    ChangePassword,
    ResetPassword,
    Disable,
    Delete,
    DeleteByOperator,
    RefreshTwice,
}

async fn act(oauth: &OAuth, act: Act, person: &Person) {
    let (accounts, caller) = (&oauth.accounts, ClientInfo::default());
    let (id, other) = (person.id, &person.other);
    let revoke = async |token: String| {
        let request =
            Revocation { client: web(), token: token.into(), caller: ClientInfo::default() };
        oauth.revoke(&request).await.unwrap();
    };
    let current = Password::new(PASSWORD);
    match act {
        Act::RevokeAccess => revoke(other.access.reveal()).await,
        Act::RevokeRefresh => revoke(other.refresh.as_ref().unwrap().reveal()).await,
        Act::SignOut => {
            assert!(oauth.end_session(id, other.access.session, &caller).await.unwrap());
        }
        Act::SignOutEverywhere => {
            assert!(accounts.end_sessions(id, Actor::Owner, &caller).await.unwrap());
        }
        Act::ChangePassword => {
            let own = OwnSession::Token(person.own.access.session);
            let new = judged(oauth, NEW_PASSWORD);
            accounts.change_password(id, own, &current, &new, &caller).await.unwrap();
        }
        Act::ResetPassword => {
            accounts.reset_password(&person.reset, NEW_PASSWORD, &caller).await.unwrap();
        }
        Act::Disable => assert!(accounts.disable(id).await.unwrap()),
        Act::Delete => accounts.delete(id, &current, &caller).await.unwrap(),
        Act::DeleteByOperator => assert!(accounts.delete_by_operator(id).await.unwrap()),
        // the token is then neither the live nor the preceding one
        Act::RefreshTwice => {
            let next = refresh(oauth, other).await.unwrap();
            assert!(opens(oauth, other).await, "the preceding token still works");
            refresh(oauth, &next).await.unwrap();
        }
    }
}

async fn r27_cached_token_is_refused_after_every_act_that_ends_it(db: TestDatabase) {
    let nodes = Nodes::on(&db).await;
    let oauth = &nodes.ending;
    let acts = [
        Act::RevokeAccess,
        Act::RevokeRefresh,
        Act::SignOut,
        Act::SignOutEverywhere,
        Act::ChangePassword,
        Act::ResetPassword,
        Act::Disable,
        Act::Delete,
        Act::DeleteByOperator,
        Act::RefreshTwice,
    ];
    for (number, what) in acts.into_iter().enumerate() {
        let person = nodes.person(&format!("ada{number}@example.org")).await;
        assert!(opens(oauth, &person.other).await);
        act(oauth, what, &person).await;
        assert!(!opens(oauth, &person.other).await, "{what:?}");
        // the account's other session continues
        if matches!(what, Act::ChangePassword | Act::SignOut | Act::RevokeAccess) {
            assert!(opens(oauth, &person.own).await, "{what:?}");
        }
    }
}

async fn r27_cached_grant_shows_changed_name_and_address_at_once(db: TestDatabase) {
    let nodes = Nodes::on(&db).await;
    let oauth = &nodes.ending;
    let person = nodes.person("ada@example.org").await;
    assert!(presented(oauth, &person.own).await.unwrap().owner.name.is_none());
    let name = Name::parse("Ada").unwrap();
    let change = ProfileChange { name: Some(name.clone()), locale: None };
    oauth.accounts.change_profile(person.id, change, &ClientInfo::default()).await.unwrap();
    assert_eq!(presented(oauth, &person.own).await.unwrap().owner.name, name);

    let new = crate::database::email("countess@example.org");
    assert!(oauth.store.write(async |tx| tx.change_email(person.id, &new).await).await.unwrap());
    assert_eq!(presented(oauth, &person.own).await.unwrap().owner.email, new);
}

async fn r27_session_ended_by_another_process_is_refused_within_a_second(db: TestDatabase) {
    let nodes = Nodes::on(&db).await;
    let oauth = &nodes.ending;
    for number in 0.. {
        let person = nodes.person(&format!("ada{number}@example.org")).await;
        let began = oauth.clock.instant();
        assert!(opens(oauth, &person.own).await);
        db.execute("DELETE FROM sessions").await;
        let still_opens = opens(oauth, &person.own).await;
        nodes.let_a_second_pass();
        assert!(!opens(oauth, &person.own).await, "a second later");
        // otherwise the entry has expired because the machine is slow
        if oauth.clock.instant().duration_since(began) < SECOND {
            assert!(still_opens, "the token was not cached");
            return;
        }
        assert!(number < 20, "the machine is too slow for the cache");
    }
}

async fn r27_clock_set_back_does_not_extend_cache_entries(db: TestDatabase) {
    let app = TestApp::on_database(&db.url, "").await;
    app.account("ada@example.org").await;
    let email = crate::database::email("ada@example.org");
    let pair = password_grant(app.oauth(), &email, PASSWORD).await.unwrap();
    app.advance(SECOND);
    assert!(opens(app.oauth(), &pair).await);
    db.execute("DELETE FROM sessions").await;
    app.step_back(Duration::from_millis(1));
    assert!(!opens(app.oauth(), &pair).await, "a cache entry from the future");

    // the clock may step back: a purged session does not come back
    let pair = password_grant(app.oauth(), &email, PASSWORD).await.unwrap();
    let days = Duration::from_secs(100 * 86_400);
    assert!(opens(app.oauth(), &pair).await);
    app.advance(days);
    app.purge().await;
    app.step_back(days);
    assert!(!opens(app.oauth(), &pair).await, "removed");
}

async fn r27_other_token_of_a_cached_session_is_read_again(db: TestDatabase) {
    let nodes = Nodes::on(&db).await;
    let person = nodes.person("ada@example.org").await;
    assert!(opens(&nodes.ending, &person.own).await);
    // issued on another node, which does not tell this one
    let request = RefreshGrant {
        client: web(),
        refresh_token: person.own.refresh.as_ref().unwrap().reveal().into(),
        scope: Some(crate::database::scope("account.read")),
        caller: ClientInfo::default(),
    };
    let narrow = nodes.starting.refresh_grant(&request).await.unwrap();
    let grant = presented(&nodes.ending, &narrow).await.unwrap();
    assert_eq!(grant.scope.to_string(), "account.read");
    let mut forged = narrow.access.clone();
    forged.secret = vestibule::model::Secret::new([7; 32]);
    let forged = TokenPair { access: forged, ..narrow };
    assert!(!opens(&nodes.ending, &forged).await);
}

async fn r26_expiry_of_a_cached_token_is_checked_at_each_use(db: TestDatabase) {
    let app =
        TestApp::on_database(&db.url, "[default.vestibule.tokens]\naccess_ttl = \"2s\"").await;
    app.account("ada@example.org").await;
    let email = crate::database::email("ada@example.org");
    let pair = password_grant(app.oauth(), &email, PASSWORD).await.unwrap();
    app.advance(Duration::from_millis(1_900));
    assert!(opens(app.oauth(), &pair).await);
    app.advance(Duration::from_millis(100));
    assert!(!opens(app.oauth(), &pair).await);
}

async fn r52_cached_token_expires_while_the_database_is_unavailable(db: TestDatabase) {
    let nodes = Nodes::on(&db).await;
    let person = nodes.person("ada@example.org").await;
    let oauth = &nodes.ending;
    assert!(opens(oauth, &person.own).await);
    oauth.store.close().await;
    nodes.let_a_second_pass();
    let answer = presented(oauth, &person.own).await;
    assert!(matches!(answer, Err(AccessDenied::Failure(_))), "{answer:?}");
}
