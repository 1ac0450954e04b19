//! Strict parser for `application/x-www-form-urlencoded` bodies.
//!
//! Rocket's own forms drop a repeated field and keep a broken escape. Here both are errors (RFC
//! 6749 §3.2; R4, R8), and so are invalid UTF-8 and NUL.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use rocket::Request;
use rocket::data::{Data, FromData, Outcome};
use rocket::http::Status;
use zeroize::Zeroizing;

use crate::oauth::form_decode;
use crate::web::guards::body::{self, BodyError};
use crate::web::guards::content_type::{self, BodyType, ContentFault};
use crate::web::mounts::{ErrorFormat, Mount};

/// A form that names its fields. The parser ignores all others.
///
/// The forms are the schemas of the OpenAPI document, so the document names the same fields.
pub trait FormFields {
    /// The names of the fields.
    const FIELDS: &'static [&'static str];
}

/// The fields of pages that hold secrets of people.
const SECRETS: [&str; 3] = ["password", "current_password", "new_password"];

/// A parsed form. Each of its fields is present at most once and is not empty: a parameter without
/// a value counts as absent (RFC 6749 §3.2).
#[derive(Debug)]
pub struct Form<F> {
    fields: BTreeMap<&'static str, Zeroizing<String>>,
    /// The fields whose raw value contained a `+`, which decodes to a blank.
    with_plus: BTreeSet<&'static str>,
    /// Whether the body contains a raw `@`. A program that encodes forms never sends one.
    is_unencoded: bool,
    form: PhantomData<fn() -> F>,
}

/// Why a body is not a valid form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FormError {
    /// The headers announce another kind of body.
    Content(ContentFault),
    TooLarge,
    /// The body was not complete in time.
    Late,
    /// A field of the form is repeated.
    Twice(&'static str),
    Malformed(&'static str),
}

/// The body of a request, if it is a valid form.
pub type PostedForm<F> = Result<Form<F>, FormError>;

impl<F: FormFields> Form<F> {
    /// The value of a field; `None` if it is absent or empty.
    pub fn get(&self, name: &'static str) -> Option<&str> {
        debug_assert!(F::FIELDS.contains(&name), "the form has no field {name}");
        self.fields.get(name).map(|value| value.as_str())
    }

    /// Whether a `+` in this field was read as a blank.
    pub fn had_plus(&self, name: &'static str) -> bool {
        self.with_plus.contains(name)
    }

    /// Whether the client seems to send forms without encoding them.
    pub fn seems_unencoded(&self) -> bool {
        self.is_unencoded
    }

    /// The fields without the passwords, of which only the names stay. A form that carries another
    /// form along has all of its fields.
    pub fn without_passwords(&self) -> TypedFields {
        let is_carried =
            |name: &str| name.starts_with("typed_") && self.fields.contains_key("resume");
        let text = |name: &'static str| match self.fields.get(name) {
            Some(_) if SECRETS.contains(&name) => Some((name, Zeroizing::default())),
            Some(value) => Some((name, value.clone())),
            None => is_carried(name).then(|| (name, Zeroizing::default())),
        };
        TypedFields(F::FIELDS.iter().filter_map(|name| text(name)).collect())
    }

    /// Parses the fields of the form.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let malformed = FormError::Malformed;
        let text = std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8"))?;
        let (mut fields, mut with_plus) = (BTreeMap::new(), BTreeSet::new());
        let mut seen = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, raw) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = form_decode(name).zip(form_decode(raw).map(Zeroizing::new));
            let (name, value) =
                decoded.ok_or(malformed("the body is not percent-encoded UTF-8"))?;
            if name.contains('\0') || value.contains('\0') {
                return Err(malformed("a parameter holds the NUL character"));
            }
            let Some(known) = F::FIELDS.iter().copied().find(|known| *known == name) else {
                continue;
            };
            if seen.contains(&known) {
                return Err(FormError::Twice(known));
            }
            seen.push(known);
            if raw.contains('+') {
                with_plus.insert(known);
            }
            if !value.is_empty() {
                fields.insert(known, value);
            }
        }
        Ok(Self { fields, with_plus, is_unencoded: text.contains('@'), form: PhantomData })
    }
}

