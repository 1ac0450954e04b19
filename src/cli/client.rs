//! `vestibule client …`

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use vestibule::crypto::secret::Entropy;
use vestibule::model::Digest;

use super::{CommandError, say};

#[derive(Subcommand)]
pub enum ClientCommand {
    /// Make a client secret with 256 random bits, and print it with the digest for the settings
    Secret,
}

pub fn run(command: &ClientCommand) -> Result<(), CommandError> {
    match command {
        ClientCommand::Secret => {
            // base64url has unreserved characters only, since not every library encodes (§2.3.1)
            let secret = URL_SAFE_NO_PAD.encode(Entropy.bytes::<32>());
            let digest = hex::encode(Digest::of(secret.as_bytes()).as_bytes());
            say(&format!(
                "# for the client; it is not kept anywhere and not shown again\n\
                 secret        = \"{secret}\"\n\
                 # for [<profile>.vestibule.clients.<id>]\n\
                 secret_sha256 = \"{digest}\""
            ));
            Ok(())
        }
    }
}
