//! Decoding of columns into model types, and the upper bound of ids for a page of a list.
//!
//! A decoding error names the column and never prints the value, which may be personal.

use std::fmt::Display;
use std::str::FromStr;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::StoreError;
use crate::clock::Timestamp;
use crate::model::Digest;

/// Exclusive upper bound for the ids of a page: the id of the row before which the page ends.
/// Without one the bound is `z`, which is above every id: ids are UUIDv7, and `z` comes after every
/// digit in any collation.
///
/// A list of an account compares and orders by `(account_id, id)`, so that PostgreSQL takes the
/// index with these columns. With `account_id = $1 ORDER BY id` it may read the primary key
/// backwards instead, past all later rows of other accounts.
pub fn before(id: Option<impl Display>) -> String {
    id.map_or_else(|| "z".to_owned(), |id| id.to_string())
}

pub fn text(row: &AnyRow, column: &'static str) -> Result<String, StoreError> {
    Ok(row.try_get(column)?)
}

pub fn parsed<T: FromStr<Err: Display>>(
    row: &AnyRow,
    column: &'static str,
) -> Result<T, StoreError> {
    text(row, column)?.parse().map_err(|error: T::Err| corrupt(column, &error))
}

/// Nullable text through a parser. A value that the parser refuses is an error.
pub fn optional<T, E: Display>(
    row: &AnyRow,
    column: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| parse(&text).map_err(|error| corrupt(column, &error))).transpose()
}

/// Nullable text through a parser. A value that the parser refuses becomes `None`.
pub fn some<T>(
    row: &AnyRow,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.try_get(column)?;
    Ok(text.and_then(|text| parse(&text)))
}

pub fn integer(row: &AnyRow, column: &'static str) -> Result<i64, StoreError> {
    Ok(row.try_get(column)?)
}

pub fn optional_integer(row: &AnyRow, column: &'static str) -> Result<Option<i64>, StoreError> {
    Ok(row.try_get(column)?)
}

pub fn instant(row: &AnyRow, column: &'static str) -> Result<Timestamp, StoreError> {
    integer(row, column).map(Timestamp::from_unix_millis)
}

pub fn optional_instant(
    row: &AnyRow,
    column: &'static str,
) -> Result<Option<Timestamp>, StoreError> {
    Ok(optional_integer(row, column)?.map(Timestamp::from_unix_millis))
}

pub fn bytes<const N: usize>(row: &AnyRow, column: &'static str) -> Result<[u8; N], StoreError> {
    optional_bytes(row, column)?.ok_or_else(|| corrupt(column, &"null"))
}

pub fn optional_bytes<const N: usize>(
    row: &AnyRow,
    column: &'static str,
) -> Result<Option<[u8; N]>, StoreError> {
    let bytes: Option<Vec<u8>> = row.try_get(column)?;
    let array = |bytes: Vec<u8>| bytes.try_into().map_err(|_| corrupt(column, &"wrong length"));
    bytes.map(array).transpose()
}

pub fn digest(row: &AnyRow, column: &'static str) -> Result<Digest, StoreError> {
    bytes(row, column).map(Digest::from_bytes)
}

pub fn optional_digest(row: &AnyRow, column: &'static str) -> Result<Option<Digest>, StoreError> {
    Ok(optional_bytes(row, column)?.map(Digest::from_bytes))
}

/// The error leaves the value out: it may be personal.
fn corrupt(column: &'static str, error: &dyn Display) -> StoreError {
    StoreError::corrupt(column, error.to_string())
}
