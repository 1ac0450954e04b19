//! Renderer of HTML pages: templates, and the headers that every page needs (R46).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rocket::http::{ContentType, Header, Method, Status};
use rocket::response::{self, Responder, Response};
use rocket::{Request, State};
use serde::Serialize;

use crate::accounts::Accounts;
use crate::config::Settings;
use crate::messages::{Language, Messages};
use crate::model::{Digest, Locale};
use crate::templates::{TemplateError, Templates};
use crate::web::fairings::admission;
use crate::web::fairings::request_id::RequestId;
use crate::web::guards::form::TypedFields;
use crate::web::guards::language;
use crate::web::guards::same_origin::is_of_own_page;
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type::ProblemType;
use crate::web::views::View;
use crate::web::views::problem::{Cure, ProblemView, wait_message};
use crate::web::views::refused_form::{RefusedForm, form_at};

/// `Cache-Control` of pages: caches must not store a page, and proxies must not change it (RFC 9111
/// §5.2.2.5, §5.2.2.6).
pub const CACHING: &str = "no-store, no-transform";

/// The page renderer. Managed by Rocket.
#[derive(Debug)]
pub struct Pages {
    templates: Templates,
    common: Common,
    policy: String,
}

/// The template context that all pages share.
#[derive(Debug, Serialize)]
struct Common {
    service: String,
    base: String,
    css: String,
}

#[derive(Serialize)]
struct InLanguage<'a> {
    #[serde(flatten)]
    common: &'a Common,
    lang: &'a str,
}

impl Pages {
    /// A renderer of these templates, with the Content-Security-Policy of their stylesheet.
    pub fn new(templates: Templates, settings: &Settings) -> Result<Self, TemplateError> {
        let css = templates.stylesheet()?;
        // the stylesheet is the only resource of a page, and the policy allows this one only
        let digest = STANDARD.encode(Digest::of(css.as_bytes()).as_bytes());
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'"
        );
        let common = Common {
            service: settings.name.clone(),
            base: settings.public_url.base_path().to_owned(),
            css,
        };
        Ok(Self { templates, common, policy })
    }

    /// The messages of the pages.
    pub fn messages(&self) -> &Messages {
        self.templates.messages()
    }

    /// The language that a person has chosen, else the language of the request.
    pub fn language_of(&self, person: Option<&Locale>, request: Language) -> Language {
        person.and_then(|locale| self.messages().best(locale)).unwrap_or(request)
    }

    /// Renders the page of a view in a language.
    pub fn page<V: View>(&self, language: Language, status: Status, view: &V) -> Page {
        let (status, html) = match self.html(language, V::NAME, view) {
            Ok(html) => (status, html),
            Err(error) => {
                tracing::error!(page = V::NAME, %error, "a page cannot be rendered");
                let html = "<!DOCTYPE html><title>Error</title><p>Something went wrong here.</p>";
                (Status::InternalServerError, html.to_owned())
            }
        };
        let lang = self.messages().tag(language).to_owned();
        Page { status, html, lang, policy: self.policy.clone(), headers: Vec::new() }
    }

    /// Renders `templates/page/<name>.html.tera`.
    pub fn html(
        &self,
        language: Language,
        name: &str,
        context: &impl Serialize,
    ) -> Result<String, TemplateError> {
        let common = InLanguage { common: &self.common, lang: self.messages().tag(language) };
        self.templates.render(language, &format!("page/{name}.html.tera"), &common, context)
    }

    /// Renders a problem as a page. A form that is refused for now is shown again, with the typed
    /// text.
    pub fn problem(&self, problem: &Problem, request: &Request<'_>) -> Page {
        problem.answered(request);
        let language = language::of(request);
        let form = form_at(request.uri().path().as_str());
        let is_limited = problem.status() == Status::TooManyRequests;
        let cure = form.and_then(|form| form.cure.clone()).filter(|_| is_limited);
        let typed = TypedFields::of(request);
        let mut page = match (problem.wait(), form) {
            (Some(wait), Some(form)) if !typed.is_empty() && is_of_own_page(request) => {
                let reason = self.own_text(language, problem.problem_type, ".detail");
                let reason = (reason.as_deref().unwrap_or(problem.text()), wait);
                let accounts = request.rocket().state::<Accounts>();
                let min_length = accounts.map_or(0, |accounts| accounts.policy.min_length());
                let mut view = RefusedForm::new(form, typed, reason, min_length, cure);
                view.request_id = Some(RequestId::of(request));
                self.page(language, problem.status(), &view)
            }
            (wait, _) => {
                let outcome = Outcome {
                    wait,
                    cure,
                    unread_form: admission::refused(request) == Some(Method::Post),
                    request_id: Some(RequestId::of(request)),
                };
                self.explain(
                    language,
                    (problem.status(), problem.problem_type),
                    problem.text(),
                    outcome,
                )
            }
        };
        page.headers = problem.headers();
        page.headers.extend(RequestId::salvage(request, problem.status()));
        page
    }

    /// A text of a problem type in `language`, if that language has it.
    fn own_text(&self, language: Language, of: &ProblemType, part: &str) -> Option<String> {
        self.messages().own_text(language, &format!("problem-{}{part}", of.name))
    }

    /// The texts of a problem type in `language`; in English where the language lacks them.
    ///
    /// `detail` is the program's own text. It may say more than the problem type, but in English
    /// only.
    pub fn explain(
        &self,
        language: Language,
        (status, problem_type): (Status, &ProblemType),
        detail: &str,
        outcome: Outcome<'_>,
    ) -> Page {
        let own = |part| self.own_text(language, problem_type, part);
        let (title, own_detail, advice) = (own(""), own(".detail"), own(".advice"));
        let Outcome { wait, cure, unread_form, request_id } = outcome;
        let view = ProblemView {
            title: title.as_deref().unwrap_or(problem_type.title),
            status: problem_type.status,
            detail: own_detail.as_deref().unwrap_or(detail),
            advice: advice.as_deref().unwrap_or(problem_type.advice),
            wait: wait.map(wait_message),
            unread_form,
            cure,
            request_id,
        };
        self.page(language, status, &view)
    }
}

/// What an error page says about its request. The page that explains a problem type says nothing.
#[derive(Clone, Debug, Default)]
pub struct Outcome<'a> {
    /// When to try again, in seconds.
    wait: Option<u64>,
    cure: Option<Cure>,
    /// Whether the request was a form that the service has not read.
    unread_form: bool,
    request_id: Option<&'a str>,
}

/// A rendered page.
#[derive(Debug)]
pub struct Page {
    status: Status,
    html: String,
    lang: String,
    policy: String,
    headers: Vec<Header<'static>>,
}

impl Page {
    /// Allows the page to frame pages of this service.
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
            // with no-referrer, the browser would send the page's own forms without an origin
            .header(Header::new("Referrer-Policy", "same-origin"))
            .header(Header::new("X-Content-Type-Options", "nosniff"))
            .header(Header::new("X-Frame-Options", "DENY"))
            // a proxy that rewrites pages breaks the addresses in them
            .header(Header::new("Cache-Control", CACHING))
            .header(Header::new("Content-Language", self.lang))
            .header(Header::new("Vary", "Accept-Language"))
            .sized_body(self.html.len(), std::io::Cursor::new(self.html));
        for header in self.headers {
            response.header(header);
        }
        response.ok()
    }
}

/// An error of a route that answers pages. The catcher of the mount renders it.
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

/// The result of a route that answers pages.
pub type PageResult = Result<Page, PageProblem>;
/// The renderer as a parameter of a route.
pub type PageState = State<Pages>;
