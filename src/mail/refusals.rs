//! Letters that the mail server refused since it last took one.
//!
//! A refusal at RCPT or DATA may be the recipient's fault, the server's or ours. What happens to other
//! recipients tells them apart:
//!
//! - The server takes another letter: the refused ones are tried once more, and are at fault if they
//!   are refused again. One that was refused like others, and is so again, is not given up for it: the
//!   server may take some letters and refuse others, such as with a quota that moves on.
//! - The server refuses a second recipient with the same codes: the server or we are at fault, and
//!   letters wait that would have been given up (F12).
//! - Until then the letters are probed in turns, those with the fewest failures first (S17).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::mail::delivery_failure::ReplyCode;
use crate::model::EmailAddress;
use crate::storage::LetterId;

/// The pause between two rounds of probes.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(20);

/// Whether the next probe is due. One that lies further ahead than the `longest` pause was put off before the
/// clock was set back.
pub(super) fn is_due(next_probe: Timestamp, now: Timestamp, longest: Duration) -> bool {
    next_probe <= now || next_probe > now + longest
}

/// A letter at fault is as good as any other when the server has taken nothing for so long.
const REFUSED_AGAIN_TTL: Duration = Duration::from_secs(3_600);
/// So many letters that were given up are remembered, and no more: they are tried again if the server
/// turns out to have been at fault.
const MAX_DEAD: usize = 1_000;

/// What becomes of a letter that was refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalOutcome {
    /// The letter waits: other recipients were refused alike.
    Waits,
    /// The letter is given up.
    Dies,
}

/// What goes again when the server takes a letter.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Letters that wait, and are due at once.
    pub waiting: Vec<LetterId>,
    /// Letters that were given up meanwhile, and are tried once more.
    pub dead: Vec<LetterId>,
}

/// What the server said; `None` where it was silent, or hung up.
pub(super) type Reply = Option<ReplyCode>;

/// Letters that were refused again after the server had taken others, each with the refusal for good
/// that it shared with others before that.
pub(super) type RefusedAgain = BTreeMap<LetterId, Option<ReplyCode>>;

/// The letters that were refused since the server last took one.
#[derive(Debug)]
pub(super) struct Refusals {
    letters: BTreeMap<LetterId, Refused>,
    /// Of each answer: its first recipient, and whether another one was answered alike.
    recipients: BTreeMap<Reply, (EmailAddress, bool)>,
    dead: usize,
    since: Timestamp,
    next_probe: Timestamp,
    /// How many probes there were.
    probes: u64,
}

#[derive(Debug)]
struct Refused {
    state: LetterStatus,
    /// How often it was refused, as a probe or by its own time.
    failures: u32,
    /// The server's last answer to it.
    answer: Reply,
    /// Whether that was a refusal for good.
    is_permanent: bool,
    /// The number of its last probe.
    last_probe: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LetterStatus {
    Waiting,
    /// Given up at a refusal for good that was the first of its kind.
    Dead,
    /// Given up after all of its tries.
    Exhausted,
}

impl Refusals {
    pub fn new(now: Timestamp) -> Self {
        Self {
            letters: BTreeMap::new(),
            recipients: BTreeMap::new(),
            dead: 0,
            since: now,
            next_probe: now + PROBE_INTERVAL,
            probes: 0,
        }
    }

    /// Whether the server has taken nothing for so long that it is at fault, and letters are forgiven.
    pub fn is_server_at_fault(&self, now: Timestamp) -> bool {
        self.since + REFUSED_AGAIN_TTL <= now
    }

    /// The letter waits after `failures` refusals, the last one for now.
    pub fn insert_waiting(&mut self, letter: LetterId, failures: u32, answer: Reply) {
        self.insert(letter, LetterStatus::Waiting, failures, (answer, false));
    }

    /// The letter waits after `failures` refusals, the last one for good.
    pub fn insert_refused(&mut self, letter: LetterId, failures: u32, refusal: ReplyCode) {
        self.insert(letter, LetterStatus::Waiting, failures, (Some(refusal), true));
    }

    /// A letter was given up; whether by its first refusal, or after all of its tries.
    pub fn insert_dead(&mut self, letter: LetterId, refusal: Option<ReplyCode>) {
        let state = if refusal.is_some() { LetterStatus::Dead } else { LetterStatus::Exhausted };
        if self.dead < MAX_DEAD || self.letters.contains_key(&letter) {
            self.insert(letter, state, 1, (refusal, refusal.is_some()));
        }
    }

