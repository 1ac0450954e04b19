//! Fairing that undoes Rocket's method override by a form field `_method`.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::form::Form;
use rocket::http::Method;
use rocket::{Data, Request};

use crate::web::mounts::Mount;

/// Turns a request back into a POST if Rocket changed its method.
///
/// Rocket turns a POST whose first form field is `_method=PUT` into a PUT (R2). A request that
/// Rocket changed has the method that the field names, and Rocket changes POST only.
///
/// Limitation: a genuine PUT whose form also says `_method=PUT` looks the same, and is handled as
/// POST. That is harmless, since it can do no more than that POST, and no page and no library sends
/// one (docs/decisions/0015-strict-forms.md).
#[derive(Debug)]
pub(in crate::web) struct UndoMethodOverride;

#[rocket::async_trait]
impl Fairing for UndoMethodOverride {
    fn info(&self) -> Info {
        Info { name: "method override undone", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        let is_form = request.content_type().is_some_and(|kind| kind.is_form());
        // an application around this one may rely on Rocket's override
        if !is_form || Mount::of(request).is_none() || request.method() == Method::Post {
            return;
        }
        // reads the field as Rocket does
        let start = data.peek("_method=delete".len()).await;
        let first = std::str::from_utf8(start).ok().and_then(|raw| Form::values(raw).next());
        let field = first.filter(|field| field.name == "_method");
        let named = field.and_then(|field| field.value.parse::<Method>().ok());
        if named == Some(request.method()) {
            request.set_method(Method::Post);
        }
    }
}
