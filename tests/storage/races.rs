//! Race tests: each operation that ends sign-ins against each that starts one, at once and
//! repeatedly (R27).
//!
//! `TEST_ROUNDS=20 cargo test --test storage races` runs twenty times as many rounds.

use std::sync::Arc;

use vestibule::accounts::{Activated, ActivationError, EndedSignUp, IdOrEmail};
use vestibule::crypto::entropy::Entropy;
use vestibule::model::{ClientInfo, LinkToken, Network, SignUpId};
use vestibule::oauth::{OAuth, OAuthError};
use vestibule::storage::NewSignUp;
use vestibule::testing::{BEGINNING, PASSWORD};

use crate::database::{TestDatabase, email};
use crate::race_nodes::{
    Ender, NEW_PASSWORD, Nodes, Outcome, Person, Started, Starter, Timing, judged, page_sign_in,
    password_grant, random_delay, rounds,
};

on_both_engines! {
    r27_deletion_leaves_no_live_token,
    r27_disabling_leaves_no_live_token,
    r27_password_change_keeps_only_the_session_that_made_it,
    r27_password_reset_leaves_no_live_token,
    r27_signing_out_everywhere_leaves_no_live_token,
    r27_a_refresh_of_the_own_session_survives_a_changed_password,
    r27_activation_during_a_deletion_creates_an_account_or_none,
}

/// The rounds for each starter.
const ROUNDS: usize = 100;

async fn r27_deletion_leaves_no_live_token(db: TestDatabase) {
    against_each_starter(&db, Ender::Deletion).await;
}

async fn r27_disabling_leaves_no_live_token(db: TestDatabase) {
    against_each_starter(&db, Ender::Disabling).await;
}

async fn r27_password_change_keeps_only_the_session_that_made_it(db: TestDatabase) {
    against_each_starter(&db, Ender::PasswordChange).await;
}

async fn r27_password_reset_leaves_no_live_token(db: TestDatabase) {
    against_each_starter(&db, Ender::PasswordReset).await;
}

async fn r27_signing_out_everywhere_leaves_no_live_token(db: TestDatabase) {
    against_each_starter(&db, Ender::SignOutEverywhere).await;
}

async fn against_each_starter(db: &TestDatabase, ender: Ender) {
    let nodes = Nodes::on(db).await;
    for starter in [Starter::PasswordGrant, Starter::Refresh, Starter::PageSignIn] {
        let (mut handed_out, mut refused, mut timing) = (0, 0, Timing::default());
        // otherwise the two did not race; a busy machine takes more rounds
        let has_raced = |handed_out: usize, refused: usize| {
            handed_out > 0 && (refused > 0 || ender == Ender::SignOutEverywhere)
        };
        for round in 0..rounds(ROUNDS) * 10 {
            if round >= rounds(ROUNDS) && has_raced(handed_out, refused) {
                break;
            }
            let mut person = nodes.person(&format!("ada{round}.{starter:?}@example.org")).await;
            if ender == Ender::PasswordChange && round % 2 == 1 {
                let cookie = page_sign_in(&nodes.starting, &person.email, PASSWORD).await;
                person.own_cookie = Some(cookie.unwrap());
            }
            let person = Arc::new(person);
            let outcome = nodes.race(ender, starter, &mut timing, &person).await;
            match outcome.started {
                Started::Refused => refused += 1,
                _ => handed_out += 1,
            }
            check_the_race(&nodes, ender, starter, outcome).await;
            check_the_end(&nodes, ender, &person).await;
        }
        println!("{ender:?} and {starter:?}: {handed_out} handed out, {refused} refused");
        assert!(has_raced(handed_out, refused));
    }
}

/// Checks the tokens that were handed out while the end came.
async fn check_the_race(nodes: &Nodes, ender: Ender, starter: Starter, outcome: Outcome) {
    let opens = nodes.opens(&outcome.started).await;
    // a sign-in that reads the account after the sign-out everywhere may succeed with its password
    let may_start_anew = ender == Ender::SignOutEverywhere && starter != Starter::Refresh;
    if outcome.answered_before_the_end_began || !may_start_anew {
        assert!(!opens, "{ender:?} left what a {starter:?} had handed out alive");
    }
    if outcome.began_after_the_end {
        let refused = matches!(outcome.started, Started::Refused);
        assert_eq!(refused, !may_start_anew, "a {starter:?} begun after the {ender:?}");
    }
}

