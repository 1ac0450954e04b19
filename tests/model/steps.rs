//! The steps of a sequence, and how the reference and the service do each.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::reference::{Answer, ClientAuth, Kind, Model, READ, Refusal, Scopes, TokenId, WRITE};
use crate::service::{CLIENTS, RESOURCE, Service};

/// A token, named by how many were issued after it.
#[derive(Clone, Copy, Debug)]
pub enum Back {
    /// Of the right kind.
    Own(usize),
    Any(usize),
}

/// An operation, at either node.
#[derive(Clone, Debug)]
pub enum Step {
    SignIn { client: usize, proven: bool, account: usize, right: bool, scope: Option<Scopes> },
    Use { token: Back, needed: Scopes },
    Refresh { by: By, proven: bool, token: Back, scope: Option<Scopes> },
    Introspect { by: By, proven: bool, kind: Kind, token: Back },
    Revoke { by: By, proven: bool, kind: Kind, token: Back },
    SignOut { token: Back, session: usize },
    SignOutEverywhere { token: Back },
    ChangePassword { token: Back, right: bool },
    Reset { account: usize },
    Disable { account: usize },
    Enable { account: usize },
    Delete { token: Back, right: bool },
    DisableClient { client: usize },
    EnableClient { client: usize },
    Advance { seconds: i64 },
    SetBack { seconds: i64 },
    Settle,
    Purge,
}

/// The client that presents a token.
#[derive(Clone, Copy, Debug)]
pub enum By {
    /// The client that the token was issued to.
    Its,
    Client(usize),
}

pub fn step() -> impl Strategy<Value = (usize, Step)> {
    let client = || prop_oneof![3 => Just(0_usize), 2 => 0..CLIENTS];
    let account = || prop_oneof![4 => Just(0_usize), 1 => Just(1_usize)];
    let usually = || prop::bool::weighted(0.95);
    let back = || {
        prop_oneof![
            8 => (0..3_usize).prop_map(Back::Own),
            4 => (0..12_usize).prop_map(Back::Own),
            1 => (0..60_usize).prop_map(Back::Any),
        ]
    };
    let by = || prop_oneof![12 => Just(By::Its), 1 => (0..CLIENTS).prop_map(By::Client)];
    let scope =
        || prop_oneof![4 => Just(None), 2 => Just(Some(READ)), 1 => (1..8_u8).prop_map(Some)];
    let asking = prop_oneof![
        3 => Just(By::Client(RESOURCE)),
        1 => Just(By::Its),
        1 => (0..CLIENTS).prop_map(By::Client),
    ];
    let kind = |refresh| {
        prop::bool::weighted(refresh).prop_map(|it| if it { Kind::Refresh } else { Kind::Access })
    };
    let forward = prop_oneof![
        12 => prop::sample::select(vec![1, 5, 29, 30, 31]),
        4 => prop::sample::select(vec![59, 60, 61, 299, 300, 899, 900]),
        1 => prop::sample::select(vec![3_600, 86_400, 14 * 86_400 - 1, 14 * 86_400, 40 * 86_400]),
    ];
    let what = prop_oneof![
        10 => (client(), usually(), account(), usually(), scope()).prop_map(
            |(client, proven, account, right, scope)| {
                Step::SignIn { client, proven, account, right, scope }
            }
        ),
        18 => (back(), prop::sample::select(vec![0, READ, READ | WRITE])).prop_map(|(token, needed)| Step::Use { token, needed }),
        40 => (by(), usually(), back(), scope()).prop_map(|(by, proven, token, scope)| {
            Step::Refresh { by, proven, token, scope }
        }),
        10 => (asking, usually(), kind(0.5), back())
            .prop_map(|(by, proven, kind, token)| Step::Introspect { by, proven, kind, token }),
        4 => (prop_oneof![3 => Just(By::Its), 1 => (0..CLIENTS).prop_map(By::Client)], usually(), kind(0.3), back())
            .prop_map(|(by, proven, kind, token)| Step::Revoke { by, proven, kind, token }),
        2 => (back(), 0..6_usize).prop_map(|(token, session)| Step::SignOut { token, session }),
        1 => back().prop_map(|token| Step::SignOutEverywhere { token }),
        3 => (back(), usually())
            .prop_map(|(token, right)| Step::ChangePassword { token, right }),
        1 => account().prop_map(|account| Step::Reset { account }),
        1 => account().prop_map(|account| Step::Disable { account }),
        6 => account().prop_map(|account| Step::Enable { account }),
        1 => (back(), prop::bool::weighted(0.3))
            .prop_map(|(token, right)| Step::Delete { token, right }),
        1 => client().prop_map(|client| Step::DisableClient { client }),
        6 => client().prop_map(|client| Step::EnableClient { client }),
        16 => forward.prop_map(|seconds| Step::Advance { seconds }),
        2 => prop::sample::select(vec![1, 30, 900, 86_400])
            .prop_map(|seconds| Step::SetBack { seconds }),
        4 => Just(Step::Settle),
        1 => Just(Step::Purge),
    ];
    (0..2_usize, what)
}

