//! The reference: accounts, clients, sessions and tokens, as the HTTP contract describes them.
//!
//! It is written from the contract and not from the program: no digests, no salts, no rows. A token
//! is its index in [`Model::tokens`]; two answers hold the same token if their indexes are equal.
//! Each operation returns the permitted answer; where the contract leaves a choice, it returns
//! several.

/// Seconds since 1970.
pub type Instant = i64;
/// A set of scope tokens, a bit each.
pub type Scopes = u8;
pub type TokenId = usize;

pub const READ: Scopes = 0b001;
pub const WRITE: Scopes = 0b010;

/// Lifetimes, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    pub access: i64,
    pub idle: i64,
    pub session: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub confidential: bool,
    pub refreshes: bool,
    pub scope: Scopes,
    pub introspects_all: bool,
    pub lifetimes: Lifetimes,
    pub enabled: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// The number of its present password.
    pub password: u32,
    pub disabled: bool,
    pub deleted: bool,
    /// How many letters about theft wait for the owner.
    pub theft_letters: i64,
}

#[derive(Clone, Debug)]
pub struct Session {
    account: usize,
    client: usize,
    scope: Scopes,
    /// Signed out, revoked, stolen or purged, for good.
    ended: bool,
    idle_end: Instant,
    end: Instant,
    rotated_at: Instant,
    /// As recorded: at most once a minute.
    last_used: Instant,
    /// When an access token that was issued since the last rotation was first seen in use.
    first_used: Option<Instant>,
    /// In the order of their issue: the last is the live one, the one before it its predecessor.
    refresh: Vec<TokenId>,
    /// In the order of their issue: only the last two are valid.
    access: Vec<TokenId>,
    /// The number of access tokens issued before the last rotation.
    before_rotation: usize,
}

#[derive(Clone, Copy, Debug)]
pub enum Token {
    Refresh { session: usize },
    Access { session: usize, scope: Scopes, issued: Instant, expires: Instant, revoked: bool },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Access,
    Refresh,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// 401 `invalid_client`.
    Client,
    /// `unauthorized_client`.
    GrantNotAllowed,
    /// `invalid_scope`.
    Scope,
    /// `invalid_grant`: address and password.
    Password,
    /// `invalid_grant`: the refresh token.
    RefreshToken,
    /// A token of another client.
    ForeignToken,
    /// 401 `invalid_token`.
    AccessToken,
    /// 403 `insufficient_scope`.
    InsufficientScope,
    /// The current password was wrong.
    Proof,
    /// There is no such link, account or session.
    NotFound,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Tokens {
        access: TokenId,
        refresh: Option<TokenId>,
        scope: Scopes,
        expires_in: i64,
    },
    Passed {
        session: usize,
        account: usize,
        client: usize,
        scope: Scopes,
    },
    Active {
        access: bool,
        account: usize,
        client: usize,
        scope: Scopes,
        /// Unknown for a predecessor.
        issued: Option<Instant>,
        expires: Instant,
    },
    Inactive,
    Done,
    Refused(Refusal),
}

use Answer::{Done, Inactive, Refused};

/// In seconds, like every duration here.
const MAX_CLOCK_SKEW: i64 = 60;
const NOTES_LAG: i64 = 90;

/// The client of a request, and whether it can authenticate.
#[derive(Clone, Copy, Debug)]
pub struct ClientAuth {
    pub client: usize,
    pub proven: bool,
}

#[derive(Debug)]
pub struct Model {
    pub now: Instant,
    pub grace: i64,
    pub accounts: Vec<Account>,
    pub clients: Vec<Client>,
    pub sessions: Vec<Session>,
    pub tokens: Vec<Token>,
}

impl Model {
    pub fn is_live(&self, session: usize) -> bool {
        let record = &self.sessions[session];
        !record.ended
            && self.now < record.idle_end
            && self.now < record.end
            && self.clients[record.client].enabled
    }

    /// How many sessions the account's owner sees.
    pub fn listed(&self, account: usize) -> usize {
        let own = |&n: &usize| self.sessions[n].account == account && self.is_live(n);
        (0..self.sessions.len()).filter(own).count()
    }

    pub fn client_of(&self, token: TokenId) -> usize {
        let (Token::Access { session, .. } | Token::Refresh { session }) = self.tokens[token];
        self.sessions[session].client
    }

    pub fn kind_of(&self, token: TokenId) -> Kind {
        match self.tokens[token] {
            Token::Access { .. } => Kind::Access,
            Token::Refresh { .. } => Kind::Refresh,
        }
    }

