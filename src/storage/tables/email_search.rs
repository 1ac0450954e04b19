//! Search for rows whose address contains a text, in either spelling of its domain.
//!
//! The database stores domains as A-labels. `LIKE` narrows the rows down to candidates;
//! [`EmailAddress::holds`] decides, page by page, until there are enough rows.

use crate::model::{EmailAddress, trim_pasted};

/// Smallest number of rows per page: many of them may not match.
const PAGE: i64 = 100;

/// Collects rows whose address contains a text, page by page.
pub(super) struct EmailSearch<R> {
    part: String,
    limit: i64,
    found: Vec<R>,
}

impl<R> EmailSearch<R> {
    /// Searches for up to `limit` rows whose address contains `part`.
    pub fn new(part: &str, limit: i64) -> Self {
        Self { part: trim_pasted(part).to_owned(), limit, found: Vec::new() }
    }

    /// Pattern for `LIKE` on the addresses of candidates. Addresses with an A-label are candidates
    /// in any case.
    pub fn pattern(&self) -> String {
        pattern_for(&self.part)
    }

    /// Number of rows to read at once.
    pub fn page(&self) -> i64 {
        if self.part.is_empty() { self.limit } else { self.limit.max(PAGE) }
    }

    /// Keeps the matching rows of a page. `true` if the caller must read the next page.
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

/// `LIKE` pattern for a text that contains `part`, in lower case like stored addresses.
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
