//! OAuth scope: a set of tokens (RFC 6749 §3.3), always written in the same order.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Set of scope tokens. Sorted, so that equal scopes print the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Scope(BTreeSet<String>);

/// Error: a character that RFC 6749 §3.3 does not allow in a scope token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("scope tokens are printable ASCII without space, \" and \\, with one space between them")]
pub struct ScopeError;

impl Scope {
    /// Scope without tokens: any live token satisfies it.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Whether the scope has no token.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `other` has every token of this scope.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Tokens that both scopes have.
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// Tokens that `other` does not have.
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// Scope with exactly these tokens.
    pub fn from_tokens<I: IntoIterator<Item = S>, S: AsRef<str>>(
        tokens: I,
    ) -> Result<Self, ScopeError> {
        tokens
            .into_iter()
            .map(|token| {
                let token = token.as_ref();
                let is_token = !token.is_empty()
                    && token.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
                is_token.then(|| token.to_owned()).ok_or(ScopeError)
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The tokens in their order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    /// Parses `scope-token *( SP scope-token )`. Only an empty text is the empty scope; a text of
    /// blanks is an error, since a client that sends blanks did not mean the empty scope.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let scope = Self::from_tokens(text.split(' ').filter(|token| !token.is_empty()))?;
        if scope.is_empty() && !text.is_empty() { Err(ScopeError) } else { Ok(scope) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, token) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(token)?;
        }
        Ok(())
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz_inputs;

    #[test]
    fn r19_scope_prints_sorted_without_duplicates() {
        let scope: Scope = "write read  write account.read".parse().unwrap();
        assert_eq!(scope.to_string(), "account.read read write");
        assert_eq!("read write account.read".parse::<Scope>().unwrap(), scope);
    }

    #[test]
    fn r19_subset_of_a_scope_is_within_it() {
        let all: Scope = "a b".parse().unwrap();
        assert!("a".parse::<Scope>().unwrap().is_within(&all));
        assert!(Scope::empty().is_within(&all));
        assert!(!"a c".parse::<Scope>().unwrap().is_within(&all));
    }

    #[test]
    fn scope_accepts_the_characters_of_the_rfc_only() {
        for text in ["a\"b", "a\\b", "a\tb", "é", "a\u{7f}", " ", "  "] {
            assert_eq!(text.parse::<Scope>(), Err(ScopeError), "{text:?}");
        }
    }

    #[test]
    fn r19_any_scope_prints_sorted_and_parses_back() {
        fuzz_inputs::each(2_000, fuzz_inputs::text_like(fuzz_inputs::SCOPES), |text| {
            let mut tokens: Vec<&str> = text.split(' ').filter(|token| !token.is_empty()).collect();
            tokens.sort_unstable();
            tokens.dedup();
            let legal = |token: &&str| {
                token.chars().all(|c| ('!'..='~').contains(&c) && c != '"' && c != '\\')
            };
            match text.parse::<Scope>() {
                Ok(scope) => {
                    let printed = scope.to_string();
                    prop_assert_eq!(&printed, &tokens.join(" "));
                    prop_assert_eq!(printed.parse::<Scope>(), Ok(scope.clone()));
                    prop_assert!(scope.is_within(&scope));
                }
                Err(ScopeError) => {
                    let blank = tokens.is_empty() && !text.is_empty();
                    prop_assert!(blank || !tokens.iter().all(legal), "{:?}", text);
                }
            }
            Ok(())
        });
    }
}
