//! Export: all data that is stored about a person, for that person.
//!
//! The lists of an export are read part by part while they are sent, so that no list fills the
//! memory. This module needs no limit for the length of a list.
//!
//! `schemas/account-export.json` describes the format. A test goes through every column of every
//! table: each column is in the export or has a reason not to be.

mod lists;

use serde::Serialize;

use crate::accounts::{Accounts, EventDraft, ProfileError};
use crate::clock::Timestamp;
use crate::model::{
    AccountId, Actor, ClientInfo, EmailAddress, EventKind, Locale, Name, UserAgent,
};
use crate::storage::{Connection, StoreError};
pub use lists::{ExportList, ExportPage, ExportPart, ExportPlace, ExportedRow};

/// All data that is stored about one person, without secrets. The database holds only digests of
/// secrets, which say nothing about a person.
#[derive(Debug, Serialize)]
pub struct Export {
    /// Time of the export.
    pub exported_at: Timestamp,
    /// The account.
    pub account: ExportedAccount,
    /// The sign-up that waits for the same address, even if a stranger made it.
    pub sign_up: Option<ExportedSignUp>,
    /// First rows of the lists; [`Accounts::export_part`] reads the others.
    #[serde(skip)]
    pub first: ExportPart,
}

/// Account in an export.
#[derive(Debug, Serialize)]
pub struct ExportedAccount {
    /// Id of the account.
    pub id: AccountId,
    /// Address of the account.
    pub email: String,
    /// Name, if the person gave one.
    pub name: Option<Name>,
    /// Language, if the person chose one.
    pub locale: Option<Locale>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time at which the operator disabled the account.
    pub disabled_at: Option<Timestamp>,
    /// How often all sessions were ended at once.
    pub epoch: i64,
    /// The name Argon2id and its costs; the hash itself is not exported.
    pub password: String,
}

/// Waiting sign-up in an export.
#[derive(Debug, Serialize)]
pub struct ExportedSignUp {
    /// Address that signed up.
    pub email: String,
    /// Name, if the person gave one.
    pub name: Option<Name>,
    /// Language, if the person chose one.
    pub locale: Option<Locale>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// First time at which the password was called in question.
    pub contested_at: Option<Timestamp>,
    /// Browser of the request, if the client sent one.
    pub user_agent: Option<UserAgent>,
}

impl Accounts {
    /// Exports all data of the account's owner, up to the first part of the lists. Records an
    /// event.
    pub async fn export(&self, id: AccountId, caller: &ClientInfo) -> Result<Export, ProfileError> {
        let exported = EventDraft::new(EventKind::DataExported, Actor::Owner).to_account(id);
        self.store
            .write(async |tx| match tx.lock_account(id).await? {
                true => Ok(self.events.record(tx, exported, caller).await?),
                false => Err(ProfileError::Gone),
            })
            .await?;
        self.look_at_export(id).await
    }

    /// As [`Accounts::export`], for a request that asks only for the headers of the response
    /// (HEAD). Such a request exports nothing and records no event.
    pub async fn look_at_export(&self, id: AccountId) -> Result<Export, ProfileError> {
        let now = self.clock.now();
        let export = self.store.read(async |db| begin(db, id, now).await).await?;
        export.ok_or(ProfileError::Gone)
    }

    /// Reads a further part of the lists. Rows that are added or removed meanwhile may be missing
    /// or included; every other row is in exactly one part.
    pub async fn export_part(&self, from: ExportPlace) -> Result<ExportPart, ProfileError> {
        let part = self.store.read(async |db| ExportPart::read(db, from).await).await?;
        part.ok_or(ProfileError::Gone)
    }
}

async fn begin(
    db: &mut Connection,
    id: AccountId,
    now: Timestamp,
) -> Result<Option<Export>, StoreError> {
    let Some(record) = db.find_account(id).await? else { return Ok(None) };
    let sign_up = sign_up_of(db, &record.account.email).await?;
    let Some(first) = ExportPart::read(db, ExportPlace::first(id, now)).await? else {
        return Ok(None);
    };
    Ok(Some(Export {
        exported_at: now,
        account: ExportedAccount {
            id,
            email: record.account.email.to_string(),
            name: record.account.name,
            locale: record.account.locale,
            created_at: record.account.created_at,
            disabled_at: record.disabled_at,
            epoch: record.epoch,
            password: record.password_hash.costs(),
        },
        sign_up,
        first,
    }))
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
