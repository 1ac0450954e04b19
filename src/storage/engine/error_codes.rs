//! Table of the error codes of both engines and their meanings to the service.
//!
//! It knows codes only. [`super::StoreError`] turns a meaning into a kind, and [`super::Store`]
//! decides about retries.

/// Meaning of an error code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// The database undid the transaction because of other transactions; a retry now would most
    /// likely succeed.
    Undone,
    /// A later attempt may succeed: 503.
    NotNow,
    /// A later attempt on another connection may succeed: this connection leads to a server that
    /// takes no writes. 503.
    ReadOnly,
    /// The disk takes no writes: 503, and the service is not ready until a write succeeds.
    NoDisk,
    /// A table does not exist.
    MissingTable,
    /// Any other code: a bug in this program, or a database changed from outside.
    Fault,
}

/// SQLSTATEs of PostgreSQL and prefixes of SQLSTATEs (PostgreSQL, appendix A). The first row that
/// matches counts.
const SQLSTATES: [(&str, Meaning); 16] = [
    // connection exception: the connection to the server is lost
    ("08", Meaning::NotNow),
    // read_only_sql_transaction: a standby, after a failover; or the operator set it
    ("25006", Meaning::ReadOnly),
    // idle_in_transaction_session_timeout, transaction_timeout
    ("25P03", Meaning::NotNow),
    ("25P04", Meaning::NotNow),
    // serialization_failure, deadlock_detected; other rollbacks
    ("40001", Meaning::Undone),
    ("40P01", Meaning::Undone),
    ("40", Meaning::NotNow),
    ("42P01", Meaning::MissingTable),
    // disk_full
    ("53100", Meaning::NoDisk),
    // out_of_memory, too_many_connections and the rest of insufficient resources
    ("53", Meaning::NotNow),
    // object_in_use, lock_not_available
    ("55006", Meaning::NotNow),
    ("55P03", Meaning::NotNow),
    // operator intervention: query_canceled, admin_shutdown, crash_shutdown, cannot_connect_now,
    // database_dropped, idle_session_timeout
    ("57", Meaning::NotNow),
    // system error: io_error
    ("58", Meaning::NoDisk),
    // snapshot_too_old
    ("72", Meaning::NotNow),
    ("", Meaning::Fault),
];

/// Primary result codes of SQLite. `BUSY` is not retried at once: SQLite has already waited for 5
/// s.
const SQLITE: [(u32, Meaning); 9] = [
    (1, Meaning::MissingTable),
    // BUSY, LOCKED
    (5, Meaning::NotNow),
    (6, Meaning::NotNow),
    // NOMEM
    (7, Meaning::NotNow),
    // READONLY: a file system that was remounted after an error of its disk
    (8, Meaning::NoDisk),
    // IOERR, FULL, CANTOPEN
    (10, Meaning::NoDisk),
    (13, Meaning::NoDisk),
    (14, Meaning::NotNow),
    // PROTOCOL: others held the locks of the write-ahead log for too long
    (15, Meaning::NotNow),
];

/// Meaning of an error code. A SQLSTATE has five characters; SQLite's codes are shorter numbers.
pub(super) fn meaning(code: &str) -> Meaning {
    if code.len() == 5 {
        let fits = |(class, _): &&(&str, Meaning)| code.starts_with(class);
        return SQLSTATES.iter().find(fits).map_or(Meaning::Fault, |(_, meaning)| *meaning);
    }
    let primary = code.parse::<u32>().map(|code| code & 0xff);
    let fits = |(code, _): &&(u32, Meaning)| primary == Ok(*code);
    SQLITE.iter().find(fits).map_or(Meaning::Fault, |(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_error_codes_are_classified_as_their_databases_document() {
        for (code, expected) in [
            ("25006", Meaning::ReadOnly),
            ("40001", Meaning::Undone),
            ("40P01", Meaning::Undone),
            ("40002", Meaning::NotNow),
            ("08006", Meaning::NotNow),
            ("25P03", Meaning::NotNow),
            ("25P04", Meaning::NotNow),
            ("53100", Meaning::NoDisk),
            ("53200", Meaning::NotNow),
            ("53300", Meaning::NotNow),
            ("55006", Meaning::NotNow),
            ("55P03", Meaning::NotNow),
            ("57014", Meaning::NotNow),
            ("57P01", Meaning::NotNow),
            ("57P02", Meaning::NotNow),
            ("57P03", Meaning::NotNow),
            ("58030", Meaning::NoDisk),
            ("42P01", Meaning::MissingTable),
            ("25P02", Meaning::Fault),
            ("42703", Meaning::Fault),
            // statement_too_complex, too_many_columns: faults of this program's statements
            ("54000", Meaning::Fault),
            ("54001", Meaning::Fault),
            ("54011", Meaning::Fault),
            ("55000", Meaning::Fault),
            ("XX000", Meaning::Fault),
            // SQLITE_ERROR, BUSY, BUSY_SNAPSHOT, READONLY_DBMOVED, IOERR_FSYNC, FULL, CANTOPEN,
            // PROTOCOL, CORRUPT
            ("1", Meaning::MissingTable),
            ("5", Meaning::NotNow),
            ("517", Meaning::NotNow),
            ("1032", Meaning::NoDisk),
            ("1034", Meaning::NoDisk),
            ("13", Meaning::NoDisk),
            ("14", Meaning::NotNow),
            ("15", Meaning::NotNow),
            ("11", Meaning::Fault),
            ("", Meaning::Fault),
        ] {
            assert_eq!(meaning(code), expected, "{code}");
        }
    }
}
