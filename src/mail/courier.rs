//! Courier: the background worker that delivers the letters in the outbox.
//!
//! - A letter's own failure, such as a refused recipient, counts as a try. The pauses grow, and
//!   after `MAX_TRIES` the letter is dead and stays visible. No other letter waits for it.
//! - A mail server that is down counts for no letter. The courier pauses as a whole, probes with
//!   one letter at a time, and then continues.
//!
//! The [`CircuitBreaker`] tells the two apart.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::clock::Clock;
use crate::crypto::entropy::Entropy;
use crate::mail::composer::{Composer, Composition};
use crate::mail::in_flight::{Capacity, InFlight, MAX_DELIVERIES};
use crate::mail::refusals::RefusalOutcome;
use crate::mail::{
    CircuitBreaker, DeliveryFailure, Envelope, FailureClass, Letter, LetterRequest, Mailbox,
    Outbox, RenderError, Renderer, SentLetter, Transport,
};
use crate::metrics::LetterMetrics;
use crate::model::{LetterCap, LetterKind};
use crate::storage::{ClaimLimit, ClaimedLetter, DomainTurn, LetterId, Store, StoreError, chain};

/// A lease lasts for the mail server's timeout plus this margin for the rest of a delivery. A
/// delivery therefore ends before its lease does. The margin is short, so that another courier soon
/// takes over the letters of a courier that was killed.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// Number of failures of its own after which a letter is given up, after about two days.
const MAX_TRIES: u32 = 17;
/// Pause between two polls of the outbox. Polling finds letters that other nodes posted.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Number of retries to record that the server took a letter.
const MAX_MARK_RETRIES: usize = 8;
/// Longest pause between two tries of a letter.
const MAX_BACKOFF: Duration = Duration::from_secs(12 * 3_600);

/// Delivers letters. Each node has one courier; any number may share a database.
#[derive(Debug)]
pub struct Courier {
    pub store: Store,
    pub clock: Clock,
    pub entropy: Entropy,
    pub outbox: Outbox,
    pub renderer: Renderer,
    pub transport: Transport,
    /// Longest time for the transport to deliver one letter.
    pub timeout: Duration,
    pub composer: Composer,
    /// In development: the mailbox that shows letters as their recipients see them. Links are also
    /// logged.
    pub development: Option<Mailbox>,
    pub breaker: CircuitBreaker,
    /// Cursors of the walks over domains while slow ones are left out.
    pub turn: DomainTurn,
    pub metrics: LetterMetrics,
}

/// Result of one round of the courier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Number of letters that left.
    pub sent: usize,
    /// Number of claimed letters that were not sent: dropped, postponed or given up.
    pub kept: usize,
}

#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error("the letter request is unknown to this version: {0}")]
    Facts(#[from] serde_json::Error),
}

