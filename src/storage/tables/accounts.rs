//! Table `accounts`: one row per account, its password hash and its epoch.

use sqlx::any::AnyRow;

use super::email_search::EmailSearch;
use crate::clock::Timestamp;
use crate::crypto::hasher::PasswordHash;
use crate::model::{Account, AccountId, EmailAddress, Locale, Name};
use crate::storage::engine::{Change, Connection, StoreError, column};

/// An account with the columns that only the service may know.
#[derive(Clone, Debug)]
pub struct AccountRecord {
    /// The account, as its owner may see it.
    pub account: Account,
    /// Hash of the present password.
    pub password_hash: PasswordHash,
    /// Sessions of any other epoch are dead.
    pub epoch: i64,
    /// Time at which the account was disabled; `None` if it is enabled.
    pub disabled_at: Option<Timestamp>,
}

/// A new account, made of a sign-up.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// Id of the account.
    pub id: AccountId,
    /// Confirmed address.
    pub email: &'a EmailAddress,
    /// Hash of the password.
    pub password_hash: &'a PasswordHash,
    /// Name, if the person gave one.
    pub name: Option<&'a Name>,
    /// Language, if the person chose one.
    pub locale: Option<&'a Locale>,
    /// Time of creation.
    pub now: Timestamp,
}

impl AccountRecord {
    fn from_row(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            account: Account {
                id: column::parsed(row, "id")?,
                email: column::parsed(row, "email")?,
                name: column::optional(row, "name", Name::parse)?.flatten(),
                locale: column::optional(row, "locale", Locale::parse)?,
                created_at: column::instant(row, "created_at")?,
            },
            password_hash: PasswordHash::new(column::text(row, "password_hash")?),
            epoch: column::integer(row, "epoch")?,
            disabled_at: column::optional_instant(row, "disabled_at")?,
        })
    }
}

impl Connection {
    /// The account with this id, if there is one.
    pub async fn find_account(
        &mut self,
        id: AccountId,
    ) -> Result<Option<AccountRecord>, StoreError> {
        const SQL: &str = "
            SELECT id, email, password_hash, name, locale, epoch, created_at, disabled_at
            FROM accounts WHERE id = $1 AND deleted_at IS NULL";
        let row = sqlx::query(SQL).bind(id.to_string()).fetch_optional(self.raw()).await?;
        row.as_ref().map(AccountRecord::from_row).transpose()
    }

    /// The account with this address, if there is one.
    pub async fn find_account_by_email(
        &mut self,
        email: &EmailAddress,
    ) -> Result<Option<AccountRecord>, StoreError> {
        const SQL: &str = "
            SELECT id, email, password_hash, name, locale, epoch, created_at, disabled_at
            FROM accounts WHERE email = $1 AND deleted_at IS NULL";
        let row = sqlx::query(SQL).bind(email.as_str()).fetch_optional(self.raw()).await?;
        row.as_ref().map(AccountRecord::from_row).transpose()
    }

