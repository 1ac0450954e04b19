//! Fairing that forbids caching of every response of some mounts.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Header;
use rocket::{Request, Response};

use crate::web::mounts::Mount;

/// Sets `Cache-Control: no-store` and `Pragma: no-cache` below mounts with `no_store`, on errors as
/// well (RFC 6749 §5.1, §5.2).
#[derive(Debug)]
pub(in crate::web) struct NoStore;

#[rocket::async_trait]
impl Fairing for NoStore {
    fn info(&self) -> Info {
        Info { name: "no store", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        if Mount::of(request).is_some_and(|mount| mount.no_store) {
            response.set_header(Header::new("Cache-Control", "no-store"));
            response.set_header(Header::new("Pragma", "no-cache"));
        }
    }
}
