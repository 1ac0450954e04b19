//! Errors of templates, with the file and the line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tera::ErrorKind;

use super::source::TemplateSource;

/// Why the templates cannot be loaded, or a template cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file or folder of the operator cannot be read.
    #[error("cannot read the template {}: {source}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    /// A file of the operator would have no effect.
    #[error("{}: {problem}", file.display())]
    Name { file: PathBuf, problem: String },
    /// A template is wrong, at a known line.
    #[error("{file}:{line}: {problem}")]
    Broken { file: String, line: usize, problem: String },
    /// Tera fails without a place in a file.
    #[error("template error: {0}")]
    Tera(#[from] tera::Error),
}

/// Adds the file and the line to an error of the template engine.
pub(super) fn located(
    error: tera::Error,
    sources: &BTreeMap<String, TemplateSource>,
) -> TemplateError {
    let place = match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            let line = report.span().start_line.max(1);
            Some((report.filename().to_owned(), line, report.message().to_owned()))
        }
        ErrorKind::MissingParent { current, parent } => {
            let text = sources.get(current).map_or("", |source| &source.text);
            let line = text.lines().position(|line| line.contains("extends"));
            let problem = format!("the template {parent} does not exist");
            Some((current.clone(), line.unwrap_or(0) + 1, problem))
        }
        ErrorKind::CircularExtend { tpl, .. } | ErrorKind::CircularInclude { tpl, .. } => {
            Some((tpl.clone(), 1, "the template includes itself".to_owned()))
        }
        ErrorKind::Msg(reports) => among(reports, sources),
        _ => None,
    };
    match place {
        Some((name, line, problem)) => {
            let file = sources.get(&name).map_or(name, |source| source.file.clone());
            TemplateError::Broken { file, line, problem }
        }
        None => TemplateError::Tera(error),
    }
}

/// Picks one of several reports. Tera reports unknown functions and components as one text of
/// several reports, each with `error: …` and `--> name:line:column`. The first report in an
/// operator's file wins, else the first.
fn among(
    reports: &str,
    sources: &BTreeMap<String, TemplateSource>,
) -> Option<(String, usize, String)> {
    let mut problem = "";
    let mut found = Vec::new();
    for line in reports.lines() {
        if let Some(text) = line.strip_prefix("error: ") {
            problem = text;
        }
        if let Some(place) = line.trim_start().strip_prefix("--> ") {
            let mut parts = place.rsplitn(3, ':');
            let (_, line, name) = (parts.next(), parts.next(), parts.next());
            if let (Some(name), Some(Ok(line))) = (name, line.map(str::parse)) {
                found.push((name.to_owned(), line, problem.to_owned()));
            }
        }
    }
    let is_override = |name: &str| sources.get(name).is_some_and(|source| source.is_override);
    let of_operator = found.iter().position(|(name, ..)| is_override(name));
    (!found.is_empty()).then(|| found.swap_remove(of_operator.unwrap_or(0)))
}
