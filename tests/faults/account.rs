//! One account as its client knows it, with the ledger of the client's requests and answers.

mod replay;

use std::time::Instant;

use serde_json::{Value, json};

use crate::received_letters::ReceivedLetters;
use crate::seeded_random::SeededRandom;
use crate::service::Answer;
use crate::wire::{Figures, Reply, Wire};

/// A broken promise of the service.
pub type Broken = String;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The sign-up is not acknowledged yet.
    Asking,
    /// The sign-up is acknowledged; a letter has to come.
    Waiting,
    Active,
    /// The answer to a deletion was lost.
    Leaving,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Live,
    /// The answer to the session's revocation was lost.
    Ending,
    Ended,
}

/// One sign-in.
#[derive(Debug)]
struct Session {
    access: String,
    refresh: String,
    /// The earlier refresh tokens, oldest first. The last is the predecessor.
    spent: Vec<String>,
    fate: Fate,
}

#[derive(Debug)]
pub struct Account {
    pub email: String,
    pub stage: Stage,
    password: String,
    /// A password that may be in force: the answer to its change was lost.
    wanted: Option<(String, usize)>,
    former: Vec<String>,
    sessions: Vec<Session>,
    /// Changes of the password that have happened.
    changes: usize,
    began: Instant,
    ledger: Vec<String>,
}

/// The tools of a client.
pub struct Tools<'a> {
    pub wire: Wire<'a>,
    pub rng: SeededRandom,
    pub received_letters: &'a ReceivedLetters,
    pub figures: &'a Figures,
}

const CLIENT: (&str, &str) = ("client_id", "web");

fn new_password(rng: &mut SeededRandom) -> String {
    format!("quiet harbour {:016x}", rng.next())
}

fn text(value: &Value) -> Result<String, Broken> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("no token in {value}"))
}

impl Account {
    pub fn new(email: String, began: Instant, rng: &mut SeededRandom) -> Self {
        Self {
            email,
            stage: Stage::Asking,
            password: new_password(rng),
            wanted: None,
            former: Vec::new(),
            sessions: Vec::new(),
            changes: 0,
            began,
            ledger: Vec::new(),
        }
    }

    /// The requests and answers so far, to explain a failure.
    pub fn ledger(&self) -> String {
        let lines: String = self.ledger.iter().map(|line| format!("    {line}\n")).collect();
        format!("{} is {:?}\n{lines}", self.email, self.stage)
    }

    /// Records the outcome of a request; `None` if it is unknown, or if the request was never sent.
    fn record(&mut self, what: &str, reply: Reply) -> Result<Option<Answer>, Broken> {
        let words = match &reply {
            Reply::Answered(answer) => answer.status.to_string(),
            Reply::Lost(why) => format!("lost ({why})"),
            Reply::NotSent => "not sent".to_owned(),
        };
        let at = self.began.elapsed().as_secs_f64();
        self.ledger.push(format!("{at:>9.3}  {what}: {words}"));
        match reply {
            Reply::Answered(answer) if answer.status >= 500 => {
                Err(format!("{what} was answered {} {}", answer.status, answer.body))
            }
            Reply::Answered(answer) => Ok(Some(answer)),
            Reply::Lost(_) | Reply::NotSent => {
                // a real client would wait a moment, too
                std::thread::sleep(std::time::Duration::from_millis(20));
                Ok(None)
            }
        }
    }

    /// Makes a next request, as a client would.
    pub fn step(&mut self, tools: &mut Tools<'_>) -> Result<(), Broken> {
        match self.stage {
            Stage::Asking => self.sign_up(tools),
            Stage::Waiting => self.activate(tools).map(drop),
            Stage::Leaving => self.find_out_deletion(tools),
            Stage::Gone => Ok(()),
            Stage::Active if self.wanted.is_some() => self.find_password_in_force(tools),
            Stage::Active => self.step_active(tools),
        }
    }

    /// Whether the account has nothing to do before its letter comes.
    pub fn waits(&self, received_letters: &ReceivedLetters) -> bool {
        self.stage == Stage::Waiting && received_letters.activation(&self.email).is_none()
    }

    fn step_active(&mut self, tools: &mut Tools<'_>) -> Result<(), Broken> {
        if let Some(at) = self.sessions.iter().position(|session| session.fate == Fate::Ending) {
            return self.revoke(tools, at);
        }
        let live: Vec<usize> =
            (0..self.sessions.len()).filter(|&at| self.sessions[at].fate == Fate::Live).collect();
        if live.is_empty() {
            return self.sign_in(tools);
        }
        let at = live[tools.rng.below(live.len())];
        match tools.rng.below(100) {
            0..10 if live.len() < 3 => self.sign_in(tools),
            0..25 => self.use_access(tools, at),
            25..72 => self.refresh(tools, at),
            72..77 => self.use_spent(tools, at),
            77..87 => self.revoke(tools, at),
            87..97 => self.change_password(tools, at),
            _ => self.delete_account(tools, at),
        }
    }

