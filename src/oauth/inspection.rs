//! Inspection of a token for the operator: its kind, its session, and the reason why it is invalid.
//! Free of effects: an inspection does not count as a use of the token.

use crate::clock::Timestamp;
use crate::model::{
    AccessToken, AccountId, ClientId, EmailAddress, RefreshToken, Scope, SessionId,
    is_like_access_token, is_like_refresh_token,
};
use crate::oauth::sessions::RefreshTokenStatus;
use crate::oauth::{OAuth, TokenKind};
use crate::storage::{SessionRecord, StoreError};

/// Whether a token is valid, and if not, the reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenState {
    /// The token is valid.
    Live,
    /// A spent refresh token, to which the service still repeats its successor.
    Predecessor,
    /// Neither a whole access token nor a whole refresh token.
    Damaged,
    /// No session with the token's id: signed out, ended for theft, expired and purged, or never
    /// created.
    SessionUnknown,
    /// The checksum is right and the session exists, but the session never had such a token.
    Forged,
    /// The account is disabled.
    AccountDisabled,
    /// Ended by a new password, or by signing out everywhere.
    SessionEnded,
    /// The client is disabled.
    ClientDisabled,
    /// The client is not registered.
    ClientUnknown,
    /// The session has reached its absolute end.
    SessionOver,
    /// The session was not refreshed for too long.
    SessionIdle,
    /// An access token that was revoked, or is not one of the session's latest two.
    RevokedOrReplaced,
    /// The access token has expired.
    Expired,
    /// A refresh token that was spent a moment ago: it is refused.
    LateRetry,
    /// A refresh token that was spent long ago: its use ends the session.
    Stolen,
}

impl TokenState {
    /// Whether the service still accepts or answers the token.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::Predecessor)
    }

    /// Name for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Predecessor => "predecessor",
            Self::Damaged => "damaged",
            Self::SessionUnknown => "session-unknown",
            Self::Forged => "forged",
            Self::AccountDisabled => "account-disabled",
            Self::SessionEnded => "session-ended",
            Self::ClientDisabled => "client-disabled",
            Self::ClientUnknown => "client-unknown",
            Self::SessionOver => "session-over",
            Self::SessionIdle => "session-idle",
            Self::RevokedOrReplaced => "revoked-or-replaced",
            Self::Expired => "expired",
            Self::LateRetry => "straggler",
            Self::Stolen => "stolen",
        }
    }

    /// Description for people.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Predecessor => {
                "spent, but within the grace time: another use gets the same successor"
            }
            Self::Damaged => "invalid: damaged, or not issued by this service",
            Self::SessionUnknown => "invalid: its session has ended, or never existed",
            Self::Forged => "invalid: its session never had this token",
            Self::AccountDisabled => "invalid: the account is disabled",
            Self::SessionEnded => {
                "invalid: its session was ended by a new password or by signing out everywhere"
            }
            Self::ClientDisabled => "invalid: the client is disabled",
            Self::ClientUnknown => "invalid: the client is not registered",
            Self::SessionOver => "invalid: its session has reached its maximum lifetime",
            Self::SessionIdle => "invalid: its session was not refreshed for too long",
            Self::RevokedOrReplaced => "invalid: revoked, or replaced by two newer tokens",
            Self::Expired => "invalid: expired",
            Self::LateRetry => {
                "invalid: spent a moment ago; another use is refused, and the session stays"
            }
            Self::Stolen => "invalid: spent; another use ends the session",
        }
    }
}

/// Result of an inspection. Never holds the token.
#[derive(Debug)]
pub struct Inspection {
    /// Kind, by the first characters.
    pub kind: Option<TokenKind>,
    /// Whether the length, the characters and the checksum are right.
    pub is_whole: bool,
    /// Session that a whole token names.
    pub session: Option<SessionId>,
    /// Whether the token is valid, and if not, the reason.
    pub state: TokenState,
    /// The session, if it exists and the token may belong to it.
    pub owner: Option<InspectedSession>,
}

/// Session of an inspected token.
#[derive(Debug)]
pub struct InspectedSession {
    /// Id of the account.
    pub account: AccountId,
    /// Address of the account.
    pub email: EmailAddress,
    /// Client of the session.
    pub client_id: ClientId,
    /// Scope of the token where it is known; otherwise of the session.
    pub scope: Scope,
    /// Time of issue, if it is known.
    pub issued_at: Option<Timestamp>,
    /// Time of expiry, if it is known.
    pub expires_at: Option<Timestamp>,
}

