//! `/openapi.json` and `/docs`: the OpenAPI document, as JSON and as a page.

use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Header, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, Responder, get, routes};
use utoipa::openapi::OpenApi;

use crate::messages::Language;
use crate::web::openapi::document::{Generated, OpenApiDocument, described, tag};
use crate::web::responses::page::{Page, PageState};

/// `all` returns the annotations of every route. It is called on the first request for the
/// document.
pub fn stage(all: fn() -> OpenApi) -> AdHoc {
    AdHoc::on_ignite("openapi", move |rocket| async move {
        rocket.manage(OpenApiDocument::new(all)).mount("/", routes![openapi, docs])
    })
}

described!(openapi, docs);

struct GeneratedDocument<'r>(&'r Generated);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for GeneratedDocument<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match request.rocket().state::<OpenApiDocument>() {
            Some(document) => Outcome::Success(Self(document.get(request))),
            None => Outcome::Error((Status::InternalServerError, ())),
        }
    }
}

#[derive(Responder)]
struct Json<'r> {
    json: (ContentType, &'r str),
    caching: Header<'static>,
}

/// This description
///
/// OpenAPI 3.1, generated from the code of the routes.
#[utoipa::path(
    tag = tag::OPERATIONS,
    operation_id = "openapi",
    responses((status = 200, description = "The document.", body = serde_json::Value)),
)]
#[get("/openapi.json")]
fn openapi(document: GeneratedDocument<'_>) -> Json<'_> {
    Json {
        json: (ContentType::JSON, &document.0.json),
        caching: Header::new("Cache-Control", "public, max-age=300"),
    }
}

/// This description, as a page
#[utoipa::path(
    tag = tag::OPERATIONS,
    operation_id = "docs",
    responses((status = 200, description = "The page.")),
)]
#[get("/docs")]
fn docs(document: GeneratedDocument<'_>, language: Language, pages: &PageState) -> Page {
    pages.page(language, Status::Ok, &document.0.docs)
}
