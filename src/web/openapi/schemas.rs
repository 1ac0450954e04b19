//! OpenAPI schemas of request bodies.
//!
//! Routes read bodies field by field, so that one response tells all that is wrong; nothing is ever made of these
//! types. A test sends what they say to every route.

use utoipa::ToSchema;

use crate::model::GrantType;

macro_rules! schemas {
    ($($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $field:ident: $type:ty,)+ })+) => {$(
        $(#[$about])*
        #[derive(Debug, ToSchema)]
        #[expect(dead_code, reason = "it describes what routes read field by field")]
        pub struct $name {
            $($(#[$what])* pub $field: $type,)+
        }
    )+};
}

schemas! {
    SignUpBody {
        #[schema(example = "ada@example.org")]
        email: String,
        /// At least as long as the service asks for; no rules of composition.
        #[schema(example = "correct horse battery")]
        password: String,
        #[schema(example = "Ada Lovelace")]
        name: Option<String>,
        /// The language of letters, as a tag of BCP 47.
        #[schema(example = "en")]
        locale: Option<String>,
    }
    EmailBody {
        #[schema(example = "ada@example.org")]
        email: String,
    }
    /// The link of a letter.
    LinkBody {
        /// What stands behind `token=` in the link.
        #[schema(example = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M")]
        token: String,
    }
    ActivationBody {
        /// What stands behind `token=` in the link.
        #[schema(example = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M")]
        token: String,
        /// Where one is needed: more than one sign-up was made for the address.
        password: Option<String>,
    }
    NewPasswordBody {
        /// What stands behind `token=` in the link.
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
        /// Of the password grant: the address of the account.
        #[schema(nullable = false, example = "ada@example.org")]
        username: Option<String>,
        /// Of the password grant.
        #[schema(nullable = false, example = "correct horse battery")]
        password: Option<String>,
        /// Of the refresh grant.
        #[schema(nullable = false)]
        refresh_token: Option<String>,
        /// Less than might be had, tokens with spaces between them.
        #[schema(nullable = false)]
        scope: Option<String>,
        /// Where the client does not show who it is by HTTP Basic.
        #[schema(nullable = false, example = "web")]
        client_id: Option<String>,
        /// The same, of a confidential client.
        #[schema(nullable = false)]
        client_secret: Option<String>,
    }
    /// RFC 7009 §2.1.
    RevocationForm {
        /// An access token or a refresh token.
        #[schema(example = "vrt_AZAAAAAAcAC…")]
        token: String,
        /// Not needed: tokens say themselves what they are.
        #[schema(nullable = false)]
        token_type_hint: Option<String>,
        /// Where the client does not show who it is by HTTP Basic.
        #[schema(nullable = false, example = "web")]
        client_id: Option<String>,
        /// The same, of a confidential client.
        #[schema(nullable = false)]
        client_secret: Option<String>,
    }
    /// RFC 7662 §2.1.
    IntrospectionForm {
        /// An access token or a refresh token.
        #[schema(example = "vat_AZAAAAAAcAC…")]
        token: String,
        /// Not needed: tokens say themselves what they are.
        #[schema(nullable = false)]
        token_type_hint: Option<String>,
        /// Where the client does not show who it is by HTTP Basic.
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
        /// The form that was sent when its sign-in had ended, as the page has it: it is shown again.
        #[schema(nullable = false, example = "profile")]
        resume: Option<String>,
        /// What was typed into that form.
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
        /// As the form on the page has it: nobody else can know it.
        form_token: String,
    }
    ProfileForm {
        /// As the form on the page has it.
        form_token: String,
        #[schema(nullable = false, example = "Ada Lovelace")]
        name: Option<String>,
        /// One of the languages on the page.
        #[schema(nullable = false, example = "en")]
        locale: Option<String>,
    }
    SessionForm {
        /// As the form on the page has it.
        form_token: String,
        /// The session to be ended.
        #[schema(example = "01890000-0000-7000-8000-000000000002")]
        id: String,
    }
    PasswordChangeForm {
        /// As the form on the page has it.
        form_token: String,
        current_password: String,
        new_password: String,
    }
    EmailChangeForm {
        /// As the form on the page has it.
        form_token: String,
        /// The new address.
        #[schema(example = "ada@example.net")]
        email: String,
        current_password: String,
    }
    DeletionForm {
        /// As the form on the page has it.
        form_token: String,
        current_password: String,
    }
}