impl Courier {
    /// Delivers letters until `stop`, and then waits for the deliveries in flight. A slow delivery
    /// delays no other letter.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut in_flight = InFlight::default();
        if let Err(error) = self.remember_refusals().await {
            tracing::warn!(error = chain(&error), "the outbox could not be read");
        }
        loop {
            let most = self.breaker.connection_limit(self.clock.now(), MAX_DELIVERIES);
            match self.claim(in_flight.blocking_a_probe(), in_flight.capacity(most)).await {
                Ok(letters) => {
                    let is_probe = self.breaker.is_open();
                    for letter in letters {
                        let courier = Arc::clone(&self);
                        let delivered = letter.clone();
                        let patience = in_flight.patience(&letter, most, is_probe);
                        in_flight.start(&letter, (patience, is_probe), async move {
                            courier.try_to_deliver(&delivered, patience).await
                        });
                    }
                }
                Err(error) => tracing::warn!(error = chain(&error), "the outbox could not be read"),
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(()) = in_flight.ended() => {}
                () = self.outbox.woken() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
        while in_flight.ended().await.is_some() {}
    }

    /// Delivers the letters that are due, once.
    pub async fn deliver_due(&self) -> Result<Delivered, StoreError> {
        let letters = self.claim(0, InFlight::default().capacity(MAX_DELIVERIES)).await?;
        let deliveries = letters.iter().map(|letter| self.try_to_deliver(letter, None));
        let outcomes = join_all(deliveries).await;
        let sent = outcomes.iter().filter(|&&left| left).count();
        Ok(Delivered { sent, kept: outcomes.len() - sent })
    }

    /// Loads the letters that were refused before this courier started, because the server may have
    /// recovered since. Letters held by a restored backup are dated now.
    pub async fn remember_refusals(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store.write(async |tx| tx.date_held_letters(now).await).await?;
        let refused = self.store.read(async |db| db.find_refused_letters().await).await?;
        self.breaker.remember(&refused, now);
        Ok(())
    }

    /// Leases letters that are due or that probe before they are due, as many as `capacity` allows.
    /// Letters to slow domains come last. During an outage it leases one letter: a letter that was
    /// never refused if there is one, and never one to a slow domain.
    async fn claim(
        &self,
        on_their_way: usize,
        capacity: Capacity,
    ) -> Result<Vec<ClaimedLetter>, StoreError> {
        let now = self.clock.now();
        let outage = self.breaker.may_probe(now, on_their_way);
        if outage == Some(false) {
            return Ok(Vec::new());
        }
        let probes = match outage {
            None => self.breaker.probes(now, capacity.remaining(&[]).refused),
            Some(_) => Vec::new(),
        };
        let is_due = self.store.read(async |db| db.has_due_letters(now).await).await?;
        if probes.is_empty() && !is_due {
            return Ok(Vec::new());
        }
        let lease = self.entropy.uuid_v7(now);
        let until = now + self.timeout + LEASE_MARGIN;
        let slow = (capacity.slow.as_slice(), &self.turn);
        let claim = self.store.write_best_effort(async |tx| {
            if outage.is_some() {
                let (fresh, refused) = (ClaimLimit::fresh(1), ClaimLimit::refused(1));
                let claimed = tx.claim_letters_beside(lease, now, until, fresh, slow).await?;
                return match claimed.is_empty() {
                    true => tx.claim_letters_beside(lease, now, until, refused, slow).await,
                    false => Ok(claimed),
                };
            }
            for probe in &probes {
                tx.claim_letter_early(*probe, lease, now, until).await?;
            }
            let refused = capacity.all.refused.saturating_sub(probes.len());
            let limit = ClaimLimit { refused, ..capacity.all };
            let claimed = tx.claim_letters_beside(lease, now, until, limit, slow).await?;
            match capacity.slow.is_empty() {
                true => Ok(claimed),
                false => tx.claim_letters(lease, now, until, capacity.remaining(&claimed)).await,
            }
        });
        claim.await
    }

    /// Delivers a letter; returns whether it left. An error is logged and recorded in the outbox.
    /// If the outbox cannot be written, the lease runs out.
    async fn try_to_deliver(&self, letter: &ClaimedLetter, patience: Option<Duration>) -> bool {
        let error = match self.deliver(letter, patience).await {
            Ok(left) => return left,
            Err(error) => error,
        };
        if let DeliveryError::Store(error) = &error {
            // not the letter's fault; the letter is free again when its lease has run out
            tracing::warn!(letter = %letter.id, error = chain(error), "a letter waits");
            return false;
        }
        tracing::error!(letter = %letter.id, error = chain(&error), "a letter cannot be composed");
        // a broken template or a row of a later version: the letter's own fault, so the failure
        // counts as a try
        if let Err(error) = self.fail(letter, &error.to_string()).await {
            let error = chain(&error);
            tracing::warn!(letter = %letter.id, error, "the attempt was not recorded");
        }
        false
    }

    /// Composes and sends a letter; returns whether it left.
    async fn deliver(
        &self,
        letter: &ClaimedLetter,
        patience: Option<Duration>,
    ) -> Result<bool, DeliveryError> {
        let request: LetterRequest = serde_json::from_str(&letter.facts)?;
        let cap = request.cap();
        let composition =
            self.store.write(async |tx| self.composer.compose(tx, letter, request).await).await?;
        let (content, locale) = match composition {
            Composition::Send { content, locale } => (content, locale.or(letter.locale.clone())),
            Composition::Drop => {
                self.breaker.forget(letter.id);
                self.store.write(async |tx| tx.drop_letter(letter).await).await?;
                return Ok(false);
            }
            Composition::Wait { until } => {
                self.store
                    .write(async |tx| tx.postpone_letter(letter, until, letter.tries, None).await)
                    .await?;
                return Ok(false);
            }
            Composition::Lost => return Ok(false),
        };
        let now = self.clock.now();
        let locale = locale.as_ref();
        let envelope = Envelope { id: letter.id, to: &letter.email, locale, now };
        let rendered = self.renderer.render(&content, envelope)?;
        let sent =
            SentLetter::new(letter.id, now, &self.renderer, &letter.email, &content, &rendered);
        // a courier that was held up since the claim, for example on a machine that slept, would
        // still be sending when another courier takes the lease
        if letter.leased_until < self.clock.now() + self.timeout {
            tracing::warn!(letter = %letter.id, "a letter waits: its lease is about to expire");
            return Ok(false);
        }
        let outcome = self.transport.send(&sent, rendered, patience).await;
        let fault = outcome.as_ref().err().map(DeliveryFailure::class);
        if !matches!(fault, Some(FailureClass::Server | FailureClass::Connections)) {
            self.breaker.server_is_up();
        }
        match outcome {
            Ok(()) => {
                self.handle_sent(letter, &content, cap).await?;
                self.show(sent);
                Ok(true)
            }
            Err(failure) => {
                self.handle_refusal(letter, &failure).await?;
                Ok(false)
            }
        }
    }

    async fn handle_sent(
        &self,
        letter: &ClaimedLetter,
        content: &Letter,
        cap: LetterCap,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mark = || {
            self.store.write(async |tx| {
                match cap {
                    LetterCap::PerRecipient => tx.count_letter(&letter.email, None, now).await?,
                    LetterCap::PerNotice => {
                        tx.count_letter(&letter.email, Some(&letter.kind), now).await?;
                    }
                    LetterCap::None => {}
                }
                match letter.kind.as_str() {
                    kind if kind == LetterKind::AccountDeleted.as_str() => {
                        tx.drop_letter(letter).await
                    }
                    _ => tx.mark_sent(letter, now).await,
                }
            })
        };
        // the server has taken the letter: retry the mark, so that a short failure of the database
        // does not send the letter twice
        let mut marked = mark().await;
        for _ in 0..MAX_MARK_RETRIES {
            if marked.is_ok() {
                break;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
            marked = mark().await;
        }
        marked?;
        self.metrics.tried("sent");
        tracing::info!(letter = %letter.id, kind = content.name(), "a letter was sent");
        let others = self.breaker.taken(letter.id, now);
        if !others.waiting.is_empty() || !others.dead.is_empty() {
            self.store
                .write(async |tx| {
                    tx.bring_letters_forward(&others.waiting, now).await?;
                    tx.revive_letters(&others.dead, now).await
                })
                .await?;
        }
        Ok(())
    }

    async fn handle_refusal(
        &self,
        letter: &ClaimedLetter,
        failure: &DeliveryFailure,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (stage, code, words) = (failure.stage.as_str(), failure.code, failure.words.as_str());
        match failure.class() {
            fault @ (FailureClass::Server | FailureClass::Connections) => {
                self.metrics.tried("postponed");
                let again = match fault == FailureClass::Connections && !self.breaker.is_open() {
                    true => self.breaker.limit_connections(now, failure.others),
                    false => self.breaker.server_is_down(now, failure),
                };
                let postponed = self.store.write(async |tx| {
                    tx.postpone_letter(letter, again, letter.tries, Some(words)).await
                });
                postponed.await.map(|_| ())
            }
            FailureClass::Transient => {
                self.breaker.refused_temporarily(letter, failure.reply_code(), now);
                tracing::info!(letter = %letter.id, stage, code, "the server deferred a letter");
                self.fail(letter, words).await
            }
            FailureClass::Permanent => {
                tracing::warn!(letter = %letter.id, stage, code, "the server rejected a letter");
                let verdict = failure
                    .reply_code()
                    .map(|refusal| self.breaker.refused_permanently(letter, refusal, now));
                match verdict {
                    Some(RefusalOutcome::Waits) => self.fail(letter, words).await?,
                    Some(RefusalOutcome::Dies) | None => {
                        self.give_up(letter, words).await?;
                        // the server took another letter before this row was written
                        if self.breaker.is_retried(letter.id) {
                            self.revive(&[letter.id]).await?;
                        }
                    }
                }
                self.revive(&self.breaker.wrongly_dead()).await
            }
        }
    }

    /// Lets dead letters wait again, because other recipients got the same refusal.
    async fn revive(&self, letters: &[LetterId]) -> Result<(), StoreError> {
        if letters.is_empty() {
            return Ok(());
        }
        let due_at = self.clock.now() + self.backoff(1);
        self.store.write(async |tx| tx.revive_letters(letters, due_at).await).await
    }

    /// Records a failure by the letter's own fault: the letter is postponed or given up. A probe
    /// before the letter was due does not count as a try.
    async fn fail(&self, letter: &ClaimedLetter, words: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (due_at, tries) = match letter.due_at > now {
            true => (letter.due_at, letter.tries),
            false => (now + self.backoff(letter.tries + 1), letter.tries + 1),
        };
        if tries >= MAX_TRIES {
            tracing::error!(letter = %letter.id, tries, "a letter was given up");
            self.breaker.exhausted(letter.id, now);
            return self.give_up(letter, words).await;
        }
        self.metrics.tried("retried");
        self.store
            .write(async |tx| tx.postpone_letter(letter, due_at, tries, Some(words)).await)
            .await?;
        Ok(())
    }

    /// Gives a letter up. The dead letter stays visible with the server's words. A farewell is
    /// deleted instead, because its recipient has left.
    async fn give_up(&self, letter: &ClaimedLetter, words: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.metrics.tried("dead");
        self.store
            .write(async |tx| match letter.kind.as_str() {
                kind if kind == LetterKind::AccountDeleted.as_str() => tx.drop_letter(letter).await,
                _ => tx.mark_dead(letter, now, words).await,
            })
            .await?;
        Ok(())
    }

    /// Pause before the next try: 5 s, doubled with each try up to 12 h. A random part of up to a
    /// quarter spreads letters that failed together.
    fn backoff(&self, tries: u32) -> Duration {
        let pause = Duration::from_secs(5 << (tries - 1).min(14)).min(MAX_BACKOFF);
        let [random] = self.entropy.bytes();
        pause + pause * u32::from(random) / 1_024
    }

    /// Shows a sent letter in development, where no mail client is needed to read it.
    fn show(&self, letter: SentLetter) {
        let Some(mailbox) = &self.development else { return };
        if let Some(link) = &letter.link {
            tracing::info!(to = letter.to, link, "development: the link in this letter");
        }
        mailbox.put(letter);
    }
}