impl OAuth {
    /// Inspects a text that may be a token.
    pub async fn inspect(&self, text: &str) -> Result<Inspection, StoreError> {
        let kind = if is_like_access_token(text) {
            Some(TokenKind::Access)
        } else {
            is_like_refresh_token(text).then_some(TokenKind::Refresh)
        };
        let (access, refresh) = (AccessToken::parse(text).ok(), RefreshToken::parse(text).ok());
        let session = access.as_ref().map(|token| token.session);
        let session = session.or(refresh.as_ref().map(|token| token.session));
        let Some(id) = session else {
            let state = TokenState::Damaged;
            return Ok(Inspection { kind, is_whole: false, session, state, owner: None });
        };
        let found = self.store.read(async |db| db.find_session(id).await).await?;
        let (state, owner) = match (found, access, refresh) {
            (Some(record), Some(token), _) => {
                let (state, owner) = self.inspect_access(&record, &token);
                (state, Some(owner))
            }
            (Some(record), None, Some(token)) => self.inspect_refresh(&record, &token),
            _ => (TokenState::SessionUnknown, None),
        };
        Ok(Inspection { kind, is_whole: true, session, state, owner })
    }

    fn inspect_access(
        &self,
        record: &SessionRecord,
        token: &AccessToken,
    ) -> (TokenState, InspectedSession) {
        let slot = record.access_with(&token.secret.digest());
        let state = match (self.end_of(record), slot) {
            (Some(end), _) => end,
            (None, None) => TokenState::RevokedOrReplaced,
            (None, Some(slot)) if slot.expires_at <= record.proven(self.clock.now()) => {
                TokenState::Expired
            }
            (None, Some(_)) => TokenState::Live,
        };
        let owner = InspectedSession {
            scope: slot.map_or_else(|| record.scope.clone(), |slot| slot.scope.clone()),
            issued_at: slot.and_then(|slot| slot.issued_at),
            expires_at: slot.map(|slot| slot.expires_at),
            ..owner_of(record)
        };
        (state, owner)
    }

    fn inspect_refresh(
        &self,
        record: &SessionRecord,
        token: &RefreshToken,
    ) -> (TokenState, Option<InspectedSession>) {
        if record.tag_digest != token.tag.digest() {
            return (TokenState::Forged, None);
        }
        let standing = self.refresh_token_status(&token.secret.digest(), record);
        let is_present = standing == RefreshTokenStatus::Live;
        let state = self.end_of(record).unwrap_or(match standing {
            RefreshTokenStatus::Live => TokenState::Live,
            RefreshTokenStatus::Predecessor => TokenState::Predecessor,
            RefreshTokenStatus::LateRetry => TokenState::LateRetry,
            RefreshTokenStatus::Stolen => TokenState::Stolen,
        });
        let owner = InspectedSession {
            issued_at: is_present.then_some(record.rotated_at),
            expires_at: is_present.then(|| record.idle_expires_at.min(record.expires_at)),
            ..owner_of(record)
        };
        (state, Some(owner))
    }

    /// Reason why all tokens of the session are invalid.
    fn end_of(&self, record: &SessionRecord) -> Option<TokenState> {
        let now = self.clock.now();
        if record.account_disabled {
            Some(TokenState::AccountDisabled)
        } else if !record.account_stands {
            Some(TokenState::SessionEnded)
        } else if !self.client_registry.is_registered(&record.client_id, record.client_enabled) {
            Some(match record.client_enabled {
                Some(_) => TokenState::ClientDisabled,
                None => TokenState::ClientUnknown,
            })
        } else if now >= record.expires_at {
            Some(TokenState::SessionOver)
        } else if now >= record.idle_expires_at {
            Some(TokenState::SessionIdle)
        } else {
            None
        }
    }
}

fn owner_of(record: &SessionRecord) -> InspectedSession {
    InspectedSession {
        account: record.account,
        email: record.email.clone(),
        client_id: record.client_id.clone(),
        scope: record.scope.clone(),
        issued_at: None,
        expires_at: None,
    }
}
