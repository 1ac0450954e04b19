//! Contention tests: every operation on one account at once, on two nodes. No two transactions
//! deadlock, and every operation succeeds or is refused.
//!
//! The rule behind it: a transaction that changes rows of an account locks the account's row first.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use vestibule::accounts::ProfileChange;
use vestibule::clock::Clock;
use vestibule::crypto::entropy::Entropy;
use vestibule::model::{AccountLinkPurpose, ClientInfo, EmailChangeId, LinkToken, Name, Password};
use vestibule::oauth::{Credentials, OAuth, Revocation, ShownIn};
use vestibule::storage::{ClaimLimit, Janitor, NewAccountLink, NewEmailChange};
use vestibule::testing::{BEGINNING, PASSWORD};

use crate::database::{TestDatabase, email, scope};
use crate::race_nodes::{NEW_PASSWORD, Nodes, Person, judged, page_sign_in, refresh, rounds};

on_both_engines! {
    r27_concurrent_operations_on_one_account_succeed_or_are_refused,
}

const ROUNDS: usize = 60;

/// Background work that no request waits for: it gives way, and is done later.
const BEHIND: [&str; 3] = ["note the use", "claim letters", "tidy up"];

type Task = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// The failure of an operation: a use case may refuse, but the database must not fail.
fn failure<T, E: Debug>(what: &str, answer: Result<T, E>) -> Option<String> {
    let said = format!("{what}: {:?}", answer.err()?);
    let may_wait = BEHIND.contains(&what) && said.contains("Unavailable");
    (said.contains("StoreError") && !may_wait).then_some(said)
}

/// An account with a pending change of address, and the tokens of the links in its two letters.
struct Mover {
    person: Person,
    confirm: String,
    stop: String,
}

async fn mover(nodes: &Nodes, round: usize) -> Mover {
    let mut person = nodes.person(&format!("ada{round}@example.org")).await;
    let cookie = page_sign_in(&nodes.starting, &person.email, PASSWORD).await;
    person.own_cookie = Some(cookie.unwrap());
    let change = EmailChangeId::new(Entropy.uuid_v7(BEGINNING));
    let new = email(&format!("ada{round}@new.example.org"));
    let tokens = [LinkToken::new(Entropy.secret()), LinkToken::new(Entropy.secret())];
    let purposes = [AccountLinkPurpose::EmailChange, AccountLinkPurpose::EmailChangeStop];
    let account = person.id;
    let waits = nodes.ending.store.write(async |tx| {
        let row =
            NewEmailChange { id: change, account, email: &new, user_agent: None, now: BEGINNING };
        tx.insert_email_change(&row).await?;
        for (token, purpose) in tokens.iter().zip(purposes) {
            let link = NewAccountLink {
                digest: &token.digest(),
                purpose,
                account,
                email_change: Some(change),
                now: BEGINNING,
                expires_at: BEGINNING + Duration::from_secs(1_800),
            };
            tx.insert_account_link(&link).await?;
        }
        Ok(())
    });
    waits.await.unwrap_or_else(|error: vestibule::storage::StoreError| panic!("{error:?}"));
    let [confirm, stop] = tokens.map(|token| token.reveal());
    Mover { person, confirm, stop }
}