/// A sequence under way, on both sides.
pub struct Case<'a> {
    service: Service<'a>,
    model: Model,
    passwords: u32,
    /// Whether the clock was set back. From then on both sides depend on whether a use is recorded,
    /// so it is recorded at once.
    was_set_back: bool,
    /// How often each answer occurred.
    pub met: BTreeMap<String, usize>,
}

impl<'a> Case<'a> {
    pub fn new(service: Service<'a>) -> Self {
        Self {
            model: service.model(),
            service,
            passwords: 0,
            was_set_back: false,
            met: BTreeMap::new(),
        }
    }

    /// Runs the steps. The error names the step at which the two sides differ, and the difference.
    pub async fn run(&mut self, steps: &[(usize, Step)]) -> Result<(), String> {
        for (number, (node, step)) in steps.iter().enumerate() {
            if !self.service.is_at(*node) {
                self.switch_to(*node).await;
            }
            let parted = |what| format!("step {number}, {step:?}: {what}");
            self.run_step(step).await.map_err(parted)?;
            self.was_set_back |= matches!(step, Step::SetBack { .. });
            self.settle_if_set_back().await;
            self.compare_owner_views().await.map_err(parted)?;
        }
        self.try_every_token().await?;
        let other = usize::from(self.service.is_at(0));
        self.switch_to(other).await;
        self.try_every_token().await
    }

    async fn settle_if_set_back(&self) {
        if self.was_set_back {
            self.service.settle().await;
        }
    }

    async fn switch_to(&mut self, node: usize) {
        self.service.switch_to(node).await;
        self.model.now += 1;
    }

    async fn run_step(&mut self, step: &Step) -> Result<(), String> {
        let issued_before = self.model.tokens.len();
        let theft_letters_before: i64 =
            self.model.accounts.iter().map(|owner| owner.theft_letters).sum();
        let Some((expected, answer)) = self.run_on_both(step).await else { return Ok(()) };
        if !expected.contains(&answer) {
            return Err(format!("the service says {answer:?}, the reference {expected:?}"));
        }
        let theft_letters: i64 = self.model.accounts.iter().map(|owner| owner.theft_letters).sum();
        let name = format!("{step:?}");
        let name = name.split([' ', '{']).next().unwrap_or_default();
        let mut met = match &answer {
            Answer::Tokens { refresh: Some(again), .. } if *again < issued_before => {
                vec!["the same again".to_owned()]
            }
            Answer::Refused(refusal) => vec![format!("Refused({refusal:?})")],
            other => vec![format!("{other:?}").split(' ').next().unwrap_or_default().to_owned()],
        };
        if theft_letters > theft_letters_before {
            met.push("theft".to_owned());
        }
        for what in met {
            *self.met.entry(format!("{name}: {what}")).or_default() += 1;
        }
        Ok(())
    }

    fn token(&self, kind: Kind, back: Back) -> Option<TokenId> {
        let (back, any) = match back {
            Back::Own(back) => (back, false),
            Back::Any(back) => (back, true),
        };
        let is_meant = |token: &TokenId| any || self.model.kind_of(*token) == kind;
        let meant: Vec<TokenId> = (0..self.model.tokens.len()).filter(is_meant).collect();
        meant.iter().rev().cycle().nth(back).copied()
    }

    fn auth(&self, by: By, proven: bool, token: TokenId) -> ClientAuth {
        let client = match by {
            By::Its => self.model.client_of(token),
            By::Client(client) => client,
        };
        ClientAuth { client, proven }
    }

    fn next_password(&mut self) -> u32 {
        self.passwords += 1;
        self.passwords
    }

