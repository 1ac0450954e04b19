//! Fills a database with accounts and sessions without the service. A million sign-ups would take
//! hours of hashing.
//!
//! All accounts share one password, and all sessions share the same secrets. Requests behave the
//! same as with distinct secrets: a session is found by its id, and its secrets are compared
//! afterwards.

use std::time::{SystemTime, UNIX_EPOCH};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sqlx::{AnyConnection, Connection as _, Executor as _, SqliteConnection};
use vestibule::model::{AccessToken, RefreshToken, Secret, SessionId, SessionTag};

use crate::PASSWORD;

const SECRET: [u8; 32] = [1; 32];
const TAG: [u8; 16] = [2; 16];
/// Time of the first row. Each further row is a millisecond younger.
const FIRST_MILLIS: i64 = 1_760_000_000_000;
const DAY_MILLIS: i64 = 24 * 3_600 * 1_000;
const COUNT: &str = "
    WITH RECURSIVE c (n) AS (SELECT $2 UNION ALL SELECT n + 1 FROM c WHERE n + 1 < $3)";

pub fn email(n: usize) -> String {
    format!("person{n}@example.org")
}

fn session(n: usize) -> SessionId {
    let millis = FIRST_MILLIS + n as i64;
    let id = format!("{:08x}-{:04x}-7000-8000-{n:012x}", millis >> 16, millis & 0xffff);
    id.parse().unwrap()
}

pub fn access_token(n: usize) -> String {
    AccessToken { session: session(n), secret: Secret::new(SECRET) }.reveal()
}

pub fn refresh_token(n: usize) -> String {
    let tag = SessionTag::new(TAG);
    RefreshToken { session: session(n), secret: Secret::new(SECRET), tag }.reveal()
}

/// Rows to write.
#[derive(Clone, Copy)]
pub struct Rows {
    /// Accounts, with a live session each.
    pub live: usize,
    /// Further sessions of the first accounts, which have expired.
    pub expired: usize,
}

/// The id of row `n` in SQL, as [`session`] writes it.
fn id(n: &str, is_sqlite: bool) -> String {
    let (high, low) = (format!("($1 + {n}) >> 16"), format!("($1 + {n}) & 65535"));
    if is_sqlite {
        return format!("printf('%08x-%04x-7000-8000-%012x', {high}, {low}, {n})");
    }
    let hex = |number: &str, digits: u8| format!("lpad(to_hex({number}), {digits}, '0')");
    format!("{} || '-' || {} || '-7000-8000-' || {}", hex(&high, 8), hex(&low, 4), hex(n, 12))
}

/// Writes the rows into a database that has its tables and nothing else.
pub async fn fill(url: &str, rows: Rows) {
    sqlx::any::install_default_drivers();
    let is_sqlite = url.starts_with("sqlite:");
    let mut connection = AnyConnection::connect(url).await.unwrap();
    if is_sqlite {
        // the database is thrown away if the machine fails
        connection.execute("PRAGMA synchronous = OFF").await.unwrap();
    }
    let mut tx = connection.begin().await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;

    let (own_id, account_id) = (id("n", is_sqlite), id("(n % $12)", is_sqlite));
    let accounts = format!(
        "INSERT INTO accounts (id, email, password_hash, epoch, created_at)
         {COUNT} SELECT {own_id}, 'person' || n || '@example.org', $4, 0, $1 + n FROM c"
    );
    sqlx::query(sqlx::AssertSqlSafe(accounts))
        .bind(FIRST_MILLIS)
        .bind(0_i64)
        .bind(rows.live as i64)
        .bind(password_hash())
        .execute(&mut *tx)
        .await
        .unwrap();
    let sessions = format!(
        "INSERT INTO sessions
             (id, account_id, client_id, scope, epoch, created_at, last_used_at, user_agent,
              idle_expires_at, expires_at, tag_digest, salt, refresh_digest, rotated_at,
              first_used_at, access_serial, rotation_serial, access_digest, access_scope,
              access_expires_at, access_issued_at)
         {COUNT} SELECT {own_id}, {account_id}, 'web', $4, 0, $1 + n, $5, $6, $7, $8, $9, $10, $11,
                        $1 + n, $1 + n, 0, 0, $11, $4, $7, $1 + n FROM c"
    );
    for (from, to, idle_end, end) in [
        (0, rows.live, now + 14 * DAY_MILLIS, now + 90 * DAY_MILLIS),
        (rows.live, rows.live + rows.expired, now - DAY_MILLIS, now + 60 * DAY_MILLIS),
    ] {
        if from == to {
            continue;
        }
        sqlx::query(sqlx::AssertSqlSafe(sessions.as_str()))
            .bind(FIRST_MILLIS)
            .bind(from as i64)
            .bind(to as i64)
            .bind("account.read account.write")
            .bind(now)
            .bind("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
            .bind(idle_end)
            .bind(end)
            .bind(SessionTag::new(TAG).digest().as_bytes().to_vec())
            .bind(vec![3_u8; 32])
            .bind(Secret::new(SECRET).digest().as_bytes().to_vec())
            .bind(rows.live as i64)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    // the service starts with a log of ordinary length
    let done: &[&str] = match is_sqlite {
        true => &["PRAGMA wal_checkpoint(TRUNCATE)"],
        false => &["VACUUM ANALYZE", "CHECKPOINT"],
    };
    for statement in done {
        connection.execute(*statement).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Whether the database still has expired sessions.
pub async fn has_expired_sessions(connection: &mut SqliteConnection) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let sql = "SELECT 1 FROM sessions WHERE idle_expires_at <= $1 LIMIT 1";
    sqlx::query(sql).bind(now).fetch_optional(connection).await.unwrap().is_some()
}

fn password_hash() -> String {
    let argon2 = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(19_456, 2, 1, Some(32)).unwrap(),
    );
    let (salt, mut tag) = ([7; 16], [0; 32]);
    argon2.hash_password_into(PASSWORD.as_bytes(), &salt, &mut tag).unwrap();
    let (salt, tag) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(tag));
    format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${tag}")
}
