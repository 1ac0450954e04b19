//! `/dev/mail`: shows sent letters in the development profile.

use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Header, Status};
use rocket::{Responder, State, get, routes};

use crate::config::Profile;
use crate::mail::{Mailbox, SentLetter};
use crate::messages::Language;
use crate::web::responses::page::{CACHING, Page, PageProblem, PageResult, PageState};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;
use crate::web::views::dev_mail::{DevLetter, DevMail, LetterView};

/// Mounts the routes in the development profile only.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("development mail", |rocket| async {
        match Profile::of(rocket.figment()) {
            Profile::Development => rocket.mount("/dev", routes![list, letter, html]),
            Profile::Production => rocket,
        }
    })
}

/// Request guard that admits this machine only, because letters contain live links.
struct Local;

#[rocket::async_trait]
impl<'r> rocket::request::FromRequest<'r> for Local {
    type Error = ();

    async fn from_request(request: &'r rocket::Request<'_>) -> rocket::request::Outcome<Self, ()> {
        match request.remote() {
            Some(remote) if !remote.ip().is_loopback() => {
                rocket::request::Outcome::Error((Status::NotFound, ()))
            }
            _ => rocket::request::Outcome::Success(Self),
        }
    }
}

fn find(mailbox: &Mailbox, id: &str) -> Result<SentLetter, PageProblem> {
    let found = mailbox.letters().into_iter().find(|letter| letter.id.to_string() == id);
    found.ok_or_else(|| PageProblem(Problem::of(problem_type::NOT_FOUND)))
}

fn view(letter: SentLetter) -> LetterView {
    LetterView {
        id: letter.id.to_string(),
        from: letter.from,
        to: letter.to,
        subject: letter.subject,
        at: letter.at.unix_millis(),
        text: letter.text,
    }
}

#[get("/mail")]
fn list(_local: Local, language: Language, mailbox: &State<Mailbox>, pages: &PageState) -> Page {
    let letters = mailbox.letters().into_iter().rev().map(view).collect();
    pages.page(language, Status::Ok, &DevMail { letters })
}

#[get("/mail/<id>")]
fn letter(
    _local: Local,
    id: &str,
    language: Language,
    mailbox: &State<Mailbox>,
    pages: &PageState,
) -> PageResult {
    let letter = find(mailbox, id)?;
    let links = letter.link.iter().cloned().collect();
    let page = DevLetter { letter: view(letter), links };
    Ok(pages.page(language, Status::Ok, &page).framing_own_pages())
}

/// The HTML part of a letter, shown in a frame of the page above, because it has its own styles.
#[derive(Responder)]
struct HtmlPart {
    html: (ContentType, String),
    policy: Header<'static>,
    framing: Header<'static>,
    caching: Header<'static>,
}

#[get("/mail/<id>/html")]
fn html(_local: Local, id: &str, mailbox: &State<Mailbox>) -> Result<HtmlPart, PageProblem> {
    let letter = find(mailbox, id)?;
    Ok(HtmlPart {
        html: (ContentType::HTML, letter.html),
        policy: Header::new(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; \
             sandbox allow-popups allow-popups-to-escape-sandbox",
        ),
        framing: Header::new("X-Frame-Options", "SAMEORIGIN"),
        caching: Header::new("Cache-Control", CACHING),
    })
}
