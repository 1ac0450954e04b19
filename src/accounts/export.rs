//! All that is stored about a person, for that person.
//!
//! The form is described by `schemas/account-export.json`, and a test goes through every column of
//! every table: each is either here or has a reason not to be.

use serde::Serialize;

use crate::accounts::{Accounts, EventPage, Happening, ProfileError};
use crate::clock::Timestamp;
use crate::model::{
    AccountId, Actor, Caller, ClientId, EmailAddress, Event, EventId, EventKind, Locale, Name,
    PageSessionId, Scope, SessionId, UserAgent,
};
use crate::storage::{Connection, StoreError};

/// Everything that is stored about one person, without secrets: of those only digests are stored,
/// which say nothing about anybody.
#[derive(Debug, Serialize)]
pub struct Export {
    pub exported_at: Timestamp,
    pub account: ExportedAccount,
    pub sessions: Vec<ExportedSession>,
    pub page_sessions: Vec<ExportedPageSession>,
    pub email_changes: Vec<ExportedEmailChange>,
    pub links: Vec<ExportedLink>,
    pub letters: Vec<ExportedLetter>,
    /// A sign-up that waits for the same address, whoever made it.
    pub sign_up: Option<ExportedSignUp>,
    /// The latest first, and no more than [`Export::EVENTS`]. The last member: where it is written, the
    /// others follow.
    pub events: Vec<Event>,
    /// Before which [`Accounts::events_of`] has the others, if there are more.
    #[serde(skip)]
    pub next: Option<EventId>,
}

impl Export {
    /// So many events are held at a time: there is no end to how many somebody may have.
    pub const EVENTS: i64 = 500;
    /// Sessions, and as many sign-ins at the account page: `limits.sessions_per_account` allows no more.
    const SESSIONS: i64 = 10_000;
}

#[derive(Debug, Serialize)]
pub struct ExportedAccount {
    pub id: AccountId,
    pub email: String,
    pub name: Option<Name>,
    pub locale: Option<Locale>,
    pub created_at: Timestamp,
    /// Since when nobody may sign in, where the operator has seen to that.
    pub disabled_at: Option<Timestamp>,
    /// How often every sign-in was ended at once.
    pub epoch: i64,
    /// Argon2id with its costs, and that is all that is told of it.
    pub password: String,
}

#[derive(Debug, Serialize)]
pub struct ExportedSession {
    pub id: SessionId,
    pub client_id: ClientId,
    pub scope: Scope,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
    pub user_agent: Option<UserAgent>,
}

#[derive(Debug, Serialize)]
pub struct ExportedPageSession {
    pub id: PageSessionId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub user_agent: Option<UserAgent>,
}

#[derive(Debug, Serialize)]
pub struct ExportedEmailChange {
    pub email: String,
    pub requested_at: Timestamp,
    pub state: &'static str,
    pub ended_at: Option<Timestamp>,
    pub user_agent: Option<UserAgent>,
}

#[derive(Debug, Serialize)]
pub struct ExportedLink {
    pub purpose: String,
    pub minted_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
    pub voided_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
pub struct ExportedLetter {
    pub kind: String,
    pub to: String,
    pub created_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub given_up_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
pub struct ExportedSignUp {
    pub email: String,
    pub name: Option<Name>,
    pub locale: Option<Locale>,
    pub created_at: Timestamp,
    pub contested_at: Option<Timestamp>,
    pub user_agent: Option<UserAgent>,
}

impl Accounts {
    /// Everything that is stored about the owner of the account. That it was handed out is noted.
    pub async fn export(&self, id: AccountId, caller: &Caller) -> Result<Export, ProfileError> {
        let exported = Happening::new(EventKind::DataExported, Actor::Owner).to_account(id);
        self.store
            .write(async |tx| match tx.lock_account(id).await? {
                true => Ok(self.events.note(tx, exported, caller).await?),
                false => Err(ProfileError::Gone),
            })
            .await?;
        self.look_at_export(id).await
    }

