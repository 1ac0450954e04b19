//! The templates of letters and pages: compiled in, and each one replaceable by a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rust_embed::RustEmbed;
use serde::Serialize;
use tera::{Context, Tera};

#[derive(RustEmbed)]
#[folder = "templates/"]
struct Embedded;

/// All templates, parsed; cheap to clone.
#[derive(Clone, Debug)]
pub struct Templates(Arc<Tera>);

/// Why the templates cannot be used, or one of them not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("cannot read the template {}: {source}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("template error: {0}")]
    Tera(#[from] tera::Error),
}

impl Templates {
    /// Parses the compiled-in templates, with the files of the same name in `overrides` in their
    /// place.
    pub fn load(overrides: Option<&Path>) -> Result<Self, TemplateError> {
        let mut sources = Vec::new();
        for name in Embedded::iter() {
            let replacement = overrides.map(|folder| folder.join(&*name)).filter(|f| f.is_file());
            let text = match (replacement, Embedded::get(&name)) {
                (Some(file), _) => std::fs::read_to_string(&file)
                    .map_err(|source| TemplateError::Read { file, source })?,
                (None, Some(embedded)) => String::from_utf8_lossy(&embedded.data).into_owned(),
                (None, None) => continue,
            };
            sources.push((name.into_owned(), text));
        }
        let mut tera = Tera::new();
        tera.autoescape_on([".html.tera"]);
        tera.add_raw_templates(sources)?;
        Ok(Self(Arc::new(tera)))
    }

    /// Renders a template with the members of `common` and `context`; the latter win.
    pub fn render(
        &self,
        template: &str,
        common: &impl Serialize,
        context: &impl Serialize,
    ) -> Result<String, TemplateError> {
        let mut merged = Context::from_serialize(common)?;
        merged.extend(Context::from_serialize(context)?);
        Ok(self.0.render(template, &merged)?)
    }

    /// The stylesheet of the pages, as it stands in each of them.
    pub fn stylesheet(&self) -> Result<String, TemplateError> {
        Ok(self.0.render("style.css", &Context::new())?)
    }

    /// The names of all templates.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.get_template_names()
    }
}
