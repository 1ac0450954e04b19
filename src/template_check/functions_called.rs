//! Scanner for the calls of `t` and `rich` in a template's text.
//!
//! The scanner works on the text, so it also sees calls in branches that no sample renders.

use std::collections::BTreeSet;

use super::finding::Finding;

/// A call of `t` or `rich`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FunctionCall {
    pub file: String,
    pub line: usize,
    /// `None` if the key is not a string literal.
    pub key: Option<String>,
    /// Names of the other arguments.
    pub arguments: BTreeSet<String>,
}

impl FunctionCall {
    pub fn finding(&self, what: String) -> Finding {
        Finding { file: self.file.clone(), line: self.line, what }
    }
}

/// All calls in the text of a template.
pub(super) fn functions_called(file: &str, text: &str) -> Vec<FunctionCall> {
    let mut found = Vec::new();
    for (position, _) in text.match_indices('(') {
        let name = text[..position]
            .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
            .next()
            .unwrap_or_default();
        if !matches!(name, "t" | "rich") {
            continue;
        }
        let line = 1 + text[..position].matches('\n').count();
        let mut call =
            FunctionCall { file: file.to_owned(), line, key: None, arguments: BTreeSet::new() };
        for argument in arguments(&text[position + 1..]) {
            let Some((name, value)) = argument.split_once('=') else { continue };
            let value = value.trim();
            if name.trim() == "key" {
                let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                call.key = inner.filter(|key| !key.contains('"')).map(str::to_owned);
            } else {
                call.arguments.insert(name.trim().to_owned());
            }
        }
        found.push(call);
    }
    found
}

/// Splits the arguments up to the closing parenthesis.
fn arguments(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut depth, mut quote) = (0, 0_usize, None);
    for (position, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) => quote = (c != open).then_some(open),
            ('"' | '\'' | '`', None) => quote = Some(c),
            ('(' | '[' | '{', None) => depth += 1,
            (')', None) if depth == 0 => {
                found.push(&text[start..position]);
                return found;
            }
            (')' | ']' | '}', None) => depth = depth.saturating_sub(1),
            (',', None) if depth == 0 => {
                found.push(&text[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_calls_are_found_with_line_key_and_arguments() {
        let text = "a (b) not(c)\n{{ t(key=\"one\") }}{{ rich(key=\"two.part\",\n email=email) }}\n\
            <x y={t(key=\"three\", span=span(seconds=1, b=\",)\"), c=c)} /> {{ t(key=k ~ \"x\") }}";
        let found: Vec<_> = functions_called("f", text)
            .into_iter()
            .map(|call| (call.line, call.key, call.arguments.into_iter().collect::<Vec<_>>()))
            .collect();
        let own = str::to_owned;
        assert_eq!(
            found,
            [
                (2, Some(own("one")), vec![]),
                (2, Some(own("two.part")), vec![own("email")]),
                (4, Some(own("three")), vec![own("c"), own("span")]),
                (4, None, vec![]),
            ]
        );
    }
}
