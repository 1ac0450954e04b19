//! Password credentials: the hash for the check of a password, by the typed address.
//!
//! Each address gets a hash, so that the time of a check does not tell whether an account exists
//! (R18).

use crate::crypto::hasher::PasswordHash;
use crate::model::{AccountId, EmailAddress, SignUpId};
use crate::storage::engine::{Connection, StoreError, column};

/// Owner of a password hash.
#[derive(Clone, Copy, Debug)]
pub enum CredentialOwner {
    /// An account.
    Account {
        /// Id of the account.
        id: AccountId,
        /// Epoch of the account at the time of the read.
        epoch: i64,
        /// Whether the account is disabled.
        is_disabled: bool,
    },
    /// A waiting sign-up. The password of a sign-up opens nothing; it is checked only so that the
    /// time is the same.
    SignUp {
        /// Id of the sign-up.
        id: SignUpId,
    },
    /// No owner: a decoy hash that no password matches.
    NoAccount,
}

/// A hash and its owner. Every address has one, so that the same work is done for each.
#[derive(Clone, Debug)]
pub struct PasswordCredentials {
    /// Owner of the hash.
    pub of: CredentialOwner,
    /// The hash.
    pub hash: PasswordHash,
}

impl Connection {
    /// The hash for checking a password of this address; `decoy` if there is none. An account comes
    /// before a sign-up. The statement returns one row of the same size in every case, so that the
    /// time does not tell the cases apart (R18).
    pub async fn find_credentials(
        &mut self,
        email: &EmailAddress,
        decoy: &PasswordHash,
    ) -> Result<PasswordCredentials, StoreError> {
        const SQL: &str = "
            SELECT CASE WHEN a.id IS NOT NULL THEN 'account'
                        WHEN s.id IS NOT NULL THEN 'sign-up' ELSE 'nobody' END AS owner,
                   COALESCE(a.id, s.id, $2) AS id,
                   COALESCE(a.password_hash, s.password_hash, $3) AS password_hash,
                   COALESCE(a.epoch, 0) AS epoch,
                   a.disabled_at
            FROM (SELECT 1 AS one) asked
            LEFT JOIN accounts a ON a.email = $1 AND a.deleted_at IS NULL
            LEFT JOIN sign_ups s ON s.email = $1";
        let nobody = AccountId::new(uuid::Uuid::nil()).to_string();
        let row = sqlx::query(SQL)
            .bind(email.as_str())
            .bind(nobody)
            .bind(decoy.as_str())
            .fetch_one(self.raw())
            .await?;
        let (id, epoch) = (column::parsed(&row, "id")?, column::integer(&row, "epoch")?);
        let is_disabled = column::optional_instant(&row, "disabled_at")?.is_some();
        let of = match column::text(&row, "owner")?.as_str() {
            "account" => CredentialOwner::Account { id, epoch, is_disabled },
            "sign-up" => CredentialOwner::SignUp { id: SignUpId::new(id.uuid()) },
            _ => CredentialOwner::NoAccount,
        };
        Ok(PasswordCredentials {
            of,
            hash: PasswordHash::new(column::text(&row, "password_hash")?),
        })
    }
}