    /// The present password of the token's account.
    pub fn password_of(&self, token: TokenId) -> u32 {
        let (Token::Access { session, .. } | Token::Refresh { session }) = self.tokens[token];
        self.accounts[self.sessions[session].account].password
    }

    fn authenticate(&self, auth: ClientAuth) -> Result<Client, Answer> {
        let client = self.clients[auth.client];
        if client.enabled && auth.proven { Ok(client) } else { Err(Refused(Refusal::Client)) }
    }

    fn issue_access(&mut self, session: usize, scope: Scopes) -> TokenId {
        let record = &mut self.sessions[session];
        let lifetimes = self.clients[record.client].lifetimes;
        let expires = (self.now + lifetimes.access).min(record.idle_end).min(record.end);
        let id = self.tokens.len();
        record.access.push(id);
        let issued = self.now;
        self.tokens.push(Token::Access { session, scope, issued, expires, revoked: false });
        id
    }

    fn issue_refresh(&mut self, session: usize) -> TokenId {
        let id = self.tokens.len();
        self.tokens.push(Token::Refresh { session });
        self.sessions[session].refresh.push(id);
        id
    }

    fn hand_out(&self, access: TokenId, refresh: Option<TokenId>) -> Answer {
        self.hand_out_at(self.now, access, refresh)
    }

    fn hand_out_at(&self, now: Instant, access: TokenId, refresh: Option<TokenId>) -> Answer {
        let Token::Access { scope, expires, .. } = self.tokens[access] else { unreachable!() };
        Answer::Tokens { access, refresh, scope, expires_in: (expires - now).max(0) }
    }

    pub fn sign_in(
        &mut self,
        auth: ClientAuth,
        account: usize,
        password: u32,
        asked: Option<Scopes>,
    ) -> Answer {
        let client = match self.authenticate(auth) {
            Ok(client) => client,
            Err(refused) => return refused,
        };
        let scope = asked.unwrap_or(client.scope);
        if scope & !client.scope != 0 {
            return Refused(Refusal::Scope);
        }
        let owner = self.accounts[account];
        if owner.deleted || owner.disabled || owner.password != password {
            return Refused(Refusal::Password);
        }
        // a session that cannot be refreshed ends with its only access token
        let idle = if client.refreshes { client.lifetimes.idle } else { client.lifetimes.access };
        self.sessions.push(Session {
            account,
            client: auth.client,
            scope,
            ended: false,
            idle_end: self.now + idle,
            end: self.now + client.lifetimes.session,
            rotated_at: self.now,
            last_used: self.now,
            first_used: None,
            refresh: vec![],
            access: vec![],
            before_rotation: 0,
        });
        let session = self.sessions.len() - 1;
        let access = self.issue_access(session, scope);
        let refresh = client.refreshes.then(|| self.issue_refresh(session));
        self.hand_out(access, refresh)
    }

    pub fn refresh(&mut self, auth: ClientAuth, token: TokenId, asked: Option<Scopes>) -> Answer {
        let client = match self.authenticate(auth) {
            Ok(client) => client,
            Err(refused) => return refused,
        };
        if !client.refreshes {
            return Refused(Refusal::GrantNotAllowed);
        }
        let Token::Refresh { session } = self.tokens[token] else {
            return Refused(Refusal::RefreshToken);
        };
        if self.sessions[session].client != auth.client || !self.is_live(session) {
            return Refused(Refusal::RefreshToken);
        }
        let record = &self.sessions[session];
        let scope = asked.unwrap_or(record.scope);
        if scope & !record.scope != 0 {
            return Refused(Refusal::Scope);
        }
        if record.refresh.last() == Some(&token) {
            let record = &mut self.sessions[session];
            record.rotated_at = self.now;
            record.last_used = self.now;
            record.first_used = None;
            record.idle_end = self.now + client.lifetimes.idle;
            record.before_rotation = record.access.len();
            let access = self.issue_access(session, scope);
            let refresh = self.issue_refresh(session);
            return self.hand_out(access, Some(refresh));
        }
        if self.answers_as_predecessor(session, token) {
            let successor = self.sessions[session].refresh.last().copied();
            let fits = |&&id: &&TokenId| self.grants(id) == Some(scope);
            let again = self.of_live_pair(session).rev().find(fits).copied();
            if let Some(access) = again {
                let now = self.proven(session);
                return self.hand_out_at(now, access, successor);
            }
            let access = {
                let record = &mut self.sessions[session];
                record.last_used = record.last_used.max(self.now);
                self.issue_access(session, scope)
            };
            return self.hand_out(access, successor);
        }
        if self.proven(session) >= self.sessions[session].rotated_at + self.grace {
            self.sessions[session].ended = true;
            let owner = self.sessions[session].account;
            // 20 letters wait at most: one more replaces the latest
            self.accounts[owner].theft_letters = (self.accounts[owner].theft_letters + 1).min(20);
        }
        Refused(Refusal::RefreshToken)
    }

