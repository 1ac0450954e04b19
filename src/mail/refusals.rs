//! Letters that the mail server refused since it last took one, and their probes.
//!
//! A refusal at RCPT or DATA may be the fault of the recipient, of the server or of our settings.
//! The answers to other recipients tell these apart:
//!
//! - The server takes another letter. The refused letters are tried once more, and are at fault if
//!   the server refuses them again. A letter that shared its refusal with others, and gets the same
//!   refusal again, is not given up for it: the server may take some letters and refuse others, for
//!   example with a quota that moves on.
//! - The server refuses a second recipient with the same codes. The server or our settings are at
//!   fault, and letters wait instead of being given up (F12).
//! - Before either happens, the letters are probed in turns, those with the fewest failures first
//!   (S17).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::mail::delivery_failure::ReplyCode;
use crate::model::EmailAddress;
use crate::storage::LetterId;

/// Pause between two rounds of probes.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(20);

/// Whether the next probe is due. A probe further ahead than the `longest` pause is due as well:
/// the clock was set back after the probe was scheduled.
pub(super) fn is_due(next_probe: Timestamp, now: Timestamp, longest: Duration) -> bool {
    next_probe <= now || next_probe > now + longest
}

/// A letter at fault counts as an ordinary one after the server has taken no letter for this long.
const REFUSED_AGAIN_TTL: Duration = Duration::from_secs(3_600);
/// Limit on remembered letters that were given up. They are tried again if the server turns out to
/// have been at fault.
const MAX_DEAD: usize = 1_000;

/// Outcome of a permanent refusal for its letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalOutcome {
    /// The letter waits: other recipients got the same refusal.
    Waits,
    /// The letter is given up.
    Dies,
}

/// Letters to try again because the server took one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Waiting letters, which are due at once.
    pub waiting: Vec<LetterId>,
    /// Letters that were given up meanwhile, and are tried once more.
    pub dead: Vec<LetterId>,
}

/// Codes of the server's answer; `None` if the server gave no answer or hung up.
pub(super) type Reply = Option<ReplyCode>;

/// Letters that may be at fault themselves: they were refused, the server took another letter, and
/// they were tried again. The value is the permanent refusal that the letter shared with others
/// before that.
pub(super) type RefusedAgain = BTreeMap<LetterId, Option<ReplyCode>>;

/// The letters that were refused since the server last took one.
#[derive(Debug)]
pub(super) struct Refusals {
    letters: BTreeMap<LetterId, RefusalRecord>,
    /// For each answer: its first recipient, and whether a second recipient got the same answer.
    recipients: BTreeMap<Reply, (EmailAddress, bool)>,
    dead: usize,
    since: Timestamp,
    next_probe: Timestamp,
    /// Number of rounds of probes.
    probes: u64,
}

#[derive(Debug)]
struct RefusalRecord {
    state: LetterStatus,
    /// Number of refusals, of probes and of regular tries.
    failures: u32,
    /// The server's last answer to the letter.
    reply: Reply,
    /// Whether the last answer was a permanent refusal.
    is_permanent: bool,
    /// Number of the round with the letter's last probe.
    last_probe: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LetterStatus {
    Waiting,
    /// Given up at a permanent refusal that was the first of its kind.
    Dead,
    /// Given up after all of its tries.
    Exhausted,
}

impl Refusals {
    /// No refusals yet. The first probe is due after `PROBE_INTERVAL`.
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

    /// Whether the server has taken no letter for so long (`REFUSED_AGAIN_TTL`, 1 h) that the
    /// server is at fault, not the letters.
    pub fn is_server_at_fault(&self, now: Timestamp) -> bool {
        self.since + REFUSED_AGAIN_TTL <= now
    }

    /// The letter waits after `failures` refusals; the last one was temporary.
    pub fn insert_waiting(&mut self, letter: LetterId, failures: u32, reply: Reply) {
        self.insert(letter, LetterStatus::Waiting, failures, (reply, false));
    }