    fn sign_up(&mut self, tools: &mut Tools<'_>) -> Result<(), Broken> {
        let body = json!({ "email": self.email, "password": self.password });
        let reply = tools.wire.json("POST", "/v1/accounts", None, &body);
        match self.record("sign up", reply)? {
            None => Ok(()),
            Some(answer) if answer.status == 202 => {
                tools.figures.count("acknowledged sign-ups");
                self.stage = Stage::Waiting;
                Ok(())
            }
            Some(answer) => Err(format!("a sign-up was refused: {answer:?}")),
        }
    }

    /// Activates the account by its letter. Returns whether the letter has come.
    pub fn activate(&mut self, tools: &mut Tools<'_>) -> Result<bool, Broken> {
        let Some(token) = tools.received_letters.activation(&self.email) else { return Ok(false) };
        let body = json!({ "token": token });
        let reply = tools.wire.json("POST", "/v1/activations", None, &body);
        match self.record("activate", reply)? {
            None => {}
            Some(answer) if answer.status == 200 => {
                tools.figures.count("acknowledged activations");
                self.stage = Stage::Active;
            }
            Some(answer) => return Err(format!("a link was refused: {answer:?}")),
        }
        Ok(true)
    }

    /// Signs in with this password; `None` if the outcome is unknown, `Some(None)` if it is wrong.
    fn try_password(
        &mut self,
        tools: &mut Tools<'_>,
        password: &str,
    ) -> Result<Option<Option<Session>>, Broken> {
        let fields = [
            ("grant_type", "password"),
            CLIENT,
            ("username", &self.email),
            ("password", password),
            ("scope", "account.read account.write"),
        ];
        let reply = tools.wire.form("/oauth/token", &fields);
        let what = format!("sign in with {password:?}");
        let Some(answer) = self.record(&what, reply)? else { return Ok(None) };
        match answer.status {
            200 => {
                tools.figures.count("acknowledged sign-ins");
                let pair = answer.json();
                let (access, refresh) =
                    (text(&pair["access_token"])?, text(&pair["refresh_token"])?);
                Ok(Some(Some(Session { access, refresh, spent: Vec::new(), fate: Fate::Live })))
            }
            400 => Ok(Some(None)),
            status => Err(format!("a sign-in was answered {status}: {}", answer.body)),
        }
    }

    fn sign_in(&mut self, tools: &mut Tools<'_>) -> Result<(), Broken> {
        let password = self.password.clone();
        match self.try_password(tools, &password)? {
            None => {}
            Some(Some(session)) => self.sessions.push(session),
            Some(None) => return Err("the password that is in force is refused".to_owned()),
        }
        Ok(())
    }

    fn use_access(&mut self, tools: &mut Tools<'_>, at: usize) -> Result<(), Broken> {
        let reply = tools.wire.get("/v1/me", &self.sessions[at].access);
        match self.record(&format!("use the access token of {at}"), reply)? {
            Some(answer) if answer.status != 200 => {
                Err(format!("session {at} has ended without a request: {}", answer.body))
            }
            _ => Ok(()),
        }
    }

    /// The answer to this refresh token; `None` if the outcome is unknown.
    fn try_refresh(
        &mut self,
        tools: &mut Tools<'_>,
        what: &str,
        token: &str,
    ) -> Result<Option<Answer>, Broken> {
        let fields = [("grant_type", "refresh_token"), CLIENT, ("refresh_token", token)];
        let reply = tools.wire.form("/oauth/token", &fields);
        self.record(what, reply)
    }

    /// A lost answer signs no client out: at worst the token of the lost answer is the predecessor.
    /// Now and then the client presents a predecessor although the answer came, as a second tab
    /// does: then the successor must be the same.
    fn refresh(&mut self, tools: &mut Tools<'_>, at: usize) -> Result<(), Broken> {
        let old = self.sessions[at].refresh.clone();
        let Some(answer) = self.try_refresh(tools, &format!("refresh {at}"), &old)? else {
            return Ok(());
        };
        if answer.status != 200 {
            return Err(format!("session {at} was signed out at a refresh: {}", answer.body));
        }
        tools.figures.count("acknowledged refreshes");
        let pair = answer.json();
        let session = &mut self.sessions[at];
        session.access = text(&pair["access_token"])?;
        session.refresh = text(&pair["refresh_token"])?;
        session.spent.push(old.clone());
        if tools.rng.below(4) == 0 {
            let expected = session.refresh.clone();
            let again = self.try_refresh(tools, &format!("refresh {at} once more"), &old)?;
            let Some(again) = again else { return Ok(()) };
            if again.status != 200 || text(&again.json()["refresh_token"])? != expected {
                return Err(format!("the predecessor has another successor: {}", again.body));
            }
            self.sessions[at].access = text(&again.json()["access_token"])?;
        }
        Ok(())
    }