    /// The answers that the reference permits, and the service's; `None` if the step does not
    /// apply.
    async fn run_on_both(&mut self, step: &Step) -> Option<(Vec<Answer>, Answer)> {
        let (service, model) = (&mut self.service, &mut self.model);
        let done = (vec![Answer::Done], Answer::Done);
        Some(match *step {
            Step::SignIn { client, proven, account, right, scope } => {
                let auth = ClientAuth { client, proven };
                let password = model.accounts[account].password;
                let password = if right { password } else { password + 1_000 };
                let expected = model.sign_in(auth, account, password, scope);
                (vec![expected], service.sign_in(auth, account, password, scope).await)
            }
            Step::Use { token, needed } => {
                let token = self.token(Kind::Access, token)?;
                let expected = self.model.use_access(token, needed);
                (vec![expected], self.service.use_access(token, needed).await)
            }
            Step::Refresh { by, proven, token, scope } => {
                let token = self.token(Kind::Refresh, token)?;
                let auth = self.auth(by, proven, token);
                let expected = self.model.refresh(auth, token, scope);
                (vec![expected], self.service.refresh(auth, token, scope).await)
            }
            Step::Introspect { by, proven, kind, token } => {
                let token = self.token(kind, token)?;
                let auth = self.auth(by, proven, token);
                let expected = self.model.introspect(auth, token);
                (vec![expected], self.service.introspect(auth, token).await)
            }
            Step::Revoke { by, proven, kind, token } => {
                let token = self.token(kind, token)?;
                let auth = self.auth(by, proven, token);
                let expected = self.model.revoke(auth, token);
                (expected, self.service.revoke(auth, token).await)
            }
            Step::SignOut { token, session } => {
                let token = self.token(Kind::Access, token)?;
                let session = self.model.sessions.len() - 1 - session % self.model.sessions.len();
                let expected = self.model.sign_out(token, session);
                (expected, self.service.sign_out(token, session).await)
            }
            Step::SignOutEverywhere { token } => {
                let token = self.token(Kind::Access, token)?;
                let expected = self.model.sign_out_everywhere(token);
                (vec![expected], self.service.sign_out_everywhere(token).await)
            }
            Step::ChangePassword { token, right } => {
                let token = self.token(Kind::Access, token)?;
                let new = self.next_password();
                let current = self.model.password_of(token) + if right { 0 } else { 1_000 };
                let expected = self.model.change_password(token, current, new);
                (vec![expected], self.service.change_password(token, current, new).await)
            }
            Step::Reset { account } => {
                if self.model.accounts[account].deleted {
                    return None; // no letter was sent
                }
                let new = self.next_password();
                let expected = self.model.reset(account, new);
                (vec![expected], self.service.reset(account, new).await)
            }
            Step::Disable { account } => {
                let expected = model.set_disabled(account, true);
                (vec![expected], service.set_disabled(account, true).await)
            }
            Step::Enable { account } => {
                let expected = model.set_disabled(account, false);
                (vec![expected], service.set_disabled(account, false).await)
            }
            Step::Delete { token, right } => {
                let token = self.token(Kind::Access, token)?;
                let password = self.model.password_of(token) + if right { 0 } else { 1_000 };
                let expected = self.model.delete(token, password);
                (vec![expected], self.service.delete(token, password).await)
            }
            Step::DisableClient { client } => {
                let expected = model.set_enabled(client, false);
                (vec![expected], service.set_enabled(client, false).await)
            }
            Step::EnableClient { client } => {
                let expected = model.set_enabled(client, true);
                (vec![expected], service.set_enabled(client, true).await)
            }
            Step::Advance { seconds } => {
                service.advance(seconds).await;
                model.now += seconds;
                done
            }
            Step::SetBack { seconds } => {
                service.settle().await;
                model.adopt_last_uses(&service.last_used().await);
                service.advance(-seconds).await;
                model.now -= seconds;
                done
            }
            Step::Settle => {
                service.settle().await;
                done
            }
            Step::Purge => {
                service.purge().await;
                model.purge();
                done
            }
        })
    }

    async fn compare_owner_views(&self) -> Result<(), String> {
        for (account, owner) in self.model.accounts.iter().enumerate() {
            let (listed, expected) =
                (self.service.listed(account).await, self.model.listed(account));
            if listed != expected {
                return Err(format!("{listed} sessions are listed, expected are {expected}"));
            }
            let (theft_letters, expected) =
                (self.service.theft_letters(account).await, owner.theft_letters);
            if theft_letters != expected {
                return Err(format!("{theft_letters} letters of theft, expected are {expected}"));
            }
        }
        Ok(())
    }

    /// Compares the state of every issued token with the reference, and checks that the bearer
    /// guard and introspection agree (R32).
    async fn try_every_token(&mut self) -> Result<(), String> {
        let everyone = ClientAuth { client: RESOURCE, proven: true };
        let may_ask = self.model.clients[everyone.client].enabled;
        for token in 0..self.model.tokens.len() {
            let expected = self.model.use_access(token, 0);
            let answer = self.service.use_access(token, 0).await;
            self.settle_if_set_back().await;
            if answer != expected {
                return Err(format!("in the end, {token}: {answer:?}, expected is {expected:?}"));
            }
            let expected = self.model.introspect(everyone, token);
            let introspected = self.service.introspect(everyone, token).await;
            self.settle_if_set_back().await;
            if introspected != expected {
                return Err(format!("in the end, {token}: {introspected:?}, not {expected:?}"));
            }
            let passes = answer != Answer::Refused(Refusal::AccessToken);
            let active = matches!(introspected, Answer::Active { access: true, .. });
            if may_ask && passes != active {
                return Err(format!("in the end, {token}: the guard and introspection differ"));
            }
        }
        Ok(())
    }
}