    /// The letter waits after `failures` refusals; the last one was permanent.
    pub fn insert_refused(&mut self, letter: LetterId, failures: u32, refusal: ReplyCode) {
        self.insert(letter, LetterStatus::Waiting, failures, (Some(refusal), true));
    }

    /// A letter was given up: at its first permanent `refusal`, or, with `None`, after all of its
    /// tries.
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
        (reply, is_permanent): (Reply, bool),
    ) {
        let before = self.letters.get(&letter);
        let last_probe = before.map_or(0, |refused| refused.last_probe);
        // probes count as failures here, although they do not count as tries
        let failures = before.map_or(failures, |refused| failures.max(refused.failures + 1));
        let was_dead = before.is_some_and(|refused| refused.state != LetterStatus::Waiting);
        self.dead += usize::from(state != LetterStatus::Waiting);
        self.dead -= usize::from(was_dead);
        self.letters
            .insert(letter, RefusalRecord { state, failures, reply, is_permanent, last_probe });
    }

    /// Records the answer to a recipient. Returns whether this recipient is the second one with the
    /// same answer.
    pub fn record_reply(&mut self, reply: Reply, recipient: &EmailAddress) -> bool {
        let (first, is_common) =
            self.recipients.entry(reply).or_insert_with(|| (recipient.clone(), false));
        let is_news = !*is_common && first != recipient;
        *is_common |= is_news;
        is_news
    }

    /// Whether several recipients got this answer.
    pub fn is_common(&self, reply: Reply) -> bool {
        self.recipients.get(&reply).is_some_and(|(_, is_common)| *is_common)
    }

    /// Letters that were given up at the first refusal of its kind, before other recipients got the
    /// same.
    pub fn wrongly_dead(&self) -> Vec<LetterId> {
        let is_wrong = |refused: &RefusalRecord| {
            refused.state == LetterStatus::Dead
                && self.is_common(refused.reply)
                && refused.reply.is_some_and(|refusal| !refusal.is_bad_address())
        };
        let wrong = self.letters.iter().filter(|(_, refused)| is_wrong(refused));
        wrong.map(|(letter, _)| *letter).collect()
    }

    /// Up to `most` letters to try before they are due: those with the fewest failures first, in
    /// turns. One letter is enough if every answer was a permanent refusal. Letters at fault take
    /// part if other recipients got the same answer, or if the server has taken no letter for
    /// `REFUSED_AGAIN_TTL` (1 h).
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
                        || self.is_common(refused.reply)
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

    /// The letter is no longer in the outbox, or the server took it.
    pub fn remove(&mut self, letter: LetterId) {
        let removed = self.letters.remove(&letter);
        self.dead -=
            usize::from(removed.is_some_and(|refused| refused.state != LetterStatus::Waiting));
    }

    /// Whether no letter is remembered.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// The server took a letter. Returns the letters to try again, and marks these as possibly at
    /// fault. A dead letter stays dead if no other recipient got its refusal. A letter that is
    /// already marked waits as long as its own tries say, unless the server had taken no letter for
    /// `REFUSED_AGAIN_TTL` (1 h).
    pub fn recovered(self, refused_again: &mut RefusedAgain, now: Timestamp) -> Recovered {
        let mut recovered = Recovered::default();
        let is_forgiven = self.is_server_at_fault(now);
        for (letter, refused) in &self.letters {
            let is_common = self.is_common(refused.reply);
            match refused.state {
                LetterStatus::Waiting if refused_again.contains_key(letter) && !is_forgiven => {
                    continue;
                }
                LetterStatus::Waiting => recovered.waiting.push(*letter),
                LetterStatus::Exhausted => recovered.dead.push(*letter),
                LetterStatus::Dead if is_common => recovered.dead.push(*letter),
                LetterStatus::Dead => continue,
            }
            let shared = refused.reply.filter(|_| refused.is_permanent && is_common);
            let fault = refused_again.entry(*letter).or_default();
            *fault = shared.or(*fault);
        }
        recovered
    }
}
