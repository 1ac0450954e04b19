//! Rate limit for unknown links: how many links that were never sent one network may try in an
//! hour.
//!
//! The route looks the link up first, which is one read by its digest. So this limit refuses
//! unknown links only: a link that was sent works, however many unknown links other clients of the
//! same network have tried (S8).

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::response::Responder;
use rocket::{Request, Response};

use crate::accounts::{Accounts, Failure};
use crate::model::ClientInfo;
use crate::web::responses::page::PageProblem;
use crate::web::responses::problem::Problem;

/// Request guard that marks an attempt to use a link. An attempt counts if the answer is 404.
#[derive(Debug)]
pub struct LinkAttempt;

/// The caller that tries the link; `None` if the route takes no link.
struct LinkAttemptBy(Option<ClientInfo>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for LinkAttempt {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let caller = request.guard::<ClientInfo>().await.succeeded().unwrap_or_default();
        request.local_cache(|| LinkAttemptBy(Some(caller)));
        Outcome::Success(Self)
    }
}

/// Fairing that counts unknown links, and answers 429 instead of 404 above the limit.
#[derive(Debug)]
pub(in crate::web) struct LinkRateLimit;

#[rocket::async_trait]
impl Fairing for LinkRateLimit {
    fn info(&self) -> Info {
        Info { name: "unknown links", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        if response.status() != Status::NotFound {
            return;
        }
        let LinkAttemptBy(Some(caller)) = request.local_cache(|| LinkAttemptBy(None)) else {
            return;
        };
        let Some(accounts) = request.rocket().state::<Accounts>() else { return };
        let Err(Failure::Limited { retry_after }) = accounts.limits.count_unknown_link(caller)
        else {
            return;
        };
        let refusal = Problem::rate_limited(retry_after);
        let is_page = response.content_type().is_some_and(|kind| kind.is_html());
        let refused = match is_page {
            true => PageProblem(refusal).respond_to(request),
            false => refusal.respond_to(request),
        };
        if let Ok(refused) = refused {
            response.merge(refused);
        }
    }
}
