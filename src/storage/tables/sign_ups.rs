//! Table `sign_ups`: one row per address that waits for its activation.

use sqlx::any::AnyRow;

use super::email_search::EmailSearch;
use crate::clock::Timestamp;
use crate::crypto::hasher::PasswordHash;
use crate::model::{EmailAddress, LetterKind, Locale, Name, SignUp, SignUpId, UserAgent};
use crate::storage::engine::{Connection, StoreError, column};

/// A waiting sign-up with the hash of its password.
#[derive(Clone, Debug)]
pub struct SignUpRecord {
    /// The sign-up.
    pub sign_up: SignUp,
    /// Hash of the password of the sign-up.
    pub password_hash: PasswordHash,
    /// Time at which the row is removed if no link of it was used. No link works longer.
    pub expires_at: Timestamp,
}

/// A new waiting sign-up.
#[derive(Debug)]
pub struct NewSignUp<'a> {
    /// Id of the sign-up.
    pub id: SignUpId,
    /// Address that waits for its activation.
    pub email: &'a EmailAddress,
    /// Hash of the password.
    pub password_hash: &'a PasswordHash,
    /// Name, if the person gave one.
    pub name: Option<&'a Name>,
    /// Language, if the person chose one.
    pub locale: Option<&'a Locale>,
    /// Browser or program of the sign-up.
    pub user_agent: Option<&'a UserAgent>,
    /// Time of the sign-up.
    pub now: Timestamp,
    /// Time at which the row is removed if no link of it was used.
    pub expires_at: Timestamp,
}

impl SignUpRecord {
    fn from_row(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            sign_up: SignUp {
                id: column::parsed(row, "id")?,
                email: column::parsed(row, "email")?,
                name: column::optional(row, "name", Name::parse)?.flatten(),
                locale: column::optional(row, "locale", Locale::parse)?,
                contested_at: column::optional_instant(row, "contested_at")?,
                user_agent: column::some(row, "user_agent", UserAgent::parse)?,
                created_at: column::instant(row, "created_at")?,
            },
            password_hash: PasswordHash::new(column::text(row, "password_hash")?),
            expires_at: column::instant(row, "expires_at")?,
        })
    }
}

impl Connection {
    /// The sign-up that waits for an address, if there is one.
    pub async fn find_sign_up_by_email(
        &mut self,
        email: &EmailAddress,
    ) -> Result<Option<SignUpRecord>, StoreError> {
        const SQL: &str = "
            SELECT id, email, password_hash, name, locale, contested_at, user_agent, created_at,
                   expires_at
            FROM sign_ups WHERE email = $1";
        let row = sqlx::query(SQL).bind(email.as_str()).fetch_optional(self.raw()).await?;
        row.as_ref().map(SignUpRecord::from_row).transpose()
    }

    /// The sign-up of an activation link. A request for a new password that waits in the outbox
    /// already makes the sign-up contested. The request itself writes the same rows for every
    /// address; the courier later marks the row as contested.
    pub async fn find_sign_up(&mut self, id: SignUpId) -> Result<Option<SignUpRecord>, StoreError> {
        const SQL: &str = "
            SELECT id, email, password_hash, user_agent, created_at, expires_at,
                   COALESCE(contested_at, forgotten_at) AS contested_at,
                   CASE WHEN forgotten_at IS NULL THEN name END AS name,
                   CASE WHEN forgotten_at IS NULL THEN locale END AS locale
            FROM (SELECT s.id, s.email, s.password_hash, s.name, s.locale, s.contested_at,
                         s.user_agent, s.created_at, s.expires_at,
                         (SELECT MIN(o.created_at) FROM outbox o
                          WHERE o.email = s.email AND o.sent_at IS NULL
                            AND o.kind = $2) AS forgotten_at
                  FROM sign_ups s WHERE s.id = $1) waiting";
        let reset = LetterKind::PasswordReset.as_str();
        let query = sqlx::query(SQL).bind(id.to_string()).bind(reset);
        let row = query.fetch_optional(self.raw()).await?;
        row.as_ref().map(SignUpRecord::from_row).transpose()
    }