/// Every operation, each as a task on the node that it is given.
fn all_operations(mover: &Arc<Mover>, nodes: [OAuth; 2]) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    let mut node = 0;
    macro_rules! meanwhile {
        ($what:literal, |$oauth:ident, $mover:ident| $work:expr) => {{
            let ($oauth, $mover) = (nodes[node % 2].clone(), Arc::clone(mover));
            node += 1;
            tasks.push(Box::pin(async move { failure($what, $work.await) }));
        }};
    }
    let caller = || ClientInfo::default();
    meanwhile!("sign out", |oauth, m| async {
        oauth.end_session(m.person.id, m.person.own.access.session, &caller()).await
    });
    meanwhile!("revoke", |oauth, m| async {
        let refresh = m.person.other.refresh.as_ref().unwrap();
        let client = Some(Credentials {
            client_id: "web".to_owned(),
            secret: None,
            shown_in: ShownIn::Body,
            had_plus: false,
        });
        let request = Revocation { client, token: refresh.reveal().into(), caller: caller() };
        oauth.revoke(&request).await
    });
    meanwhile!("leave the page", |oauth, m| async {
        let cookie = m.person.own_cookie.as_ref().unwrap();
        match oauth.accounts.find_page_session(cookie).await? {
            Some(session) => oauth.accounts.end_page_session(&session, &caller()).await,
            None => Ok(()),
        }
    });
    meanwhile!("refresh", |oauth, m| refresh(&oauth, &m.person.other));
    meanwhile!("sign in", |oauth, m| page_sign_in(&oauth, &m.person.email, PASSWORD));
    meanwhile!("confirm", |oauth, m| oauth.accounts.confirm_email_change(&m.confirm, &caller()));
    meanwhile!("stop", |oauth, m| oauth.accounts.stop_email_change(&m.stop, &caller()));
    meanwhile!("move", |oauth, m| async {
        let (new, password) = (email("other@example.org"), Password::new(PASSWORD));
        oauth.accounts.request_email_change(m.person.id, &new, &password, &caller()).await
    });
    meanwhile!("rename", |oauth, m| async {
        let name = Name::parse("Ada").unwrap();
        let change = ProfileChange { name: Some(name), locale: None };
        oauth.accounts.change_profile(m.person.id, change, &caller()).await
    });
    meanwhile!("export", |oauth, m| oauth.accounts.export(m.person.id, &caller()));
    meanwhile!("forget", |oauth, m| async {
        oauth.accounts.request_password_reset(&m.person.email, &caller()).await
    });
    meanwhile!("reset", |oauth, m| async {
        oauth.accounts.reset_password(&m.person.reset, NEW_PASSWORD, &caller()).await
    });
    meanwhile!("disable", |oauth, m| oauth.accounts.disable(m.person.id));
    meanwhile!("delete", |oauth, m| async {
        oauth.accounts.delete(m.person.id, &Password::new(PASSWORD), &caller()).await
    });
    meanwhile!("change the password", |oauth, m| async {
        let own = vestibule::accounts::OwnSession::Token(m.person.own.access.session);
        let (old, new) = (Password::new(PASSWORD), judged(&oauth, NEW_PASSWORD));
        oauth.accounts.change_password(m.person.id, own, &old, &new, &caller()).await
    });
    for _ in 0..2 {
        meanwhile!("note the use", |oauth, m| async {
            for pair in [&m.person.own, &m.person.other] {
                let token = pair.access.reveal();
                let _ = oauth.protect(&token, &scope("account.read")).await;
            }
            oauth.flush_activity().await
        });
    }
    meanwhile!("claim letters", |oauth, _m| async {
        let (lease, until) = (Entropy.uuid_v7(BEGINNING), BEGINNING + Duration::from_secs(60));
        let claim = oauth.store.write_best_effort(async |tx| {
            tx.claim_letters(lease, BEGINNING, until, ClaimLimit::fresh(10)).await
        });
        claim.await
    });
    meanwhile!("tidy up", |oauth, _m| async {
        let (clock, _) = Clock::stepped(BEGINNING);
        Janitor::new(oauth.store.clone(), clock, Duration::from_secs(3_600)).purge().await
    });
    let _ = node;
    tasks
}

async fn r27_concurrent_operations_on_one_account_succeed_or_are_refused(db: TestDatabase) {
    let nodes = Nodes::on(&db).await;
    let mut failures = Vec::new();
    for round in 0..rounds(ROUNDS) {
        let mover = Arc::new(mover(&nodes, round).await);
        let [some, more] = Entropy.bytes::<2>();
        let chosen = u32::from(some) | u32::from(more) << 8;
        let all = all_operations(&mover, [nodes.starting.clone(), nodes.ending.clone()]);
        let tasks: Vec<_> = all
            .into_iter()
            .enumerate()
            // a part of them, since a deletion that comes first leaves little to do
            .filter(|(index, _)| chosen.rotate_left(*index as u32 * 5) & 1 == 1)
            .map(|(_, task)| tokio::spawn(task))
            .collect();
        for task in tasks {
            failures.extend(task.await.unwrap());
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
