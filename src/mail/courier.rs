//! Delivering what is in the outbox.
//!
//! A letter's own faults (a recipient that is refused) cost it tries, with growing pauses, and in
//! the end make it a dead letter that stays visible. No other letter waits for it. A mail server that
//! is down costs no letter anything: the courier pauses as a whole, probes with one letter at a time,
//! and goes on where it was. The [`CircuitBreaker`] tells the two apart.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::clock::Clock;
use crate::config::{LimitSettings, LinkSettings, PublicUrl};
use crate::crypto::entropy::Entropy;
use crate::mail::composer::Composition;
use crate::mail::in_flight::{Capacity, InFlight, MAX_DELIVERIES};
use crate::mail::refusals::RefusalOutcome;
use crate::mail::{
    CircuitBreaker, DeliveryFailure, Envelope, FailureClass, Letter, LetterCap, LetterRequest,
    Mailbox, Outbox, RenderError, Renderer, SentLetter, Transport,
};
use crate::metrics::LetterMetrics;
use crate::storage::{ClaimLimit, ClaimedLetter, LetterId, Store, StoreError, chain};

/// What a delivery takes besides the mail server's time. Leases are longer by so much than that time:
/// longer than a delivery can take, and no longer, so that a letter which was on its way when its
/// courier was killed is soon on its way again.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// After this many failures of its own a letter is given up; that is after about two days.
const MAX_TRIES: u32 = 17;
/// How often the outbox is looked at even if nobody says that there is something in it: another
/// node may have posted it.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// So often it is tried again to note that a letter was taken.
const MAX_MARK_RETRIES: usize = 8;
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// Delivers letters. One for each node; any number may share a database.
#[derive(Debug)]
pub struct Courier {
    pub store: Store,
    pub clock: Clock,
    pub entropy: Entropy,
    pub outbox: Outbox,
    pub renderer: Renderer,
    pub transport: Transport,
    /// How long the transport may take for one letter.
    pub timeout: Duration,
    pub public_url: PublicUrl,
    /// How long the links in letters work, from when the letter is made ready to leave.
    pub links: LinkSettings,
    pub limits: LimitSettings,
    /// In development: where letters can be read as their recipients see them; links are logged.
    pub development: Option<Mailbox>,
    pub breaker: CircuitBreaker,
    pub metrics: LetterMetrics,
}

/// What one round of the courier did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    pub sent: usize,
    /// Claimed and not sent: dropped, postponed or given up.
    pub kept: usize,
}

#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error("the outbox holds facts that this version does not know: {0}")]
    Facts(#[from] serde_json::Error),
}

