//! The service in the reference's terms: its use cases, on two nodes with one database.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{AnyConnection, Connection as _, Row};
use vestibule::accounts::{
    AccountToCreate, Accounts, OwnSession, ReauthenticationError, ResetError,
};
use vestibule::config::Introspects;
use vestibule::crypto::entropy::Entropy;
use vestibule::model::{
    AccountId, AccountLinkPurpose, Actor, Client, ClientAuthentication, ClientId, ClientInfo,
    ClientLifetimes, Digest, EmailAddress, GrantType, LinkToken, NewPassword, Origins, Password,
    PersonalData, Scope, SessionId,
};
use vestibule::oauth::{
    AccessDenied, ActivityTracker, Credentials, Grant, Introspection, OAuth, OAuthError,
    PasswordGrant, RefreshGrant, Revocation, ShownIn, TokenCache, TokenKind, TokenPair,
};
use vestibule::storage::{NewAccountLink, SessionRecord, Store};
use vestibule::testing::TestApp;

use crate::reference::{
    self, Account, Answer, ClientAuth, Lifetimes, Model, Refusal, Scopes, TokenId, WRITE,
};

pub const CLIENTS: usize = 4;
/// The client that may introspect all tokens.
pub const RESOURCE: usize = 1;
const ACCOUNTS: usize = 2;
const SCOPES: [&str; 3] = ["account.read", "account.write", "orders.read"];

/// The registrations that the sequences use: a browser's, a resource server's, one without refresh,
/// and one whose tokens live for minutes.
fn registrations() -> [reference::Client; CLIENTS] {
    let usual = Lifetimes { access: 900, idle: 14 * 86_400, session: 90 * 86_400 };
    let web = reference::Client {
        confidential: false,
        refreshes: true,
        scope: 0b011,
        introspects_all: false,
        lifetimes: usual,
        enabled: true,
    };
    let short = Lifetimes { access: 60, idle: 300, session: 900 };
    [
        web,
        reference::Client { confidential: true, scope: 0b111, introspects_all: true, ..web },
        reference::Client { refreshes: false, scope: 0b001, ..web },
        reference::Client { confidential: true, lifetimes: short, ..web },
    ]
}

pub struct Service<'a> {
    app: &'a TestApp,
    /// Each node has unrecorded uses and a token cache of its own.
    nodes: [OAuth; 2],
    /// The node of the next step.
    node: usize,
    raw: tokio::sync::Mutex<AnyConnection>,
    clients: Vec<ClientId>,
    accounts: Vec<(AccountId, EmailAddress)>,
    tokens: Vec<String>,
    ids: HashMap<String, TokenId>,
    sessions: Vec<SessionId>,
}

fn password(number: u32) -> String {
    format!("correct horse battery staple {number}")
}

const SECRET: &str = "a secret that no client should have";

impl<'a> Service<'a> {
    /// Each case has its own clients and accounts: many cases share one application.
    pub async fn start(app: &'a TestApp, other: &Store, grace: u64) -> Self {
        let oauth = app.oauth();
        let case = Entropy.uuid_v7(oauth.clock.now()).simple().to_string();
        let node = |store: &Store| {
            let accounts = Accounts { store: store.clone(), ..oauth.accounts.clone() };
            let token_cache = TokenCache::new(oauth.clock.clone(), store.clone());
            let (store, activity) = (store.clone(), ActivityTracker::default());
            let mut node = OAuth { store, accounts, activity, token_cache, ..oauth.clone() };
            node.lifetimes.reuse_grace = Duration::from_secs(grace);
            node
        };
        let mut clients = Vec::new();
        for (number, registered) in registrations().iter().enumerate() {
            let client = client(&format!("{number}-{case}"), registered);
            let now = oauth.clock.now();
            assert!(
                oauth.store.write(async |tx| tx.insert_client(&client, now).await).await.unwrap()
            );
            clients.push(client.id);
        }
        let mut accounts = Vec::new();
        for number in 0..ACCOUNTS {
            let email = EmailAddress::parse(&format!("{number}.{case}@example.org")).unwrap();
            let new = AccountToCreate {
                email: email.clone(),
                name: None,
                locale: None,
                password: Some(judged(oauth, 0)),
            };
            accounts.push((oauth.accounts.create(&new).await.unwrap(), email));
        }
        sqlx::any::install_default_drivers();
        let url = app.client.rocket().figment().extract_inner::<String>("databases.vestibule.url");
        let raw = AnyConnection::connect(&url.unwrap()).await.unwrap();
        Self {
            app,
            nodes: [node(app.store()), node(other)],
            node: 0,
            raw: raw.into(),
            clients,
            accounts,
            tokens: vec![],
            ids: HashMap::new(),
            sessions: vec![],
        }
    }

