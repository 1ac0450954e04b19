//! OpenAPI schemas of request bodies.
//!
//! These types document the bodies and name the fields of forms; the service never constructs them.
//! Routes read bodies field by field, so that one response reports all errors. A test sends bodies
//! of these schemas to every route.

use utoipa::ToSchema;

use crate::model::GrantType;
use crate::web::guards::form::FormFields;

macro_rules! schemas {
    ($($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $field:ident: $type:ty,)+ })+) => {$(
        $(#[$about])*
        #[derive(Debug, ToSchema)]
        #[expect(dead_code, reason = "it describes what routes read field by field")]
        pub struct $name {
            $($(#[$what])* pub $field: $type,)+
        }

        impl FormFields for $name {
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),+];
        }
    )+};
}

schemas! {
    SignUpBody {
        #[schema(example = "ada@example.org")]
        email: String,
        /// At least as long as the service requires; there are no rules of composition.
        #[schema(example = "correct horse battery")]
        password: String,
        #[schema(example = "Ada Lovelace")]
        name: Option<String>,
        /// The language of letters, a language tag (BCP 47).
        #[schema(example = "en")]
        locale: Option<String>,
    }
    EmailBody {
        #[schema(example = "ada@example.org")]
        email: String,
    }
    /// The token of the link in a letter.
    LinkBody {
        /// The part of the link after `token=`.
        #[schema(example = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M")]
        token: String,
    }
    ActivationBody {
        /// The part of the link after `token=`.
        #[schema(example = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M")]
        token: String,
        /// Needed if several sign-ups were made for the address.
        password: Option<String>,
    }
    NewPasswordBody {
        /// The part of the link after `token=`.
        #[schema(example = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M")]
        token: String,
        #[schema(example = "another horse, another battery")]
        password: String,
    }
    ProfileBody {
        #[schema(example = "Ada Lovelace")]
        name: Option<String>,
        /// A language tag (BCP 47).
        #[schema(example = "en")]
        locale: Option<String>,
    }
    PasswordChangeBody {
        #[schema(example = "correct horse battery")]
        current_password: String,
        #[schema(example = "another horse, another battery")]
        new_password: String,
    }
    EmailChangeBody {
        /// The new address.
        #[schema(example = "ada@example.net")]
        email: String,
        /// The current password.
        #[schema(example = "correct horse battery")]
        password: String,
    }
    PasswordBody {
        /// The current password.
        #[schema(example = "correct horse battery")]
        password: String,
    }

    /// RFC 6749 §4.3.2 and §6.
    TokenForm {
        #[schema(example = "password")]
        grant_type: GrantType,
        /// For the password grant: the address of the account.
        #[schema(nullable = false, example = "ada@example.org")]
        username: Option<String>,
        /// For the password grant.
        #[schema(nullable = false, example = "correct horse battery")]
        password: Option<String>,
        /// For the refresh grant.
        #[schema(nullable = false)]
        refresh_token: Option<String>,
        /// A smaller scope than the client may have: scope tokens, separated by spaces.
        #[schema(nullable = false)]
        scope: Option<String>,
        /// Needed if the client does not authenticate by HTTP Basic.
        #[schema(nullable = false, example = "web")]
        client_id: Option<String>,
        /// Of a confidential client that does not authenticate by HTTP Basic.
        #[schema(nullable = false)]
        client_secret: Option<String>,
    }
    /// RFC 7009 §2.1.
    RevocationForm {
        /// An access token or a refresh token.
        #[schema(example = "vrt_AZAAAAAAcAC…")]
        token: String,
        /// Not needed: a token shows its own type.
        #[schema(nullable = false)]
        token_type_hint: Option<String>,
        /// Needed if the client does not authenticate by HTTP Basic.
        #[schema(nullable = false, example = "web")]
        client_id: Option<String>,
        /// Of a confidential client that does not authenticate by HTTP Basic.
        #[schema(nullable = false)]
        client_secret: Option<String>,
    }
    /// RFC 7662 §2.1.
    IntrospectionForm {
        /// An access token or a refresh token.
        #[schema(example = "vat_AZAAAAAAcAC…")]
        token: String,
        /// Not needed: a token shows its own type.
        #[schema(nullable = false)]
        token_type_hint: Option<String>,
        /// Needed if the client does not authenticate by HTTP Basic.
        #[schema(nullable = false, example = "shop")]
        client_id: Option<String>,
        #[schema(nullable = false, example = "s3cret")]
        client_secret: Option<String>,
    }

    SignInForm {
        #[schema(example = "ada@example.org")]
        email: String,
        #[schema(example = "correct horse battery")]
        password: String,
        /// The form that was sent after its sign-in had ended. The page shows that form again.
        #[schema(nullable = false, example = "profile")]
        resume: Option<String>,
        /// The text that was typed into that form.
        #[schema(nullable = false, example = "ada@example.net")]
        typed_email: Option<String>,
        #[schema(nullable = false, example = "Ada Lovelace")]
        typed_name: Option<String>,
        #[schema(nullable = false, example = "en")]
        typed_locale: Option<String>,
    }
    SignUpForm {
        #[schema(example = "ada@example.org")]
        email: String,
        #[schema(example = "correct horse battery")]
        password: String,
        #[schema(nullable = false, example = "Ada Lovelace")]
        name: Option<String>,
    }
    AddressForm {
        #[schema(example = "ada@example.org")]
        email: String,
    }
    PageForm {
        /// The token from the form on the page. No other site can know it.
        form_token: String,
    }
    ProfileForm {
        /// The token from the form on the page.
        form_token: String,
        #[schema(nullable = false, example = "Ada Lovelace")]
        name: Option<String>,
        /// One of the languages on the page.
        #[schema(nullable = false, example = "en")]
        locale: Option<String>,
    }
    SessionForm {
        /// The token from the form on the page.
        form_token: String,
        /// The session to end.
        #[schema(example = "01890000-0000-7000-8000-000000000002")]
        id: String,
    }
    PasswordChangeForm {
        /// The token from the form on the page.
        form_token: String,
        current_password: String,
        new_password: String,
    }
    EmailChangeForm {
        /// The token from the form on the page.
        form_token: String,
        /// The new address.
        #[schema(example = "ada@example.net")]
        email: String,
        current_password: String,
    }
    DeletionForm {
        /// The token from the form on the page.
        form_token: String,
        current_password: String,
    }
}