    /// The predecessor rule.
    fn answers_as_predecessor(&self, session: usize, token: TokenId) -> bool {
        let record = &self.sessions[session];
        let is_predecessor = record.refresh.iter().rev().nth(1) == Some(&token);
        let in_time = record.first_used.is_none_or(|first| {
            self.proven(session) < first + self.grace && first <= self.now + MAX_CLOCK_SKEW
        });
        is_predecessor && in_time && self.grace > 0
    }

    /// The valid access tokens that were issued since the last rotation.
    fn of_live_pair(&self, session: usize) -> std::slice::Iter<'_, TokenId> {
        let record = &self.sessions[session];
        record.access[record.before_rotation.max(record.access.len().saturating_sub(2))..].iter()
    }

    /// The scopes that an access token grants now.
    fn grants(&self, token: TokenId) -> Option<Scopes> {
        let Token::Access { session, scope, expires, revoked, .. } = self.tokens[token] else {
            return None;
        };
        let counts = self.sessions[session].access.iter().rev().take(2).any(|id| *id == token);
        let is_over = self.proven(session) >= expires;
        (counts && !revoked && !is_over && self.is_live(session)).then_some(scope)
    }

    /// The latest instant that the session proves, even if the clock was set back.
    fn proven(&self, session: usize) -> Instant {
        let record = &self.sessions[session];
        self.now.max(record.last_used).max(record.rotated_at)
    }

    /// Takes over the recorded last uses, in seconds until now. A use of a cached token is not
    /// recorded for some seconds, so the two sides may differ by up to [`NOTES_LAG`].
    pub fn adopt_last_uses(&mut self, ago: &[Option<i64>]) {
        for (session, ago) in self.sessions.iter_mut().zip(ago) {
            if let Some(ago) = ago {
                let noted = self.now - ago;
                let seen = session.last_used;
                assert!((seen - noted).abs() <= NOTES_LAG, "{noted} was noted of {seen}");
                session.last_used = noted;
            }
        }
    }

    fn see_in_use(&mut self, session: usize, token: TokenId) {
        let is_of_live_pair = self.of_live_pair(session).any(|id| *id == token);
        let (now, record) = (self.now, &mut self.sessions[session]);
        let is_first = is_of_live_pair && record.first_used.is_none();
        if is_first || now - record.last_used >= 60 {
            record.last_used = record.last_used.max(now);
        }
        if is_first {
            record.first_used = Some(now);
        }
    }

    /// At a protected resource that needs `needed`.
    pub fn use_access(&mut self, token: TokenId, needed: Scopes) -> Answer {
        let (Some(scope), Token::Access { session, .. }) = (self.grants(token), self.tokens[token])
        else {
            return Refused(Refusal::AccessToken);
        };
        self.see_in_use(session, token);
        if needed & !scope != 0 {
            return Refused(Refusal::InsufficientScope);
        }
        let Session { account, client, .. } = self.sessions[session];
        Answer::Passed { session, account, client, scope }
    }

    pub fn introspect(&mut self, auth: ClientAuth, token: TokenId) -> Answer {
        let asking = match self.authenticate(auth) {
            Ok(client) => client,
            Err(refused) => return refused,
        };
        if !asking.confidential {
            return Refused(Refusal::Client);
        }
        let (Token::Access { session, .. } | Token::Refresh { session }) = self.tokens[token];
        let Session { account, client, .. } = self.sessions[session];
        if !self.is_live(session) || !(asking.introspects_all || client == auth.client) {
            return Inactive;
        }
        match self.tokens[token] {
            Token::Access { issued, expires, .. } => {
                let Some(scope) = self.grants(token) else { return Inactive };
                self.see_in_use(session, token);
                let issued = Some(issued);
                Answer::Active { access: true, account, client, scope, issued, expires }
            }
            Token::Refresh { .. } => {
                let record = &self.sessions[session];
                let is_live = record.refresh.last() == Some(&token);
                if !is_live && !self.answers_as_predecessor(session, token) {
                    return Inactive;
                }
                let (issued, expires) =
                    (is_live.then_some(record.rotated_at), record.idle_end.min(record.end));
                Answer::Active {
                    access: false,
                    account,
                    client,
                    scope: record.scope,
                    issued,
                    expires,
                }
            }
        }
    }

    pub fn revoke(&mut self, auth: ClientAuth, token: TokenId) -> Vec<Answer> {
        if let Err(refused) = self.authenticate(auth) {
            return vec![refused];
        }
        let (Token::Access { session, .. } | Token::Refresh { session }) = self.tokens[token];
        let record = &self.sessions[session];
        if record.client != auth.client {
            let is_access = matches!(self.tokens[token], Token::Access { .. });
            let counts =
                if is_access { self.grants(token).is_some() } else { self.is_live(session) };
            // for a dead token, either answer is permitted
            return match counts {
                true => vec![Refused(Refusal::ForeignToken)],
                false => vec![Refused(Refusal::ForeignToken), Done],
            };
        }
        match &mut self.tokens[token] {
            Token::Access { revoked, .. } => *revoked = true,
            Token::Refresh { .. } => self.sessions[session].ended = true,
        }
        vec![Done]
    }

    /// Ends all sessions of an account, with or without an exception.
    fn end_sessions(&mut self, account: usize, but: Option<usize>) {
        for (number, session) in self.sessions.iter_mut().enumerate() {
            if session.account == account && Some(number) != but {
                session.ended = true;
            }
        }
    }

    pub fn sign_out(&mut self, token: TokenId, target: usize) -> Vec<Answer> {
        let (session, account) = match self.use_access(token, WRITE) {
            Answer::Passed { account, .. } => (target, account),
            refused => return vec![refused],
        };
        let live = self.is_live(session);
        let record = &mut self.sessions[session];
        if record.account != account || record.ended {
            return vec![Refused(Refusal::NotFound)];
        }
        record.ended = true;
        // an ended session may be purged already, or not
        if live { vec![Done] } else { vec![Done, Refused(Refusal::NotFound)] }
    }

    pub fn sign_out_everywhere(&mut self, token: TokenId) -> Answer {
        match self.use_access(token, WRITE) {
            Answer::Passed { account, .. } => {
                self.end_sessions(account, None);
                Done
            }
            refused => refused,
        }
    }

    pub fn change_password(&mut self, token: TokenId, current: u32, new: u32) -> Answer {
        let (session, account) = match self.use_access(token, WRITE) {
            Answer::Passed { session, account, .. } => (session, account),
            refused => return refused,
        };
        if self.accounts[account].password != current {
            return Refused(Refusal::Proof);
        }
        self.accounts[account].password = new;
        self.end_sessions(account, Some(session));
        Done
    }

    pub fn delete(&mut self, token: TokenId, password: u32) -> Answer {
        let account = match self.use_access(token, WRITE) {
            Answer::Passed { account, .. } => account,
            refused => return refused,
        };
        if self.accounts[account].password != password {
            return Refused(Refusal::Proof);
        }
        self.end_sessions(account, None);
        // the letters are deleted with the account
        self.accounts[account].deleted = true;
        self.accounts[account].theft_letters = 0;
        Done
    }

    /// Resets the password by a live link.
    pub fn reset(&mut self, account: usize, new: u32) -> Answer {
        if self.accounts[account].deleted || self.accounts[account].disabled {
            return Refused(Refusal::NotFound);
        }
        self.accounts[account].password = new;
        self.end_sessions(account, None);
        Done
    }

    pub fn set_disabled(&mut self, account: usize, disabled: bool) -> Answer {
        let owner = &mut self.accounts[account];
        if owner.deleted || owner.disabled == disabled {
            return Refused(Refusal::NotFound);
        }
        owner.disabled = disabled;
        self.end_sessions(account, None);
        Done
    }

    pub fn set_enabled(&mut self, client: usize, enabled: bool) -> Answer {
        let client = &mut self.clients[client];
        if client.enabled == enabled {
            return Refused(Refusal::NotFound);
        }
        client.enabled = enabled;
        Done
    }

    /// Purges sessions past their end; no clock brings them back.
    pub fn purge(&mut self) {
        for session in &mut self.sessions {
            session.ended |= session.idle_end <= self.now || session.end <= self.now;
        }
    }
}