    /// Inserts a sign-up. `false` if another one for the address waits already.
    pub async fn insert_sign_up(&mut self, new: &NewSignUp<'_>) -> Result<bool, StoreError> {
        const SQL: &str = "
            INSERT INTO sign_ups
                (id, email, password_hash, name, locale, user_agent, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (email) DO NOTHING";
        let done = sqlx::query(SQL)
            .bind(new.id.to_string())
            .bind(new.email.as_str())
            .bind(new.password_hash.as_str())
            .bind(new.name.map(Name::as_str))
            .bind(new.locale.map(Locale::as_str))
            .bind(new.user_agent.map(UserAgent::as_str))
            .bind(new.now.unix_millis())
            .bind(new.expires_at.unix_millis())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Repeats a sign-up with the same password: the new name and language count. `false` if the
    /// sign-up is gone.
    pub async fn repeat_sign_up(
        &mut self,
        id: SignUpId,
        name: Option<&Name>,
        locale: Option<&Locale>,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE sign_ups
            SET name = CASE WHEN contested_at IS NULL THEN COALESCE($1, name) END,
                locale = CASE WHEN contested_at IS NULL THEN COALESCE($2, locale) END
            WHERE id = $3";
        let done = sqlx::query(SQL)
            .bind(name.map(Name::as_str))
            .bind(locale.map(Locale::as_str))
            .bind(id.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Marks a sign-up as contested, because a second sign-up for the address came with another
    /// password. From now on none of the passwords, names and languages counts. `false` if the
    /// sign-up is gone.
    pub async fn contest_sign_up(
        &mut self,
        id: SignUpId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE sign_ups
            SET contested_at = COALESCE(contested_at, $1), name = NULL, locale = NULL
            WHERE id = $2";
        let done = sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(id.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Marks the sign-up that waits for an address as contested, if there is one: the owner of the
    /// address does not know the password.
    pub async fn contest_sign_up_of(
        &mut self,
        email: &EmailAddress,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE sign_ups
            SET contested_at = COALESCE(contested_at, $1), name = NULL, locale = NULL
            WHERE email = $2";
        sqlx::query(SQL).bind(now.unix_millis()).bind(email.as_str()).execute(self.raw()).await?;
        Ok(())
    }

    /// Locks the row of the sign-up that waits for an address for this transaction, if there is
    /// one.
    pub async fn lock_sign_up(&mut self, email: &EmailAddress) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE sign_ups SET expires_at = expires_at WHERE email = $1";
        sqlx::query(SQL).bind(email.as_str()).execute(self.raw()).await?;
        Ok(())
    }

    /// Replaces a sign-up that ends before `ending_before` by a new one. The new one is contested
    /// from the start: links of the old one may still work, and it is unknown who has them. `false`
    /// if the old one is gone, or was replaced already.
    pub async fn replace_sign_up(
        &mut self,
        new: &NewSignUp<'_>,
        ending_before: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE sign_ups
            SET password_hash = $1, name = NULL, locale = NULL, contested_at = $2, user_agent = $3,
                created_at = $2, expires_at = $4
            WHERE id = $5 AND expires_at < $6";
        let done = sqlx::query(SQL)
            .bind(new.password_hash.as_str())
            .bind(new.now.unix_millis())
            .bind(new.user_agent.map(UserAgent::as_str))
            .bind(new.expires_at.unix_millis())
            .bind(new.id.to_string())
            .bind(ending_before.unix_millis())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes the sign-up, so that an account can be made of it. `false` if the sign-up is gone,
    /// or is contested and `also_contested` is not set. A request for a new password that waits in
    /// the outbox makes the sign-up contested, see [`Connection::find_sign_up`].
    pub async fn consume_sign_up(
        &mut self,
        id: SignUpId,
        also_contested: bool,
    ) -> Result<bool, StoreError> {
        const ANY: &str = "DELETE FROM sign_ups WHERE id = $1";
        const UNCONTESTED: &str = "
            DELETE FROM sign_ups
            WHERE id = $1 AND contested_at IS NULL
              AND NOT EXISTS (SELECT 1 FROM outbox o
                              WHERE o.email = sign_ups.email AND o.sent_at IS NULL
                                AND o.kind = $2)";
        let query = match also_contested {
            true => sqlx::query(ANY).bind(id.to_string()),
            false => {
                let reset = LetterKind::PasswordReset.as_str();
                sqlx::query(UNCONTESTED).bind(id.to_string()).bind(reset)
            }
        };
        let done = query.execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Up to `limit` sign-ups in the order of creation, after `after`, whose address contains
    /// `part` in either spelling of its domain.
    pub async fn find_sign_ups(
        &mut self,
        after: Option<SignUpId>,
        part: &str,
        limit: i64,
    ) -> Result<Vec<SignUpRecord>, StoreError> {
        const SQL: &str = "
            SELECT id, email, password_hash, name, locale, contested_at, user_agent, created_at,
                   expires_at
            FROM sign_ups
            WHERE id > $1 AND (email LIKE $2 ESCAPE '!' OR email LIKE '%xn--%')
            ORDER BY id LIMIT $3";
        let mut after = after.map_or_else(String::new, |id| id.to_string());
        let mut matching = EmailSearch::new(part, limit);
        loop {
            let query = sqlx::query(SQL).bind(after.clone()).bind(matching.pattern());
            let rows = query.bind(matching.page()).fetch_all(self.raw()).await?;
            let rows = rows.iter().map(SignUpRecord::from_row);
            let rows: Vec<SignUpRecord> = rows.collect::<Result<_, _>>()?;
            if let Some(last) = rows.last() {
                after = last.sign_up.id.to_string();
            }
            if !matching.take(rows, |record| &record.sign_up.email) {
                return Ok(matching.found());
            }
        }
    }

    /// Removes sign-ups that waited too long, and before each of them its events: up to `limit`
    /// rows in all. Answers the number of removed rows. The links of a sign-up stay for a while: a
    /// link names no person, and its page says that it has expired.
    pub async fn purge_sign_ups(&mut self, now: Timestamp, limit: i64) -> Result<u64, StoreError> {
        const OVER: &str = "
            SELECT id FROM sign_ups WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
        const HOLD: &str = "
            UPDATE sign_ups SET expires_at = expires_at WHERE id = $1 AND expires_at <= $2";
        const EVENTS: &str = "
            DELETE FROM events WHERE id IN
                (SELECT id FROM events WHERE sign_up_id = $1 AND account_id IS NULL LIMIT $2)";
        const FORGET: &str = "DELETE FROM sign_ups WHERE id = $1";
        let rows =
            sqlx::query(OVER).bind(now.unix_millis()).bind(limit).fetch_all(self.raw()).await?;
        let mut forgotten = 0;
        for row in &rows {
            let left = limit.saturating_sub_unsigned(forgotten);
            if left <= 0 {
                break;
            }
            let id = column::text(row, "id")?;
            let hold = sqlx::query(HOLD).bind(&id).bind(now.unix_millis());
            // a sign-up that was replaced in between, or is gone, keeps its events
            if hold.execute(self.raw()).await?.rows_affected() == 0 {
                continue;
            }
            let events = sqlx::query(EVENTS).bind(&id).bind(left);
            forgotten += events.execute(self.raw()).await?.rows_affected();
            // if the events used up the limit, the row waits for the next batch
            if limit.saturating_sub_unsigned(forgotten) > 0 {
                forgotten +=
                    sqlx::query(FORGET).bind(&id).execute(self.raw()).await?.rows_affected();
            }
        }
        Ok(forgotten)
    }

    /// Removes a sign-up that waited too long, with its events. `false` if it is gone, or was
    /// replaced by another. `Store::purge_excess_events_of` must come first.
    pub async fn purge_sign_up(
        &mut self,
        id: SignUpId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM sign_ups WHERE id = $1 AND expires_at <= $2";
        let done = sqlx::query(SQL)
            .bind(id.to_string())
            .bind(now.unix_millis())
            .execute(self.raw())
            .await?;
        let is_gone = done.rows_affected() == 1;
        if is_gone {
            self.delete_events_of_sign_up(id).await?;
        }
        Ok(is_gone)
    }
}
