//! Delivering what is in the outbox.
//!
//! A letter's own faults (a recipient that is refused) cost it tries, with growing pauses, and in
//! the end make it a dead letter that stays visible. A mail server that is down costs no letter
//! anything: the courier pauses as a whole, probes with one letter at a time, and goes on where it
//! was.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinSet;

use crate::clock::{Clock, Timestamp};
use crate::config::{LimitSettings, LinkSettings, PublicUrl};
use crate::crypto::secret::Entropy;
use crate::mail::content::Decision;
use crate::mail::transport::SEND_TIMEOUT;
use crate::mail::{
    Cause, Envelope, Mailbox, Outbox, RenderError, Renderer, SendError, SentLetter, Transport,
};
use crate::storage::{ClaimedLetter, Store, StoreError, chain};

/// Letters on their way at once.
const AT_ONCE: i64 = 8;
/// Longer than any delivery can take, and short enough that a letter which was on its way when its
/// courier was killed is on its way again within the minute.
const LEASE: Duration = SEND_TIMEOUT.saturating_add(Duration::from_secs(15));
/// After this many failures of its own a letter is given up; that is after about two days.
const MAX_TRIES: u32 = 12;
/// The longest pause between two probes of a server that is down.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the outbox is looked at even if nobody says that there is something in it: another
/// node may have posted it.
pub(super) const ROUND: Duration = Duration::from_secs(1);
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
    pub public_url: PublicUrl,
    /// How long the links in letters work, from when the letter is made ready to leave.
    pub links: LinkSettings,
    pub limits: LimitSettings,
    /// In development: where letters can be read as their recipients see them; links are logged.
    pub development: Option<Mailbox>,
    pub breaker: Breaker,
}

/// What one round of the courier did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    pub sent: usize,
    /// Claimed and not sent: dropped, postponed or given up.
    pub kept: usize,
}

/// Whether the mail server was there when it was last tried.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Option<Outage>>);

#[derive(Clone, Copy, Debug)]
struct Outage {
    pause: Duration,
    next_probe: Timestamp,
}

