//! Parser of one message file (Project Fluent), with the line of each message.
//!
//! This module owns syntax errors and their positions. It must not know languages or fallbacks.

use std::collections::{BTreeMap, BTreeSet};

use fluent_bundle::FluentResource;
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};

use super::MessageError;

/// Static description of a message: its place, its variables and its references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The file of the message, as errors call it.
    pub file: String,
    /// Line of the message, from 1.
    pub line: usize,
    /// Variables that the message needs, without the `$`.
    pub variables: BTreeSet<String>,
    /// Keys of the messages and terms that the message refers to.
    pub references: BTreeSet<String>,
}

/// A parsed message file.
pub(super) struct MessageFile {
    pub resource: FluentResource,
    /// Ids of messages and terms (terms with their hyphen), with their lines.
    pub ids: Vec<(String, usize)>,
    /// Phrases by key: `id`, or `id.attribute`.
    pub phrases: BTreeMap<String, Phrase>,
}

impl MessageFile {
    /// Parses `text`. `file` is the name of the file in errors.
    pub fn parse(file: &str, text: String) -> Result<Self, MessageError> {
        let resource = FluentResource::try_new(text).map_err(|(resource, errors)| {
            let text = resource.source();
            let first = errors.first();
            MessageError::Syntax {
                file: file.to_owned(),
                line: first.map_or(1, |error| line_of(text, error.pos.start)),
                problem: first.map_or_else(String::new, |error| error.kind.to_string()),
            }
        })?;
        let mut ids = Vec::new();
        let mut phrases = BTreeMap::new();
        let mut lines = LineIndex::of(resource.source());
        for entry in resource.entries() {
            match entry {
                Entry::Message(message) => {
                    let id = message.id.name;
                    let line = lines.find(id);
                    ids.push((id.to_owned(), line));
                    let attributes = message.attributes.iter().map(|attribute| {
                        let name = attribute.id.name;
                        (format!("{id}.{name}"), lines.find(&format!(".{name}")), &attribute.value)
                    });
                    let attributes: Vec<_> = attributes.collect();
                    let value = message.value.iter().map(|value| (id.to_owned(), line, value));
                    for (key, line, pattern) in value.chain(attributes) {
                        phrases.insert(key, Phrase::of(file, line, pattern));
                    }
                }
                Entry::Term(term) => {
                    let id = format!("-{}", term.id.name);
                    let line = lines.find(&id);
                    ids.push((id.clone(), line));
                    phrases.insert(id, Phrase::of(file, line, &term.value));
                }
                _ => {}
            }
        }
        Ok(Self { resource, ids, phrases })
    }
}

/// Line of a position, from 1. A position at the end of a line belongs to that line: the parser
/// reports a missing token there.
fn line_of(text: &str, position: usize) -> usize {
    let (before, after) = text.split_at_checked(position).unwrap_or((text, ""));
    let is_over = after.chars().next().is_none_or(char::is_whitespace);
    let before = if is_over { before.trim_end() } else { before };
    1 + before.matches('\n').count()
}

/// Finds the lines of entries, in the order of the file.
struct LineIndex<'a> {
    rest: std::iter::Enumerate<std::str::Lines<'a>>,
    last: usize,
}

impl<'a> LineIndex<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: text.lines().enumerate(), last: 1 }
    }

    /// Line on which `name =` begins, from 1. The syntax tree does not say.
    fn find(&mut self, name: &str) -> usize {
        let found = self.rest.find(|(_, line)| {
            let line = if name.starts_with('.') { line.trim_start() } else { line };
            line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
        });
        if let Some((number, _)) = found {
            self.last = number + 1;
        }
        self.last
    }
}

impl Phrase {
    fn of(file: &str, line: usize, pattern: &Pattern<&str>) -> Self {
        let mut phrase = Self {
            file: file.to_owned(),
            line,
            variables: BTreeSet::new(),
            references: BTreeSet::new(),
        };
        phrase.collect(pattern);
        phrase
    }

    fn collect(&mut self, pattern: &Pattern<&str>) {
        for element in &pattern.elements {
            if let PatternElement::Placeable { expression } = element {
                self.collect_expression(expression);
            }
        }
    }

    fn collect_expression(&mut self, expression: &Expression<&str>) {
        match expression {
            Expression::Inline(inline) => self.collect_inline(inline),
            Expression::Select { selector, variants } => {
                self.collect_inline(selector);
                variants.iter().for_each(|variant| self.collect(&variant.value));
            }
        }
    }

    fn collect_inline(&mut self, inline: &InlineExpression<&str>) {
        let with_attribute = |id: &str, attribute: Option<&str>| match attribute {
            Some(attribute) => format!("{id}.{attribute}"),
            None => id.to_owned(),
        };
        match inline {
            InlineExpression::VariableReference { id } => {
                self.variables.insert(id.name.to_owned());
            }
            InlineExpression::MessageReference { id, attribute } => {
                let key = with_attribute(id.name, attribute.as_ref().map(|a| a.name));
                self.references.insert(key);
            }
            InlineExpression::TermReference { id, .. } => {
                self.references.insert(format!("-{}", id.name));
            }
            InlineExpression::FunctionReference { arguments, .. } => {
                arguments.positional.iter().for_each(|inline| self.collect_inline(inline));
            }
            InlineExpression::Placeable { expression } => self.collect_expression(expression),
            InlineExpression::StringLiteral { .. } | InlineExpression::NumberLiteral { .. } => {}
        }
    }
}
