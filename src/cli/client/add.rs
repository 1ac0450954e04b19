//! `vestibule client add`: registers a client.

use serde::Serialize;
use vestibule::config::{ClientSettings, Introspects, Lifetime};
use vestibule::model::{ClientId, Digest};
use vestibule::oauth::{OAuth, new_client_secret};

use super::shown::{SHOWN_ONCE, ShownClient, not_stored, refused};
use crate::cli::CommandError;
use crate::cli::output::{print_result, show_once};
use crate::cli::table::printable;

#[derive(clap::Args)]
pub struct AddArguments {
    /// The id, by which the client names itself
    id: ClientId,
    /// A public client, which cannot keep a secret and gets none
    #[arg(long)]
    public: bool,
    /// Grants, separated by spaces: password, refresh_token. Empty ("") for a resource server,
    /// which signs no users in
    #[arg(long, value_name = "GRANTS", default_value = "password refresh_token")]
    grants: Vec<String>,
    /// All scopes that its tokens may have, separated by spaces
    #[arg(long, value_name = "SCOPES", required_unless_present = "introspects")]
    scopes: Vec<String>,
    /// The tokens that the client may introspect: its own, or all
    #[arg(long, value_name = "WHOSE", default_value = "own")]
    introspects: Introspects,
    /// Origin of pages whose scripts may call (CORS), such as https://app.example.org; may be
    /// repeated
    #[arg(long, value_name = "ORIGIN")]
    allowed_origin: Vec<String>,
    /// Lifetime of its access tokens, instead of the lifetime in the settings
    #[arg(long, value_name = "TIME")]
    access_ttl: Option<Lifetime>,
    /// Lifetime of its sessions without a refresh
    #[arg(long, value_name = "TIME")]
    refresh_idle_ttl: Option<Lifetime>,
    /// Lifetime of its sessions in total
    #[arg(long, value_name = "TIME")]
    session_ttl: Option<Lifetime>,
    /// The digest of an existing secret of the client, instead of a new secret
    #[arg(long, value_name = "HEX")]
    secret_sha256: Option<String>,
}

#[derive(Serialize)]
struct Added {
    client: ShownClient,
    /// The new secret of a confidential client; `None` if the operator gave a digest.
    secret: Option<String>,
}

fn split_words(lists: &[String]) -> Vec<String> {
    lists.iter().flat_map(|list| list.split_whitespace()).map(str::to_owned).collect()
}

pub async fn run(oauth: &OAuth, wanted: AddArguments, json: bool) -> Result<(), CommandError> {
    let needs_secret = !wanted.public && wanted.secret_sha256.is_none();
    let secret = needs_secret.then(|| new_client_secret(oauth.entropy).to_string());
    let digest =
        secret.as_ref().map(|secret| hex::encode(Digest::of(secret.as_bytes()).as_bytes()));
    let described = ClientSettings {
        public: wanted.public,
        secret_sha256: wanted.secret_sha256.or(digest),
        grants: split_words(&wanted.grants),
        scopes: split_words(&wanted.scopes),
        introspects: wanted.introspects,
        allowed_origins: split_words(&wanted.allowed_origin),
        access_ttl: wanted.access_ttl,
        refresh_idle_ttl: wanted.refresh_idle_ttl,
        session_ttl: wanted.session_ttl,
    };
    let prepared = oauth.prepare_client(wanted.id.as_str(), &described).await;
    let prepared = prepared.map_err(|error| refused(oauth, &wanted.id, error))?;
    let added = Added { client: prepared.registered().into(), secret };
    let split_words = |added: &Added| {
        let id = printable(added.client.id.as_str());
        match &added.secret {
            Some(secret) => format!("{id} is registered.\n{SHOWN_ONCE}\nsecret = \"{secret}\""),
            None => format!("{id} is registered."),
        }
    };
    let is_secret = added.secret.is_some();
    // shown before it is stored: a secret that is not shown now is lost
    if is_secret {
        show_once(json, &added, split_words)?;
    }
    let done = oauth.add_client(&prepared).await;
    if is_secret {
        return done.map_err(|error| not_stored(oauth, &wanted.id, error));
    }
    done.map_err(|error| refused(oauth, &wanted.id, error))?;
    print_result(json, &added, split_words)
}
