//! Composer: turns a request for a letter into the letter that is sent.
//!
//! The outbox keeps the request only. The composer looks up the present state of the address and
//! the account, so that HTTP requests do the same work for every address. The composer also mints
//! links, in the transaction that stores their digests. A link's lifetime therefore starts when the
//! letter leaves.
//!
//! Each family of letters has one method: sign-ups, links to choose a password, changes of address,
//! notices.

use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::config::{LimitSettings, LinkSettings, PublicUrl};
use crate::crypto::entropy::Entropy;
use crate::mail::{Letter, LetterRequest};
use crate::model::{
    AccountId, AccountLinkPurpose, EmailAddress, EmailChange, EmailChangeId, LetterCap, LetterKind,
    LinkToken, Locale, SignUp,
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

/// A link of an account to be minted.
struct NewLink {
    purpose: AccountLinkPurpose,
    account: AccountId,
    email_change: Option<EmailChangeId>,
    expires_at: Timestamp,
}

impl Composition {
    fn notice(content: Letter) -> Self {
        Self::Send { content, locale: None }
    }

    fn to_owner(content: Letter, owner: &AccountRecord) -> Self {
        Self::Send { content, locale: owner.account.locale.clone() }
    }
}

/// Composes letters from the present state of the database.
#[derive(Debug)]
pub struct Composer {
    /// The clock.
    pub clock: Clock,
    /// Source of the tokens of links.
    pub entropy: Entropy,
    /// The URL under which links lead to this service.
    pub public_url: PublicUrl,
    /// Lifetimes of the links in letters, counted from when a letter is composed.
    pub links: LinkSettings,
    /// Limits on letters to one recipient.
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
        if let Some(held_back) = self.hold_back(tx, letter, request.cap(), now).await? {
            return Ok(held_back);
        }
        match request {
            LetterRequest::SignUp { .. } | LetterRequest::NewLink => {
                self.compose_sign_up(tx, letter, request, now).await
            }
            LetterRequest::PasswordReset { .. }
            | LetterRequest::OperatorReset
            | LetterRequest::Invitation => {
                self.compose_password_link(tx, letter, request, now).await
            }
            LetterRequest::EmailChange { change, at, browser } => {
                self.compose_confirmation(tx, letter, (&change, now), (at, browser)).await
            }
            LetterRequest::EmailChangeNotice { change, at, browser } => {
                self.compose_stop_notice(tx, letter, (&change, now), (at, browser)).await
            }
            LetterRequest::SessionEnded { at, client, browser } => {
                Ok(Composition::notice(Letter::SessionEnded { at, client, browser }))
            }
            LetterRequest::PasswordChanged { at, browser, by_link } => {
                Ok(Composition::notice(Letter::PasswordChanged { at, browser, by_link }))
            }
            LetterRequest::EmailChanged { at, email } => {
                let shown = email.parse().map(|email: EmailAddress| email.to_unicode());
                let new_email = shown.unwrap_or(email);
                Ok(Composition::notice(Letter::EmailChanged { new_email, at }))
            }
            LetterRequest::AccountDeleted { at, by_operator } => {
                Ok(Composition::notice(Letter::AccountDeleted { at, by_operator }))
            }
        }
    }

    /// Drops or postpones a letter that must not leave now.
    async fn hold_back(
        &self,
        tx: &mut Connection,
        letter: &ClaimedLetter,
        cap: LetterCap,
        now: Timestamp,
    ) -> Result<Option<Composition>, StoreError> {
        // of several letters that were put off only the last is sent, so this check comes before
        // the count; each notice tells of its own event and is never superseded
        let by_strangers = cap == LetterCap::PerRecipient;
        let was_put_off = by_strangers && letter.due_at > letter.created_at;
        if was_put_off && tx.is_superseded(letter).await? {
            return Ok(Some(Composition::Drop));
        }
        let Some(until) = self.next_send_at(tx, letter, cap, now).await? else { return Ok(None) };
        Ok(Some(match by_strangers && tx.is_superseded(letter).await? {
            true => Composition::Drop,
            false => Composition::Wait { until },
        }))
    }

    /// Composes the letter after a sign-up, or another one with a fresh link.
    async fn compose_sign_up(
        &self,
        tx: &mut Connection,
        letter: &ClaimedLetter,
        request: LetterRequest,
        now: Timestamp,
    ) -> Result<Composition, StoreError> {
        // lock the row of the sign-up before the account's row: a concurrent activation has then
        // ended before the account is looked up
        tx.lock_sign_up(&letter.email).await?;
        let owner = tx.find_account_by_email(&letter.email).await?;
        match (request, owner) {
            (LetterRequest::SignUp { at, browser }, Some(owner)) => {
                if let Some(waiting) = tx.find_sign_up_by_email(&letter.email).await? {
                    tx.consume_sign_up(waiting.sign_up.id, true).await?;
                    tx.attach_events(waiting.sign_up.id, owner.account.id).await?;
                }
                Ok(Composition::to_owner(Letter::AccountExists { at, browser }, &owner))
            }
            (LetterRequest::SignUp { at, browser }, None) => {
                self.compose_activation(tx, letter, Some((at, browser)), now).await
            }
            (_, None) => self.compose_activation(tx, letter, None, now).await,
            // the address is confirmed already
            (_, Some(_)) => Ok(Composition::Drop),
        }
    }

    /// Composes the letter with a fresh activation link, if a sign-up waits. This transaction holds
    /// the sign-up's row. The letter describes the request that caused it, which may be a later one
    /// than the first: with another person's browser in the letter, readers would disavow their own
    /// sign-up.
    async fn compose_activation(
        &self,
        tx: &mut Connection,
        letter: &ClaimedLetter,
        request: Option<(i64, Option<String>)>,
        now: Timestamp,
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
        Ok(Composition::Send { content, locale })
    }

    /// Composes a letter to the owner of an account, with a link to choose a password. A disabled
    /// account gets none, because its owner cannot sign in.
    async fn compose_password_link(
        &self,
        tx: &mut Connection,
        letter: &ClaimedLetter,
        request: LetterRequest,
        now: Timestamp,
    ) -> Result<Composition, StoreError> {
        let is_reset = request.kind() == LetterKind::PasswordReset;
        if is_reset {
            // before the account's row is locked: a concurrent activation finds the sign-up
            // contested
            tx.contest_sign_up_of(&letter.email, now).await?;
        }
        let Some(found) = tx.find_account_by_email(&letter.email).await? else {
            // a waiting sign-up has no password to reset: its owner chooses one when they confirm
            // it
            return match is_reset {
                true => self.compose_activation(tx, letter, None, now).await,
                false => Ok(Composition::Drop),
            };
        };
        // lock the account and read it again: no link goes to an address that the account has just
        // left
        if !tx.lock_account(found.account.id).await? {
            return Ok(Composition::Drop);
        }
        let owner = tx.find_account(found.account.id).await?;
        let is_theirs = |owner: &AccountRecord| {
            owner.account.email == found.account.email && owner.disabled_at.is_none()
        };
        let Some(owner) = owner.filter(is_theirs) else { return Ok(Composition::Drop) };
        let (purpose, ttl) = match request {
            LetterRequest::Invitation => {
                (AccountLinkPurpose::Invitation, self.links.invitation_ttl)
            }
            _ => (AccountLinkPurpose::PasswordReset, self.links.reset_ttl),
        };
        let ttl = ttl.duration();
        let (account, email_change, expires_at) = (owner.account.id, None, now + ttl);
        let link = NewLink { purpose, account, email_change, expires_at };
        let (link, valid_for) = (self.mint_link(tx, link, now).await?, ttl.as_secs());
        let content = match request {
            LetterRequest::PasswordReset { at, browser } => {
                Letter::PasswordReset { link, valid_for, at, browser }
            }
            LetterRequest::Invitation => Letter::Invitation { link, valid_for },
            _ => Letter::OperatorReset { link, valid_for },
        };
        Ok(Composition::to_owner(content, &owner))
    }

    /// Composes the letter to the new address, with the link that makes the change take effect. If
    /// the new address belongs to an account, the letter informs that account's owner instead, and
    /// the requester learns nothing.
    async fn compose_confirmation(
        &self,
        tx: &mut Connection,
        letter: &ClaimedLetter,
        (change, now): (&str, Timestamp),
        (at, browser): (i64, Option<String>),
    ) -> Result<Composition, StoreError> {
        let owner = tx.find_account_by_email(&letter.email).await?;
        let Some(change) = self.find_pending_change(tx, change, now).await? else {
            return Ok(Composition::Drop);
        };
        if let Some(owner) = owner {
            return Ok(Composition::to_owner(Letter::AddressInUse { at, browser }, &owner));
        }
        // the link never outlives the links that stop the change
        let ttl = self.links.email_ttl.duration();
        let expires_at = (now + ttl).min(change.ends_at(ttl));
        let (account, email_change) = (change.account, Some(change.id));
        let purpose = AccountLinkPurpose::EmailChange;
        let link = NewLink { purpose, account, email_change, expires_at };
        let (link, valid_for) =
            (self.mint_link(tx, link, now).await?, expires_at.since(now).as_secs());
        let content = Letter::EmailChange { link, valid_for, at, browser };
        let mover = tx.find_account(change.account).await?;
        Ok(Composition::Send { content, locale: mover.and_then(|mover| mover.account.locale) })
    }

    /// Composes the notice to the old address, with the link that stops the change.
    async fn compose_stop_notice(
        &self,
        tx: &mut Connection,
        letter: &ClaimedLetter,
        (change, now): (&str, Timestamp),
        (at, browser): (i64, Option<String>),
    ) -> Result<Composition, StoreError> {
        // the account is gone, or has moved to another address
        let Some(owner) = tx.find_account_by_email(&letter.email).await? else {
            return Ok(Composition::Drop);
        };
        let Some(change) = self.find_pending_change(tx, change, now).await? else {
            return Ok(Composition::Drop);
        };
        // valid as long as any link can confirm the change, so that a thief gains nothing by
        // waiting
        let expires_at = change.ends_at(self.links.email_ttl.duration());
        let (account, email_change) = (change.account, Some(change.id));
        let purpose = AccountLinkPurpose::EmailChangeStop;
        let link =
            self.mint_link(tx, NewLink { purpose, account, email_change, expires_at }, now).await?;
        let valid_for = expires_at.since(now).as_secs();
        let new_email = change.email.to_unicode();
        let content = Letter::EmailChangeNotice { link, valid_for, new_email, at, browser };
        Ok(Composition::to_owner(content, &owner))
    }

    /// The change of address that a letter is about, if it is still pending.
    async fn find_pending_change(
        &self,
        tx: &mut Connection,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<EmailChange>, StoreError> {
        let Ok(id) = id.parse::<EmailChangeId>() else { return Ok(None) };
        let ttl = self.links.email_ttl.duration();
        let change = tx.find_email_change(id).await?;
        Ok(change.filter(|change| change.is_pending(now, ttl)))
    }

    /// Mints a link of an account.
    async fn mint_link(
        &self,
        tx: &mut Connection,
        link: NewLink,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        let NewLink { purpose, account, email_change, expires_at } = link;
        let token = LinkToken::new(self.entropy.secret());
        let digest = &token.digest();
        tx.insert_account_link(&NewAccountLink {
            digest,
            purpose,
            account,
            email_change,
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
        let (share, kind) = match cap {
            _ if !self.limits.enabled => return Ok(None),
            LetterCap::None => return Ok(None),
            LetterCap::PerRecipient => (self.limits.letters_per_hour.get(), None),
            LetterCap::PerNotice => {
                (self.limits.notices_per_hour.get(), Some(letter.kind.as_str()))
            }
        };
        let counted = match kind {
            Some(kind) => vec![kind],
            None => LetterKind::names(|kind| kind.cap() == LetterCap::PerRecipient),
        };
        // `ahead`: letters that were claimed before this one, and are still on their way
        let (sent, ahead) = tx.letters_counted(letter, (kind, &counted), now - HOUR, now).await?;
        if let Some(sent_at) = sent.len().checked_sub(share).and_then(|first| sent.get(first)) {
            return Ok(Some(*sent_at + HOUR));
        }
        Ok((sent.len() + ahead >= share).then(|| now + PAUSE_BEHIND_OTHERS))
    }
}
