//! Pages: rendered from templates, with the headers that a page needs (R46).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rocket::http::{ContentType, Header, Status};
use rocket::response::{self, Responder, Response};
use rocket::{Request, State};
use serde::Serialize;
use serde_json::json;

use super::problem::Problem;
use super::request::RequestId;
use crate::config::Settings;
use crate::model::Digest;
use crate::templates::{TemplateError, Templates};

/// Renders pages. Managed by Rocket.
#[derive(Debug)]
pub struct Pages {
    templates: Templates,
    common: Common,
    policy: String,
}

/// What every page knows.
#[derive(Debug, Serialize)]
struct Common {
    service: String,
    base: String,
    lang: &'static str,
    css: String,
}

impl Pages {
    pub fn new(templates: Templates, settings: &Settings) -> Result<Self, TemplateError> {
        let css = templates.stylesheet()?;
        // the one thing a page uses is its stylesheet, and that one alone
        let digest = STANDARD.encode(Digest::of(css.as_bytes()).as_bytes());
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'"
        );
        let common = Common {
            service: settings.name.clone(),
            base: settings.public_url.base_path().to_owned(),
            lang: "en",
            css,
        };
        Ok(Self { templates, common, policy })
    }

    /// `templates/page/<name>.html.tera`
    pub fn page(&self, status: Status, name: &str, context: &impl Serialize) -> Page {
        let template = format!("page/{name}.html.tera");
        match self.templates.render(&template, &self.common, context) {
            Ok(html) => Page { status, html, policy: self.policy.clone(), headers: Vec::new() },
            Err(error) => {
                tracing::error!(template, %error, "a page cannot be rendered");
                let html = "<!DOCTYPE html><title>Error</title><p>Something went wrong here.</p>";
                Page {
                    status: Status::InternalServerError,
                    html: html.to_owned(),
                    policy: self.policy.clone(),
                    headers: Vec::new(),
                }
            }
        }
    }

    /// An error, as a page.
    pub fn problem(&self, problem: &Problem, request: &Request<'_>) -> Page {
        problem.log(request);
        let context = json!({
            "title": problem.slug.title,
            "status": problem.slug.status,
            "detail": problem.text(),
            "advice": problem.slug.advice,
            "request_id": RequestId::of(request),
        });
        let mut page = self.page(problem.status(), "problem", &context);
        page.headers = problem.headers();
        page.headers.extend(RequestId::salvage(request, problem.status()));
        page
    }
}

/// A page, ready to be answered.
#[derive(Debug)]
pub struct Page {
    status: Status,
    html: String,
    policy: String,
    headers: Vec<Header<'static>>,
}

impl Page {
    /// Lets the page frame pages of this service.
    pub fn framing_own_pages(mut self) -> Self {
        self.policy.push_str("; frame-src 'self'");
        self
    }
}

impl<'r> Responder<'r, 'static> for Page {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        response
            .status(self.status)
            .header(ContentType::HTML)
            .header(Header::new("Content-Security-Policy", self.policy))
            // with no-referrer a form's own POST would have no origin
            .header(Header::new("Referrer-Policy", "same-origin"))
            .header(Header::new("X-Content-Type-Options", "nosniff"))
            .header(Header::new("X-Frame-Options", "DENY"))
            .header(Header::new("Cache-Control", "no-store"))
            .sized_body(self.html.len(), std::io::Cursor::new(self.html));
        for header in self.headers {
            response.header(header);
        }
        response.ok()
    }
}

/// An error of a route that answers pages: the catcher of its mount makes the page.
#[derive(Debug)]
pub struct PageProblem(pub Problem);

impl<E: Into<Problem>> From<E> for PageProblem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl<'r> Responder<'r, 'static> for PageProblem {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        match request.rocket().state::<Pages>() {
            Some(pages) => pages.problem(&self.0, request).respond_to(request),
            None => self.0.respond_to(request),
        }
    }
}

/// Shorthand for the routes that answer pages.
pub type PageResult = Result<Page, PageProblem>;
/// The renderer, as routes take it.
pub type PageState = State<Pages>;