impl Courier {
    /// Delivers until `stop`, and then finishes what is on its way. A letter that takes its time
    /// holds up no other.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut in_flight = InFlight::default();
        if let Err(error) = self.remember_refusals().await {
            tracing::warn!(error = chain(&error), "the outbox cannot be read");
        }
        loop {
            let most = self.breaker.most_connections(self.clock.now(), MAX_DELIVERIES);
            match self.claim(in_flight.before_a_probe(), in_flight.capacity(most)).await {
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
                Err(error) => tracing::warn!(error = chain(&error), "the outbox cannot be read"),
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

    /// Delivers what is due, once.
    pub async fn deliver_due(&self) -> Result<Delivered, StoreError> {
        let letters = self.claim(0, InFlight::default().capacity(MAX_DELIVERIES)).await?;
        let deliveries = letters.iter().map(|letter| self.try_to_deliver(letter, None));
        let outcomes = join_all(deliveries).await;
        let sent = outcomes.iter().filter(|&&left| left).count();
        Ok(Delivered { sent, kept: outcomes.len() - sent })
    }

    /// Which letters were refused before this courier began: the server may have recovered since. What a
    /// backup holds back is held from now on.
    pub async fn remember_refusals(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store.write(async |tx| tx.date_held_letters(now).await).await?;
        let refused = self.store.read(async |db| db.find_refused_letters().await).await?;
        self.breaker.remember(&refused, now);
        Ok(())
    }

    /// Takes the lease of letters that are due, or that are to be tried ahead of that: as many as
    /// `capacity` has, those to domains that the mail server is slow with last. During an outage that is one,
    /// a letter that was never refused if there is one, and none to such a domain.
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
        let claim = self.store.write_best_effort(async |tx| {
            if outage.is_some() {
                let (fresh, refused) = (ClaimLimit::fresh(1), ClaimLimit::refused(1));
                let slow = &capacity.slow;
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
            let claimed = tx.claim_letters_beside(lease, now, until, limit, &capacity.slow).await?;
            match capacity.slow.is_empty() {
                true => Ok(claimed),
                false => tx.claim_letters(lease, now, until, capacity.remaining(&claimed)).await,
            }
        });
        claim.await
    }

    /// Whether the letter left. Whatever went wrong is in the log and, where it can be written, in
    /// the outbox; where it cannot, the lease runs out.
    async fn try_to_deliver(&self, letter: &ClaimedLetter, patience: Option<Duration>) -> bool {
        let error = match self.deliver(letter, patience).await {
            Ok(left) => return left,
            Err(error) => error,
        };
        if let DeliveryError::Store(error) = &error {
            // no fault of the letter's, which is there again when its lease has run out
            tracing::warn!(letter = %letter.id, error = chain(error), "a letter waits");
            return false;
        }
        tracing::error!(letter = %letter.id, error = chain(&error), "a letter failed");
        // a broken template or a row of a later version: its own fault, tried again
        if let Err(error) = self.fail(letter, &error.to_string()).await {
            tracing::warn!(letter = %letter.id, error = chain(&error), "and it cannot be noted");
        }
        false
    }

    /// Whether the letter left.
    async fn deliver(
        &self,
        letter: &ClaimedLetter,
        patience: Option<Duration>,
    ) -> Result<bool, DeliveryError> {
        let request: LetterRequest = serde_json::from_str(&letter.facts)?;
        let cap = request.cap();
        let composition =
            self.store.write(async |tx| self.compose(tx, letter, request).await).await?;
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
        // whoever was held up since the claim, such as by a machine that slept, would be sending
        // when the lease has passed to another
        if letter.leased_until < self.clock.now() + self.timeout {
            tracing::warn!(letter = %letter.id, "a letter waits: its courier was held up");
            return Ok(false);
        }
        let outcome = self.transport.send(&sent, rendered, patience).await;
        let fault = outcome.as_ref().err().map(DeliveryFailure::class);
        if !matches!(fault, Some(FailureClass::Server | FailureClass::Connections)) {
            self.breaker.server_is_there();
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
                    LetterRequest::FAREWELL => tx.drop_letter(letter).await,
                    _ => tx.mark_sent(letter, now).await,
                }
            })
        };
        // once it is taken, a database that is away for a moment is no reason to send it again
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
        tracing::info!(letter = %letter.id, kind = content.name(), "a letter has left");
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
                    true => self.breaker.has_enough_connections(now, failure.others),
                    false => self.breaker.server_is_down(now, failure),
                };
                let postponed = self.store.write(async |tx| {
                    tx.postpone_letter(letter, again, letter.tries, Some(words)).await
                });
                postponed.await.map(|_| ())
            }
            FailureClass::Transient => {
                self.breaker.refused_temporarily(letter, failure.refusal(), now);
                tracing::info!(letter = %letter.id, stage, code, "a letter was refused for now");
                self.fail(letter, words).await
            }
            FailureClass::Permanent => {
                tracing::warn!(letter = %letter.id, stage, code, "a letter was refused for good");
                let verdict = failure
                    .refusal()
                    .map(|refusal| self.breaker.refused_permanently(letter, refusal, now));
                match verdict {
                    Some(RefusalOutcome::Waits) => self.fail(letter, words).await?,
                    Some(RefusalOutcome::Dies) | None => {
                        self.give_up(letter, words).await?;
                        // the server took another one before this was written down
                        if self.breaker.is_retried(letter.id) {
                            self.revive(&[letter.id]).await?;
                        }
                    }
                }
                self.revive(&self.breaker.wrongly_dead()).await
            }
        }
    }

    /// Letters that were given up, and others were refused alike: they wait like those.
    async fn revive(&self, letters: &[LetterId]) -> Result<(), StoreError> {
        if letters.is_empty() {
            return Ok(());
        }
        let due_at = self.clock.now() + self.backoff(1);
        self.store.write(async |tx| tx.revive_letters(letters, due_at).await).await
    }

    /// The letter failed by its own fault: later again, or never. What was tried ahead of its time
    /// has not been tried.
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

    /// A dead letter stays visible with what the server said, but for one to somebody who has left.
    async fn give_up(&self, letter: &ClaimedLetter, words: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.metrics.tried("dead");
        self.store
            .write(async |tx| match letter.kind.as_str() {
                LetterRequest::FAREWELL => tx.drop_letter(letter).await,
                _ => tx.mark_dead(letter, now, words).await,
            })
            .await?;
        Ok(())
    }

    /// 5 s, doubled with each try up to 12 h, and up to a quarter more, so that letters which
    /// failed together are not tried together.
    fn backoff(&self, tries: u32) -> Duration {
        let pause = Duration::from_secs(5 << (tries - 1).min(14)).min(HOUR * 12);
        let [random] = self.entropy.bytes();
        pause + pause * u32::from(random) / 1_024
    }

    /// In development, what was sent can be read without a mail client.
    fn show(&self, letter: SentLetter) {
        let Some(mailbox) = &self.development else { return };
        if let Some(link) = &letter.link {
            tracing::info!(to = letter.to, link, "development: the link in this letter");
        }
        mailbox.put(letter);
    }
}
