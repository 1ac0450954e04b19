//! Two nodes on one database, and people whose sign-ins start on one node while they end on the
//! other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use vestibule::accounts::{AccountToCreate, OwnSession, SignInAttempt, SignInError};
use vestibule::crypto::entropy::Entropy;
use vestibule::model::{
    AccountId, AccountLinkPurpose, Actor, ClientInfo, EmailAddress, LinkToken, NewPassword,
    PageSessionSecret, Password, PersonalData,
};
use vestibule::oauth::{
    AccessDenied, Credentials, OAuth, OAuthError, PasswordGrant, RefreshGrant, ShownIn, TokenPair,
};
use vestibule::storage::{NewAccountLink, Store};
use vestibule::testing::{BEGINNING, PASSWORD, TestApp};

use crate::database::{TestDatabase, email, scope};

pub const NEW_PASSWORD: &str = "a wholly different passphrase";

/// The number of rounds, times `TEST_ROUNDS`.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
pub fn rounds(usually: usize) -> usize {
    let times = std::env::var("TEST_ROUNDS").ok();
    usually * times.map_or(1, |times| times.parse().unwrap())
}

/// Delays its caller by up to `most` reads, so that rounds meet at different points.
pub async fn random_delay(store: &Store, most: u8) {
    let [random] = Entropy.bytes::<1>();
    delay(store, u32::from(random % (most + 1))).await;
}

/// Delays its caller by so many reads.
async fn delay(store: &Store, reads: u32) {
    for _ in 0..reads {
        let missing = AccountId::new(Entropy.uuid_v7(BEGINNING));
        store.read(async |db| db.find_account(missing).await).await.unwrap();
    }
}

/// An operation that ends sign-ins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ender {
    Deletion,
    Disabling,
    PasswordChange,
    PasswordReset,
    SignOutEverywhere,
}

/// An operation that starts a sign-in or continues one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Starter {
    PasswordGrant,
    Refresh,
    PageSignIn,
}

/// The result that a starter was handed.
pub enum Started {
    Tokens(TokenPair),
    Cookie(PageSessionSecret),
    Refused,
}

/// Two nodes: sign-ins start on the one and end on the other.
pub struct Nodes {
    apps: [TestApp; 2],
    pub starting: OAuth,
    pub ending: OAuth,
}

/// A person who is signed in twice, before any ending.
pub struct Person {
    pub id: AccountId,
    pub email: EmailAddress,
    /// The sign-in that changes the password.
    pub own: TokenPair,
    pub own_cookie: Option<PageSessionSecret>,
    pub other: TokenPair,
    /// The token of a password reset link.
    pub reset: String,
}

/// The delay, in reads, that lets a start meet an ending on this machine. Each round corrects it: a
/// start that came too early waits longer the next time.
#[derive(Default)]
pub struct Timing {
    /// Reads that the start waits for, or the ending where it is negative.
    lead: i32,
}

impl Timing {
    /// The most reads that either waits for.
    const MOST: i32 = 60;

    fn correct(&mut self, outcome: &Outcome) {
        let came_late = outcome.began_after_the_end || matches!(outcome.started, Started::Refused);
        let step = if came_late { -1 } else { 1 };
        self.lead = (self.lead + step).clamp(-Self::MOST, Self::MOST);
    }
}

/// How far the ending has come, as the other task sees it.
#[derive(Default)]
pub struct Progress {
    begun: AtomicBool,
    answered: AtomicBool,
}

/// The result of a starter, and when it ran.
pub struct Outcome {
    pub started: Started,
    pub answered_before_the_end_began: bool,
    pub began_after_the_end: bool,
}

impl Nodes {
    pub async fn on(db: &TestDatabase) -> Self {
        // all requests come from one address, and half of them are refused
        let toml = "[default.vestibule.limits]\n\
                    failures_per_address = 1000000\nfailures_in_all = 1000000";
        let apps =
            [TestApp::on_database(&db.url, toml).await, TestApp::on_database(&db.url, toml).await];
        let [starting, ending] = [apps[0].oauth().clone(), apps[1].oauth().clone()];
        Self { apps, starting, ending }
    }

