//! Preview: writes every letter and page as a file, to look at in a browser.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::{TemplateCheck, TemplateCheckError, numbered};
use crate::mail::Letter;
use crate::messages::Language;
use crate::web::Pages;
use crate::web::views::samples;

impl TemplateCheck {
    /// Writes every page and letter with its samples into a folder, in one language or in all, and
    /// an index. Returns the path of the index.
    pub fn preview(
        &self,
        folder: &Path,
        locale: Option<&str>,
    ) -> Result<PathBuf, TemplateCheckError> {
        let messages = self.messages();
        let chosen: Vec<Language> = messages
            .languages()
            .filter(|language| locale.is_none_or(|tag| messages.tag(*language) == tag))
            .collect();
        if let Some(tag) = locale.filter(|_| chosen.is_empty()) {
            return Err(TemplateCheckError::NoSuchLanguage(tag.to_owned()));
        }
        let mut index =
            "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Letters and pages</title>\n\
            <body style=\"max-width: 50rem; margin: 2rem auto; font: 1rem/1.6 system-ui\">\n"
                .to_owned();
        for language in chosen {
            self.preview_in(language, folder, &mut index)?;
        }
        let file = folder.join("index.html");
        write(&file, &index)?;
        Ok(file)
    }

    fn preview_in(
        &self,
        language: Language,
        folder: &Path,
        index: &mut String,
    ) -> Result<(), TemplateCheckError> {
        let tag = self.messages().tag(language);
        let mut names = BTreeMap::new();
        // writing to a String cannot fail
        let _ = writeln!(index, "<h1>{tag}</h1>\n<h2>Letters</h2>\n<ul>");
        let renderer = self.renderer(self.templates.clone())?;
        for letter in Letter::samples() {
            let rendered = self.letter(&renderer, language, &letter)?;
            let name = numbered(&mut names, &format!("mail-{}", letter.name()));
            write(&folder.join(tag).join(format!("{name}.html")), &rendered.html)?;
            let text = format!("Subject: {}\n\n{}", rendered.subject, rendered.text);
            write(&folder.join(tag).join(format!("{name}.txt")), &text)?;
            let subject = rendered.subject.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(
                index,
                "<li>{name}: {subject} (<a href=\"{tag}/{name}.html\">HTML</a>, \
                 <a href=\"{tag}/{name}.txt\">text</a>)"
            );
        }
        let _ = writeln!(index, "</ul>\n<h2>Pages</h2>\n<ul>");
        let pages = Pages::new(self.templates.clone(), &self.settings)?;
        for sample in samples::all() {
            let html = pages.html(language, sample.name, &sample.context)?;
            let name = numbered(&mut names, &format!("page-{}", sample.name));
            write(&folder.join(tag).join(format!("{name}.html")), &html)?;
            let _ = writeln!(index, "<li><a href=\"{tag}/{name}.html\">{name}</a>");
        }
        let _ = writeln!(index, "</ul>");
        Ok(())
    }
}

fn write(file: &Path, text: &str) -> Result<(), TemplateCheckError> {
    let wrong = |source| TemplateCheckError::Write { file: file.to_owned(), source };
    fs::create_dir_all(file.parent().unwrap_or(file)).map_err(wrong)?;
    fs::write(file, text).map_err(wrong)
}
