//! Lists of rows whose address holds a text, in either spelling of its domain.
//!
//! The database has A-labels. It narrows a list down to what may match, and [`EmailAddress::holds`]
//! decides, page by page, until there are enough rows.

use crate::model::{EmailAddress, trim_pasted};

/// Rows read at once at least: many of them may not match.
const PAGE: i64 = 100;

/// Collects rows whose address holds a text, page by page.
pub(super) struct EmailSearch<R> {
    part: String,
    limit: i64,
    found: Vec<R>,
}

impl<R> EmailSearch<R> {
    /// Up to `limit` rows whose address holds `part`.
    pub fn new(part: &str, limit: i64) -> Self {
        Self { part: trim_pasted(part).to_owned(), limit, found: Vec::new() }
    }

    /// What the address of a row is `LIKE`, unless it has an A-label.
    pub fn pattern(&self) -> String {
        pattern_for(&self.part)
    }

    /// How many rows to read at once.
    pub fn page(&self) -> i64 {
        if self.part.is_empty() { self.limit } else { self.limit.max(PAGE) }
    }

    /// Takes what matches of a page. `true` if the next page has to be read.
    pub fn take(&mut self, rows: Vec<R>, email: fn(&R) -> &EmailAddress) -> bool {
        let is_last = i64::try_from(rows.len()).is_ok_and(|count| count < self.page());
        let wanted = usize::try_from(self.limit).unwrap_or(0).saturating_sub(self.found.len());
        let matching = rows.into_iter().filter(|row| email(row).holds(&self.part));
        self.found.extend(matching.take(wanted));
        !is_last && i64::try_from(self.found.len()).is_ok_and(|count| count < self.limit)
    }

    pub fn found(self) -> Vec<R> {
        self.found
    }
}

/// What `LIKE` takes for a text that holds `part`, folded as addresses are.
pub(super) fn pattern_for(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in part.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}