    pub async fn person(&self, address: &str) -> Person {
        let email = email(address);
        let password = judged(&self.ending, PASSWORD);
        let new = AccountToCreate {
            email: email.clone(),
            name: None,
            locale: None,
            password: Some(password),
        };
        let id = self.ending.accounts.create(&new).await.unwrap();
        let token = LinkToken::new(Entropy.secret());
        let link = NewAccountLink {
            digest: &token.digest(),
            purpose: AccountLinkPurpose::PasswordReset,
            account: id,
            email_change: None,
            now: BEGINNING,
            expires_at: BEGINNING + Duration::from_secs(1_800),
        };
        let minted = self.ending.store.write(async |tx| tx.insert_account_link(&link).await);
        minted.await.unwrap();
        Person {
            id,
            own: password_grant(&self.starting, &email, PASSWORD).await.unwrap(),
            other: password_grant(&self.starting, &email, PASSWORD).await.unwrap(),
            own_cookie: None,
            email,
            reset: token.reveal(),
        }
    }

    /// Advances both clocks by a second: an end on one node then holds on the other as well (R27).
    pub fn let_a_second_pass(&self) {
        for app in &self.apps {
            app.advance(Duration::from_secs(1));
        }
    }

    /// Runs both at once, each on its node.
    pub async fn race(
        &self,
        ender: Ender,
        starter: Starter,
        timing: &mut Timing,
        person: &Arc<Person>,
    ) -> Outcome {
        let (start_waits, end_waits) = (timing.lead.max(0), (-timing.lead).max(0));
        let progress = Arc::new(Progress::default());
        let end = tokio::spawn({
            let (oauth, person, progress) =
                (self.ending.clone(), Arc::clone(person), Arc::clone(&progress));
            async move {
                delay(&oauth.store, end_waits.unsigned_abs()).await;
                random_delay(&oauth.store, 2).await;
                progress.begun.store(true, Ordering::SeqCst);
                end(&oauth, ender, &person).await;
                progress.answered.store(true, Ordering::SeqCst);
            }
        });
        let start = tokio::spawn({
            let (oauth, person) = (self.starting.clone(), Arc::clone(person));
            async move {
                delay(&oauth.store, start_waits.unsigned_abs()).await;
                random_delay(&oauth.store, 2).await;
                let began_after_the_end = progress.answered.load(Ordering::SeqCst);
                let started = start(&oauth, starter, &person).await;
                Outcome {
                    started,
                    answered_before_the_end_began: !progress.begun.load(Ordering::SeqCst),
                    began_after_the_end,
                }
            }
        });
        let (ended, outcome) = tokio::join!(end, start);
        ended.unwrap();
        let outcome = outcome.unwrap();
        timing.correct(&outcome);
        outcome
    }

    /// Whether the result opens anything: at once on the node that ended it, and within a second on
    /// the other. Checks that both nodes agree.
    pub async fn opens(&self, started: &Started) -> bool {
        let mut answers = Vec::new();
        for oauth in [&self.ending, &self.starting] {
            if answers.len() == 1 {
                self.let_a_second_pass();
            }
            match started {
                Started::Refused => answers.push(false),
                Started::Tokens(pair) => answers.push(is_accepted(oauth, pair).await),
                Started::Cookie(cookie) => {
                    let found = oauth.accounts.find_page_session(cookie).await.unwrap();
                    answers.push(found.is_some());
                }
            }
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "the nodes disagree");
        answers[0]
    }
}

pub fn judged(oauth: &OAuth, typed: &str) -> NewPassword {
    oauth.accounts.policy.judge(typed, PersonalData::default()).unwrap()
}

pub fn web() -> Option<Credentials> {
    Some(Credentials {
        client_id: "web".to_owned(),
        secret: None,
        shown_in: ShownIn::Body,
        had_plus: false,
    })
}

