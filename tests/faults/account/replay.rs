//! The promises of an account's ledger, checked against a service that has recovered.

use super::{Account, Broken, Fate, Stage, Tools};
use crate::received_letters::{Kind, ReceivedLetters};
use crate::service::Answer;

impl Account {
    /// Whether no outcome is unknown any more.
    pub fn is_settled(&self) -> bool {
        let asked = self.sessions.iter().all(|session| session.fate != Fate::Ending);
        self.stage != Stage::Leaving && self.wanted.is_none() && asked
    }

    /// Whether all due letters have come, and none too often.
    pub fn letters(&self, received_letters: &ReceivedLetters) -> Result<(), Broken> {
        let expected = match self.stage {
            Stage::Asking => return Ok(()),
            Stage::Waiting => vec![(Kind::Activation, None)],
            // notices that waited were deleted with the account
            Stage::Gone => vec![(Kind::Activation, None), (Kind::Farewell, Some(1))],
            // 20 notices wait at most, which is more than an account causes while no mail leaves
            Stage::Active | Stage::Leaving => vec![
                (Kind::Activation, None),
                (Kind::PasswordChanged, Some(self.changes)),
                (Kind::Farewell, Some(0)),
            ],
        };
        for (kind, count) in expected {
            let found = received_letters.count(&self.email, kind);
            if count.map_or(found == 0, |count| count != found) {
                return Err(format!("letters of the kind {kind:?}: {found}, expected {count:?}"));
            }
        }
        Ok(())
    }

    /// Checks all acknowledged results against a service that has recovered.
    pub fn replay(&mut self, tools: &mut Tools<'_>) -> Result<(), Broken> {
        let known = |answer: Option<Answer>| answer.ok_or("a service that is well does not answer");
        match self.stage {
            Stage::Asking => return Ok(()),
            Stage::Active => self.sign_in(tools)?,
            _ => {
                let password = self.password.clone();
                if self.try_password(tools, &password)?.flatten().is_some() {
                    return Err("an account that is gone can sign in".to_owned());
                }
            }
        }
        // the last few: each costs a hash
        for password in self.former.clone().iter().rev().take(3) {
            if self.try_password(tools, password)?.flatten().is_some() {
                return Err(format!("the former password {password:?} works"));
            }
        }
        for at in 0..self.sessions.len() {
            let access = self.sessions[at].access.clone();
            let reply = tools.wire.get("/v1/me", &access);
            let used = known(self.record(&format!("use the access token of {at}"), reply)?)?;
            let token = self.sessions[at].refresh.clone();
            let what = format!("refresh {at} at the end");
            let refreshed = known(self.try_refresh(tools, &what, &token)?)?;
            let expected = match self.sessions[at].fate {
                Fate::Live => (200, 200),
                _ => (401, 400),
            };
            if (used.status, refreshed.status) != expected {
                return Err(format!(
                    "session {at} is {:?}, and its tokens are answered {} and {}",
                    self.sessions[at].fate, used.status, refreshed.status
                ));
            }
            // all but the token that was refreshed just now, which is the predecessor
            for spent in self.sessions[at].spent.clone() {
                let what = format!("present a spent token of {at} at the end");
                if known(self.try_refresh(tools, &what, &spent)?)?.status != 400 {
                    return Err(format!("a spent token of session {at} lives again"));
                }
                tools.figures.count("spent tokens that stayed spent");
            }
        }
        Ok(())
    }
}
