//! Composer: turns a request for a letter into the letter that is sent.
//!
//! The outbox keeps the request only. The composer looks up the present state of the address and
//! the account, so that HTTP requests do the same work for every address. The composer also mints
//! links, in the transaction that stores their digests. A link's lifetime therefore starts when the
//! letter leaves.

use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::config::{LimitSettings, LinkSettings, PublicUrl};
use crate::crypto::entropy::Entropy;
use crate::mail::{Letter, LetterCap, LetterRequest};
use crate::model::{
    AccountLinkPurpose, EmailAddress, EmailChange, EmailChangeId, LinkToken, Locale, SignUp,
};
use crate::storage::{AccountRecord, ClaimedLetter, Connection, NewAccountLink, StoreError};

const HOUR: Duration = Duration::from_secs(3_600);
/// Pause of a letter behind others to its address that are still on their way: one poll of the
/// outbox.
const PAUSE_BEHIND_OTHERS: Duration = Duration::from_secs(1);

/// Result of composing a claimed letter.
pub(super) enum Composition {
    Send {
        content: Letter,
        /// The recipient's language, where the account or sign-up knows it better than the request
        /// did.
        locale: Option<Locale>,
    },
    /// The letter has no recipient or no content any more.
    Drop,
    /// The address has received its share of letters for this hour.
    Wait { until: Timestamp },
    /// Another courier holds the lease.
    Lost,
}

impl Composition {
    fn send(content: Letter, locale: Option<Locale>) -> Self {
        Self::Send { content, locale }
    }

    fn to_owner(content: Letter, owner: &AccountRecord) -> Self {
        Self::Send { content, locale: owner.account.locale.clone() }
    }
}

/// Composes letters.
#[derive(Debug)]
pub struct Composer {
    pub clock: Clock,
    pub entropy: Entropy,
    pub public_url: PublicUrl,
    /// Lifetimes of the links in letters, counted from when a letter is composed.
    pub links: LinkSettings,
    pub limits: LimitSettings,
}

impl Composer {
    /// Composes the letter from the present state. Mints the letter's link and stores the link's
    /// digest in this transaction.
    pub(super) async fn compose(
        &self,
        tx: &mut Connection,
        letter: &ClaimedLetter,
        request: LetterRequest,
    ) -> Result<Composition, StoreError> {
        let now = self.clock.now();
        if !tx.holds_lease(letter, now).await? {
            return Ok(Composition::Lost);
        }
        // of several letters that were put off only the last is sent, so this check comes before
        // the count; each notice tells of its own event and is never superseded
        let by_strangers = request.cap() == LetterCap::PerRecipient;
        let was_put_off = by_strangers && letter.due_at > letter.created_at;
        if was_put_off && tx.is_superseded(letter).await? {
            return Ok(Composition::Drop);
        }
        if let Some(until) = self.next_send_at(tx, letter, request.cap(), now).await? {
            return Ok(match by_strangers && tx.is_superseded(letter).await? {
                true => Composition::Drop,
                false => Composition::Wait { until },
            });
        }
        // lock the row of the sign-up before the account's row: a concurrent activation then finds
        // the sign-up contested, or has ended before the account is looked up
        match request {
            LetterRequest::PasswordReset { .. } => {
                tx.contest_sign_up_of(&letter.email, now).await?;
            }
            LetterRequest::SignUp { .. } | LetterRequest::NewLink => {
                tx.lock_sign_up(&letter.email).await?;
            }
            _ => {}
        }
        let owner = tx.find_account_by_email(&letter.email).await?;
        let reset = (AccountLinkPurpose::PasswordReset, self.links.reset_ttl.duration());
        match (request, owner) {
            (LetterRequest::SignUp { at, browser }, Some(owner)) => {
                if let Some(waiting) = tx.find_sign_up_by_email(&letter.email).await? {
                    tx.consume_sign_up(waiting.sign_up.id, true).await?;
                    tx.attach_events(waiting.sign_up.id, owner.account.id).await?;
                }
                Ok(Composition::to_owner(Letter::AccountExists { at, browser }, &owner))
            }
            (LetterRequest::SignUp { at, browser }, None) => {
                self.compose_activation(tx, letter, now, Some((at, browser))).await
            }
            // a waiting sign-up has no password to reset: its owner chooses one when they confirm
            // it
            (LetterRequest::NewLink | LetterRequest::PasswordReset { .. }, None) => {
                self.compose_activation(tx, letter, now, None).await
            }
            (LetterRequest::PasswordReset { at, browser }, Some(owner)) => {
                let content =
                    |link, valid_for| Letter::PasswordReset { link, valid_for, at, browser };
                self.compose_password_link(tx, owner, now, reset, content).await
            }
            (LetterRequest::OperatorReset, Some(owner)) => {
                let content = |link, valid_for| Letter::OperatorReset { link, valid_for };
                self.compose_password_link(tx, owner, now, reset, content).await
            }
            (LetterRequest::Invitation, Some(owner)) => {
                let first = (AccountLinkPurpose::Invitation, self.links.invitation_ttl.duration());
                let content = |link, valid_for| Letter::Invitation { link, valid_for };
                self.compose_password_link(tx, owner, now, first, content).await
            }
            (LetterRequest::EmailChange { change, at, browser }, owner) => {
                self.compose_confirmation(tx, &change, owner, now, (at, browser)).await
            }
            (LetterRequest::EmailChangeNotice { change, at, browser }, Some(owner)) => {
                self.compose_stop_notice(tx, &change, &owner, now, (at, browser)).await
            }
            // the address is confirmed already, the account is gone, or the account has moved to
            // another address
            (LetterRequest::NewLink, Some(_))
            | (
                LetterRequest::OperatorReset
                | LetterRequest::Invitation
                | LetterRequest::EmailChangeNotice { .. },
                None,
            ) => Ok(Composition::Drop),
            (LetterRequest::SessionEnded { at, client, browser }, _) => {
                Ok(Composition::send(Letter::SessionEnded { at, client, browser }, None))
            }
            (LetterRequest::PasswordChanged { at, browser, by_link }, _) => {
                Ok(Composition::send(Letter::PasswordChanged { at, browser, by_link }, None))
            }
            (LetterRequest::EmailChanged { at, email }, _) => {
                let shown = email.parse().map(|email: EmailAddress| email.to_unicode());
                let new_email = shown.unwrap_or(email);
                Ok(Composition::send(Letter::EmailChanged { new_email, at }, None))
            }
            (LetterRequest::AccountDeleted { at, by_operator }, _) => {
                Ok(Composition::send(Letter::AccountDeleted { at, by_operator }, None))
            }
        }
    }