impl Breaker {
    /// How many letters may be tried now.
    fn allowance(&self, now: Timestamp) -> i64 {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => AT_ONCE,
            Some(outage) if outage.next_probe <= now => 1,
            Some(_) => 0,
        }
    }

    /// Answers when the next probe is.
    fn server_is_down(&self, now: Timestamp) -> Timestamp {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = match *outage {
            None => {
                tracing::warn!("the mail server is not to be had; letters wait");
                Duration::from_secs(1)
            }
            // letters of one batch fail together: that is one failure
            Some(Outage { pause, next_probe }) if next_probe > now => pause,
            Some(Outage { pause, .. }) => (pause * 2).min(LONGEST_PAUSE),
        };
        let next_probe = now + pause;
        *outage = Some(Outage { pause, next_probe });
        next_probe
    }

    fn server_is_there(&self) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!("the mail server is back");
        }
    }
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
        let mut on_their_way = JoinSet::new();
        loop {
            let free = AT_ONCE - i64::try_from(on_their_way.len()).unwrap_or(AT_ONCE);
            match self.claim(free).await {
                Ok(letters) => {
                    for letter in letters {
                        let courier = Arc::clone(&self);
                        on_their_way.spawn(async move { courier.try_to_deliver(&letter).await });
                    }
                }
                Err(error) => tracing::warn!(error = chain(&error), "the outbox cannot be read"),
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = on_their_way.join_next() => {}
                () = self.outbox.woken() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
        }
        while on_their_way.join_next().await.is_some() {}
    }

    /// Delivers what is due, once.
    pub async fn deliver_due(&self) -> Result<Delivered, StoreError> {
        let letters = self.claim(AT_ONCE).await?;
        let outcomes = join_all(letters.iter().map(|letter| self.try_to_deliver(letter))).await;
        let sent = outcomes.iter().filter(|&&left| left).count();
        Ok(Delivered { sent, kept: outcomes.len() - sent })
    }

    /// Takes the lease of up to `free` letters that are due.
    async fn claim(&self, free: i64) -> Result<Vec<ClaimedLetter>, StoreError> {
        let now = self.clock.now();
        let allowance = self.breaker.allowance(now).min(free);
        if allowance <= 0 || !self.store.read(async |db| db.has_due_letters(now).await).await? {
            return Ok(Vec::new());
        }
        let lease = self.entropy.uuid_v7(now);
        self.store
            .write_behind(async |tx| tx.claim_letters(lease, now, now + LEASE, allowance).await)
            .await
    }

    /// Whether the letter left. Whatever went wrong is in the log and, where it can be written, in
    /// the outbox; where it cannot, the lease runs out.
    async fn try_to_deliver(&self, letter: &ClaimedLetter) -> bool {
        let error = match self.deliver(letter).await {
            Ok(left) => return left,
            Err(error) => error,
        };
        tracing::error!(letter = %letter.id, error = chain(&error), "a letter failed");
        // a broken template or a row of a later version: its own fault, tried again
        if let Err(error) = self.fail(letter, &error.to_string()).await {
            tracing::warn!(letter = %letter.id, error = chain(&error), "and it cannot be noted");
        }
        false
    }

    /// Whether the letter left.
    async fn deliver(&self, letter: &ClaimedLetter) -> Result<bool, DeliveryError> {
        let cause: Cause = serde_json::from_str(&letter.facts)?;
        let decision = self.store.write(async |tx| self.decide(tx, letter, cause).await).await?;
        let (content, locale) = match decision {
            Decision::Send { content, locale } => (content, locale.or(letter.locale.clone())),
            Decision::Drop => {
                self.store.write(async |tx| tx.drop_letter(letter).await).await?;
                return Ok(false);
            }
            Decision::Wait { until } => {
                self.store
                    .write(async |tx| tx.postpone_letter(letter, until, letter.tries, None).await)
                    .await?;
                return Ok(false);
            }
            Decision::Lost => return Ok(false),
        };
        let now = self.clock.now();
        let locale = locale.as_ref();
        let envelope = Envelope { id: letter.id, to: &letter.email, locale, now };
        let rendered = self.renderer.render(&content, envelope)?;
        let sent = SentLetter {
            id: letter.id,
            name: content.name(),
            at: now,
            from: self.renderer.sender(),
            to: letter.email.to_string(),
            subject: rendered.subject.clone(),
            text: rendered.text.clone(),
            html: rendered.html.clone(),
            link: content.link().map(str::to_owned),
            raw: rendered.message.formatted(),
        };
        let outcome = self.transport.send(&sent, rendered).await;
        let now = self.clock.now();
        match outcome {
            Ok(()) => {
                self.breaker.server_is_there();
                let done = self.store.write(async |tx| {
                    tx.count_letter(&letter.email, now).await?;
                    match letter.kind.as_str() {
                        Cause::FAREWELL => tx.drop_letter(letter).await,
                        _ => tx.mark_sent(letter, now).await,
                    }
                });
                done.await?;
                tracing::info!(letter = %letter.id, kind = content.name(), "a letter has left");
                self.show(sent);
                Ok(true)
            }
            Err(SendError::ServerDown(words)) => {
                let probe = self.breaker.server_is_down(now);
                self.store
                    .write(async |tx| {
                        tx.postpone_letter(letter, probe, letter.tries, Some(&words)).await
                    })
                    .await?;
                Ok(false)
            }
            Err(SendError::Transient(words)) => {
                self.breaker.server_is_there();
                self.fail(letter, &words).await?;
                Ok(false)
            }
            Err(SendError::Permanent(words)) => {
                self.breaker.server_is_there();
                tracing::warn!(letter = %letter.id, "a letter was refused for good");
                self.give_up(letter, &words).await?;
                Ok(false)
            }
        }
    }

    /// The letter failed by its own fault: later again, or never.
    async fn fail(&self, letter: &ClaimedLetter, words: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        let tries = letter.tries + 1;
        if tries >= MAX_TRIES {
            tracing::error!(letter = %letter.id, tries, "a letter was given up");
            return self.give_up(letter, words).await;
        }
        let due_at = now + self.backoff(tries);
        self.store
            .write(async |tx| tx.postpone_letter(letter, due_at, tries, Some(words)).await)
            .await?;
        Ok(())
    }

    /// A dead letter stays visible with what the server said, but for one to somebody who has left.
    async fn give_up(&self, letter: &ClaimedLetter, words: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store
            .write(async |tx| match letter.kind.as_str() {
                Cause::FAREWELL => tx.drop_letter(letter).await,
                _ => tx.mark_dead(letter, now, words).await,
            })
            .await?;
        Ok(())
    }

    /// 30 s, doubled with each try up to 12 h, and up to a quarter more, so that letters which
    /// failed together are not tried together.
    fn backoff(&self, tries: u32) -> Duration {
        let pause = Duration::from_secs(30 << (tries - 1).min(11)).min(HOUR * 12);
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
