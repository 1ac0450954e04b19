//! Output about clients for the operator: clients, secrets, and errors.

use serde::Serialize;
use vestibule::clock::Timestamp;
use vestibule::config::{Introspects, Lifetime};
use vestibule::model::{ClientAuthentication, ClientId, GrantType, Scope};
use vestibule::oauth::{ClientError, OAuth, RegisteredClient, RegisteredIn};

use crate::cli::CommandError;
use crate::cli::common::or_dash;
use crate::cli::error::failed;
use crate::cli::listing::Listed;
use crate::cli::table::printable;

/// The line before a secret that is printed.
pub const SHOWN_ONCE: &str = "# the client's secret; it is not stored and not shown again";

/// A client for the operator, without secrets; `docs/operating/clients.md` documents its members.
#[derive(Serialize)]
pub struct ShownClient {
    pub id: ClientId,
    /// `settings` or `database`.
    origin: &'static str,
    state: &'static str,
    public: bool,
    grants: Vec<GrantType>,
    scope: Scope,
    introspects: Introspects,
    allowed_origins: Vec<String>,
    access_ttl: Option<Lifetime>,
    refresh_idle_ttl: Option<Lifetime>,
    session_ttl: Option<Lifetime>,
    created_at: Option<Timestamp>,
    disabled_at: Option<Timestamp>,
    /// Time until which the previous secret works or worked.
    old_secret_until: Option<Timestamp>,
}

impl From<RegisteredClient> for ShownClient {
    fn from(registered: RegisteredClient) -> Self {
        let RegisteredClient { client, registered_in } = registered;
        let (origin, state, created_at, disabled_at) = match registered_in {
            RegisteredIn::Settings => ("settings", "enabled", None, None),
            RegisteredIn::Database { created_at, disabled_at, is_shadowed } => {
                let state = match disabled_at {
                    _ if is_shadowed => "shadowed",
                    Some(_) => "disabled",
                    None => "enabled",
                };
                ("database", state, Some(created_at), disabled_at)
            }
        };
        let old_secret_until = match &client.authentication {
            ClientAuthentication::Confidential { previous: Some(previous), .. } => {
                Some(previous.until)
            }
            _ => None,
        };
        Self {
            public: client.is_public(),
            grants: client.grants.iter().copied().collect(),
            scope: client.scope,
            introspects: client.introspects,
            allowed_origins: client.allowed_origins.iter().map(str::to_owned).collect(),
            access_ttl: client.lifetimes.access.map(Lifetime::from),
            refresh_idle_ttl: client.lifetimes.idle.map(Lifetime::from),
            session_ttl: client.lifetimes.session.map(Lifetime::from),
            id: client.id,
            origin,
            state,
            created_at,
            disabled_at,
            old_secret_until,
        }
    }
}

impl Listed<6> for ShownClient {
    const HEAD: [&'static str; 6] = ["ID", "STATE", "FROM", "KIND", "GRANTS", "SCOPES"];
    const MEMBER: &'static str = "clients";
    const NAME: &'static str = "clients";

    fn row(&self) -> [String; 6] {
        [
            self.id.to_string(),
            self.state.to_owned(),
            self.origin.to_owned(),
            self.kind().to_owned(),
            self.grants(),
            self.scope.to_string(),
        ]
    }
}

impl ShownClient {
    fn kind(&self) -> &'static str {
        if self.public { "public" } else { "confidential" }
    }

    fn grants(&self) -> String {
        self.grants.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(" ")
    }

    pub fn in_words(&self) -> String {
        let state = match (self.state, self.disabled_at) {
            ("disabled", Some(since)) => format!("disabled since {}", since.rfc3339()),
            ("shadowed", _) => "without effect: the settings have a client with this id".to_owned(),
            (state, _) => state.to_owned(),
        };
        let kind = match self.old_secret_until {
            Some(until) => format!("{} (old secret until {})", self.kind(), until.rfc3339()),
            None => self.kind().to_owned(),
        };
        let introspects = match self.introspects {
            Introspects::Own => "its own tokens",
            Introspects::All => "all tokens",
        };
        let ttl =
            |ttl: Option<Lifetime>| ttl.map_or("as in the settings".into(), |t| t.to_string());
        let origins = Some(self.allowed_origins.join(" ")).filter(|origins| !origins.is_empty());
        [
            format!("id          {}", printable(self.id.as_str())),
            format!("from        {}", self.origin),
            format!("state       {state}"),
            format!("kind        {kind}"),
            format!("grants      {}", self.grants()),
            format!("scopes      {}", self.scope),
            format!("introspects {introspects}"),
            format!("origins     {}", or_dash(origins)),
            format!("access      {}", ttl(self.access_ttl)),
            format!("idle        {}", ttl(self.refresh_idle_ttl)),
            format!("session     {}", ttl(self.session_ttl)),
            format!("created     {}", or_dash(self.created_at.map(Timestamp::rfc3339))),
        ]
        .join("\n")
    }
}

/// Why the action was refused, with the client's name.
pub fn refused(oauth: &OAuth, id: &ClientId, error: ClientError) -> CommandError {
    let id = printable(id.as_str());
    CommandError::Failed(match error {
        ClientError::Unknown => format!("there is no client {id} in {}", oauth.store.engine()),
        ClientError::Taken => format!("there is a client {id} already"),
        ClientError::InSettings | ClientError::Public => format!("{id}: {error}"),
        ClientError::Registration { .. } => format!("{id} cannot be registered: {error}"),
        ClientError::Store(error) => return failed(&error),
    })
}

/// The error after a secret was shown and could not be stored, or the database did not confirm it.
pub fn not_stored(oauth: &OAuth, id: &ClientId, error: ClientError) -> CommandError {
    let may_be_done = matches!(&error, ClientError::Store(error) if error.may_be_done());
    let error = refused(oauth, id, error);
    let id = printable(id.as_str());
    CommandError::Failed(match may_be_done {
        true => format!(
            "{error}; the database did not confirm the change, so the secret may be valid: look \
             with `vestibule client show {id}`, then try the secret or rotate it again"
        ),
        false => format!("{error}; nothing has changed, and the secret is not valid"),
    })
}