/// The fields of a page's form, without the passwords. The request's cache keeps them, so that a
/// refusal can show the form again.
#[derive(Debug, Default)]
pub struct TypedFields(Vec<(&'static str, Zeroizing<String>)>);

impl TypedFields {
    /// The fields of the request's form; none if no form was read.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(Self::default)
    }

    /// These fields, for the samples of pages.
    pub fn sample(fields: &[(&'static str, &str)]) -> Self {
        let field = |(name, value): &(&'static str, &str)| (*name, (*value).to_owned().into());
        Self(fields.iter().map(field).collect())
    }

    /// Whether no form was read, or only empty fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the field was filled in.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| *field == name)
    }

    /// The text of a field; `None` if it is absent, empty or a password.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.texts()
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    }

    /// All fields but the passwords.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let texts = self.0.iter().filter(|(name, _)| !SECRETS.contains(name));
        texts.map(|(name, value)| (*name, value.as_str()))
    }
}

#[rocket::async_trait]
impl<'r, F: FormFields> FromData<'r> for Form<F> {
    type Error = FormError;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        if let Err(fault) = content_type::check(request, BodyType::Form) {
            return Outcome::Error((Status::BadRequest, FormError::Content(fault)));
        }
        match body::read(request, data).await {
            Ok(body) => match Self::parse(&body) {
                Ok(form) => {
                    let is_page = |mount: &Mount| mount.errors == ErrorFormat::Page;
                    if Mount::of(request).is_some_and(is_page) {
                        request.local_cache(|| form.without_passwords());
                    }
                    Outcome::Success(form)
                }
                Err(error) => Outcome::Error((Status::BadRequest, error)),
            },
            Err(BodyError::TooLarge) => {
                Outcome::Error((Status::PayloadTooLarge, FormError::TooLarge))
            }
            Err(BodyError::Late) => Outcome::Error((Status::RequestTimeout, FormError::Late)),
            Err(BodyError::Broken) => {
                let error = FormError::Malformed("the body broke off");
                Outcome::Error((Status::BadRequest, error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz_inputs;
    use crate::web::openapi::schemas::{SignInForm, TokenForm};

    fn parse(body: &str) -> Result<Form<TokenForm>, FormError> {
        Form::parse(body.as_bytes())
    }

    #[test]
    fn fields_are_decoded_once() {
        let form = parse("username=ada%40example.org&password=a+b%2Bc%2525&x=y").unwrap();
        assert_eq!(form.get("username"), Some("ada@example.org"));
        assert_eq!(form.get("password"), Some("a b+c%25"));
    }

    #[test]
    fn r4_a_known_parameter_twice_is_refused_even_if_identical_or_empty() {
        for body in ["scope=a&scope=a", "scope=&scope=a", "scope=a&%73cope=b"] {
            assert_eq!(parse(body).unwrap_err(), FormError::Twice("scope"));
        }
        assert!(parse("x=1&x=2&scope=a").is_ok(), "unknown parameters are ignored");
        assert!(parse("id=1&id=2&email=a&email=b").is_ok(), "parameters of pages may be repeated");
        assert!(Form::<SignInForm>::parse(b"email=a&email=a").is_err());
    }

    #[test]
    fn r5_parameter_without_a_value_counts_as_absent() {
        let form = parse("scope=&username&grant_type=password").unwrap();
        assert_eq!((form.get("scope"), form.get("username")), (None, None));
    }

    #[test]
    fn r8_malformed_escapes_bytes_and_nul_are_refused() {
        for body in [
            "password=%zz",
            "password=%f",
            "password=%",
            "password=%ff",
            "password=%00",
            "x=%00",
            "%zz=1",
            "username=a%C3",
        ] {
            assert!(matches!(parse(body), Err(FormError::Malformed(_))), "{body}");
        }
        assert!(Form::<TokenForm>::parse(b"password=\xff").is_err());
        assert!(Form::<TokenForm>::parse(b"password=a\0b").is_err());
    }

    /// Parses the same body with another implementation, which accepts everything.
    fn pairs_in(body: &[u8]) -> Vec<(String, String)> {
        url::form_urlencoded::parse(body).into_owned().collect()
    }

    #[test]
    fn r4_r8_accepted_form_has_the_same_fields_for_another_parser() {
        fuzz_inputs::each(2_000, fuzz_inputs::bytes_like(fuzz_inputs::FORMS), |body| {
            let Ok(form) = Form::<TokenForm>::parse(&body) else { return Ok(()) };
            let pairs = pairs_in(&body);
            for known in TokenForm::FIELDS.iter().copied() {
                let values: Vec<&str> = pairs
                    .iter()
                    .filter(|(name, _)| name == known)
                    .map(|(_, value)| value.as_str())
                    .collect();
                prop_assert!(values.len() <= 1, "{} is repeated and was accepted", known);
                let value = values.first().copied().filter(|value| !value.is_empty());
                prop_assert_eq!(form.get(known), value);
            }
            prop_assert!(form.fields.values().all(|value| !value.contains('\0')));
            Ok(())
        });
    }

    #[test]
    fn r8_form_of_another_encoder_is_read_back() {
        let text = "[^\0]{1,40}";
        let fields = prop::collection::btree_map(
            prop::sample::select(TokenForm::FIELDS.to_vec()),
            text,
            0..8,
        );
        fuzz_inputs::each(1_000, (fields, "[a-z]{0,3}"), |(fields, unknown)| {
            let mut encoder = url::form_urlencoded::Serializer::new(String::new());
            encoder.append_pair(&format!("x_{unknown}"), "1").extend_pairs(&fields);
            encoder.append_pair(&format!("x_{unknown}"), "2");
            let body = encoder.finish();
            let form = Form::<TokenForm>::parse(body.as_bytes());
            let form = form.map_err(|error| TestCaseError::fail(format!("{body}: {error:?}")))?;
            for known in TokenForm::FIELDS.iter().copied() {
                prop_assert_eq!(form.get(known), fields.get(known).map(String::as_str));
            }
            // repeating any of the fields is an error
            for known in fields.keys() {
                let twice = format!("{body}&{known}=");
                prop_assert!(Form::<TokenForm>::parse(twice.as_bytes()).is_err(), "{}", twice);
            }
            Ok(())
        });
    }
}