    /// Composes the letter to the new address, with the link that makes the change take effect. If
    /// the new address belongs to an account, the letter informs that account's owner instead, and
    /// the requester learns nothing.
    async fn compose_confirmation(
        &self,
        tx: &mut Connection,
        change: &str,
        owner: Option<AccountRecord>,
        now: Timestamp,
        (at, browser): (i64, Option<String>),
    ) -> Result<Composition, StoreError> {
        let ttl = self.links.email_ttl.duration();
        let Some(change) = find_pending_change(tx, change, now, ttl).await? else {
            return Ok(Composition::Drop);
        };
        if let Some(owner) = owner {
            return Ok(Composition::to_owner(Letter::AddressInUse { at, browser }, &owner));
        }
        // the link never outlives the links that stop the change
        let until = (now + ttl).min(change.ends_at(ttl));
        let link =
            self.mint_change_link(tx, &change, AccountLinkPurpose::EmailChange, now, until).await?;
        let valid_for = until.since(now).as_secs();
        let content = Letter::EmailChange { link, valid_for, at, browser };
        let mover = tx.find_account(change.account).await?;
        Ok(Composition::send(content, mover.and_then(|mover| mover.account.locale)))
    }

    /// Composes the notice to the old address, with the link that stops the change.
    async fn compose_stop_notice(
        &self,
        tx: &mut Connection,
        change: &str,
        owner: &AccountRecord,
        now: Timestamp,
        (at, browser): (i64, Option<String>),
    ) -> Result<Composition, StoreError> {
        let ttl = self.links.email_ttl.duration();
        let Some(change) = find_pending_change(tx, change, now, ttl).await? else {
            return Ok(Composition::Drop);
        };
        // valid as long as any link can confirm the change, so that a thief gains nothing by
        // waiting
        let until = change.ends_at(ttl);
        let purpose = AccountLinkPurpose::EmailChangeStop;
        let link = self.mint_change_link(tx, &change, purpose, now, until).await?;
        let (valid_for, new_email) = (until.since(now).as_secs(), change.email.to_unicode());
        let content = Letter::EmailChangeNotice { link, valid_for, new_email, at, browser };
        Ok(Composition::to_owner(content, owner))
    }