    /// A spent token stays spent (R28). Within the grace of the settings, presenting it ends no
    /// session.
    fn use_spent(&mut self, tools: &mut Tools<'_>, at: usize) -> Result<(), Broken> {
        let spent = &self.sessions[at].spent;
        let Some(older) = spent.len().checked_sub(1).filter(|&older| older > 0) else {
            return Ok(());
        };
        let token = spent[tools.rng.below(older)].clone();
        match self.try_refresh(tools, &format!("present a spent token of {at}"), &token)? {
            Some(answer) if answer.status != 400 => Err(format!(
                "a refresh token of session {at} that was spent long ago is answered {}",
                answer.status
            )),
            _ => Ok(()),
        }
    }

    fn revoke(&mut self, tools: &mut Tools<'_>, at: usize) -> Result<(), Broken> {
        let fields = [CLIENT, ("token", &self.sessions[at].refresh)];
        let reply = tools.wire.form("/oauth/revoke", &fields);
        // the client repeats the revocation until it is acknowledged, sent or not
        self.sessions[at].fate = Fate::Ending;
        match self.record(&format!("revoke {at}"), reply)? {
            None => Ok(()),
            Some(answer) if answer.status == 200 => {
                tools.figures.count("acknowledged revocations");
                self.sessions[at].fate = Fate::Ended;
                Ok(())
            }
            Some(answer) => Err(format!("a revocation was refused: {answer:?}")),
        }
    }

    fn change_password(&mut self, tools: &mut Tools<'_>, at: usize) -> Result<(), Broken> {
        let new = new_password(&mut tools.rng);
        let body = json!({ "current_password": self.password, "new_password": new });
        let bearer = self.sessions[at].access.clone();
        let reply = tools.wire.json("PUT", "/v1/me/password", Some(&bearer), &body);
        if matches!(reply, Reply::Lost(_)) {
            self.wanted = Some((new.clone(), at));
        }
        match self.record(&format!("change the password to {new:?} in {at}"), reply)? {
            None => Ok(()),
            Some(answer) if answer.status == 204 => {
                tools.figures.count("acknowledged changes of a password");
                self.record_password_change(new, at);
                Ok(())
            }
            Some(answer) => Err(format!("a change of the password was refused: {answer:?}")),
        }
    }

    /// Records the new password; of the sessions only this one is left.
    fn record_password_change(&mut self, new: String, kept: usize) {
        self.former.push(std::mem::replace(&mut self.password, new));
        self.wanted = None;
        self.changes += 1;
        for (at, session) in self.sessions.iter_mut().enumerate() {
            if at != kept {
                session.fate = Fate::Ended;
            }
        }
    }

    /// After a lost answer exactly one of the two passwords is right.
    fn find_password_in_force(&mut self, tools: &mut Tools<'_>) -> Result<(), Broken> {
        let Some((new, kept)) = self.wanted.clone() else { return Ok(()) };
        let Some(by_new) = self.try_password(tools, &new)? else { return Ok(()) };
        let old = self.password.clone();
        let Some(by_old) = self.try_password(tools, &old)? else { return Ok(()) };
        match (by_new, by_old) {
            (Some(session), None) => {
                tools
                    .figures
                    .count("changes of a password that had happened though the answer was lost");
                self.record_password_change(new, kept);
                self.sessions.push(session);
                Ok(())
            }
            (None, Some(session)) => {
                self.former.push(new);
                self.wanted = None;
                self.sessions.push(session);
                Ok(())
            }
            (Some(_), Some(_)) => Err("both passwords work".to_owned()),
            (None, None) => Err("neither password works".to_owned()),
        }
    }

    fn delete_account(&mut self, tools: &mut Tools<'_>, at: usize) -> Result<(), Broken> {
        let body = json!({ "password": self.password });
        let bearer = self.sessions[at].access.clone();
        let reply = tools.wire.json("POST", "/v1/me/deletion", Some(&bearer), &body);
        if matches!(reply, Reply::Lost(_)) {
            self.stage = Stage::Leaving;
        }
        match self.record("delete the account", reply)? {
            None => Ok(()),
            Some(answer) if answer.status == 204 => {
                tools.figures.count("acknowledged deletions");
                self.record_deletion();
                Ok(())
            }
            Some(answer) => Err(format!("a deletion was refused: {answer:?}")),
        }
    }

    fn record_deletion(&mut self) {
        self.stage = Stage::Gone;
        for session in &mut self.sessions {
            session.fate = Fate::Ended;
        }
    }

    fn find_out_deletion(&mut self, tools: &mut Tools<'_>) -> Result<(), Broken> {
        let password = self.password.clone();
        match self.try_password(tools, &password)? {
            None => {}
            Some(None) => self.record_deletion(),
            Some(Some(session)) => {
                self.stage = Stage::Active;
                self.sessions.push(session);
            }
        }
        Ok(())
    }
}
