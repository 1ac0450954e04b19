//! What the courier knows of the mail server: whether it is there, and whether it takes anything.
//!
//! Two kinds of bad days are told apart. In an *outage* the server cannot be had at all: everything
//! pauses, and one letter at a time probes. In a *spell* it is there and says "later" to whatever it is
//! given. A single letter that is refused for now may have a bad recipient, or be the first of a spell;
//! which, is known as soon as the server takes another. So letters that were refused since it last took
//! one are probed ahead of their time, a few at once, and when it takes one they are all due again
//! (R48). Those that are refused once more after that are at fault themselves, and wait as long as
//! their own tries say.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::mail::Failure;
use crate::storage::LetterId;

/// The longest pause between two probes of a server that is down, and that between two rounds of
/// probes of one that says "later".
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Whether the mail server was there when it was last tried, and whether it took anything.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    outage: Option<Outage>,
    spell: Option<Spell>,
    /// Refused for now once more, after the server had taken others.
    at_fault: BTreeSet<LetterId>,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    pause: Duration,
    next_probe: Timestamp,
}

/// Nothing was taken since these letters were refused.
#[derive(Debug)]
struct Spell {
    letters: BTreeSet<LetterId>,
    next_probe: Timestamp,
    last_probed: Option<LetterId>,
}

impl Breaker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether letters wait for the mail server.
    pub fn is_open(&self) -> bool {
        self.state().outage.is_some()
    }

    /// How many letters may be tried now, of `at_once`, while so many are on their way. A probe goes
    /// alone: a server that hangs is not given another one before it has been given up on.
    pub(super) fn allowance(&self, now: Timestamp, on_their_way: usize, at_once: usize) -> usize {
        match self.state().outage {
            None => at_once.saturating_sub(on_their_way),
            Some(outage) if outage.next_probe <= now && on_their_way == 0 => at_once.min(1),
            Some(_) => 0,
        }
    }

    /// Letters to be tried ahead of their time, up to `most`, in turns.
    pub(super) fn probes(&self, now: Timestamp, most: usize) -> Vec<LetterId> {
        let mut state = self.state();
        match &mut state.spell {
            Some(spell) if spell.next_probe <= now && most > 0 => {
                spell.next_probe = now + LONGEST_PAUSE;
                let behind = spell.last_probed.map_or(Unbounded, Excluded);
                let rest = spell.letters.range((behind, Unbounded));
                let probes: Vec<LetterId> = rest
                    .chain(&spell.letters)
                    .take(most.min(spell.letters.len()))
                    .copied()
                    .collect();
                spell.last_probed = probes.last().copied();
                probes
            }
            _ => Vec::new(),
        }
    }

    /// Answers when the next probe is.
    pub(super) fn server_is_down(&self, now: Timestamp, failure: &Failure) -> Timestamp {
        let mut state = self.state();
        let pause = match state.outage {
            None => {
                // without its words: they may hold anything, and are in the outbox
                let (stage, code) = (failure.stage.as_str(), failure.code);
                tracing::warn!(stage, code, "the mail server is not to be had; letters wait");
                Duration::from_secs(1)
            }
            // letters of one batch fail together: that is one failure
            Some(Outage { pause, next_probe }) if next_probe > now => pause,
            Some(Outage { pause, .. }) => (pause * 2).min(LONGEST_PAUSE),
        };
        let next_probe = now + pause;
        state.outage = Some(Outage { pause, next_probe });
        next_probe
    }

    /// The server is there, whatever it said.
    pub(super) fn server_is_there(&self) {
        if self.state().outage.take().is_some() {
            tracing::info!("the mail server is back");
        }
    }

    /// The letter was refused for now.
    pub(super) fn refused_for_now(&self, letter: LetterId, now: Timestamp) {
        let mut state = self.state();
        if state.at_fault.contains(&letter) {
            return;
        }
        let begin = || Spell {
            letters: BTreeSet::new(),
            next_probe: now + LONGEST_PAUSE,
            last_probed: None,
        };
        state.spell.get_or_insert_with(begin).letters.insert(letter);
    }

    /// The server took this letter. Answers which others it may take now as well.
    pub(super) fn taken(&self, letter: LetterId) -> BTreeSet<LetterId> {
        let mut state = self.state();
        state.at_fault.remove(&letter);
        let Some(Spell { mut letters, .. }) = state.spell.take() else { return BTreeSet::new() };
        letters.remove(&letter);
        state.at_fault.extend(&letters);
        letters
    }

    /// The letter waits no more.
    pub(super) fn forget(&self, letter: LetterId) {
        let mut state = self.state();
        state.at_fault.remove(&letter);
        if let Some(spell) = &mut state.spell {
            spell.letters.remove(&letter);
        }
        state.spell.take_if(|spell| spell.letters.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Stage;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);

    fn after(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    fn letter(number: u128) -> LetterId {
        LetterId::new(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn r48_a_server_that_is_down_is_probed_with_growing_pauses_that_have_an_end() {
        let breaker = Breaker::default();
        let failure = Failure::new(Stage::Connection, "refused");
        assert_eq!(breaker.allowance(NOW, 0, 8), 8);
        assert_eq!(breaker.allowance(NOW, 3, 8), 5);
        let mut now = NOW;
        for pause in [1, 2, 4, 8, 16, 20, 20] {
            let probe = breaker.server_is_down(now, &failure);
            assert_eq!(probe, now + Duration::from_secs(pause));
            // others of the same batch
            assert_eq!(breaker.server_is_down(now, &failure), probe);
            assert_eq!(breaker.allowance(now, 0, 8), 0);
            assert_eq!(breaker.allowance(probe, 1, 8), 0);
            assert_eq!(breaker.allowance(probe, 0, 8), 1);
            now = probe;
        }
        breaker.server_is_there();
        assert_eq!(breaker.allowance(now, 0, 8), 8);
    }

    #[test]
    fn r48_in_a_spell_letters_are_probed_in_turns_and_all_are_due_when_one_is_taken() {
        let breaker = Breaker::default();
        for number in 1..=5 {
            breaker.refused_for_now(letter(number), NOW);
        }
        assert!(breaker.probes(after(19), 2).is_empty());
        assert_eq!(breaker.probes(after(20), 2), [1, 2].map(letter));
        assert!(breaker.probes(after(20), 2).is_empty());
        assert!(breaker.probes(after(40), 0).is_empty());
        assert_eq!(breaker.probes(after(40), 2), [3, 4].map(letter));
        assert_eq!(breaker.probes(after(60), 2), [5, 1].map(letter));
        assert_eq!(breaker.probes(after(80), 9), [2, 3, 4, 5, 1].map(letter));
        breaker.forget(letter(5));
        assert_eq!(breaker.taken(letter(4)), [1, 2, 3].map(letter).into());
        assert!(breaker.probes(after(1_000), 9).is_empty());
    }

    #[test]
    fn a_letter_that_is_refused_while_others_are_taken_is_not_probed() {
        let breaker = Breaker::default();
        breaker.refused_for_now(letter(1), NOW);
        assert_eq!(breaker.taken(letter(2)), [letter(1)].into());
        breaker.refused_for_now(letter(1), NOW);
        assert!(breaker.probes(after(20), 9).is_empty());
        assert!(breaker.taken(letter(3)).is_empty());
        // another one is, and it by itself
        breaker.refused_for_now(letter(4), NOW);
        assert_eq!(breaker.probes(after(20), 9), [letter(4)]);
    }
}