    /// The same for whoever only asks how it would be answered: nothing is handed out, and nothing
    /// noted.
    pub async fn look_at_export(&self, id: AccountId) -> Result<Export, ProfileError> {
        let now = self.clock.now();
        let export = self.store.read(async |db| collect(db, id, now).await).await?;
        export.ok_or(ProfileError::Gone)
    }
}

async fn collect(
    db: &mut Connection,
    id: AccountId,
    now: Timestamp,
) -> Result<Option<Export>, StoreError> {
    let Some(record) = db.find_account(id).await? else { return Ok(None) };
    let email = record.account.email;
    let mut links = db.find_activation_links_of(id).await?;
    links.extend(db.find_account_links_of(id).await?);
    let EventPage { events, next } = EventPage::read(db, id, None, Export::EVENTS).await?;
    Ok(Some(Export {
        exported_at: now,
        sessions: sessions_of(db, id, now).await?,
        page_sessions: page_sessions_of(db, id, now).await?,
        email_changes: email_changes_of(db, id).await?,
        links: links
            .into_iter()
            .map(|link| ExportedLink {
                purpose: link.purpose,
                minted_at: link.minted_at,
                expires_at: link.expires_at,
                used_at: link.used_at,
                voided_at: link.voided_at,
            })
            .collect(),
        letters: letters_about(db, id, &email).await?,
        sign_up: sign_up_of(db, &email).await?,
        events,
        next,
        account: ExportedAccount {
            id,
            email: email.to_string(),
            name: record.account.name,
            locale: record.account.locale,
            created_at: record.account.created_at,
            disabled_at: record.disabled_at,
            epoch: record.epoch,
            password: record.password_hash.costs(),
        },
    }))
}

async fn sessions_of(
    db: &mut Connection,
    id: AccountId,
    now: Timestamp,
) -> Result<Vec<ExportedSession>, StoreError> {
    let sessions = db.find_sessions_of(id, None, Export::SESSIONS, now).await?;
    let exported = sessions.into_iter().map(|session| ExportedSession {
        id: session.id,
        client_id: session.client_id,
        scope: session.scope,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
        user_agent: session.user_agent,
    });
    Ok(exported.collect())
}

async fn page_sessions_of(
    db: &mut Connection,
    id: AccountId,
    now: Timestamp,
) -> Result<Vec<ExportedPageSession>, StoreError> {
    let sessions = db.find_page_sessions_of(id, Export::SESSIONS, now).await?;
    let exported = sessions.into_iter().map(|session| ExportedPageSession {
        id: session.id,
        created_at: session.created_at,
        expires_at: session.expires_at,
        user_agent: session.user_agent,
    });
    Ok(exported.collect())
}

async fn email_changes_of(
    db: &mut Connection,
    id: AccountId,
) -> Result<Vec<ExportedEmailChange>, StoreError> {
    let changes = db.find_email_changes_of(id).await?;
    let exported = changes.into_iter().map(|change| ExportedEmailChange {
        email: change.email.to_string(),
        requested_at: change.requested_at,
        state: change.state.as_str(),
        ended_at: change.state.ended_at(),
        user_agent: change.user_agent,
    });
    Ok(exported.collect())
}

async fn letters_about(
    db: &mut Connection,
    id: AccountId,
    email: &EmailAddress,
) -> Result<Vec<ExportedLetter>, StoreError> {
    let letters = db.find_letters_about(id, email).await?;
    let exported = letters.into_iter().map(|letter| ExportedLetter {
        kind: letter.kind,
        to: letter.email.to_string(),
        created_at: letter.created_at,
        sent_at: letter.sent_at,
        given_up_at: letter.dead_at,
    });
    Ok(exported.collect())
}

async fn sign_up_of(
    db: &mut Connection,
    email: &EmailAddress,
) -> Result<Option<ExportedSignUp>, StoreError> {
    let waiting = db.find_sign_up_by_email(email).await?;
    Ok(waiting.map(|record| ExportedSignUp {
        email: record.sign_up.email.to_string(),
        name: record.sign_up.name,
        locale: record.sign_up.locale,
        created_at: record.sign_up.created_at,
        contested_at: record.sign_up.contested_at,
        user_agent: record.sign_up.user_agent,
    }))
}
