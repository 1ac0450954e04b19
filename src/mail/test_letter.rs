//! Test letter: checks the mail settings by sending a letter.

use crate::clock::Clock;
use crate::crypto::entropy::Entropy;
use crate::mail::{
    DeliveryFailure, Diagnosis, Envelope, Letter, RenderError, Renderer, SentLetter, Transport,
};
use crate::model::{EmailAddress, Locale};
use crate::storage::LetterId;

/// Sends a letter at once, without the outbox, otherwise as the service would send it.
#[derive(Debug)]
pub struct TestLetter {
    pub clock: Clock,
    pub entropy: Entropy,
    pub renderer: Renderer,
    pub transport: Transport,
}

/// Why the letter did not leave.
#[derive(Debug, thiserror::Error)]
pub enum TestLetterError {
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error(transparent)]
    Send(#[from] DeliveryFailure),
}

impl TestLetter {
    /// Sends the letter; returns its id.
    pub async fn send(
        &self,
        to: &EmailAddress,
        locale: Option<&Locale>,
    ) -> Result<LetterId, TestLetterError> {
        let now = self.clock.now();
        let id = LetterId::new(self.entropy.uuid_v7(now));
        let letter = Letter::Trial { at: now.unix_millis() };
        let rendered = self.renderer.render(&letter, Envelope { id, to, locale, now })?;
        let sent = SentLetter::new(id, now, &self.renderer, to, &letter, &rendered);
        self.transport.send(&sent, rendered, None).await?;
        Ok(id)
    }

    /// Diagnoses a failure, as far as possible. Connects to the mail server once more.
    pub async fn diagnose(&self, failure: &DeliveryFailure) -> Option<Diagnosis> {
        match &self.transport {
            Transport::Smtp(smtp) => smtp.diagnose(failure, &self.renderer.sender_address()).await,
            Transport::File(_) | Transport::Log | Transport::Memory(_) => None,
        }
    }
}
