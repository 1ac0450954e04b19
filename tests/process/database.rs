//! Access to the database of a running program, from outside it.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::time::Duration;

use rocket::figment::Figment;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use tokio::runtime::Runtime;
use vestibule::clock::Clock;
use vestibule::crypto::entropy::Entropy;
use vestibule::crypto::hasher::PasswordHash;
use vestibule::model::{AccountId, EmailAddress, LinkToken, PageSessionId, SignUpId};
use vestibule::storage::{LetterId, NewAccount, NewLetter, NewPageSession, NewSignUp, Store};

pub struct Database {
    url: String,
    runtime: Runtime,
}

impl Database {
    pub fn at(url: String) -> Self {
        sqlx::any::install_default_drivers();
        Self { url, runtime: Runtime::new().unwrap() }
    }

    /// The one number that `sql` finds.
    pub fn count(&self, sql: &str) -> i64 {
        self.runtime.block_on(async {
            let mut connection = AnyConnection::connect(&self.url).await.unwrap();
            let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
            query.fetch_one(&mut connection).await.unwrap().get(0)
        })
    }

    pub fn execute(&self, sql: &str) {
        self.runtime.block_on(async {
            let mut connection = AnyConnection::connect(&self.url).await.unwrap();
            sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        });
    }

    /// The number of letters of this kind to this address.
    pub fn letters(&self, email: &str, kind: &str) -> i64 {
        self.count(&format!(
            "SELECT COUNT(*) FROM outbox WHERE email = '{email}' AND kind = '{kind}'"
        ))
    }

    /// Inserts a sign-in at the account page, as the page does.
    pub fn sign_in_at_the_page(&self, account: AccountId, epoch: i64) {
        let now = Clock::system().now();
        let ends = now + Duration::from_secs(60);
        let new = NewPageSession {
            id: PageSessionId::new(Entropy.uuid_v7(now)),
            digest: Entropy.secret().digest(),
            account,
            epoch,
            user_agent: None,
            now,
            idle_expires_at: ends,
            expires_at: ends,
        };
        let made = self.with_store(async |store| {
            store.write(async |tx| tx.insert_page_session(&new).await).await.unwrap()
        });
        assert!(made);
    }

    /// Mints another link to the sign-up, as the courier does, and returns its token.
    pub fn mint_link(&self, sign_up: SignUpId) -> String {
        let token = LinkToken::new(Entropy.secret());
        let (digest, now) = (token.digest(), Clock::system().now());
        let ends = now + Duration::from_secs(60);
        self.with_store(async |store| {
            let insert = store
                .write(async |tx| tx.insert_activation_link(&digest, sign_up, now, ends).await);
            insert.await.unwrap();
        });
        token.reveal().to_string()
    }

    /// Inserts an account without sign-ins.
    pub fn account(&self, email: &str) -> AccountId {
        let (now, email) = (Clock::system().now(), EmailAddress::parse(email).unwrap());
        let id = AccountId::new(Entropy.uuid_v7(now));
        let password_hash = PasswordHash::new("$argon2id$v=19$m=8,t=1,p=1$x".to_owned());
        let new = NewAccount {
            id,
            email: &email,
            password_hash: &password_hash,
            name: None,
            locale: None,
            now,
        };
        let made = self.with_store(async |store| {
            store.write(async |tx| tx.insert_account(&new).await).await.unwrap()
        });
        assert!(made);
        id
    }

    /// Inserts a waiting sign-up.
    pub fn sign_up(&self, email: &str) {
        let (now, email) = (Clock::system().now(), EmailAddress::parse(email).unwrap());
        let password_hash = PasswordHash::new("$argon2id$v=19$m=8,t=1,p=1$x".to_owned());
        let new = NewSignUp {
            id: SignUpId::new(Entropy.uuid_v7(now)),
            email: &email,
            password_hash: &password_hash,
            name: None,
            locale: None,
            user_agent: None,
            now,
            expires_at: now + Duration::from_secs(1_000),
        };
        let made = self.with_store(async |store| {
            store.write(async |tx| tx.insert_sign_up(&new).await).await.unwrap()
        });
        assert!(made);
    }

    /// Inserts a waiting letter.
    pub fn letter(&self, email: &str) -> LetterId {
        let (now, email) = (Clock::system().now(), EmailAddress::parse(email).unwrap());
        let id = LetterId::new(Entropy.uuid_v7(now));
        let new = NewLetter {
            id,
            kind: "sign-up",
            email: &email,
            locale: None,
            account: None,
            facts: "{}".to_owned(),
            now,
        };
        self.with_store(async |store| {
            store.write(async |tx| tx.insert_letter(&new).await).await.unwrap();
        });
        id
    }

    fn with_store<T>(&self, work: impl AsyncFnOnce(&Store) -> T) -> T {
        self.runtime.block_on(async {
            let figment = Figment::new().merge(("databases.vestibule.url", &self.url));
            let store = Store::open_without_migrating(&figment).await.unwrap();
            let outcome = work(&store).await;
            store.close().await;
            outcome
        })
    }
}
