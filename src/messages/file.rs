//! One file of messages: parsed, with the line on which each message stands.

use std::collections::{BTreeMap, BTreeSet};

use fluent_bundle::FluentResource;
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};

use super::MessageError;

/// What can be said, as far as it can be known without saying it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The file that it stands in, and the line.
    pub file: String,
    pub line: usize,
    /// What it has to be told, without the `$`.
    pub variables: BTreeSet<String>,
    /// Other messages that are parts of it.
    pub references: BTreeSet<String>,
}

/// A file, parsed.
pub(super) struct MessageFile {
    pub resource: FluentResource,
    /// Ids of messages and terms (these with their hyphen), with their lines.
    pub ids: Vec<(String, usize)>,
    /// By key: `id`, or `id.attribute`.
    pub phrases: BTreeMap<String, Phrase>,
}

impl MessageFile {
    /// `file` is what errors call it.
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

/// The line, from 1, of a position. What is missed at the end of a line is missed on that line.
fn line_of(text: &str, position: usize) -> usize {
    let (before, after) = text.split_at_checked(position).unwrap_or((text, ""));
    let is_over = after.chars().next().is_none_or(char::is_whitespace);
    let before = if is_over { before.trim_end() } else { before };
    1 + before.matches('\n').count()
}

/// Finds entries in the order in which they stand.
struct LineIndex<'a> {
    rest: std::iter::Enumerate<std::str::Lines<'a>>,
    last: usize,
}

impl<'a> LineIndex<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: text.lines().enumerate(), last: 1 }
    }

    /// The line, from 1, on which `name =` begins; the syntax tree does not say.
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