    /// Inserts an account. `false` if the address already has one.
    pub async fn insert_account(&mut self, new: &NewAccount<'_>) -> Result<bool, StoreError> {
        const SQL: &str = "
            INSERT INTO accounts (id, email, password_hash, name, locale, epoch, created_at)
            VALUES ($1, $2, $3, $4, $5, 0, $6)
            ON CONFLICT (email) DO NOTHING";
        let done = sqlx::query(SQL)
            .bind(new.id.to_string())
            .bind(new.email.as_str())
            .bind(new.password_hash.as_str())
            .bind(new.name.map(Name::as_str))
            .bind(new.locale.map(Locale::as_str))
            .bind(new.now.unix_millis())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Sets the given fields and keeps the others. `false` if there is no such account, or no field
    /// changed.
    pub async fn update_profile(
        &mut self,
        id: AccountId,
        name: Option<Option<&Name>>,
        locale: Option<Option<&Locale>>,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE accounts
            SET name = CASE WHEN $1 = 1 THEN $2 ELSE name END,
                locale = CASE WHEN $3 = 1 THEN $4 ELSE locale END
            WHERE id = $5 AND deleted_at IS NULL
              AND (($1 = 1 AND name IS DISTINCT FROM $2)
                   OR ($3 = 1 AND locale IS DISTINCT FROM $4))";
        self.pending.add(Change::Account(id));
        let done = sqlx::query(SQL)
            .bind(i64::from(name.is_some()))
            .bind(name.flatten().map(Name::as_str))
            .bind(i64::from(locale.is_some()))
            .bind(locale.flatten().map(Locale::as_str))
            .bind(id.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Replaces a hash by a more expensive one of the same password, unless the password has
    /// changed.
    pub async fn upgrade_password_hash(
        &mut self,
        id: AccountId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        const SQL: &str =
            "UPDATE accounts SET password_hash = $1 WHERE id = $2 AND password_hash = $3";
        let done = sqlx::query(SQL)
            .bind(new.as_str())
            .bind(id.to_string())
            .bind(old.as_str())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends all sessions of the account, including sessions that another request starts or
    /// refreshes now.
    pub async fn raise_epoch(&mut self, id: AccountId) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE accounts SET epoch = epoch + 1 WHERE id = $1 AND deleted_at IS NULL";
        self.pending.add(Change::Account(id));
        let done = sqlx::query(SQL).bind(id.to_string()).execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Disables the account: sign-ins fail, and its sessions are dead. `false` if there is no such
    /// account, or the account was disabled before.
    pub async fn disable_account(
        &mut self,
        id: AccountId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE accounts SET disabled_at = $1, epoch = epoch + 1
            WHERE id = $2 AND disabled_at IS NULL";
        self.pending.add(Change::Account(id));
        let done = sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(id.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Enables the account, so that its owner can sign in again. `false` if there is no such
    /// account, or the account was not disabled.
    pub async fn enable_account(&mut self, id: AccountId) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE accounts SET disabled_at = NULL
            WHERE id = $1 AND disabled_at IS NOT NULL AND deleted_at IS NULL";
        let done = sqlx::query(SQL).bind(id.to_string()).execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Replaces the password that was checked, and begins a new epoch. `false` without any change
    /// if the account is not as `read` found it.
    pub async fn change_password(
        &mut self,
        read: &AccountRecord,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE accounts SET password_hash = $1, epoch = epoch + 1
            WHERE id = $2 AND password_hash = $3 AND epoch = $4 AND disabled_at IS NULL";
        self.pending.add(Change::Account(read.account.id));
        let done = sqlx::query(SQL)
            .bind(new.as_str())
            .bind(read.account.id.to_string())
            .bind(read.password_hash.as_str())
            .bind(read.epoch)
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Sets a password without regard to the old one, and begins a new epoch. `false` if the
    /// account is gone or disabled.
    pub async fn reset_password(
        &mut self,
        id: AccountId,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE accounts SET password_hash = $1, epoch = epoch + 1
            WHERE id = $2 AND disabled_at IS NULL";
        self.pending.add(Change::Account(id));
        let done =
            sqlx::query(SQL).bind(new.as_str()).bind(id.to_string()).execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Locks the account's row for this transaction, so that neither password nor state changes
    /// before its end. `false` if the account is gone, disabled, or in another epoch.
    pub async fn lock_account_in_epoch(
        &mut self,
        id: AccountId,
        epoch: i64,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE accounts SET epoch = epoch
            WHERE id = $1 AND epoch = $2 AND disabled_at IS NULL";
        let done = sqlx::query(SQL).bind(id.to_string()).bind(epoch).execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Locks the account's row for this transaction, in any state, before the transaction touches
    /// rows that belong to the account. `false` if the account is gone.
    pub async fn lock_account(&mut self, id: AccountId) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE accounts SET epoch = epoch WHERE id = $1 AND deleted_at IS NULL";
        let done = sqlx::query(SQL).bind(id.to_string()).execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Changes the account's address. `false` if the account is gone or disabled.
    ///
    /// # Errors
    /// A conflict if another account has the address; the transaction is lost then.
    pub async fn change_email(
        &mut self,
        id: AccountId,
        email: &EmailAddress,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE accounts SET email = $1 WHERE id = $2 AND disabled_at IS NULL";
        self.pending.add(Change::Account(id));
        let done =
            sqlx::query(SQL).bind(email.as_str()).bind(id.to_string()).execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Up to `limit` accounts in the order of creation, after `after`, whose address contains
    /// `part` in either spelling of its domain.
    pub async fn find_accounts(
        &mut self,
        after: Option<AccountId>,
        part: &str,
        limit: i64,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        const SQL: &str = "
            SELECT id, email, password_hash, name, locale, epoch, created_at, disabled_at
            FROM accounts
            WHERE id > $1 AND deleted_at IS NULL
              AND (email LIKE $2 ESCAPE '!' OR email LIKE '%xn--%')
            ORDER BY id LIMIT $3";
        let mut after = after.map_or_else(String::new, |id| id.to_string());
        let mut matching = EmailSearch::new(part, limit);
        loop {
            let query = sqlx::query(SQL).bind(after.clone()).bind(matching.pattern());
            let rows = query.bind(matching.page()).fetch_all(self.raw()).await?;
            let rows = rows.iter().map(AccountRecord::from_row);
            let rows: Vec<AccountRecord> = rows.collect::<Result<_, _>>()?;
            if let Some(last) = rows.last() {
                after = last.account.id.to_string();
            }
            if !matching.take(rows, |record| &record.account.email) {
                return Ok(matching.found());
            }
        }
    }
}
