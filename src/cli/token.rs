//! `vestibule token …`: inspects a token.

use clap::{Args, Subcommand};
use figment::Figment;
use serde::Serialize;
use vestibule::clock::Timestamp;
use vestibule::model::{AccountId, ClientId, EmailAddress, Scope, SessionId};
use vestibule::oauth::{Inspection, OAuth, TokenKind};

use super::common::{self, as_text, or_dash};
use super::output::print_result;
use super::table::printable;
use super::{CommandError, input, on_database};

#[derive(Args)]
pub struct TokenArguments {
    #[command(subcommand)]
    command: TokenCommand,
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Inspect the token on the first line of standard input: its kind, its state, and why it is
    /// invalid
    Inspect,
}

/// Description of a token; `docs/operating/clients.md` documents its members.
#[derive(Serialize)]
struct ShownToken {
    kind: Option<&'static str>,
    /// Whether length, characters and checksum are valid.
    checksum: bool,
    live: bool,
    state: &'static str,
    #[serde(skip)]
    in_words: &'static str,
    session_id: Option<SessionId>,
    account: Option<ShownOwner>,
    client_id: Option<ClientId>,
    scope: Option<Scope>,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct ShownOwner {
    id: AccountId,
    #[serde(serialize_with = "as_text")]
    email: EmailAddress,
}

impl From<Inspection> for ShownToken {
    fn from(inspection: Inspection) -> Self {
        let kind = inspection.kind.map(|kind| match kind {
            TokenKind::Access => "access",
            TokenKind::Refresh => "refresh",
        });
        let mut shown = Self {
            kind,
            checksum: inspection.is_whole,
            live: inspection.state.is_live(),
            state: inspection.state.as_str(),
            in_words: inspection.state.in_words(),
            session_id: inspection.session,
            account: None,
            client_id: None,
            scope: None,
            issued_at: None,
            expires_at: None,
        };
        if let Some(owner) = inspection.owner {
            shown.account = Some(ShownOwner { id: owner.account, email: owner.email });
            shown.client_id = Some(owner.client_id);
            shown.scope = Some(owner.scope);
            shown.issued_at = owner.issued_at;
            shown.expires_at = owner.expires_at;
        }
        shown
    }
}

pub fn run(figment: Figment, arguments: TokenArguments) -> Result<(), CommandError> {
    let TokenArguments { command: TokenCommand::Inspect, json } = arguments;
    let token = input::first_line("the token")?;
    rocket::execute(async move {
        let work = async |oauth: &OAuth| {
            print_result(json, &ShownToken::from(oauth.inspect(token.trim()).await?), in_words)
        };
        on_database::run(common::open_oauth(&figment), work).await
    })
}

fn in_words(shown: &ShownToken) -> String {
    let kind = match shown.kind {
        Some("access") => "an access token",
        Some(_) => "a refresh token",
        None => "not a token of this service",
    };
    let checksum = if shown.checksum { "valid" } else { "invalid" };
    let account =
        shown.account.as_ref().map(|owner| format!("{} ({})", owner.id, owner.email.to_unicode()));
    let instant = |at: Option<Timestamp>| or_dash(at.map(Timestamp::rfc3339));
    [
        format!("kind      {kind}"),
        format!("checksum  {checksum}"),
        format!("state     {}", shown.in_words),
        format!("session   {}", or_dash(shown.session_id)),
        format!("account   {}", or_dash(account)),
        format!("client    {}", printable(&or_dash(shown.client_id.as_ref()))),
        format!("scope     {}", or_dash(shown.scope.as_ref())),
        format!("issued    {}", instant(shown.issued_at)),
        format!("expires   {}", instant(shown.expires_at)),
    ]
    .join("\n")
}
