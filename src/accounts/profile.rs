//! Profile: the name and the language that owners set themselves.

use crate::accounts::{Accounts, EventDraft};
use crate::model::{Account, AccountId, Actor, ClientInfo, EventKind, Locale, Name};
use crate::storage::StoreError;

/// Change of the profile: `None` leaves a field unchanged, `Some(None)` clears it.
#[derive(Debug, Default)]
pub struct ProfileChange {
    /// New name.
    pub name: Option<Option<Name>>,
    /// New language.
    pub locale: Option<Option<Locale>>,
}

/// Reason why a profile was not changed or not found.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The account was deleted while its owner was still signed in.
    #[error("the account was deleted")]
    Gone,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Reads the account of a signed-in owner.
    pub async fn profile(&self, id: AccountId) -> Result<Account, ProfileError> {
        let found = self.store.read(async |db| db.find_account(id).await).await?;
        found.map(|record| record.account).ok_or(ProfileError::Gone)
    }

    /// Changes the profile, and returns the account afterwards.
    pub async fn change_profile(
        &self,
        id: AccountId,
        change: ProfileChange,
        caller: &ClientInfo,
    ) -> Result<Account, ProfileError> {
        self.store
            .write(async |tx| {
                let name = change.name.as_ref().map(Option::as_ref);
                let locale = change.locale.as_ref().map(Option::as_ref);
                if tx.update_profile(id, name, locale).await? {
                    let changed = EventDraft::new(EventKind::ProfileChanged, Actor::Owner);
                    self.events.record(tx, changed.to_account(id), caller).await?;
                }
                let found = tx.find_account(id).await?;
                found.map(|record| record.account).ok_or(ProfileError::Gone)
            })
            .await
    }
}
