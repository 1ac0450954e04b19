//! `vestibule client …`: the operator's actions on OAuth clients.

mod add;
mod shown;

use clap::{Args, Subcommand};
use figment::Figment;
use serde::Serialize;
use vestibule::clock::Timestamp;
use vestibule::config::Lifetime;
use vestibule::crypto::entropy::Entropy;
use vestibule::model::{ClientId, Digest};
use vestibule::oauth::{OAuth, new_client_secret};

use super::CommandError;
use super::common;
use super::listing::Listing;
use super::on_database;
use super::output::{print_result, show_once};
use super::table::printable;
use shown::{SHOWN_ONCE, ShownClient, not_stored, refused};

#[derive(Args)]
pub struct ClientArguments {
    #[command(subcommand)]
    command: ClientCommand,
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum ClientCommand {
    /// Generate a client secret of 256 random bits, and print it with its digest for the settings
    Secret,
    /// Register a client; a confidential client gets a new secret, which is shown once
    Add(add::AddArguments),
    /// List the clients in the settings and in the database
    List,
    /// Show a client and the number of its sessions
    Show(Which),
    /// Replace a client's secret; the new secret is shown once, the old secret works for a while
    RotateSecret {
        #[command(flatten)]
        which: Which,
        /// Time for which the old secret still works; 0s ends it at once
        #[arg(long, value_name = "TIME", default_value = "24h")]
        keep_old: Lifetime,
    },
    /// Disable a client: refuse it new tokens, and invalidate its present tokens for good
    Disable(Which),
    /// Enable a client again; earlier tokens stay invalid
    Enable(Which),
    /// Remove a client and end its sessions
    Remove {
        #[command(flatten)]
        which: Which,
        /// Confirm; without this option, the command only reports what it would remove
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args)]
struct Which {
    /// The id of a client
    #[arg(value_name = "ID")]
    id: ClientId,
}

#[derive(Serialize)]
struct OneClient {
    client: ShownClient,
    /// Number of sessions, expired ones that are not yet removed included.
    sessions: i64,
}

#[derive(Serialize)]
struct Rotated {
    client: ShownClient,
    secret: String,
    old_secret_until: Timestamp,
}

#[derive(Serialize)]
struct ClientChange {
    client: ShownClient,
    /// `false` if the client was in that state already.
    changed: bool,
}

#[derive(Serialize)]
struct Removed {
    /// The client before its removal.
    client: ShownClient,
    removed: bool,
    /// Number of sessions that ended with the client.
    ended: u64,
}

pub fn run(figment: Figment, arguments: ClientArguments) -> Result<(), CommandError> {
    let ClientArguments { command, json } = arguments;
    if matches!(command, ClientCommand::Secret) {
        return secret(json);
    }
    rocket::execute(async move {
        let work = async |oauth: &OAuth| match command {
            ClientCommand::Secret => Ok(()),
            ClientCommand::Add(wanted) => add::run(oauth, wanted, json).await,
            ClientCommand::List => list(oauth, json).await,
            ClientCommand::Show(which) => show(oauth, &which, json).await,
            ClientCommand::RotateSecret { which, keep_old } => {
                rotate(oauth, &which, keep_old, json).await
            }
            ClientCommand::Disable(which) => disable(oauth, &which, json).await,
            ClientCommand::Enable(which) => enable(oauth, &which, json).await,
            ClientCommand::Remove { which, yes } => remove(oauth, &which, yes, json).await,
        };
        on_database::run(common::open_oauth(&figment), work).await
    })
}

#[derive(Serialize)]
struct NewSecret {
    secret: String,
    secret_sha256: String,
}

fn secret(json: bool) -> Result<(), CommandError> {
    let secret = new_client_secret(Entropy).to_string();
    let secret_sha256 = hex::encode(Digest::of(secret.as_bytes()).as_bytes());
    show_once(json, &NewSecret { secret, secret_sha256 }, |made| {
        format!(
            "{SHOWN_ONCE}\n\
             secret        = \"{}\"\n\
             # for [<profile>.vestibule.clients.<id>]\n\
             secret_sha256 = \"{}\"",
            made.secret, made.secret_sha256
        )
    })
}

async fn find(oauth: &OAuth, which: &Which) -> Result<OneClient, CommandError> {
    let found = oauth.find_registered_client(&which.id).await;
    let (client, sessions) = found.map_err(|error| refused(oauth, &which.id, error))?;
    Ok(OneClient { client: client.into(), sessions })
}

async fn list(oauth: &OAuth, json: bool) -> Result<(), CommandError> {
    let mut clients = oauth.list_clients();
    let mut listing = Listing::of::<ShownClient>(json);
    while let Some(page) = clients.next_page().await? {
        let page: Vec<_> = page.into_iter().map(ShownClient::from).collect();
        if !listing.print(&page)? {
            break;
        }
    }
    listing.end()
}

async fn show(oauth: &OAuth, which: &Which, json: bool) -> Result<(), CommandError> {
    print_result(json, &find(oauth, which).await?, |found| {
        format!("{}\nsessions    {}", found.client.in_words(), found.sessions)
    })
}

async fn rotate(
    oauth: &OAuth,
    which: &Which,
    keep_old: Lifetime,
    json: bool,
) -> Result<(), CommandError> {
    let secret = new_client_secret(oauth.entropy);
    let digest = Digest::of(secret.as_bytes());
    let prepared = oauth.prepare_rotation(&which.id, digest, keep_old.duration()).await;
    let prepared = prepared.map_err(|error| refused(oauth, &which.id, error))?;
    let rotated = Rotated {
        client: prepared.client.clone().into(),
        secret: secret.to_string(),
        old_secret_until: prepared.old_secret_until,
    };
    // shown before it is stored: a secret that is not shown now is lost
    show_once(json, &rotated, |rotated| {
        format!(
            "{} has a new secret; the old one works until {}.\n{SHOWN_ONCE}\nsecret = \"{}\"",
            printable(rotated.client.id.as_str()),
            rotated.old_secret_until.rfc3339(),
            rotated.secret,
        )
    })?;
    let done = oauth.rotate_client_secret(&prepared).await;
    done.map_err(|error| not_stored(oauth, &which.id, error))
}

async fn disable(oauth: &OAuth, which: &Which, json: bool) -> Result<(), CommandError> {
    let disabled = oauth.disable_client(&which.id).await;
    let changed = disabled.map_err(|error| refused(oauth, &which.id, error))?;
    let OneClient { client, .. } = find(oauth, which).await?;
    print_result(json, &ClientChange { client, changed }, |change| {
        let id = printable(change.client.id.as_str());
        match change.changed {
            true => format!("{id} is disabled, and its tokens are invalid."),
            false => format!("{id} was disabled already."),
        }
    })
}

async fn enable(oauth: &OAuth, which: &Which, json: bool) -> Result<(), CommandError> {
    let enabled = oauth.enable_client(&which.id).await;
    let changed = enabled.map_err(|error| refused(oauth, &which.id, error))?;
    let OneClient { client, .. } = find(oauth, which).await?;
    print_result(json, &ClientChange { client, changed }, |change| {
        let id = printable(change.client.id.as_str());
        match change.changed {
            true => format!("{id} is enabled: people can sign in through it."),
            false => format!("{id} was enabled already."),
        }
    })
}

async fn remove(oauth: &OAuth, which: &Which, yes: bool, json: bool) -> Result<(), CommandError> {
    if !yes {
        let OneClient { client, sessions } = find(oauth, which).await?;
        return Err(CommandError::Failed(format!(
            "nothing was removed. With --yes, this command removes from {} the client {}, and \
             ends its sessions ({sessions})",
            oauth.store.engine(),
            printable(client.id.as_str()),
        )));
    }
    let removed = oauth.remove_client(&which.id).await;
    let removed = removed.map_err(|error| refused(oauth, &which.id, error))?;
    let removed = Removed { client: removed.client.into(), removed: true, ended: removed.ended };
    print_result(json, &removed, |removed| {
        let id = printable(removed.client.id.as_str());
        format!("{id} is removed; {} sessions ended.", removed.ended)
    })
}
