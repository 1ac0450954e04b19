//! Token revocation (RFC 7009).

use zeroize::Zeroizing;

use crate::accounts::EventDraft;
use crate::model::{AccessToken, Actor, ClientInfo, EventKind, RefreshToken};
use crate::oauth::{Credentials, OAuth, OAuthError};
use crate::storage::{Connection, SessionRecord, StoreError};

/// Revocation request, without `token_type_hint`: the token's form shows its kind.
#[derive(Debug)]
pub struct Revocation {
    /// Client credentials, if the request has any.
    pub client: Option<Credentials>,
    /// The token to revoke.
    pub token: Zeroizing<String>,
    /// Client information of the request.
    pub caller: ClientInfo,
}

impl OAuth {
    /// Revokes an access token; for a refresh token, ends the whole session. An unknown, expired or
    /// damaged token counts as revoked (RFC 7009 §2.2). A token of another client is refused.
    pub async fn revoke(&self, request: &Revocation) -> Result<(), OAuthError> {
        let client = self.authenticate(request.client.as_ref()).await?;
        if let Ok(token) = AccessToken::parse(&request.token) {
            let digest = token.secret.digest();
            let found = self.store.read(async |db| db.find_session(token.session).await).await?;
            let Some(session) = found.filter(|s| s.access_with(&digest).is_some()) else {
                return Ok(());
            };
            if session.client_id != client.id {
                return Err(OAuthError::ForeignToken);
            }
            self.store
                .write(async |tx| {
                    let revoked = tx.lock_account(session.account).await?
                        && tx.revoke_access(session.id, &digest).await?;
                    match revoked {
                        true => {
                            self.record_event(tx, EventKind::AccessTokenRevoked, &session, request)
                                .await
                        }
                        false => Ok(()),
                    }
                })
                .await?;
        } else if let Ok(token) = RefreshToken::parse(&request.token) {
            let tag = token.tag.digest();
            let found = self.store.read(async |db| db.find_session(token.session).await).await?;
            let Some(session) = found.filter(|session| session.tag_digest == tag) else {
                return Ok(());
            };
            if session.client_id != client.id {
                return Err(OAuthError::ForeignToken);
            }
            // a spent refresh token also ends the session: a client that signs out means the
            // session
            self.store
                .write(async |tx| {
                    let ended = tx.lock_account(session.account).await?
                        && tx.revoke_session(session.id).await?;
                    match ended {
                        true => self.record_event(tx, EventKind::SignOut, &session, request).await,
                        false => Ok(()),
                    }
                })
                .await?;
        }
        Ok(())
    }

    async fn record_event(
        &self,
        tx: &mut Connection,
        kind: EventKind,
        session: &SessionRecord,
        request: &Revocation,
    ) -> Result<(), StoreError> {
        let event = EventDraft::new(kind, Actor::Client)
            .to_account(session.account)
            .in_session(session.id)
            .through(Some(&session.client_id));
        self.accounts.events.record(tx, event, &request.caller).await
    }
}
