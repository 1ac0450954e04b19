//! A fault in a template or message file.

use std::fmt;

/// A fault in a template or message file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// File with the fault.
    pub file: String,
    /// Line number, from 1.
    pub line: usize,
    /// Description of the fault.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}