/// Checks the earlier tokens, and which sign-ins are possible from now on.
async fn check_the_end(nodes: &Nodes, ender: Ender, person: &Person) {
    let goes_on = |own: bool| ender == Ender::PasswordChange && own;
    let own = Started::Tokens(person.own.clone());
    assert_eq!(nodes.opens(&own).await, goes_on(person.own_cookie.is_none()), "{ender:?}");
    if let Some(cookie) = &person.own_cookie {
        assert!(nodes.opens(&Started::Cookie(cookie.clone())).await);
    }
    assert!(!nodes.opens(&Started::Tokens(person.other.clone())).await);

    let works = async |password| {
        let answer = password_grant(&nodes.starting, &person.email, password).await;
        match answer {
            Ok(_) => true,
            Err(OAuthError::WrongPassword) => false,
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(works(PASSWORD).await, ender == Ender::SignOutEverywhere);
    let is_new = matches!(ender, Ender::PasswordChange | Ender::PasswordReset);
    assert_eq!(works(NEW_PASSWORD).await, is_new);
}

async fn r27_a_refresh_of_the_own_session_survives_a_changed_password(db: TestDatabase) {
    let nodes = Nodes::on(&db).await;
    let mut timing = Timing::default();
    for round in 0..rounds(ROUNDS) {
        let person = nodes.person(&format!("ada{round}@example.org")).await;
        // the refresh uses the session that changes the password
        let person = Person { other: person.own.clone(), ..person };
        let person = Arc::new(person);
        let outcome =
            nodes.race(Ender::PasswordChange, Starter::Refresh, &mut timing, &person).await;
        assert!(!matches!(outcome.started, Started::Refused));
        assert!(nodes.opens(&outcome.started).await);
    }
}

async fn r27_activation_during_a_deletion_creates_an_account_or_none(db: TestDatabase) {
    let nodes = Nodes::on(&db).await;
    let (mut made, mut none) = (0, 0);
    for round in 0..rounds(ROUNDS) {
        let address = format!("ada{round}@example.org");
        // in every other round the address has an account, and a sign-up waits for it all the same
        let person = match round % 2 {
            0 => Some(nodes.person(&address).await),
            _ => None,
        };
        let token = sign_up_link(&nodes.ending, &address).await;
        let end = tokio::spawn({
            let (oauth, named) = (nodes.ending.clone(), IdOrEmail::Email(email(&address)));
            async move {
                random_delay(&oauth.store, 12).await;
                let account = oauth.accounts.find_named(&named).await.unwrap()?;
                assert!(oauth.accounts.delete_by_operator(account.account.id).await.unwrap());
                Some(account.account.id)
            }
        });
        let start = tokio::spawn({
            let oauth = nodes.starting.clone();
            async move {
                random_delay(&oauth.store, 6).await;
                oauth.accounts.activate(&token, None, &ClientInfo::default()).await
            }
        });
        let (deleted, activated) = (end.await.unwrap(), start.await.unwrap());
        let named = IdOrEmail::Email(email(&address));
        let present = nodes.ending.accounts.find_named(&named).await.unwrap();
        let present = present.map(|record| record.account.id);
        match activated {
            // the account was made and then deleted, or it exists
            Ok(activated) => {
                let before = matches!(activated, Activated::Before);
                assert!(before || deleted.is_none() || present.is_none());
            }
            Err(ActivationError::Ended(EndedSignUp::AddressTaken) | ActivationError::Unknown) => {
                assert_eq!(present, None);
            }
            Err(other) => panic!("{other:?}"),
        }
        assert!(present.is_none() || present != deleted);
        match present {
            Some(_) => made += 1,
            None => none += 1,
        }
        if let Some(person) = person {
            assert_ne!(present, Some(person.id));
            for pair in [person.own, person.other] {
                assert!(!nodes.opens(&Started::Tokens(pair)).await);
            }
        }
        if present.is_none() {
            let signed_in = password_grant(&nodes.starting, &email(&address), PASSWORD).await;
            assert!(matches!(signed_in, Err(OAuthError::WrongPassword)), "{signed_in:?}");
        }
    }
    println!("{made} made, {none} deleted");
    assert!(none > 0);
}

/// Makes a sign-up that waits for the address, taken or not; returns the token of its link.
async fn sign_up_link(oauth: &OAuth, address: &str) -> String {
    let token = LinkToken::new(Entropy.secret());
    let (email, id) = (email(address), SignUpId::new(Entropy.uuid_v7(BEGINNING)));
    let password = judged(oauth, PASSWORD);
    let hasher = &oauth.accounts.hasher;
    let purpose = vestibule::crypto::hasher::Purpose::SignUp;
    let (typed, network) = (password.password().as_bytes(), Network::of(None));
    let password_hash = hasher.hash(typed, purpose, network).await.unwrap();
    let expires_at = BEGINNING + std::time::Duration::from_secs(3_600);
    let new = NewSignUp {
        id,
        email: &email,
        password_hash: &password_hash,
        name: None,
        locale: None,
        user_agent: None,
        now: BEGINNING,
        expires_at,
    };
    let waits = oauth.store.write(async |tx| {
        assert!(tx.insert_sign_up(&new).await?);
        tx.insert_activation_link(&token.digest(), id, BEGINNING, expires_at).await
    });
    waits.await.unwrap();
    token.reveal()
}