    fn insert(
        &mut self,
        letter: LetterId,
        state: LetterStatus,
        failures: u32,
        (answer, is_permanent): (Reply, bool),
    ) {
        let before = self.letters.get(&letter);
        let last_probe = before.map_or(0, |refused| refused.last_probe);
        // probes count here, and not as tries
        let failures = before.map_or(failures, |refused| failures.max(refused.failures + 1));
        let was_dead = before.is_some_and(|refused| refused.state != LetterStatus::Waiting);
        self.dead += usize::from(state != LetterStatus::Waiting);
        self.dead -= usize::from(was_dead);
        self.letters.insert(letter, Refused { state, failures, answer, is_permanent, last_probe });
    }

    /// Notes that the recipient was answered like this; answers whether that is news: the second
    /// recipient that is answered alike.
    pub fn note(&mut self, answer: Reply, recipient: &EmailAddress) -> bool {
        let (first, is_common) =
            self.recipients.entry(answer).or_insert_with(|| (recipient.clone(), false));
        let is_news = !*is_common && first != recipient;
        *is_common |= is_news;
        is_news
    }

    /// Whether several recipients were answered like this.
    pub fn is_common(&self, answer: Reply) -> bool {
        self.recipients.get(&answer).is_some_and(|(_, is_common)| *is_common)
    }

    /// Letters that were given up at the first refusal of a kind that has since met others.
    pub fn wrongly_dead(&self) -> Vec<LetterId> {
        let is_wrong = |refused: &Refused| {
            refused.state == LetterStatus::Dead
                && self.is_common(refused.answer)
                && refused.answer.is_some_and(|refusal| !refusal.is_bad_address())
        };
        let wrong = self.letters.iter().filter(|(_, refused)| is_wrong(refused));
        wrong.map(|(letter, _)| *letter).collect()
    }

    /// Letters to be tried ahead of their time, up to `most`: those that failed least, in turns. One is
    /// enough where every answer was for good. Letters at fault are among them if others are answered
    /// like them, or if nothing has been taken for long.
    pub fn probes(
        &mut self,
        now: Timestamp,
        most: usize,
        refused_again: &RefusedAgain,
    ) -> Vec<LetterId> {
        let waiting = || {
            self.letters.iter().filter(|(letter, refused)| {
                refused.state == LetterStatus::Waiting
                    && (!refused_again.contains_key(letter)
                        || self.is_common(refused.answer)
                        || self.is_server_at_fault(now))
            })
        };
        if !is_due(self.next_probe, now, PROBE_INTERVAL) || most == 0 || waiting().next().is_none()
        {
            return Vec::new();
        }
        let most = if waiting().all(|(_, refused)| refused.is_permanent) { 1 } else { most };
        let mut order: Vec<_> = waiting()
            .map(|(letter, refused)| (refused.failures, refused.last_probe, *letter))
            .collect();
        order.sort_unstable();
        let probes: Vec<LetterId> =
            order.into_iter().map(|(.., letter)| letter).take(most).collect();
        self.next_probe = now + PROBE_INTERVAL;
        self.probes += 1;
        for letter in &probes {
            if let Some(refused) = self.letters.get_mut(letter) {
                refused.last_probe = self.probes;
            }
        }
        probes
    }

    /// The letter is no longer in the outbox, or was taken.
    pub fn remove(&mut self, letter: LetterId) {
        let removed = self.letters.remove(&letter);
        self.dead -=
            usize::from(removed.is_some_and(|refused| refused.state != LetterStatus::Waiting));
    }

    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// The server takes letters: what goes again, and is at fault from now on. A letter that was given up
    /// stays so if no other recipient was refused like its own; one that is at fault already waits as
    /// long as its own tries say, unless nothing was taken for long.
    pub fn recovered(self, refused_again: &mut RefusedAgain, now: Timestamp) -> Recovered {
        let mut recovered = Recovered::default();
        let is_forgiven = self.is_server_at_fault(now);
        for (letter, refused) in &self.letters {
            let is_common = self.is_common(refused.answer);
            match refused.state {
                LetterStatus::Waiting if refused_again.contains_key(letter) && !is_forgiven => {
                    continue;
                }
                LetterStatus::Waiting => recovered.waiting.push(*letter),
                LetterStatus::Exhausted => recovered.dead.push(*letter),
                LetterStatus::Dead if is_common => recovered.dead.push(*letter),
                LetterStatus::Dead => continue,
            }
            let shared = refused.answer.filter(|_| refused.is_permanent && is_common);
            let fault = refused_again.entry(*letter).or_default();
            *fault = shared.or(*fault);
        }
        recovered
    }
}