    /// A reference in the service's present state.
    pub fn model(&self) -> Model {
        Model {
            now: self.oauth().clock.now().unix_millis() / 1_000,
            grace: i64::try_from(self.oauth().lifetimes.reuse_grace.as_secs()).unwrap(),
            accounts: vec![Account::default(); ACCOUNTS],
            clients: registrations().to_vec(),
            sessions: vec![],
            tokens: vec![],
        }
    }

    pub fn is_at(&self, node: usize) -> bool {
        self.node == node
    }

    /// Continues at another node a second later, when that node knows the ends at the first.
    pub async fn switch_to(&mut self, node: usize) {
        self.advance(1).await;
        self.node = node;
    }

    fn oauth(&self) -> &OAuth {
        &self.nodes[self.node]
    }

    fn credentials(&self, auth: ClientAuth) -> Option<Credentials> {
        let secret = registrations()[auth.client].confidential == auth.proven;
        let client_id = self.clients[auth.client].to_string();
        Some(Credentials {
            client_id,
            secret: secret.then(|| SECRET.to_owned().into()),
            shown_in: ShownIn::Body,
            had_plus: false,
        })
    }

    fn client_number(&self, id: &str) -> usize {
        self.clients.iter().position(|client| client.as_str() == id).unwrap()
    }

    fn account_number(&self, id: AccountId) -> usize {
        self.accounts.iter().position(|(account, _)| *account == id).unwrap()
    }

    fn session_number(&mut self, id: SessionId) -> usize {
        if let Some(number) = self.sessions.iter().position(|session| *session == id) {
            return number;
        }
        self.sessions.push(id);
        self.sessions.len() - 1
    }

    /// The index of a token among all that were ever issued.
    fn place(&mut self, token: String) -> TokenId {
        let next = self.tokens.len();
        let id = *self.ids.entry(token.clone()).or_insert(next);
        if id == next {
            self.tokens.push(token);
        }
        id
    }

    fn handed_out(&mut self, answer: Result<TokenPair, OAuthError>) -> Answer {
        match answer {
            Ok(pair) => {
                self.session_number(pair.access.session);
                Answer::Tokens {
                    access: self.place(pair.access.reveal()),
                    refresh: pair.refresh.as_ref().map(|token| self.place(token.reveal())),
                    scope: bits(&pair.scope),
                    expires_in: i64::try_from(pair.expires_in.as_secs()).unwrap(),
                }
            }
            Err(error) => Answer::Refused(refusal(&error)),
        }
    }

    pub async fn sign_in(
        &mut self,
        auth: ClientAuth,
        account: usize,
        number: u32,
        scope: Option<Scopes>,
    ) -> Answer {
        let request = PasswordGrant {
            client: self.credentials(auth),
            username: self.accounts[account].1.to_string(),
            password: Password::new(&password(number)),
            scope: scope.map(tokens_of),
            caller: ClientInfo::default(),
        };
        let answer = self.oauth().password_grant(&request).await;
        self.handed_out(answer)
    }

    pub async fn refresh(
        &mut self,
        auth: ClientAuth,
        token: TokenId,
        scope: Option<Scopes>,
    ) -> Answer {
        let request = RefreshGrant {
            client: self.credentials(auth),
            refresh_token: self.tokens[token].clone().into(),
            scope: scope.map(tokens_of),
            caller: ClientInfo::default(),
        };
        let answer = self.oauth().refresh_grant(&request).await;
        self.handed_out(answer)
    }

    async fn authorize(&self, token: TokenId, needed: Scopes) -> Result<Arc<Grant>, Answer> {
        self.oauth().protect(&self.tokens[token], &tokens_of(needed)).await.map_err(|denied| {
            Answer::Refused(match denied {
                AccessDenied::InvalidToken => Refusal::AccessToken,
                AccessDenied::InsufficientScope { .. } => Refusal::InsufficientScope,
                other => panic!("{other:?}"),
            })
        })
    }

    pub async fn use_access(&mut self, token: TokenId, needed: Scopes) -> Answer {
        match self.authorize(token, needed).await {
            Ok(grant) => Answer::Passed {
                session: self.session_number(grant.session),
                account: self.account_number(grant.owner.id),
                client: self.client_number(&grant.client_id),
                scope: bits(&grant.scope),
            },
            Err(refused) => refused,
        }
    }