pub async fn password_grant(
    oauth: &OAuth,
    email: &EmailAddress,
    password: &str,
) -> Result<TokenPair, OAuthError> {
    let request = PasswordGrant {
        client: web(),
        username: email.to_string(),
        password: Password::new(password),
        scope: None,
        caller: ClientInfo::default(),
    };
    oauth.password_grant(&request).await
}

pub async fn refresh(oauth: &OAuth, pair: &TokenPair) -> Result<TokenPair, OAuthError> {
    let request = RefreshGrant {
        client: web(),
        refresh_token: pair.refresh.as_ref().unwrap().reveal().into(),
        scope: None,
        caller: ClientInfo::default(),
    };
    oauth.refresh_grant(&request).await
}

pub async fn page_sign_in(
    oauth: &OAuth,
    email: &EmailAddress,
    password: &str,
) -> Result<PageSessionSecret, SignInError> {
    let (password, caller) = (Password::new(password), ClientInfo::default());
    let attempt = SignInAttempt {
        username: email.as_str(),
        password: &password,
        client_id: None,
        caller: &caller,
    };
    oauth.accounts.sign_in_to_page(attempt).await
}

pub async fn opens(oauth: &OAuth, access: &str) -> bool {
    match oauth.protect(access, &scope("account.read")).await {
        Ok(_) => true,
        Err(AccessDenied::InvalidToken) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// Whether the access token opens anything. Checks that the refresh token works exactly then.
pub async fn is_accepted(oauth: &OAuth, pair: &TokenPair) -> bool {
    let opens = opens(oauth, &pair.access.reveal()).await;
    match refresh(oauth, pair).await {
        Ok(_) => assert!(opens, "a refresh token outlives its session"),
        Err(OAuthError::RefreshToken) => assert!(!opens, "an access token outlives its session"),
        Err(other) => panic!("{other:?}"),
    }
    opens
}

/// Ends the person's sign-ins. No concurrent start may prevent that.
async fn end(oauth: &OAuth, ender: Ender, person: &Person) {
    let (accounts, id, caller) = (&oauth.accounts, person.id, ClientInfo::default());
    let current = Password::new(PASSWORD);
    match ender {
        Ender::Deletion => accounts.delete(id, &current, &caller).await.unwrap(),
        Ender::Disabling => assert!(accounts.disable(id).await.unwrap()),
        Ender::PasswordChange => {
            let own = match &person.own_cookie {
                Some(cookie) => OwnSession::Page(cookie.digest()),
                None => OwnSession::Token(person.own.access.session),
            };
            let new = judged(oauth, NEW_PASSWORD);
            accounts.change_password(id, own, &current, &new, &caller).await.unwrap();
        }
        Ender::PasswordReset => {
            accounts.reset_password(&person.reset, NEW_PASSWORD, &caller).await.unwrap();
        }
        Ender::SignOutEverywhere => {
            assert!(accounts.end_sessions(id, Actor::Owner, &caller).await.unwrap());
        }
    }
}

/// Starts a sign-in, or refreshes one. A refusal is allowed, and no other error.
async fn start(oauth: &OAuth, starter: Starter, person: &Person) -> Started {
    match starter {
        Starter::PasswordGrant => match password_grant(oauth, &person.email, PASSWORD).await {
            Ok(pair) => Started::Tokens(pair),
            Err(OAuthError::WrongPassword) => Started::Refused,
            Err(other) => panic!("{other:?}"),
        },
        Starter::Refresh => match refresh(oauth, &person.other).await {
            Ok(pair) => Started::Tokens(pair),
            Err(OAuthError::RefreshToken) => Started::Refused,
            Err(other) => panic!("{other:?}"),
        },
        Starter::PageSignIn => match page_sign_in(oauth, &person.email, PASSWORD).await {
            Ok(cookie) => Started::Cookie(cookie),
            Err(SignInError::Refused) => Started::Refused,
            Err(other) => panic!("{other:?}"),
        },
    }
}
