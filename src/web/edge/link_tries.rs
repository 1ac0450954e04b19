//! Trying links that nobody ever got: so many an hour from one address, and then no more are looked at.

use std::time::Duration;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, Response};

use crate::accounts::{Accounts, Failure};
use crate::model::Caller;

/// Leave to try a link. Whoever takes it is counted if the answer is 404.
#[derive(Debug)]
pub struct LinkTry;

/// What became of it, if the route asks for it: for the fairing and the catchers.
enum Tried {
    NotAsked,
    Admitted(Caller),
    Refused(Duration),
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for LinkTry {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let caller = request.guard::<Caller>().await.succeeded().unwrap_or_default();
        let limits = request.rocket().state::<Accounts>().map(|accounts| &accounts.limits);
        match limits.map(|limits| limits.admit_link(&caller)) {
            Some(Err(Failure::Limited { retry_after })) => {
                request.local_cache(|| Tried::Refused(retry_after));
                Outcome::Error((Status::TooManyRequests, ()))
            }
            _ => {
                request.local_cache(|| Tried::Admitted(caller));
                Outcome::Success(Self)
            }
        }
    }
}

/// How long whoever was refused has to wait, for the catchers.
pub(super) fn wait(request: &Request<'_>) -> Option<Duration> {
    match request.local_cache(|| Tried::NotAsked) {
        Tried::Refused(wait) => Some(*wait),
        Tried::NotAsked | Tried::Admitted(_) => None,
    }
}

/// Counts the links that nobody ever got.
#[derive(Debug)]
pub(super) struct UnknownLinks;

#[rocket::async_trait]
impl Fairing for UnknownLinks {
    fn info(&self) -> Info {
        Info { name: "unknown links", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        if response.status() == Status::NotFound
            && let Tried::Admitted(caller) = request.local_cache(|| Tried::NotAsked)
            && let Some(accounts) = request.rocket().state::<Accounts>()
        {
            accounts.limits.count_unknown_link(caller);
        }
    }
}