    pub async fn introspect(&self, auth: ClientAuth, token: TokenId) -> Answer {
        let client = self.credentials(auth);
        let request = Introspection { client, token: self.tokens[token].clone().into() };
        match self.oauth().introspect(&request).await {
            Ok(None) => Answer::Inactive,
            Ok(Some(found)) => Answer::Active {
                access: found.kind == TokenKind::Access,
                account: self.account_number(found.account),
                client: self.client_number(found.client_id.as_str()),
                scope: bits(&found.scope),
                issued: found.issued_at.map(|at| at.unix_millis() / 1_000),
                expires: found.expires_at.unix_millis() / 1_000,
            },
            Err(error) => Answer::Refused(refusal(&error)),
        }
    }

    pub async fn revoke(&self, auth: ClientAuth, token: TokenId) -> Answer {
        let request = Revocation {
            client: self.credentials(auth),
            token: self.tokens[token].clone().into(),
            caller: ClientInfo::default(),
        };
        match self.oauth().revoke(&request).await {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Refused(refusal(&error)),
        }
    }

    /// Runs an operation that takes a token with [`WRITE`].
    async fn with<F: Future<Output = Answer>>(
        &self,
        token: TokenId,
        act: impl FnOnce(Arc<Grant>) -> F,
    ) -> Answer {
        match self.authorize(token, WRITE).await {
            Ok(grant) => act(grant).await,
            Err(refused) => refused,
        }
    }

    pub async fn sign_out(&self, token: TokenId, session: usize) -> Answer {
        let (oauth, caller) = (self.oauth(), ClientInfo::default());
        let act = async |grant: Arc<Grant>| {
            let ended = oauth.end_session(grant.owner.id, self.sessions[session], &caller).await;
            done_or_not_found(ended.unwrap())
        };
        self.with(token, act).await
    }

    pub async fn sign_out_everywhere(&self, token: TokenId) -> Answer {
        let (accounts, caller) = (&self.oauth().accounts, ClientInfo::default());
        let act = async |grant: Arc<Grant>| {
            let ended = accounts.end_sessions(grant.owner.id, Actor::Owner, &caller).await;
            done_or_not_found(ended.unwrap())
        };
        self.with(token, act).await
    }

    pub async fn change_password(&self, token: TokenId, current: u32, new: u32) -> Answer {
        let (accounts, caller) = (&self.oauth().accounts, ClientInfo::default());
        let new = judged(self.oauth(), new);
        let act = async |grant: Arc<Grant>| {
            let current = Password::new(&password(current));
            let own = OwnSession::Token(grant.session);
            proven(accounts.change_password(grant.owner.id, own, &current, &new, &caller).await)
        };
        self.with(token, act).await
    }

    pub async fn delete(&self, token: TokenId, number: u32) -> Answer {
        let (accounts, caller) = (&self.oauth().accounts, ClientInfo::default());
        let act = async |grant: Arc<Grant>| {
            let typed = Password::new(&password(number));
            proven(accounts.delete(grant.owner.id, &typed, &caller).await)
        };
        self.with(token, act).await
    }

    /// Resets the password by a link that has just been sent.
    pub async fn reset(&self, account: usize, new: u32) -> Answer {
        let oauth = self.oauth();
        let (link, now) = (LinkToken::new(Entropy.secret()), oauth.clock.now());
        let minted = NewAccountLink {
            digest: &link.digest(),
            purpose: AccountLinkPurpose::PasswordReset,
            account: self.accounts[account].0,
            email_change: None,
            now,
            expires_at: now + Duration::from_secs(3_600),
        };
        oauth.store.write(async |tx| tx.insert_account_link(&minted).await).await.unwrap();
        let (link, caller) = (link.reveal(), ClientInfo::default());
        match oauth.accounts.reset_password(&link, &password(new), &caller).await {
            Ok(()) => Answer::Done,
            Err(ResetError::Unknown) => Answer::Refused(Refusal::NotFound),
            Err(other) => panic!("{other:?}"),
        }
    }

    pub async fn set_disabled(&self, account: usize, disabled: bool) -> Answer {
        let (accounts, id) = (&self.oauth().accounts, self.accounts[account].0);
        let changed = match disabled {
            true => accounts.disable(id).await,
            false => accounts.enable(id).await,
        };
        done_or_not_found(changed.unwrap())
    }

