//! Keeps the text of a form that was sent after its sign-in had ended, except for secrets.
//!
//! 1. The sign-in form carries the text along.
//! 2. After the sign-in, a cookie carries it. If the answer to the password were a page, reloading
//!    that page would let a browser send the password again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rocket::Request;
use rocket::http::CookieJar;
use rocket::time::Duration;
use serde::Deserialize;

use crate::model::PageSessionSecret;
use crate::web::guards::cookies;
use crate::web::guards::form::{Form, FormFields, TypedFields};
use crate::web::openapi::schemas::SignInForm;
use crate::web::views::account::Unsaved;

const UNSAVED_FORM_COOKIE: &str = "__Host-vestibule-unsaved";

/// The lifetime of the cookie: enough for a browser to follow a redirect.
const COOKIE_TTL: Duration = Duration::seconds(60);

/// The maximum length of the cookie, in bytes. Browsers refuse cookies of 4,096 (RFC 6265bis §5.5).
const MAX_COOKIE_LENGTH: usize = 3_800;

/// A form that had no effect, with its name in [`Unsaved::FORMS`].
#[derive(Debug)]
pub(super) struct UnsavedForm {
    name: &'static str,
    typed: TypedFields,
}

impl UnsavedForm {
    /// Keeps the text of the form without its secrets.
    pub fn new<F: FormFields>(name: &'static str, form: &Form<F>) -> Self {
        Self { name, typed: form.without_passwords() }
    }

    /// The text of the form, for the sign-in form.
    pub fn as_unsaved(&self) -> Unsaved<'_> {
        let typed = |name| self.typed.get(name).unwrap_or_default();
        Unsaved {
            form: self.name,
            email: typed("email"),
            name: typed("name"),
            locale: typed("locale"),
        }
    }
}

/// The form that the sign-in form carries along, if there is one.
pub(super) fn embedded_form(form: &Form<SignInForm>) -> Option<Unsaved<'_>> {
    let named = form.get("resume")?;
    let name = Unsaved::FORMS.into_iter().find(|known| *known == named)?;
    let typed = |field| form.get(field).unwrap_or_default();
    Some(Unsaved {
        form: name,
        email: typed("typed_email"),
        name: typed("typed_name"),
        locale: typed("typed_locale"),
    })
}

/// Whether the service restores fields of the form. The others have only secrets or no fields.
pub(super) fn is_restorable(form: &str) -> bool {
    matches!(form, "profile" | "email")
}

/// Stores the typed text in a cookie, and returns the path of the form's page.
pub(super) fn store_in_cookie(
    jar: &CookieJar<'_>,
    secret: &PageSessionSecret,
    unsaved: &Unsaved<'_>,
) -> &'static str {
    if is_restorable(unsaved.form)
        && let Ok(json) = serde_json::to_vec(unsaved)
    {
        let text = URL_SAFE_NO_PAD.encode(json);
        let value = format!("{}.{text}", secret.mac_of(&text));
        if value.len() <= MAX_COOKIE_LENGTH {
            jar.add(cookies::of_this_host(UNSAVED_FORM_COOKIE, value, COOKIE_TTL));
        }
    }
    match unsaved.form {
        "email" => "/account/email",
        "password" => "/account/password",
        "deletion" => "/account/deletion",
        _ => "/account",
    }
}

/// The text that was typed into a form of the account page.
#[derive(Debug, Deserialize)]
pub(super) struct RestoredForm {
    form: String,
    pub email: String,
    pub name: String,
    pub locale: String,
}

impl RestoredForm {
    /// The text that was kept for this sign-in. Reading it deletes the cookie.
    pub fn take(request: &Request<'_>, secret: &PageSessionSecret) -> Option<Self> {
        let value = cookies::find(request, UNSAVED_FORM_COOKIE)?;
        request.cookies().add(cookies::of_this_host(
            UNSAVED_FORM_COOKIE,
            String::new(),
            Duration::ZERO,
        ));
        let (proof, text) = value.split_once('.')?;
        if !secret.has_mac_of(text, proof) {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }

    /// Whether the text was typed into the form of this name.
    pub fn is_of(&self, form: &str) -> bool {
        self.form == form
    }
}