    /// Composes the letter with a fresh activation link, if a sign-up waits. This transaction holds
    /// the sign-up's row. The letter describes the request that caused it, which may be a later one
    /// than the first: with another person's browser in the letter, readers would disavow their own
    /// sign-up.
    async fn compose_activation(
        &self,
        tx: &mut Connection,
        letter: &ClaimedLetter,
        now: Timestamp,
        request: Option<(i64, Option<String>)>,
    ) -> Result<Composition, StoreError> {
        let Some(waiting) = tx.find_sign_up_by_email(&letter.email).await? else {
            return Ok(Composition::Drop);
        };
        let SignUp { id, created_at, user_agent, locale, .. } = waiting.sign_up;
        // the link never outlives the sign-up
        let until = (now + self.links.activation_ttl.duration()).min(waiting.expires_at);
        if until <= now {
            return Ok(Composition::Drop);
        }
        let token = LinkToken::new(self.entropy.secret());
        tx.insert_activation_link(&token.digest(), id, now, until).await?;
        let (signed_up_at, browser) = request.unwrap_or_else(|| {
            let browser = user_agent.and_then(|user_agent| user_agent.describe());
            (created_at.unix_millis(), browser)
        });
        let content = Letter::Activation {
            link: self.url("activate", &token),
            valid_for: until.since(now).as_secs(),
            signed_up_at,
            browser,
        };
        Ok(Composition::send(content, locale))
    }

    /// Composes a letter to the owner of an account, with a link to choose a password. A disabled
    /// account gets none, because its owner cannot sign in.
    async fn compose_password_link(
        &self,
        tx: &mut Connection,
        owner: AccountRecord,
        now: Timestamp,
        (purpose, ttl): (AccountLinkPurpose, Duration),
        content: impl FnOnce(String, u64) -> Letter,
    ) -> Result<Composition, StoreError> {
        // lock the account and read it again: no link goes to an address that the account has just
        // left
        if !tx.lock_account(owner.account.id).await? {
            return Ok(Composition::Drop);
        }
        let now_there = tx.find_account(owner.account.id).await?;
        let is_theirs = |now_there: &AccountRecord| {
            now_there.account.email == owner.account.email && now_there.disabled_at.is_none()
        };
        let Some(owner) = now_there.filter(is_theirs) else { return Ok(Composition::Drop) };
        let token = LinkToken::new(self.entropy.secret());
        tx.insert_account_link(&NewAccountLink {
            digest: &token.digest(),
            purpose,
            account: owner.account.id,
            email_change: None,
            now,
            expires_at: now + ttl,
        })
        .await?;
        let content = content(self.url("reset-password", &token), ttl.as_secs());
        Ok(Composition::to_owner(content, &owner))
    }

    /// Mints a link for a change of address.
    async fn mint_change_link(
        &self,
        tx: &mut Connection,
        change: &EmailChange,
        purpose: AccountLinkPurpose,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<String, StoreError> {
        let token = LinkToken::new(self.entropy.secret());
        tx.insert_account_link(&NewAccountLink {
            digest: &token.digest(),
            purpose,
            account: change.account,
            email_change: Some(change.id),
            now,
            expires_at,
        })
        .await?;
        let page = match purpose {
            AccountLinkPurpose::EmailChangeStop => "confirm-email/stop",
            AccountLinkPurpose::EmailChange => "confirm-email",
            AccountLinkPurpose::PasswordReset | AccountLinkPurpose::Invitation => "reset-password",
        };
        Ok(self.url(page, &token))
    }

    fn url(&self, page: &str, token: &LinkToken) -> String {
        format!("{}/{page}?token={}", self.public_url.as_str(), token.reveal())
    }

    /// When the address may get its next letter; `None` if it has not had its share of this hour
    /// (R35).
    async fn next_send_at(
        &self,
        tx: &mut Connection,
        letter: &ClaimedLetter,
        cap: LetterCap,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let own = [letter.kind.as_str()];
        let (share, kind, counted): (_, _, &[&str]) = match cap {
            _ if !self.limits.enabled => return Ok(None),
            LetterCap::None => return Ok(None),
            LetterCap::PerRecipient => {
                (self.limits.letters_per_hour.get(), None, &LetterRequest::PER_RECIPIENT_KINDS)
            }
            LetterCap::PerNotice => {
                (self.limits.notices_per_hour.get(), Some(letter.kind.as_str()), &own)
            }
        };
        // `ahead`: letters that were claimed before this one, and are still on their way
        let (sent, ahead) = tx.letters_counted(letter, (kind, counted), now - HOUR, now).await?;
        if let Some(sent_at) = sent.len().checked_sub(share).and_then(|first| sent.get(first)) {
            return Ok(Some(*sent_at + HOUR));
        }
        Ok((sent.len() + ahead >= share).then(|| now + PAUSE_BEHIND_OTHERS))
    }
}

/// The change of address that a letter is about, if it is still pending.
async fn find_pending_change(
    tx: &mut Connection,
    id: &str,
    now: Timestamp,
    link_ttl: Duration,
) -> Result<Option<EmailChange>, StoreError> {
    let Ok(id) = id.parse::<EmailChangeId>() else { return Ok(None) };
    let change = tx.find_email_change(id).await?;
    Ok(change.filter(|change| change.is_pending(now, link_ttl)))
}