    pub async fn set_enabled(&self, client: usize, enabled: bool) -> Answer {
        let (store, id) = (&self.oauth().store, &self.clients[client]);
        let now = self.oauth().clock.now();
        let changed = match enabled {
            true => store.write(async |tx| tx.enable_client(id).await).await,
            false => store.write(async |tx| tx.disable_client(id, now).await).await,
        };
        done_or_not_found(changed.unwrap())
    }

    /// Waits until the nodes have recorded the uses: they do so within a second, before the clock
    /// moves.
    pub async fn settle(&self) {
        for node in &self.nodes {
            node.flush_activity().await.unwrap();
        }
    }

    pub async fn advance(&self, seconds: i64) {
        self.settle().await;
        let by = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { self.app.step_back(by) } else { self.app.advance(by) }
    }

    /// How many seconds ago each session was last used, as recorded; `None` for a session that does
    /// not exist any more.
    pub async fn last_used(&self) -> Vec<Option<i64>> {
        let now = self.oauth().clock.now();
        let mut all = Vec::new();
        for id in &self.sessions {
            let read = self.app.store().read(async |db| db.find_session(*id).await).await;
            let ago = |session: SessionRecord| {
                (now.unix_millis() - session.last_used_at.unix_millis()) / 1_000
            };
            all.push(read.unwrap().map(ago));
        }
        all
    }

    pub async fn purge(&self) {
        self.app.purge().await;
    }

    /// How many sessions the owner sees.
    pub async fn listed(&self, account: usize) -> usize {
        self.oauth().sessions_of(self.accounts[account].0, None).await.unwrap().sessions.len()
    }

    /// How many letters about theft wait for the owner: in these tests no letter leaves.
    pub async fn theft_letters(&self, account: usize) -> i64 {
        const SQL: &str = "SELECT COUNT(*) FROM outbox WHERE kind = 'session-ended' AND email = $1";
        let mut raw = self.raw.lock().await;
        let query = sqlx::query(SQL).bind(self.accounts[account].1.to_string());
        query.fetch_one(&mut *raw).await.unwrap().get(0)
    }
}

fn done_or_not_found(done: bool) -> Answer {
    if done { Answer::Done } else { Answer::Refused(Refusal::NotFound) }
}

fn proven(answer: Result<(), ReauthenticationError>) -> Answer {
    match answer {
        Ok(()) => Answer::Done,
        Err(ReauthenticationError::Wrong) => Answer::Refused(Refusal::Proof),
        Err(other) => panic!("{other:?}"),
    }
}

fn refusal(error: &OAuthError) -> Refusal {
    match error {
        OAuthError::Client(_) => Refusal::Client,
        OAuthError::GrantNotAllowed(_) => Refusal::GrantNotAllowed,
        OAuthError::Scope(_) => Refusal::Scope,
        OAuthError::WrongPassword => Refusal::Password,
        OAuthError::RefreshToken => Refusal::RefreshToken,
        OAuthError::ForeignToken => Refusal::ForeignToken,
        other => panic!("{other:?}"),
    }
}

fn judged(oauth: &OAuth, number: u32) -> NewPassword {
    oauth.accounts.policy.judge(&password(number), PersonalData::default()).unwrap()
}

fn tokens_of(scopes: Scopes) -> Scope {
    let chosen = (0..SCOPES.len()).filter(|bit| scopes & (1 << bit) != 0);
    Scope::from_tokens(chosen.map(|bit| SCOPES[bit])).unwrap()
}

fn bits(scope: &Scope) -> Scopes {
    let place = |token| SCOPES.iter().position(|known| *known == token).unwrap();
    scope.tokens().map(|token| 1 << place(token)).sum()
}

fn client(id: &str, registered: &reference::Client) -> Client {
    let seconds = |seconds: i64| Some(Duration::from_secs(seconds.unsigned_abs()));
    let lifetimes = registered.lifetimes;
    let mut grants = BTreeSet::from([GrantType::Password]);
    if registered.refreshes {
        grants.insert(GrantType::RefreshToken);
    }
    let secret = Digest::of(SECRET.as_bytes());
    Client {
        id: id.parse().unwrap(),
        authentication: match registered.confidential {
            true => ClientAuthentication::Confidential { secret, previous: None },
            false => ClientAuthentication::Public,
        },
        grants,
        scope: tokens_of(registered.scope),
        introspects: match registered.introspects_all {
            true => Introspects::All,
            false => Introspects::Own,
        },
        allowed_origins: Origins::default(),
        lifetimes: ClientLifetimes {
            access: seconds(lifetimes.access),
            idle: seconds(lifetimes.idle),
            session: seconds(lifetimes.session),
        },
    }
}
